package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestHeardBeforeClose: what a peer sent before it closed is heard, although the hub finds out
// that it has closed when it writes to it.
func TestHeardBeforeClose(t *testing.T) {
	for _, session := range []bool{false, true} {
		t.Run(fmt.Sprintf("session=%v", session), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, hub.Options{})
				all := listen(t, h, "*")
				near, far := link.Pipe()
				if session {
					p, _ := openOver(t, h, func(c negotiated) link.Conn { far = c.PipeConn; return c }, "", "")
					near = p.conn
				} else if _, err := h.Attach(far, hub.Meta{}); err != nil {
					t.Fatal(err)
				}
				far.Stall()
				for range 3 {
					if err := near.Send([]byte(`{"type":"n","id":""}`)); err != nil {
						t.Fatal(err)
					}
				}
				near.Close(eventtarget.Reason{Code: eventtarget.CodeNormal})
				dispatch(t, h, "n", "", "1")
				synctest.Wait()
				far.Resume()
				synctest.Wait()
				if n := len(all.payloads()); n != 3 || h.Len() != 0 {
					t.Errorf("heard %d of 3, and %d spokes are there", n, h.Len())
				}
			})
		})
	}
}
