package nemesis

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestTraffic: so many in a second, as many as were ordered, and no more than a slow
// listener can be behind.
func TestTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h History
		p := h.Publisher("p")
		l := h.Listener("l", p)
		net := &network{}
		ended := make(chan error)
		go func() { ended <- p.Traffic(t.Context(), most+100, net, eventtarget.T("a", ""), time.Millisecond) }()
		time.Sleep(time.Second + time.Microsecond)
		synctest.Wait()
		if n := p.Accepted(); n != 1000 {
			t.Errorf("%d events in a second, want 1000", n)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := p.Accepted(); n != most {
			t.Errorf("%d events to a listener that hears nothing, want %d", n, most)
		}
		l.Handle(t.Context(), net.events[99])
		if err := <-ended; err != nil || p.Accepted() != most+100 {
			t.Errorf("%d events when the 100th was heard, %v", p.Accepted(), err)
		}
	})
}
