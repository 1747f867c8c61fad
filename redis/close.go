package redis

import (
	"context"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Close ends the target at once and never waits. What was received and waits for
// listeners is discarded: counted, and told in faults. It returns nil.
func (t *Target) Close() error {
	t.end(eventtarget.ErrClosed)
	return nil
}

// end is Close, with the cause for whoever waits.
func (t *Target) end(cause error) {
	if t.change(eventtarget.StateClosed, cause) == eventtarget.StateClosed {
		return
	}
	for _, p := range t.parts {
		p.publisher.close()
	}
	n, missing := t.inbox.discard() // before the delivering goroutine ends, which a Shutdown may wait for
	t.cancel(cause)
	for _, p := range t.parts {
		p.interest.close()
	}
	if t.member != nil && missing.any { // which nobody else in the group will find out
		t.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Count: missing.count, Err: missing.err})
	}
	if n > 0 {
		t.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDiscarded, Count: n, Err: cause})
	}
	t.registry.Close()
}

// Shutdown refuses new events, waits until Redis has confirmed those under way, stops
// receiving, lets listeners finish what has arrived, and ends the target; ctx bounds
// all of it. See [eventtarget.Endpoint].
func (t *Target) Shutdown(ctx context.Context) error {
	if eventtarget.CallerOf(ctx) != eventtarget.NotListener {
		return fail("shutdown", eventtarget.Topic{}, eventtarget.ErrWouldBlock)
	}
	defer t.end(eventtarget.ErrClosed)
	if err := t.gate.close(ctx); err != nil {
		return fail("shutdown", eventtarget.Topic{}, err)
	}
	t.hush()
	if err := t.drain(ctx); err != nil {
		return fail("shutdown", eventtarget.Topic{}, err)
	}
	if err := t.registry.Shutdown(ctx); err != nil {
		return err
	}
	if t.inbox.gone.Load() {
		return fail("shutdown", eventtarget.Topic{}, eventtarget.ErrClosed)
	}
	t.end(eventtarget.ErrClosed)
	select {
	case <-t.done:
	case <-ctx.Done(): // everything is drained; only the connections' end is not awaited
	}
	return nil
}

// drain waits until what has arrived was delivered and, by a group's member, confirmed.
func (t *Target) drain(ctx context.Context) error {
	ended := t.parts[0].ended
	steps := []<-chan struct{}{t.delivered}
	if t.member != nil {
		select {
		case <-t.member.sated:
		case <-ended:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		steps = append(steps, ended)
	}
	t.inbox.close()
	for _, step := range steps {
		select {
		case <-step:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// reap closes done when everything that the target owned has ended.
func (t *Target) reap() {
	<-t.ctx.Done()
	t.wg.Wait()
	t.nodes.close()
	<-t.registry.Done()
	close(t.done)
}

// Done is closed when the target is closed and every goroutine that it owned has
// ended.
func (t *Target) Done() <-chan struct{} { return t.done }
