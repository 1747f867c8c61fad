package main_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/badinput"
)

// TestBadMessages: every offender gets the documented code, a witness loses nothing
// and the hub's memory stays bounded.
func TestBadMessages(t *testing.T) {
	url, hub := startHub(t)
	speaker, witness := connect(t, url), connect(t, url)
	heard := hear(t, witness, eventtarget.T("*", "*"))
	say := func(n int) { // and hear it: the witness is still there, and has missed nothing
		t.Helper()
		if err := speaker.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "said", ID: strconv.Itoa(n)}); err != nil {
			t.Fatal(err)
		}
		if e := next(t, heard); e.Type != "said" || e.ID != strconv.Itoa(n) {
			t.Fatalf("the witness heard %v instead of event %d", e.Topic(), n)
		}
	}
	say(0)
	cases := badinput.Messages()
	if len(cases) < 100 {
		t.Fatalf("only %d cases", len(cases))
	}
	n := 0
	for name, c := range cases {
		for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
			if len(c.Message) > 100_000 && kind == websocket.MessageBinary {
				continue
			}
			stays, want := c.Code == eventtarget.CodeNormal, c.Code.WebSocket()
			if stays {
				want = 0
			}
			if got := offend(t, url, kind, c.Message, stays); got != want {
				t.Errorf("%s as %v: closed with %d, want %d", name, kind, got, want)
			}
			n++
			say(n)
		}
	}
	if most := 200 << 10; peakMemory(t, hub.Process.Pid) > most {
		t.Errorf("the hub took %d KiB", peakMemory(t, hub.Process.Pid))
	}
	// The size limit is exact: one byte less is heard.
	ok := badinput.Sized(1 << 20)
	if got := offend(t, url, websocket.MessageText, ok, true); got != 0 {
		t.Errorf("a message at the limit: closed with %d", got)
	}
	if e := next(t, heard); e.Type != "a" || len(e.Payload) != 1<<20-1 {
		t.Errorf("heard %v with %d bytes", e.Topic(), len(e.Payload))
	}
}

// offend sends a message as a peer of its own and returns the code that it is closed
// with, or 0 if it is still there.
func offend(t *testing.T, url string, kind websocket.MessageType, message string, stays bool) int {
	t.Helper()
	ctx := deadline(t)
	ws, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	if err := ws.Write(ctx, kind, []byte(message)); err != nil && len(message) < 1<<20 {
		t.Fatal(err)
	}
	if stays { // a ping behind the message is answered
		go func() { _, _, _ = ws.Read(context.WithoutCancel(ctx)) }()
		if err := ws.Ping(ctx); err != nil {
			return -1
		}
		return 0
	}
	for {
		_, _, err := ws.Read(ctx)
		if ce, ok := errors.AsType[websocket.CloseError](err); ok {
			return int(ce.Code)
		}
		if err != nil {
			t.Logf("read: %v", err)
			return -1
		}
	}
}

// peakMemory returns the most resident memory that a process had, in KiB.
func peakMemory(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("no /proc on this system")
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// frame is a client's frame, masked with zeros.
func frame(first byte, payload string) string {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	default:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	}
	return string(b) + "\x00\x00\x00\x00" + payload
}

// TestBadFrames: what breaks RFC 6455 itself, on a raw connection.
func TestBadFrames(t *testing.T) {
	url, _ := startHub(t)
	witness, speaker := connect(t, url), connect(t, url)
	heard := hear(t, witness, eventtarget.T("*", "*"))
	const good = `{"type":"a","id":""}`
	for name, c := range map[string]struct {
		bytes string
		code  int // 0: cut without a code
	}{
		"unmasked":            {"\x81\x02{}", 1002},
		"reserved bit":        {"\xc1" + frame(0x81, good)[1:], 1002},
		"reserved opcode":     {frame(0x83, good), 1002},
		"lone continuation":   {frame(0x80, good), 1002},
		"text in a message":   {frame(0x01, `{"type"`) + frame(0x81, good), 1002},
		"fragmented ping":     {frame(0x09, "x"), 1002},
		"long ping":           {"\x89\xfe\x00\x80\x00\x00\x00\x00" + strings.Repeat("x", 128), 1002},
		"close code 1":        {frame(0x88, "\x00\x01"), 1002},
		"close of one byte":   {frame(0x88, "\x03"), 1002},
		"2^62 bytes":          {"\x81\xff\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + strings.Repeat("x", 2<<20), 1009},
		"endless fragments":   {frame(0x01, `{"type":"a"`) + strings.Repeat(frame(0x00, ""), 500_000), 1009},
		"endless small parts": {frame(0x01, `{"type":"a","id":"`) + strings.Repeat(frame(0x00, "x"), 500_000), 1009},
		"not WebSocket":       {"GET / HTTP/1.1\r\n\r\n", 1002},
		"binary garbage":      {strings.Repeat("\xde\xad\xbe\xef", 1000), 1002},
	} {
		if got := offendRaw(t, url, c.bytes); got != c.code {
			t.Errorf("%s: closed with %d, want %d", name, got, c.code)
		}
		if err := speaker.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "said", ID: name}); err != nil {
			t.Fatal(err)
		}
		if e := next(t, heard); e.ID != name {
			t.Errorf("the witness heard %v", e.Topic())
		}
	}
}

// offendRaw upgrades, sends bytes in the same breath and returns the close code.
func offendRaw(t *testing.T, url, bytes string) int {
	t.Helper()
	addr := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/ws")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	// The hub may close before it has read all.
	_, _ = io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: "+addr+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"+bytes)
	answer, err := io.ReadAll(c)
	_, frames, found := strings.Cut(string(answer), "\r\n\r\n")
	if !found {
		t.Fatalf("answered %q, %v", answer, err)
	}
	for len(frames) >= 2 {
		n := int(frames[1])
		if frames[0] == 0x88 && n >= 2 {
			return int(frames[2])<<8 | int(frames[3])
		}
		frames = frames[2+n:]
	}
	return 0
}
