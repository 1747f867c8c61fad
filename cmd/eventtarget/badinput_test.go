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
)

// badMessages are messages that are no envelopes, with the close code that the
// offender gets; 0 means that the message is ignored and the connection stays.
func badMessages() map[string]struct {
	message string
	code    int
} {
	type c = struct {
		message string
		code    int
	}
	const malformed, tooLarge = 1007, 1009
	cases := map[string]c{
		"control of tomorrow":   {`{"type":"__tomorrow","id":""}`, 0},
		"subscribe, no payload": {`{"type":"__subscribe","id":""}`, 1007},
		"subscribe to a number": {`{"type":"__subscribe","id":"","payload":{"topics":[7]}}`, 1007},
		"subscribe, bad topic":  {`{"type":"__subscribe","id":"","payload":{"topics":["a b"]}}`, 1007},
		"unsubscribe, no list":  {`{"type":"__unsubscribe","id":"","payload":{"topics":"a:b"}}`, 1007},
		"unknown control":       {`{"type":"__x","id":"","payload":{}}`, 0},
		"one byte over":         {sized(1<<20 + 1), tooLarge},
		"far over":              {sized(8 << 20), tooLarge},
		"over by unknowns":      {`{"type":"a","id":"","x":"` + strings.Repeat("y", 2<<20) + `"}`, tooLarge},
		"depth 1001":            {`{"type":"a","id":"","payload":` + strings.Repeat("[", 1001) + strings.Repeat("]", 1001) + `}`, malformed},
		"depth 10000":           {`{"type":"a","id":"","payload":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, malformed},
		"depth 10000 open":      {`{"type":"a","id":"","payload":` + strings.Repeat(`{"a":`, 10_000), malformed},
		"depth 100000 unknown":  {`{"type":"a","id":"","x":` + strings.Repeat("[", 100_000), malformed},
		"17 headers":            {`{"type":"a","id":"","headers":{"a":"","b":"","c":"","d":"","e":"","f":"","g":"","h":"","i":"","j":"","k":"","l":"","m":"","n":"","o":"","p":"","q":""}}`, malformed},
		"long header":           {`{"type":"a","id":"","headers":{"x":"` + strings.Repeat("y", 256) + `"}}`, malformed},
		"long type":             {`{"type":"` + strings.Repeat("a", 129) + `","id":""}`, malformed},
		"long id":               {`{"type":"a","id":"` + strings.Repeat("a", 257) + `"}`, malformed},
		"100000 unknown, twice": {`{"type":"a","id":""` + manyMembers(10_000) + `,"m0":1}`, malformed},
	}
	for i, m := range []string{
		``, ` `, `{`, `}`, `[]`, `[`, `null`, `true`, `1`, `"x"`, `{}`, `{"type":"a"}`, `{"id":"a"}`, `{"type":"a","id":"b"`, `{"type":"a","id":"b`,
		`{"type":"a","id":`, `{"type":"a","id"`, `{"type":"a",`, `{"type":`, `{"ty`, `{"type":"a","id":""}}`, `{"type":"a","id":""},`, `{"type":"a","id":""}{}`,
		`{"type":null,"id":""}`, `{"type":1,"id":""}`, `{"type":true,"id":""}`, `{"type":[],"id":""}`, `{"type":{},"id":""}`, `{"type":"a","id":null}`, `{"type":"a","id":1}`,
		`{"type":"a","id":false}`, `{"type":"a","id":[]}`, `{"type":"a","id":{}}`, `{"Type":"a","id":""}`, `{"TYPE":"a","ID":""}`, `{"type":"a","Id":""}`,
		`{"type":"a","type":"b","id":""}`, `{"type":"a","id":"","id":"x"}`, `{"type":"a","id":"","payload":1,"payload":2}`, `{"type":"a","ty\u0070e":"b","id":""}`,
		`{"type":"a","id":"","x":1,"x":2}`, `{"type":"a","id":"","headers":{"x":"1","x":"2"}}`, `{"type":"a","id":"","headers":{},"headers":{}}`,
		`{"type":"a","id":"","headers":[]}`, `{"type":"a","id":"","headers":null}`, `{"type":"a","id":"","headers":"x"}`, `{"type":"a","id":"","headers":{"x":1}}`,
		`{"type":"a","id":"","headers":{"x":null}}`, `{"type":"a","id":"","headers":{"":"x"}}`, `{"type":"a","id":"","headers":{"x":"\n"}}`,
		"\xff", "\xfe\xff", "\x00", "\x00\x01\x02\x03", "{\"type\":\"a\",\"id\":\"\xff\"}", "{\"type\":\"\xc0\x80\",\"id\":\"\"}", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\xed\xa0\x80\"}",
		"{\"type\":\"a\",\"id\":\"\",\"payload\":\"\xf4\x90\x80\x80\"}", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\xe2\x82\"}", "\ufeff{\"type\":\"a\",\"id\":\"\"}",
		`{"type":"a","id":"\ud800"}`, `{"type":"a","id":"","payload":"\ud800"}`, `{"type":"a","id":"","payload":"\udc00\ud800"}`, `{"type":"a","id":"","\ud800":1}`, `{"type":"a","id":"","payload":{"\udfff":1}}`,
		`{"type":"","id":""}`, `{"type":"a:b","id":""}`, `{"type":"*","id":"*"}`, `{"type":"a*","id":""}`, `{"type":"a","id":"*"}`, `{"type":"a\n","id":""}`, `{"type":"a\u0000","id":""}`,
		`{"type":"a","id":"\r\n"}`, `{"type":"a","id":"\u0000"}`, `{"type":"a","id":"\u007f"}`, `{"type":"a","id":"\u0085"}`, `{"type":"__a:b","id":""}`, `{"type":"__a\n","id":""}`,
		`{"type":"a","id":"","payload":}`, `{"type":"a","id":"","payload":undefined}`, `{"type":"a","id":"","payload":NaN}`, `{"type":"a","id":"","payload":-}`, `{"type":"a","id":"","payload":01}`,
		`{"type":"a","id":"","payload":+1}`, `{"type":"a","id":"","payload":1.}`, `{"type":"a","id":"","payload":.5}`, `{"type":"a","id":"","payload":1e}`, `{"type":"a","id":"","payload":0x10}`,
		`{"type":"a","id":"","payload":[1,]}`, `{"type":"a","id":"","payload":[,1]}`, `{"type":"a","id":"","payload":[1 2]}`, `{"type":"a","id":"","payload":{"a":1,}}`, `{"type":"a","id":"","payload":{a:1}}`,
		`{"type":"a","id":"","payload":{"a"}}`, `{"type":"a","id":"","payload":{"a":}}`, `{"type":"a","id":"","payload":[}`, `{"type":"a","id":"","payload":"\x"}`, `{"type":"a","id":"","payload":"\u12"}`,
		"{\"type\":\"a\",\"id\":\"\",\"payload\":\"\n\"}", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\t\"}", `{'type':'a','id':''}`, `{type:"a",id:""}`, `{"type":"a","id":""/**/}`, `{"type":"a";"id":""}`,
		`<event/>`, `GET / HTTP/1.1`, `type=a&id=b`, `{"type":"a","id":"","payload":tru}`, `{"type":"a","id":"","payload":nulll}`, `{"type":"a","id":"" "payload":1}`,
	} {
		cases[fmt.Sprintf("%d %.40q", i, m)] = c{m, malformed}
	}
	return cases
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":1`, i)
	}
	return b.String()
}

// sized returns an envelope that counts n bytes.
func sized(n int) string {
	return `{"type":"a","id":"","payload":"` + strings.Repeat("x", n-3) + `"}`
}

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
	cases := badMessages()
	if len(cases) < 100 {
		t.Fatalf("only %d cases", len(cases))
	}
	n := 0
	for name, c := range cases {
		for _, kind := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
			if len(c.message) > 100_000 && kind == websocket.MessageBinary {
				continue
			}
			if got := offend(t, url, kind, c.message, c.code == 0); got != c.code {
				t.Errorf("%s as %v: closed with %d, want %d", name, kind, got, c.code)
			}
			n++
			say(n)
		}
	}
	if most := 200 << 10; peakMemory(t, hub.Process.Pid) > most {
		t.Errorf("the hub took %d KiB", peakMemory(t, hub.Process.Pid))
	}
	// The size limit is exact: one byte less is heard.
	ok := sized(1 << 20)
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
