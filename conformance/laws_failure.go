package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var failureLaws = []Law{
	{"A23", "panic-isolated", Must, "when a listener panics the others still run, the target works on, and OnFault hears of it with topic and stack",
		"libraries that skip the rest", everyWay(lawPanic)},
	{"A24", "goexit-listener", Must, "a listener that ends its goroutine does not wedge the target",
		"t.FailNow in a listener", everyWay(lawGoexit)},
	{"A25", "cancelled-context", Must, "Dispatch with a context that has ended returns its error, and nothing is delivered; one that ends later ends no listener's",
		"work that goes on after it was called off", everyWay(lawCancelled)},
	{"A26", "cancel-in-flight", Must, "cancelling a Dispatch that waits, for a listener or for the other end, returns promptly; the target and its connection are still usable",
		"a caller's context that reaches the connection ends it", lawCancelInFlight},
	{"A27", "add-for", Must, "a listener of AddFor ends with its context, by the law of Remove, and no other does",
		"a common wish", everyWay(lawAddFor)},
	{"A34", "error-surface", Must, "what cannot be sent is an error of Dispatch, and nothing of it is delivered; what is lost with a connection is told",
		"failures that nobody hears of", lawErrorSurface},
	{"B11", "control-characters", Must, "control characters in a type or id, ':' or '*' in a type, '*' as an id: ErrInvalidTopic",
		"header, log and pattern injection", everyWay(lawControlCharacters)},
}

func lawPanic(t *T, r *rig, i, j int) {
	for _, inline := range []bool{true, false} {
		topic := eventtarget.T(t.name(), "subject")
		before := r.listen(j, topic)
		r.add(j, topic, eventtarget.Listener[raw]{Inline: inline, Handle: func(context.Context, event) { panic("as the law wants") }})
		after := r.listen(j, topic)
		afterInline := r.listenInline(j, topic)
		for range 3 {
			r.dispatch(i, event{Type: topic.Type, ID: topic.ID})
		}
		r.settle(i, j)
		before.wait(3)
		after.wait(3)
		afterInline.wait(3)
		t.awaitFault("the panic with topic and stack", j, func(f eventtarget.Fault) bool {
			return f.Kind == eventtarget.FaultPanic && f.Topic == topic && len(f.Stack) > 0 &&
				f.Err != nil && strings.Contains(f.Err.Error(), "as the law wants")
		})
	}
}

func lawGoexit(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	r.add(j, topic, eventtarget.Func(func(context.Context, event) { runtime.Goexit() }))
	rec := r.listen(j, topic)
	for range 3 {
		r.dispatch(i, event{Type: topic.Type})
	}
	rec.wait(3)
	t.awaitFault("that a listener ended its goroutine", j, func(f eventtarget.Fault) bool {
		return f.Kind == eventtarget.FaultPanic && f.Topic == topic
	})
	if i != j {
		return // an Inline listener would end a goroutine of the transport's
	}
	// Inline: the goroutine that ends is the dispatcher's.
	inline := eventtarget.T(t.name(), "")
	r.add(j, inline, eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, event) { runtime.Goexit() }})
	rec = r.listen(j, inline)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Endpoints[j].Dispatch(t.ctx, event{Type: inline.Type})
	}()
	t.await("the end of a dispatching goroutine", done)
	rec.wait(1)
	r.settle(j, j)
}

func lawCancelled(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	rec := r.listenInline(j, topic)
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	if err := r.Endpoints[i].Dispatch(ctx, event{Type: topic.Type}); !errors.Is(err, context.Canceled) {
		t.Errorf("Dispatch with a cancelled context: %v", err)
	}
	if _, err := r.Endpoints[j].Add(ctx, topic, eventtarget.Func(func(context.Context, event) {})); !errors.Is(err, context.Canceled) {
		t.Errorf("Add with a cancelled context: %v", err)
	}
	r.settle(i, j)
	if rec.len() != 0 {
		t.Errorf("an event of a cancelled Dispatch was delivered")
	}
	ctx, cancel = context.WithCancel(t.ctx)
	gate, seen := make(chan struct{}), make(chan error, 1)
	r.add(j, topic, eventtarget.Func(func(ctx context.Context, _ event) {
		<-gate
		seen <- ctx.Err()
	}))
	if err := r.Endpoints[i].Dispatch(ctx, event{Type: topic.Type}); err != nil {
		t.Errorf("Dispatch: %v", err)
	}
	cancel()
	close(gate)
	select {
	case err := <-seen:
		if err != nil {
			t.Errorf("the dispatcher's context ended the listener's: %v", err)
		}
	case <-t.ctx.Done():
		t.Fatalf("an event was lost when its dispatcher's context ended")
	}
}

