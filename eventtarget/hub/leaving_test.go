package hub_test

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// watched is a connection that tells what was sent over it.
type watched struct {
	negotiated
	sent func(msg []byte)
}

func (w watched) Send(msg []byte) error {
	err := w.negotiated.Send(msg)
	w.sent(msg)
	return err
}

// TestLeaveWhileRepeating: a spoke may leave while its writer goes through what its peer,
// which is back, has not acknowledged.
func TestLeaveWhileRepeating(t *testing.T) {
	for n := range 300 {
		synctest.Test(t, func(t *testing.T) {
			h := sessionHub(t, hub.Options{OnFault: func(eventtarget.Fault) {}})
			p, w := open(t, h, "", "")
			dispatch(t, h, "n", "", "1")
			asked, cancel := context.WithCancel(t.Context())
			cancel()
			for range 1500 { // each leaves a mark behind the event
				_, _ = h.Flush(asked)
			}
			synctest.Wait()
			p.conn.Cut()
			synctest.Wait()
			openOver(t, h, func(c negotiated) link.Conn {
				return watched{c, func(msg []byte) {
					if bytes.Contains(msg, []byte(`"type":"n"`)) {
						go func() {
							for range n % 50 { // once it is among them
								runtime.Gosched()
							}
							p.spoke.Close()
						}()
					}
				}}
			}, "", resume(w, 0))
		})
	}
}
