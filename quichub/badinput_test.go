package quichub_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/badinput"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// target is a hub with a witness, which must hear everything, whatever offenders do.
type target struct {
	t       *testing.T
	hub     *quichub.Hub
	atHub   chan string // ids of what offenders dispatch
	witness chan string // ids that the witness hears
	said    int
}

func newTarget(t *testing.T) *target {
	t.Helper()
	x := &target{t: t, atHub: make(chan string, 1000), witness: make(chan string, 1000)}
	x.hub = newHub(t, quichub.Options{
		Options:         hub.Options{OnFault: quiet},
		ListenerOptions: quichub.ListenerOptions{HandshakeTimeout: 5 * time.Second},
	})
	s := newSpoke(t, x.hub.Addr().String(), quicspoke.Options{Options: link.Options{OnFault: func(f eventtarget.Fault) {
		t.Errorf("the witness has a fault: %v", f)
	}}})
	for heard, at := range map[chan string]eventtarget.Target{x.atHub: x.hub, x.witness: s} {
		if _, err := at.Add(t.Context(), eventtarget.T("said", "*"), eventtarget.Func(func(_ context.Context, e event) { heard <- e.ID })); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	x.say()
	return x
}

// say lets the witness hear something: it is still there, and has missed nothing.
func (x *target) say() {
	x.t.Helper()
	x.said++
	want := strconv.Itoa(x.said)
	if err := x.hub.Dispatch(x.t.Context(), event{Type: "said", ID: want}); err != nil {
		x.t.Fatal(err)
	}
	if got := receive(x.t, x.witness); got != want {
		x.t.Fatalf("the witness heard %s, want %s", got, want)
	}
}

// offend lets a peer of its own do something and returns what it is closed with, or
// CodeNormal if its next event is heard.
func (x *target) offend(protocol string, stays bool, do func(*quic.Conn, *quic.Stream)) eventtarget.Code {
	x.t.Helper()
	code, err := x.tryOffend(protocol, stays, do)
	if _, reset := errors.AsType[*quic.StatelessResetError](err); reset {
		// The peer was held up for longer than the hub answers for a connection that it
		// has closed (RFC 9000, section 10.2), and quic-go looks at a reset first.
		code, err = x.tryOffend(protocol, stays, do)
	}
	if err != nil {
		x.t.Fatal(err)
	}
	return code
}

func (x *target) tryOffend(protocol string, stays bool, do func(*quic.Conn, *quic.Stream)) (eventtarget.Code, error) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), 20*time.Second)
	defer cancel()
	conn, stream, err := dialRaw(ctx, x.hub.Addr().String(), protocol)
	if err != nil {
		x.t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	go do(conn, stream) // which waits for ever if the hub takes nothing
	if stays {
		select {
		case got := <-x.atHub:
			if got != "after" {
				x.t.Errorf("the hub heard %s", got)
			}
			return eventtarget.CodeNormal, nil
		case <-conn.Context().Done():
			return codeOf(context.Cause(conn.Context()))
		case <-ctx.Done():
			x.t.Fatal("the hub hears nothing")
		}
	}
	if _, err := io.Copy(io.Discard, stream); err == nil {
		stream.CancelWrite(0) // as an answer to the hub's end
	}
	select {
	case <-conn.Context().Done():
	case <-ctx.Done():
		x.t.Fatal("the offender is not closed")
	}
	return codeOf(context.Cause(conn.Context()))
}

// codeOf returns the reason with which the hub has closed a connection.
func codeOf(err error) (eventtarget.Code, error) {
	e, ok := errors.AsType[*quic.ApplicationError](err)
	if !ok || !e.Remote {
		return 0, fmt.Errorf("the offender is closed with %w", err)
	}
	return quicconn.Reason(err).Code, nil
}

const (
	hello = `{"type":"__hello","id":"","payload":{"version":1,"window":1048576}}`
	after = `{"type":"said","id":"after"}`
)