// blocked adds a listener that blocks, with a full queue of size 1 behind it, and
// returns what lets it go.
func (r *rig) blocked(from, at int, topic eventtarget.Topic, o eventtarget.Overflow) (release func()) {
	gate, entered := make(chan struct{}), make(chan struct{}, 1)
	r.add(at, topic, eventtarget.Listener[raw]{Queue: 1, Overflow: o, Handle: func(context.Context, event) {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-gate
	}})
	r.dispatch(from, event{Type: topic.Type})
	select {
	case <-entered:
	case <-r.t.ctx.Done():
		r.t.Fatalf("the listener was not called")
	}
	r.dispatch(from, event{Type: topic.Type})
	return func() { close(gate) }
}

func lawCancelInFlight(t *T) {
	r := t.rig(2)
	at, hears := r.itself()
	if hears {
		cancelListener(t, r, at)
	}
	stalls := t.Harness.Caps.Topology == Link && r.Stall != nil && r.Resume != nil
	if stalls {
		cancelOutgoing(t)
	}
	t.need(hears || stalls, "no endpoint hears itself, and there is no link with the hooks Stall and Resume")
}

// cancelOutgoing cancels a Dispatch that waits for an end that does not read.
func cancelOutgoing(t *T) {
	r := t.rigWith(Setup{Endpoints: 2, Outgoing: 8, Overflow: eventtarget.Block})
	rec := r.listenInline(1, eventtarget.T(t.name(), ""))
	r.Stall(1)
	accepted, err := r.fill(0, rec.reg.Topic())
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a Dispatch that waited for the other end until its deadline: %v", err)
	}
	r.Resume(1)
	r.settle(0, 1)
	if got := payloads(rec.all()); len(got) != accepted || len(got) > 0 && got[accepted-1] != strconv.Itoa(accepted-1) {
		t.Errorf("after the deadline %d of %d accepted events were heard", len(got), accepted)
	}
	if s := r.Endpoints[0].State(); s != eventtarget.StateUp {
		t.Errorf("a caller's deadline left the link %v", s)
	}
}

// fill dispatches numbers from an endpoint until one is refused, or has waited a
// little, and returns how many were accepted.
func (r *rig) fill(from int, topic eventtarget.Topic) (accepted int, err error) {
	for ; ; accepted++ {
		ctx, cancel := context.WithTimeout(r.t.ctx, 50*time.Millisecond)
		err := r.Endpoints[from].Dispatch(ctx, event{Type: topic.Type, ID: topic.ID, Payload: raw(strconv.Itoa(accepted))})
		cancel()
		if err != nil {
			return accepted, err
		}
	}
}

func cancelListener(t *T, r *rig, at int) {
	topic := eventtarget.T(t.name(), "")
	release := r.blocked(at, at, topic, eventtarget.Block)
	ctx, cancel := context.WithTimeout(t.ctx, 20*time.Millisecond)
	defer cancel()
	if err := r.Endpoints[at].Dispatch(ctx, event{Type: topic.Type}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a Dispatch that waited until its deadline: %v", err)
	}
	other := r.listen(at, eventtarget.T(t.name(), ""))
	r.dispatch(at, event{Type: other.reg.Topic().Type})
	other.wait(1)
	release()
	r.settle(at, at)
}

func lawAddFor(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	other := r.listenInline(j, topic)
	ctx, cancel := context.WithCancel(t.ctx)
	rec := &record{t: t}
	reg, err := eventtarget.AddFor(ctx, eventtarget.Target(r.Endpoints[j]), topic, eventtarget.Listener[raw]{Handle: rec.handle, Inline: true})
	if err != nil {
		t.Fatalf("AddFor: %v", err)
	}
	r.dispatch(i, event{Type: topic.Type})
	r.settle(i, j)
	cancel()
	t.await("Done after the context ended", reg.Done())
	r.dispatch(i, event{Type: topic.Type})
	r.settle(i, j)
	if rec.len() != 1 || other.len() != 2 {
		t.Errorf("the listener heard %d events, want 1; another %d, want 2", rec.len(), other.len())
	}
}

