package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestRestart: spokes get what was accepted, and then a hint when to come back, spread
// over the time given (law C30).
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{})
		var peers []*peer
		for range 100 {
			peers = append(peers, attach(t, h, hub.Meta{}))
		}
		for n := range 100 {
			dispatch(t, h, "n", "", fmt.Sprint(n))
		}
		if err := h.Restart(t.Context(), 10*time.Second); err != nil {
			t.Fatal(err)
		}
		var early int
		for _, p := range peers {
			p.expect(numbers(0, 100)...)
			r := p.reason()
			if r.Code != eventtarget.CodeRestart || r.Retry <= 0 || r.Retry > 10*time.Second+time.Millisecond {
				t.Fatalf("%+v", r)
			}
			if r.Retry < 5*time.Second {
				early++
			}
		}
		if early < 25 || early > 75 {
			t.Errorf("%d of 100 come back in the first half of the time", early)
		}
	})
}