// framed returns messages behind the greeting, each in its frame.
func framed(messages ...string) []byte {
	b := make([]byte, 4)
	for _, m := range messages {
		b = append(quicconn.AppendHeader(b, len(m)), m...)
	}
	return b
}

// TestBadMessages: who sends no envelope is closed with the documented code.
func TestBadMessages(t *testing.T) {
	t.Parallel()
	x := newTarget(t)
	n := 0
	for protocol, before := range map[string][]string{quicconn.PlainProtocol: nil, quicconn.SessionProtocol: {hello}} {
		for name, c := range badinput.Messages() {
			if c.Message == "" {
				continue // is padding here
			}
			stays := c.Code == eventtarget.CodeNormal
			got := x.offend(protocol, stays, func(_ *quic.Conn, s *quic.Stream) {
				_, _ = s.Write(framed(append(before, c.Message, after)...))
			})
			if got != c.Code {
				t.Errorf("%s: %s: closed with %v, want %v", protocol, name, got, c.Code)
			}
			n++
			x.say()
		}
	}
	if left := len(x.atHub); left > 0 {
		t.Errorf("the hub heard %d events that stand behind bad messages", left)
	}
	if t.Logf("%d cases", n); n < 300 {
		t.Errorf("only %d cases", n)
	}
}

// TestBadSessions: what only a session knows.
func TestBadSessions(t *testing.T) {
	x := newTarget(t)
	ack := func(received string) string {
		return `{"type":"__ack","id":"","payload":{"received":` + received + `}}`
	}
	for name, c := range map[string]struct {
		messages []string
		code     eventtarget.Code
	}{
		"acknowledges a text":       {[]string{hello, ack(`"1"`)}, eventtarget.CodeMalformed},
		"acknowledges below zero":   {[]string{hello, ack(`-1`)}, eventtarget.CodeMalformed},
		"acknowledges a fraction":   {[]string{hello, ack(`0.5`)}, eventtarget.CodeMalformed},
		"acknowledges 1e99":         {[]string{hello, ack(`1e99`)}, eventtarget.CodeMalformed},
		"acknowledges nothing":      {[]string{hello, `{"type":"__ack","id":""}`}, eventtarget.CodeMalformed},
		"acknowledges a list":       {[]string{hello, `{"type":"__ack","id":"","payload":[]}`}, eventtarget.CodeMalformed},
		"acknowledges what was not": {[]string{hello, ack(`9999`)}, eventtarget.CodeNormal},
		"two hellos":                {[]string{hello, hello}, eventtarget.CodeNormal},
		"a hello without payload":   {[]string{`{"type":"__hello","id":""}`}, eventtarget.CodeMalformed},
		"a hello with a list":       {[]string{`{"type":"__hello","id":"","payload":[]}`}, eventtarget.CodeMalformed},
		"a hello with a bad topic":  {[]string{`{"type":"__hello","id":"","payload":{"version":1,"topics":["a b"]}}`}, eventtarget.CodeMalformed},
		"a session of nobody":       {[]string{`{"type":"__hello","id":"","payload":{"version":1,"session":"x","received":7}}`}, eventtarget.CodeNormal},
		"no hello":                  {nil, eventtarget.CodeNormal},
	} {
		got := x.offend(quicconn.SessionProtocol, c.code == eventtarget.CodeNormal, func(_ *quic.Conn, s *quic.Stream) {
			_, _ = s.Write(framed(append(c.messages, after)...))
		})
		if got != c.code {
			t.Errorf("%s: closed with %v, want %v", name, got, c.code)
		}
		x.say()
	}
}