func lawErrorSurface(t *T) {
	r := t.rigWith(Setup{Endpoints: 2, MaxMessage: 4096})
	i, j := r.cell()
	a := t.name()
	rec := r.listenInline(j, eventtarget.T(a, "*"))
	bad := map[string]event{
		"an empty type":    {ID: "x"},
		"a reserved type":  {Type: "__x"},
		"a wildcard event": {Type: a, ID: "*"},
	}
	if t.Harness.Caps.Wire {
		bad["a payload that is no JSON"] = event{Type: a, Payload: raw(`{`)}
		bad["a payload that breaks out"] = event{Type: a, Payload: raw(`1,"type":"x"`)}
		bad["an empty payload"] = event{Type: a, Payload: raw(``)}
		bad["a message over the limit"] = event{Type: a, Payload: raw(`"` + strings.Repeat("x", 4096) + `"`)}
		bad["a header with a line break"] = event{Type: a, Headers: map[string]string{"x": "a\r\nb"}}
	}
	for what, e := range bad {
		if err := r.Endpoints[i].Dispatch(t.ctx, e); err == nil {
			t.Errorf("Dispatch of %s returned nil", what)
		}
	}
	r.dispatch(i, event{Type: a, Payload: raw(`1`)})
	r.settle(i, j)
	if got := rec.all(); len(got) != 1 || string(got[0].Payload) != "1" {
		t.Errorf("besides the one good event were heard: %v", got)
	}
	if t.Harness.Caps.Reconnects && !r.mute(1) && r.Sever != nil && r.Heal != nil {
		lossSurfaces(t)
	}
}

// lossSurfaces cuts a connection in the middle of a stream: what was accepted then
// is heard once, or its loss is told at the end that accepted it.
func lossSurfaces(t *T) {
	const events = 200
	r := t.rig(2)
	rec := r.listenInline(0, eventtarget.T(t.name(), "*"))
	accepted := make(map[string]bool)
	send := func(n int) {
		e := event{Type: rec.reg.Topic().Type, ID: strconv.Itoa(n)}
		if r.Endpoints[1].Dispatch(t.ctx, e) == nil {
			accepted[e.ID] = true
		}
	}
	for n := range events {
		send(n)
		if n == events/2 {
			r.Sever(1)
		}
	}
	t.eventually("a state other than up", func() bool { return r.Endpoints[1].State() != eventtarget.StateUp })
	send(events)
	r.Heal(1)
	if err := r.Endpoints[1].Ready(t.ctx); err != nil {
		t.Fatalf("Ready after a cut: %v", err)
	}
	r.settle(1, 0)
	for _, e := range rec.all() {
		if !accepted[e.ID] {
			t.Errorf("event %s was refused, or is heard twice", e.ID)
		}
		delete(accepted, e.ID)
	}
	if lost := uint64(len(accepted)); lost > 0 {
		t.awaitFault(fmt.Sprintf("that %d accepted events were lost", lost), 1, func(f eventtarget.Fault) bool {
			return (f.Kind == eventtarget.FaultGap || f.Kind == eventtarget.FaultDiscarded) && (f.Count == 0 || f.Count >= lost)
		})
	}
}

func lawControlCharacters(t *T, r *rig, i, j int) {
	a := t.name()
	for _, topic := range []eventtarget.Topic{
		{Type: a + "\r\n", ID: ""}, {Type: a + "\x00", ID: ""}, {Type: a + "\x7f", ID: ""}, {Type: a, ID: "\n"}, {Type: a, ID: "\x00"}, {Type: a, ID: "\u0085"},
		{Type: a + "*", ID: ""}, {Type: "*", ID: "x"}, {Type: "", ID: ""}, {Type: "__" + a, ID: ""}, {Type: a, ID: "\xff"}, {Type: a + "\xc0\x80", ID: ""},
		{Type: strings.Repeat("a", 129), ID: ""}, {Type: a, ID: strings.Repeat("a", 257)},
	} {
		if _, err := r.Endpoints[j].Add(t.ctx, topic, eventtarget.Func(func(context.Context, event) {})); !errors.Is(err, eventtarget.ErrInvalidTopic) {
			t.Errorf("Add on %q: %v", topic, err)
		}
		if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: topic.Type, ID: topic.ID}); !errors.Is(err, eventtarget.ErrInvalidTopic) {
			t.Errorf("Dispatch on %q: %v", topic, err)
		}
	}
	for _, id := range []string{"*"} {
		if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: a, ID: id}); !errors.Is(err, eventtarget.ErrInvalidTopic) {
			t.Errorf("Dispatch on id %q: %v", id, err)
		}
	}
	r.settle(i, j)
}
