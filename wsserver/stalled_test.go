package wsserver_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// kernelBuffer is how much a socket of a stalled peer is asked to hold, so that many of
// them are soon full.
const kernelBuffer = 4 << 10

// smallBuffers makes the kernel hold little of what a server writes.
type smallBuffers struct{ net.Listener }

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		err = c.(*net.TCPConn).SetWriteBuffer(kernelBuffer)
	}
	return c, err
}

// enter upgrades a connection by hand: one that nobody reads costs this process nothing.
func enter(t *testing.T, addr, path string) (*net.TCPConn, *bufio.Reader) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := nc.(*net.TCPConn)
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path)
	r := bufio.NewReaderSize(c, 1<<10)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(res, err)
	}
	return c, r
}

// memory is what this process has in use when all that can be freed is.
func memory() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// TestManyStalled: 1000 peers that never read cost no more memory than the hub was
// allowed, however much is dispatched, and ten others hear everything. What the hub allows
// is its log and its inboxes. What a spoke is in the middle of writing it holds on to when
// the log has let it go: at most 64 KiB, which all share that stall at the same time.
func TestManyStalled(t *testing.T) {
	const (
		stalled, healthy, events = 1000, 10, 20_000
		perSpoke                 = 16 << 10 // a goroutine with its stack, two buffers, and what the detector of races adds
		size                     = 1 << 10  // of an event
	)
	var spokes atomic.Int64
	joined := make(chan struct{})
	o := hub.Options{
		LogBytes: 2 << 20, InboxBytes: 4 << 20, WriteTimeout: time.Hour, Heartbeat: -1,
		OnFault: func(eventtarget.Fault) {},
		OnConnect: func(s *hub.Spoke) {
			if s.Path() == "/stalled" {
				if err := s.SetOverflow(eventtarget.DropOldest); err != nil {
					t.Error(err)
				}
			}
			if spokes.Add(1) == stalled+healthy {
				close(joined)
			}
		},
	}
	h, err := wsserver.New(&wsserver.Options{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(h)
	server.Listener = smallBuffers{server.Listener}
	server.Start()
	defer server.Close()
	defer func() { h.Close(); await(t, h.Done()) }()
	addr := server.Listener.Addr().String()
	for range stalled {
		c, _ := enter(t, addr, "/stalled")
		if err := c.SetReadBuffer(kernelBuffer); err != nil {
			t.Fatal(err)
		}
	}
	frame := func(n int) eventtarget.Event[raw] {
		return event("n", "", fmt.Sprintf(`"%0*d"`, size, n))
	}
	heard := make(chan error, healthy)
	for range healthy {
		_, r := enter(t, addr, "/healthy")
		go func() { heard <- inOrder(r, events, size) }()
	}
	await(t, joined)
	own := slices.DeleteFunc(slices.Collect(h.Spokes()), func(s *hub.Spoke) bool { return s.Path() != "/stalled" })
	before := memory()
	var used []int
	for n := range events {
		if err := h.Dispatch(t.Context(), frame(n)); err != nil {
			t.Fatal(err)
		}
		// And twenty for each of them alone: more than the hub may keep.
		if err := own[n%len(own)].Dispatch(t.Context(), frame(n)); err != nil {
			t.Fatal(err)
		}
		if n%(events/20) == events/20-1 {
			used = append(used, memory()-before)
		}
	}
	for range healthy {
		if err := <-heard; err != nil {
			t.Error(err)
		}
	}
	most := o.LogBytes + o.InboxBytes + stalled*perSpoke
	half := len(used) / 2 // by then everything is full
	if peak := slices.Max(used); peak > most {
		t.Errorf("%d KiB more than before, want at most %d", peak>>10, most>>10)
	}
	if early, late := slices.Max(used[:half]), slices.Max(used[half:]); late > early+most/4 { // the collector's own doing is part of both
		t.Errorf("%d KiB, and later %d", early>>10, late>>10)
	}
	for _, s := range own {
		if st := s.Stats(); st.Waiting == 0 || st.Lost == 0 {
			t.Fatalf("a spoke was not stalled: %+v", st)
		}
	}
	if h.Len() != stalled+healthy {
		t.Errorf("%d spokes are left", h.Len())
	}
}

// inOrder reads so many events with a number of so many digits.
func inOrder(r io.Reader, events, size int) error {
	text := len(`{"type":"n","id":"","payload":""}`) + size
	msg := make([]byte, 4+text) // behind a header for a length of two bytes
	for n := range events {
		if _, err := io.ReadFull(r, msg); err != nil {
			return fmt.Errorf("event %d: %w", n, err)
		}
		got, err := strconv.Atoi(string(msg[len(msg)-size-2 : len(msg)-2]))
		if err != nil || got != n {
			return errors.Join(err, fmt.Errorf("event %d is %d", n, got))
		}
	}
	return nil
}