// TestBadFrames: what breaks the framing.
func TestBadFrames(t *testing.T) {
	t.Parallel()
	size := func(n uint32) []byte { return binary.BigEndian.AppendUint32(make([]byte, 4), n) }
	write := func(b []byte) func(*quic.Conn, *quic.Stream) {
		return func(_ *quic.Conn, s *quic.Stream) { _, _ = s.Write(b) }
	}
	end := func(b []byte) func(*quic.Conn, *quic.Stream) {
		return func(_ *quic.Conn, s *quic.Stream) {
			_, _ = s.Write(b)
			_ = s.Close()
		}
	}
	for name, c := range map[string]struct {
		do   func(*quic.Conn, *quic.Stream)
		code eventtarget.Code
	}{
		"4 GiB":                  {write(size(1<<32 - 1)), eventtarget.CodeTooLarge},
		"2 GiB":                  {write(size(1 << 31)), eventtarget.CodeTooLarge},
		"16 MiB":                 {write(size(16 << 20)), eventtarget.CodeTooLarge},
		"a request of HTTP":      {write([]byte("GET / HTTP/1.1\r\n\r\n")), eventtarget.CodeTooLarge},
		"a WebSocket's frame":    {write([]byte("\x81\x85\x00\x00\x00\x00hello")), eventtarget.CodeTooLarge},
		"garbage as a size":      {write([]byte("\xff\xfe\xfd\xfc")), eventtarget.CodeTooLarge},
		"lines":                  {write([]byte(after + "\n")), eventtarget.CodeTooLarge},
		"the size's other end":   {write([]byte("\x02\x00\x00\x00{}")), eventtarget.CodeTooLarge},
		"a size in the middle":   {write(append(framed(after), size(1 << 31)[4:]...)), eventtarget.CodeTooLarge},
		"a size too small":       {write(append(size(5), after...)), eventtarget.CodeMalformed},
		"two in one":             {write(framed(after + after)), eventtarget.CodeMalformed},
		"one in two":             {write(framed(after[:9], after[9:])), eventtarget.CodeMalformed},
		"nothing but padding":    {write(append(make([]byte, 400_000), framed(after)...)), eventtarget.CodeNormal},
		"padding of a bad size":  {write(append(make([]byte, 4001), framed(after)...)), eventtarget.CodeTooLarge},
		"no stream at all":       {func(*quic.Conn, *quic.Stream) {}, eventtarget.CodeProtocol},
		"ends in a size":         {end(make([]byte, 6)), eventtarget.CodeNormal},
		"ends in a message":      {end(framed(after)[:20]), eventtarget.CodeNormal},
		"ends behind a message":  {end(framed(after)), eventtarget.CodeNormal},
		"resets its stream":      {reset, eventtarget.CodeLost},
		"byte by byte":           {trickle(framed(after)), eventtarget.CodeNormal},
		"a bad one byte by byte": {trickle(framed("{")), eventtarget.CodeMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTarget(t)
			stays := c.code == eventtarget.CodeNormal && !strings.HasPrefix(name, "ends")
			if got := x.offend(quicconn.PlainProtocol, stays, c.do); got != c.code {
				t.Errorf("closed with %v, want %v", got, c.code)
			}
			x.say()
		})
	}
}

func reset(_ *quic.Conn, s *quic.Stream) {
	_, _ = s.Write(framed(after)[:20])
	s.CancelWrite(1)
}

func trickle(b []byte) func(*quic.Conn, *quic.Stream) {
	return func(_ *quic.Conn, s *quic.Stream) {
		for i := range b {
			_, _ = s.Write(b[i : i+1])
		}
	}
}

// TestDeafPeer: one that wants to hear no more is closed as soon as there is something to
// be heard.
func TestDeafPeer(t *testing.T) {
	x := newTarget(t)
	conn, stream, err := dialRaw(t.Context(), x.hub.Addr().String(), quicconn.PlainProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	if _, err := stream.Write(framed(after)); err != nil {
		t.Fatal(err)
	}
	receive(t, x.atHub)
	stream.CancelRead(1)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		x.say()
		select {
		case <-conn.Context().Done():
			if code, err := codeOf(context.Cause(conn.Context())); err != nil || code != eventtarget.CodeLost {
				t.Errorf("closed with %v, %v", code, err)
			}
			return
		case <-tick.C:
		}
	}
	t.Error("the peer is not closed")
}
