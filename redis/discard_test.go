package redis

import (
	"context"
	"errors"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestDiscardedInHand: Close counts an event that was taken out of the inbox, too.
func TestDiscardedInHand(t *testing.T) {
	var target *Target
	told := make(chan uint64, 10)
	target, err := New("redis://127.0.0.1:1", &Options{Durable: true, OnFault: func(f eventtarget.Fault) {
		switch f.Kind {
		case eventtarget.FaultGap: // between the inbox and the listeners
			target.Close()
		case eventtarget.FaultDiscarded:
			if !errors.Is(f.Err, eventtarget.ErrClosed) {
				t.Errorf("discarded because of %v", f.Err)
			}
			told <- f.Count
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := target.registry.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[eventtarget.Raw]{
		Inline: true, Handle: func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) { t.Errorf("heard %s", e.ID) },
	}); err != nil {
		t.Fatal(err)
	}
	target.inbox.mu.Lock() // so that both are there at once
	target.inbox.pending = loss{any: true, count: 1}
	for _, text := range []string{`{"type":"n","id":"1"}`, `{"type":"n","id":"2"}`} {
		target.inbox.append(arrival{channel: target.names.log(), text: text, entry: entryID{n: 1}})
	}
	target.inbox.mu.Unlock()
	<-target.Done()
	close(told)
	discarded := uint64(0)
	for n := range told {
		discarded += n
	}
	if at := target.Position(); discarded != 2 || at != "" {
		t.Errorf("%d of 2 were told as discarded, behind position %q", discarded, at)
	}
}

// TestShutdownOvertaken: a Shutdown during which a Close discards what has arrived does not say
// that everything was drained; what is in a listener's hands then is.
func TestShutdownOvertaken(t *testing.T) {
	for _, waiting := range []int{0, 3} {
		target, err := New("redis://127.0.0.1:1", &Options{OnFault: func(eventtarget.Fault) {}})
		if err != nil {
			t.Fatal(err)
		}
		held, free := make(chan struct{}, 1+waiting), make(chan struct{})
		if _, err := target.registry.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[eventtarget.Raw]{
			Inline: true, Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) { held <- struct{}{}; <-free },
		}); err != nil {
			t.Fatal(err)
		}
		for range 1 + waiting {
			target.inbox.put(target.names.channel("n"), `{"type":"n","id":""}`, 0)
		}
		<-held
		told := make(chan error)
		go func() { told <- target.Shutdown(context.Background()) }()
		<-target.receiving.Done()
		target.Close()
		close(free)
		if err := <-told; errors.Is(err, eventtarget.ErrClosed) != (waiting > 0) || waiting == 0 && err != nil {
			t.Errorf("with %d events in the inbox: %v", waiting, err)
		}
		<-target.Done()
	}
}

// TestTakeAtTheEnd: what waits when the target ends is left to discard.
func TestTakeAtTheEnd(t *testing.T) {
	q := newInbox(10, 1000)
	q.put("c", "m", 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok := q.take(ctx); ok {
		t.Error("it was taken")
	}
	if n, _ := q.discard(); n != 1 {
		t.Errorf("%d were discarded", n)
	}
}
