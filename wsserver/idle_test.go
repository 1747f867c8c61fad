//go:build linux && !eventtarget_portable

package wsserver_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/wire"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// expectReaders waits until so many goroutines read for spokes.
func expectReaders(t *testing.T, want int, when string) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		var all strings.Builder
		if err := pprof.Lookup("goroutine").WriteTo(&all, 2); err != nil {
			t.Fatal(err)
		}
		got := strings.Count(all.String(), "hub.(*Spoke).read(")
		if got == want {
			return
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-late:
			t.Fatalf("%s: %d goroutines read, not %d", when, got, want)
		}
	}
}

// TestIdle: no goroutine waits for peers that are silent, whether they never said anything or
// did a while ago; pings and pongs do not count. What they send and are sent arrives as ever.
func TestIdle(t *testing.T) {
	const clients, rounds = 20, 3
	h, url := newHub(t, wsserver.Options{Options: hub.Options{Heartbeat: 100 * time.Millisecond}})
	said, told := make(chan string, 2*clients), make(chan string, 2*clients)
	hears := func(to chan string) eventtarget.Listener[raw] {
		return eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) { to <- e.ID })
	}
	if _, err := h.Add(t.Context(), eventtarget.T("said", "*"), hears(said)); err != nil {
		t.Fatal(err)
	}
	var all []*wsclient.Client
	for i := range clients {
		c := connect(t, url, wsclient.Options{Plain: i%2 == 0})
		if _, err := c.Add(t.Context(), eventtarget.T("told", "*"), hears(told)); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for round := range rounds {
		expectReaders(t, 0, fmt.Sprintf("before round %d", round))
		id := fmt.Sprint(round)
		if err := h.Dispatch(t.Context(), event("told", id, "1")); err != nil {
			t.Fatal(err)
		}
		for range all {
			expectSoon(t, told, id)
		}
		for _, c := range all {
			if err := c.Dispatch(t.Context(), event("said", id, "1")); err != nil {
				t.Fatal(err)
			}
			expectSoon(t, said, id)
		}
	}
	expectReaders(t, 0, "in the end")
	if n := h.Len(); n != clients {
		t.Errorf("%d spokes of %d are left", n, clients)
	}
}

// frame is a short frame with a mask of zeros.
func frame(head byte, text string) string {
	return string([]byte{head, 0x80 | byte(len(text)), 0, 0, 0, 0}) + text
}

// TestIdlePieces: a peer that was silent is read from wherever what it sends is cut: a ping, and
// an event in two frames with a ping between them. A goroutine waits for the rest of a frame,
// and of a message.
func TestIdlePieces(t *testing.T) {
	heard := make(chan string, 1)
	h, url := newHub(t, wsserver.Options{Options: hub.Options{Heartbeat: -1}})
	if _, err := h.Add(t.Context(), eventtarget.T("said", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) { heard <- e.ID })); err != nil {
		t.Fatal(err)
	}
	frame := func(head byte, text string) string {
		return string([]byte{head, 0x80 | byte(len(text)), 0, 0, 0, 0}) + text
	}
	ping := frame(0x89, "ping")
	all := ping + frame(0x01, `{"type":"said",`) + ping + frame(0x80, `"id":"x","payload":1}`)
	for cut := range len(all) + 1 {
		c, r := enter(t, strings.TrimPrefix(url, "ws://"), "/")
		expectReaders(t, 0, "at first")
		write := func(text string, readers int) {
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
			expectReaders(t, readers, fmt.Sprintf("cut at %d of %d", cut, len(all)))
		}
		if cut == 0 || cut == len(ping) {
			write(all[:cut], 0)
		} else {
			write(all[:cut], 1)
		}
		write(all[cut:], 1) // as long as the heartbeat does not find it silent
		expectSoon(t, heard, "x")
		pongs := make([]byte, 2*(2+len("ping")))
		if _, err := io.ReadFull(r, pongs); err != nil || string(pongs) != strings.Repeat("\x8a\x04ping", 2) {
			t.Fatalf("cut at %d: %q, %v", cut, pongs, err)
		}
		_ = c.Close()
		expectReaders(t, 0, "behind the end")
	}
}

// TestIdleGreeting: who is asked for a session may send a ping before.
func TestIdleGreeting(t *testing.T) {
	h, url := newHub(t, wsserver.Options{})
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %s\r\n\r\n%s", wire.Subprotocol, frame(0x89, "ping"))
	r := bufio.NewReader(c)
	if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	pong := make([]byte, 2+len("ping"))
	if _, err := io.ReadFull(r, pong); err != nil || string(pong) != "\x8a\x04ping" {
		t.Fatalf("%q, %v", pong, err)
	}
	if _, err := io.WriteString(c, frame(0x81, `{"type":"__hello","id":"","payload":{"version":1}}`)); err != nil {
		t.Fatal(err)
	}
	if b, err := r.ReadByte(); err != nil || b != 0x81 {
		t.Fatalf("in place of a welcome: %x, %v", b, err)
	}
	if n := h.Len(); n != 1 {
		t.Errorf("%d spokes", n)
	}
}

// TestIdleClose: a hub that is closed does not wait for peers that are silent, and do not answer.
func TestIdleClose(t *testing.T) {
	h, url := newHub(t, wsserver.Options{})
	for range 3 {
		enter(t, strings.TrimPrefix(url, "ws://"), "/")
	}
	expectReaders(t, 0, "at first")
	_ = h.Close()
	select {
	case <-h.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("still there")
	}
}
