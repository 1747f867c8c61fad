package nemesis

import (
	"context"
	"errors"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// network is a target that keeps what is dispatched, for the test to do with it what
// it likes.
type network struct {
	eventtarget.Target
	events []eventtarget.Event[eventtarget.Raw]
	err    error
}

func (n *network) Dispatch(_ context.Context, e eventtarget.Event[eventtarget.Raw]) error {
	n.events = append(n.events, e)
	return n.err
}

// TestCheck: each thing that can go wrong is found, and called by its name.
func TestCheck(t *testing.T) {
	gap := eventtarget.Fault{Kind: eventtarget.FaultGap}
	for _, c := range []struct {
		name string
		hear func(l *Listener, all []eventtarget.Event[eventtarget.Raw])
		want Verdict
	}{
		{"all is well", func(l *Listener, all []eventtarget.Event[eventtarget.Raw]) { hear(l, all, 0, 1, 2, 3) }, Verdict{Heard: 4}},
		{"lost in between", func(l *Listener, all []eventtarget.Event[eventtarget.Raw]) { hear(l, all, 0, 3) }, Verdict{Heard: 2, LostSilently: 2}},
		{"lost at the end", func(l *Listener, all []eventtarget.Event[eventtarget.Raw]) { hear(l, all, 0, 1, 2) }, Verdict{Heard: 3, LostSilently: 1}},
		{"lost and told", func(l *Listener, all []eventtarget.Event[eventtarget.Raw]) {
			hear(l, all, 0)
			l.Fault(gap)
			hear(l, all, 3)
		}, Verdict{Heard: 2, LostAnnounced: 2}},
		{"told in the wrong place", func(l *Listener, all []eventtarget.Event[eventtarget.Raw]) {
			l.Fault(gap)
			hear(l, all, 0, 3)
		}, Verdict{Heard: 2, LostSilently: 2}},
		{"twice", func(l *Listener, all []eventtarget.Event[eventtarget.Raw]) { hear(l, all, 0, 1, 1, 2, 3) }, Verdict{Heard: 5, Duplicated: 1}},
		{"out of order", func(l *Listener, all []eventtarget.Event[eventtarget.Raw]) { hear(l, all, 0, 2, 1, 3) }, Verdict{Heard: 4, Reordered: 1}},
		{"refused, and heard", func(l *Listener, all []eventtarget.Event[eventtarget.Raw]) { hear(l, all, 0, 1, 2, 3, 4) }, Verdict{Heard: 5, Invented: 1}},
		{"not known, and heard", func(l *Listener, all []eventtarget.Event[eventtarget.Raw]) { hear(l, all, 0, 1, 2, 3, 5) }, Verdict{Heard: 5}},
		{"changed", func(l *Listener, all []eventtarget.Event[eventtarget.Raw]) {
			hear(l, all, 0, 1, 2, 3)
			l.Handle(t.Context(), eventtarget.Event[eventtarget.Raw]{Payload: eventtarget.Raw(`{"publisher":"p","number":3,"sum":1}`)})
		}, Verdict{Heard: 5, Corrupted: 1}},
		{"not readable", func(l *Listener, all []eventtarget.Event[eventtarget.Raw]) {
			hear(l, all, 0, 1, 2, 3)
			l.Fault(eventtarget.Fault{Kind: eventtarget.FaultDecode, Err: errors.New("bad")})
		}, Verdict{Heard: 5, Corrupted: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var h History
			p := h.Publisher("p")
			l := h.Listener("l", p)
			net := &network{}
			for n := range 6 {
				net.err = nil
				if n == 4 {
					net.err = eventtarget.ErrOverflow
				} else if n == 5 {
					net.err = eventtarget.ErrUnknownOutcome
				}
				if err := p.Dispatch(t.Context(), net, eventtarget.T("a", "")); !errors.Is(err, net.err) {
					t.Fatal(err)
				}
			}
			c.hear(l, net.events)
			got := h.Check()
			c.want.Accepted, got.First = 4, ""
			if got != c.want {
				t.Errorf("got  %v\nwant %v", got, c.want)
			}
		})
	}
}

func hear(l *Listener, all []eventtarget.Event[eventtarget.Raw], numbers ...int) {
	for _, n := range numbers {
		l.Handle(context.Background(), all[n])
	}
}
