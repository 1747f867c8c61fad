package wsserver_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// flood is a peer that sends as fast as its connection takes it: numbered events of the
// type "loud".
type flood struct {
	blocked chan struct{} // closed when a write did not get through for a while
	once    sync.Once
	stop    atomic.Bool
	ended   chan int // how many whole events it has sent
}

func newFlood(t *testing.T, url string) *flood {
	c, _ := enter(t, strings.TrimPrefix(url, "ws://"), "/")
	f := &flood{blocked: make(chan struct{}), ended: make(chan int, 1)}
	go f.run(t, c)
	return f
}

func (f *flood) run(t *testing.T, c net.Conn) {
	for n := 0; ; n++ {
		text := fmt.Sprintf(`{"type":"loud","id":"%d","payload":"%01000d"}`, n, 0)
		frame := binary.BigEndian.AppendUint16([]byte{0x81, 0x80 | 126}, uint16(len(text)))
		frame = append(append(frame, 0, 0, 0, 0), text...) // the mask changes nothing
		for len(frame) > 0 {
			if f.stop.Load() {
				f.ended <- n
				return
			}
			_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			k, err := c.Write(frame)
			frame = frame[k:]
			switch {
			case errors.Is(err, os.ErrDeadlineExceeded):
				f.once.Do(func() { close(f.blocked) })
			case err != nil:
				t.Error(err)
				f.stop.Store(true)
			}
		}
	}
}

// end stops the flood and returns how much it was.
func (f *flood) end(t *testing.T) int {
	t.Helper()
	f.stop.Store(true)
	select {
	case n := <-f.ended:
		return n
	case <-time.After(20 * time.Second):
		t.Fatal("the flood does not end")
		return 0
	}
}

// talk makes a client dispatch so many events and waits until the hub has heard them.
func talk(t *testing.T, h *wsserver.Hub, c *wsclient.Client, name string, events int) {
	t.Helper()
	done, _ := collect(t, h, eventtarget.T(name, "*"), events)
	for n := range events {
		if err := c.Dispatch(t.Context(), event(name, strconv.Itoa(n), "1")); err != nil {
			t.Fatal(err)
		}
	}
	await(t, done)
}

func onLoud(t *testing.T, h *wsserver.Hub, handle func(e eventtarget.Event[raw])) {
	t.Helper()
	if _, err := h.Add(t.Context(), eventtarget.T("loud", "*"), eventtarget.Listener[raw]{
		Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) { handle(e) },
	}); err != nil {
		t.Fatal(err)
	}
}

// TestFloodFeelsBackPressure: the writes of a peer that sends more than is taken block,
// those of others do not, and what it has sent is not lost.
func TestFloodFeelsBackPressure(t *testing.T) {
	h, url := newHub(t, wsserver.Options{})
	gate := make(chan struct{})
	var heard atomic.Int64
	onLoud(t, h, func(e eventtarget.Event[raw]) {
		<-gate
		if n := heard.Add(1) - 1; e.ID != strconv.FormatInt(n, 10) {
			t.Errorf("event %d is %s", n, e.ID)
		}
	})
	f := newFlood(t, url)
	await(t, f.blocked)
	if n := heard.Load(); n != 0 {
		t.Errorf("%d events got past a listener that waits", n)
	}
	talk(t, h, connect(t, url, wsclient.Options{}), "quiet", 1000)
	close(gate)
	sent := int64(f.end(t))
	for deadline := time.Now().Add(20 * time.Second); heard.Load() < sent; <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("heard %d of %d", heard.Load(), sent)
		}
	}
}

// TestFloodHasItsShare: without a limit, while another sends as fast as it can, a peer
// that floods is heard about as often; law D11 over TCP.
func TestFloodHasItsShare(t *testing.T) {
	const events, tries = 2000, 10
	h, url := newHub(t, wsserver.Options{})
	var loud atomic.Int64
	onLoud(t, h, func(eventtarget.Event[raw]) { loud.Add(1) })
	c := connect(t, url, wsclient.Options{})
	f := newFlood(t, url)
	defer f.end(t)
	var during int64
	for n := range tries { // on a busy machine one of them may have been kept waiting by others
		before := loud.Load()
		talk(t, h, c, fmt.Sprint("quiet", n), events)
		if during = loud.Load() - before; during <= 7*events {
			t.Logf("%d of the flood while %d of another", during, events)
			if before > 0 {
				return
			}
		}
	}
	t.Errorf("while %d events of a spoke were heard, so were %d of one that floods", events, during)
}

// TestFloodIsLimited: a spoke has no more than its Rate, whatever it sends, and feels it.
func TestFloodIsLimited(t *testing.T) {
	const rate, burst = 500, 100
	h, url := newHub(t, wsserver.Options{Options: hub.Options{Rate: rate, Burst: burst}})
	var loud atomic.Int64
	onLoud(t, h, func(eventtarget.Event[raw]) { loud.Add(1) })
	begin := time.Now()
	f := newFlood(t, url)
	await(t, f.blocked)
	talk(t, h, connect(t, url, wsclient.Options{}), "quiet", burst/2)
	most := burst + 1 + int64(time.Since(begin).Seconds()*rate)
	if n := loud.Load(); n < burst || n > most {
		t.Errorf("%d events were heard, want %d to %d", n, burst, most)
	}
	f.end(t)
}
