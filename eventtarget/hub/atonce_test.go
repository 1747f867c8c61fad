package hub_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestSessionBackAtOnce: a peer that comes back as soon as it has been welcomed, while
// the hub still sees to the connection before, is sent what is dispatched from then on.
func TestSessionBackAtOnce(t *testing.T) {
	h := newHub(t, hub.Options{})
	connect := func(hello string) (*link.PipeConn, welcome) {
		near, far := link.Pipe()
		go func() { _, _ = h.Attach(negotiated{far}, hub.Meta{}) }()
		if err := near.Send([]byte(`{"type":"__hello","id":"","payload":{"version":1` + hello + `}}`)); err != nil {
			t.Fatal(err)
		}
		msg, err := receiveSoon(near)
		var m struct{ Payload welcome }
		if err != nil || json.Unmarshal(msg, &m) != nil {
			t.Fatalf("%s, %v", msg, err)
		}
		return near, m.Payload
	}
	for n := range 500 {
		conn, w := connect("")
		for received := range 3 {
			if conn.Cut(); n%2 == 0 {
				runtime.Gosched() // the hub has seen it, or is about to
			}
			conn, w = connect(resume(w, received))
			want := fmt.Sprintf(`{"type":"n","id":"%d","payload":%d}`, n, received)
			dispatch(t, h, "n", fmt.Sprint(n), fmt.Sprint(received))
			if msg, err := receiveSoon(conn); err != nil || string(msg) != want {
				t.Fatalf("who came back %d times is sent %s, %v; want %s", received+1, msg, err, want)
			}
		}
		conn.Cut()
	}
}
