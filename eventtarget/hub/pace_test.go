package hub_test

import (
	"fmt"
	"strconv"
	"strings"
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

// TestPaceBusyBothWays: a spoke that sends is waited for although its acknowledgements, which
// may stand behind what it sends, are late; one that never acknowledges is not for long.
func TestPaceBusyBothWays(t *testing.T) {
	const events, late = 1000, 3 * time.Second
	for name, c := range map[string]struct {
		sends, acks bool
		code        eventtarget.Code
		most        time.Duration
	}{
		"late":                    {true, true, 0, time.Hour},
		"late, and sends nothing": {false, true, eventtarget.CodeSlow, 2 * time.Second},
		"never":                   {true, false, 0, 6 * time.Second}, // what it has missed shows when it does
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := sessionHub(t, hub.Options{LogEvents: 256, WriteTimeout: 5 * time.Second})
				p, _ := open(t, h, "", `,"window":4000`)
				stop := make(chan struct{})
				go func() {
					tick := time.NewTicker(100 * time.Millisecond)
					defer tick.Stop()
					received := 0
					for n := range 3000 { // five minutes
						select {
						case <-tick.C:
						case <-stop:
							return
						}
						if c.sends {
							_ = p.conn.Send([]byte(`{"type":"up","id":""}`)) // fails once it was ended
						}
						if c.acks && n%int(late/(100*time.Millisecond)) == 1 {
							for _, m := range p.take() {
								if strings.HasPrefix(m, "n:") {
									received++
								}
							}
							_ = p.conn.Send(fmt.Appendf(nil, `{"type":"__ack","id":"","payload":{"received":%d}}`, received))
						}
					}
				}()
				began := time.Now()
				for n := range events {
					dispatch(t, h, "n", "", strconv.Itoa(n))
				}
				took := time.Since(began)
				time.Sleep(time.Minute)
				close(stop)
				if r, _ := p.spoke.Reason(); r.Code != c.code || took > c.most {
					t.Errorf("dispatched for %v, and it was ended: %v", took, r)
				}
			})
		})
	}
}
