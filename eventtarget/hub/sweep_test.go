package hub_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// written is a connection that hands over what it is to write, one write at a time.
type written struct {
	*sink
	writes chan<- []byte
}

func (w *written) TryWriteFrames(frames []byte) (int, bool, error) {
	w.writes <- bytes.Clone(frames)
	return len(frames), false, nil
}

const sweepers = 2 // of the hub that writing returns

// writing returns a hub with n spokes, and what it writes to any of them.
func writing(t *testing.T, n int) (*hub.Hub, <-chan []byte) {
	t.Helper()
	h := newHub(t, hub.Options{Sweepers: sweepers, Heartbeat: -1, OnFault: func(eventtarget.Fault) {}})
	writes := make(chan []byte)
	for range n {
		if _, err := h.Attach(&written{newSink(`{"type":"hello","id":""}`), writes}, hub.Meta{}); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Wait()
	return h, writes
}

// TestOneWrite: what waits for a spoke goes out in one write, also where it lies in
// several segments of the log.
func TestOneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, writes := writing(t, 1)
		dispatch(t, h, "first", "", "0")
		synctest.Wait() // the sweeper is in its first write
		const events, size = 60, 1000
		for range events {
			dispatch(t, h, "n", "", `"`+strings.Repeat("x", size)+`"`)
		}
		<-writes
		if got := <-writes; bytes.Count(got, []byte(`"n"`)) != events {
			t.Errorf("one write has %d bytes, want %d events of %d", len(got), events, size)
		}
	})
}

// TestLaterWrite: what is dispatched during a sweep goes to those that it has not come to
// with what they lack anyway.
func TestLaterWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const spokes = 100 * sweepers
		h, writes := writing(t, spokes)
		dispatch(t, h, "n", "", "0")
		synctest.Wait() // every sweeper is in its first write
		dispatch(t, h, "n", "", "1")
		one := 0
		for heard := 0; heard < 2*spokes; {
			got := bytes.Count(<-writes, []byte(`"n"`))
			if heard += got; got == 1 {
				one++
			}
		}
		if most := 2 * 8 * sweepers; one > most {
			t.Errorf("%d writes have one event, want at most %d", one, most)
		}
	})
}
