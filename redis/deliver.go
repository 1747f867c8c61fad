package redis

import (
	"errors"
	"fmt"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// deliver brings what arrived to listeners until the target ends or has drained.
func (t *Target) deliver() {
	ended := false
	defer func() {
		if !ended { // an Inline listener has ended this goroutine (runtime.Goexit)
			t.wg.Go(t.deliver)
		}
	}()
	for {
		a, ok := t.inbox.take(t.ctx)
		if !ok {
			break
		}
		if a.loss.any {
			t.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Count: a.loss.count, Err: a.loss.err})
		}
		switch {
		case a.channel != "":
			t.arrived(a)
		case a.passed:
			t.progress.reach(a.entry, a.text)
		}
	}
	ended = true
	close(t.delivered)
}

var errElsewhere = errors.New("an event of another type than its channel's")

func (t *Target) arrived(a arrival) {
	var refused error
	var look look
	if t.member != nil {
		look = t.member.look()
	}
	defer func() {
		switch {
		case errors.Is(refused, eventtarget.ErrClosed): // Close came when it was not in the inbox any more
			t.inbox.gone.Store(true)
			t.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDiscarded, Count: 1, Err: refused})
		case t.member != nil:
			t.member.handled(a.entry, look.inVain())
		case t.opts.Durable:
			t.progress.reach(a.entry, a.text)
		}
	}()
	m, err := wire.Decode(envelope(a.text), t.opts.Limits)
	if err == nil && !t.opts.Durable && t.channelOf(m.Type) != a.channel {
		err = errElsewhere
	}
	if err != nil {
		t.malformed.Add(1)
		if t.opts.Durable {
			err = fmt.Errorf("entry %v: %w", a.entry, err)
		}
		t.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDecode, Count: 1, Err: err})
		return
	}
	if m.Control() {
		t.ignored.Add(1)
		return
	}
	refused = t.registry.Deliver(t.ctx, eventtarget.Event[eventtarget.Raw]{
		Type: m.Type, ID: m.ID, Payload: m.Payload, Headers: m.Headers,
		Redelivered: a.again,
	})
}
