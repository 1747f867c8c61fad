package hub_test

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestPaceSlow: a spoke that reads, but more slowly than another, holds dispatchers up for a
// moment only, and then falls behind; when it is the only one, they wait for it.
func TestPaceSlow(t *testing.T) {
	const events, each = 2000, 100 * time.Millisecond
	for name, alone := range map[string]bool{"beside a quick one": false, "alone": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, hub.Options{LogEvents: 256, Heartbeat: -1})
				near, far := link.Pipe()
				slow, err := h.Attach(far, hub.Meta{})
				if err != nil {
					t.Fatal(err)
				}
				read := 0
				go func() {
					for {
						time.Sleep(each) // of the bubble's time
						if _, err := near.Receive(); err != nil {
							return
						}
						read++
					}
				}()
				var quick *peer
				if !alone {
					quick = attach(t, h, hub.Meta{})
				}
				began := time.Now()
				for n := range events {
					dispatch(t, h, "n", "", strconv.Itoa(n))
				}
				took := time.Since(began)
				if alone {
					time.Sleep(events * each)
					synctest.Wait()
					if took < events*each/2 || read != events {
						t.Errorf("dispatched for %v, and it has read %d", took, read)
					}
					return
				}
				quick.expect(numbers(0, events)...)
				time.Sleep(events * each)
				if r, _ := slow.Reason(); took > 10*time.Second || r.Code != eventtarget.CodeSlow {
					t.Errorf("dispatched for %v, and it was ended: %v", took, r)
				}
			})
		})
	}
}

// TestPaceNeverAcknowledged: a spoke that sends and never acknowledges is waited for once,
// though each acknowledgement of the hub's is written to it.
func TestPaceNeverAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{LogEvents: 256})
		p, _ := open(t, h, "", `,"window":4000`)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		go func() {
			for ctx.Err() == nil {
				_ = p.conn.Send([]byte(`{"type":"up","id":""}`)) // fails once it was ended
				time.Sleep(100 * time.Millisecond)
			}
		}()
		began := time.Now()
		for n := range 1000 {
			dispatch(t, h, "n", "", strconv.Itoa(n))
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("dispatched for %v", took)
		}
		cancel()
		time.Sleep(time.Second)
	})
}
