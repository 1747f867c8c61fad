package conformance

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

type (
	raw   = eventtarget.Raw
	event = eventtarget.Event[eventtarget.Raw]
)

// T is a law at work on a harness.
type T struct {
	Harness Harness
	ctx     context.Context
	law     Law
	way     string // from which endpoint to which the law is asked now

	mu       sync.Mutex
	failures []string
	skipped  string
	cleanups []func()
	faults   []seenFault
	names    atomic.Int64
}

type seenFault struct {
	endpoint int
	fault    eventtarget.Fault
}

// errStop ends a law from the inside.
var errStop = errors.New("law ended")

// Errorf says that the law does not hold.
func (t *T) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, t.way+fmt.Sprintf(format, args...))
}

// Fatalf says so and ends the law. It must be called on the law's own goroutine.
func (t *T) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	panic(errStop)
}

// Skipf ends the law without an outcome.
func (t *T) Skipf(format string, args ...any) {
	t.mu.Lock()
	t.skipped = fmt.Sprintf(format, args...)
	t.mu.Unlock()
	panic(errStop)
}

// do calls fn, and says so if that does not come to its end.
func (t *T) do(fn func()) {
	returned := false
	defer func() {
		switch cause := recover(); {
		case returned, cause == errStop: //nolint:errorlint // the very value
		case cause == nil:
			t.Errorf("its goroutine was ended, by runtime.Goexit or the Fatal of a test")
		default:
			t.Errorf("it panicked: %v\n%s", cause, debug.Stack())
		}
	}()
	fn()
	returned = true
}

// cleanUp calls the cleanups, the last one first, whatever the others do.
func (t *T) cleanUp() {
	for _, clean := range t.cleanups {
		defer t.do(clean)
	}
}

func (t *T) need(has bool, what string) {
	if !has {
		t.Skipf("%s", what)
	}
}

func (t *T) wire()    { t.need(t.Harness.Caps.Wire, "carries Go values, not a wire") }
func (t *T) onlyHub() { t.need(t.Harness.Caps.Topology == Hub, "not a hub") }

// rig makes a rig of about n endpoints and takes it down when the law ends.
func (t *T) rig(n int) *rig { return t.rigWith(Setup{Endpoints: n}) }

// briefRig is rig for laws that wait for spokes to leave whose connections broke. Elsewhere
// a machine that stands still for a moment ends no session.
func (t *T) briefRig(n int) *rig {
	return t.rigWith(Setup{Endpoints: n, Session: brief})
}

const brief = 200 * time.Millisecond

func (t *T) rigWith(s Setup) *rig {
	s.Endpoints = t.Harness.Caps.endpoints(s.Endpoints)
	s.OnFault = func(endpoint int, f eventtarget.Fault) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.faults = append(t.faults, seenFault{endpoint, f})
	}
	if s.Session == 0 {
		s.Session = t.Harness.timeout()
	}
	if s.OnConnect == nil {
		s.OnConnect = func(eventtarget.Peer) {}
	}
	if s.OnDisconnect == nil {
		s.OnDisconnect = func(eventtarget.Peer, eventtarget.Reason) {}
	}
	made, err := t.Harness.New(t.ctx, s)
	r := &rig{Rig: made, t: t}
	if made != nil { // as far as it came
		t.cleanups = append(t.cleanups, r.takeDown)
	}
	if err != nil {
		t.Fatalf("the harness cannot make a rig: %v", err)
	}
	if r.Reaches == nil {
		r.Reaches = t.Harness.Caps.reaches
	}
	return r
}

// awaitFault waits for a fault at an endpoint that fits.
func (t *T) awaitFault(what string, endpoint int, fits func(eventtarget.Fault) bool) {
	t.eventually("a fault: "+what, func() bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, s := range t.faults {
			if s.endpoint == endpoint && fits(s.fault) {
				return true
			}
		}
		return false
	})
}

// eventually polls for something that nothing can be waited for on.
func (t *T) eventually(what string, holds func() bool) {
	t.within(what, holds, func() string { return "" })
}

// within is eventually, for what can say how far it came.
func (t *T) within(what string, holds func() bool, seen func() string) {
	for pause := 10 * time.Microsecond; !holds(); pause = min(2*pause, 10*time.Millisecond) {
		select {
		case <-time.After(pause):
		case <-t.ctx.Done():
			t.Fatalf("never seen: %s; %s", what, seen())
		}
	}
}

// await waits for a channel to be closed.
func (t *T) await(what string, c <-chan struct{}) {
	select {
	case <-c:
	case <-t.ctx.Done():
		buf := make([]byte, 64<<10)
		t.Fatalf("never happened: %s\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

// rig is a Rig at work.
type rig struct {
	*Rig
	t    *T
	down bool
}

func (r *rig) takeDown() {
	if r.down {
		return
	}
	r.down = true
	for _, e := range r.Endpoints {
		_ = e.Close()
	}
	if r.Rig.Close != nil {
		r.Rig.Close()
	}
	for i, e := range r.Endpoints {
		select {
		case <-e.Done():
		case <-time.After(r.t.Harness.timeout()):
			r.t.Errorf("endpoint %d was closed behind the law and is not done: something that it owns does not end, such as the Receive of a connection whose Close was called", i)
		}
	}
}

// cells calls fn for each pair of endpoints of which one reaches the other.
func (r *rig) cells(fn func(from, to int)) {
	for i := range r.Endpoints {
		for j := range r.Endpoints {
			if r.Reaches(i, j) {
				fn(i, j)
			}
		}
	}
}

// everyWay asks a law of one cell of each kind, each on a rig of its own: what
// holds from a hub to its spokes need not hold the other way.
func everyWay(law func(t *T, r *rig, from, to int)) func(*T) {
	return func(t *T) {
		r := t.rig(3)
		for n, way := range r.ways() {
			if n > 0 {
				r.takeDown()
				r = t.rig(3)
			}
			t.setWay(fmt.Sprintf("from endpoint %d to %d: ", way[0], way[1]))
			law(t, r, way[0], way[1])
		}
		t.setWay("")
	}
}

// everySource asks a law of one endpoint of each kind, on a rig of its own, and of one endpoint
// of each kind that it reaches: for what one dispatch tells of all of them.
func everySource(law func(t *T, r *rig, from int, to []int)) func(*T) {
	return func(t *T) {
		r := t.rig(3)
		reached := make(map[int][]int)
		for _, way := range r.ways() {
			reached[way[0]] = append(reached[way[0]], way[1])
		}
		for n, from := range slices.Sorted(maps.Keys(reached)) {
			if n > 0 {
				r.takeDown()
				r = t.rig(3)
			}
			t.setWay(fmt.Sprintf("from endpoint %d to %d: ", from, reached[from]))
			law(t, r, from, reached[from])
		}
		t.setWay("")
	}
}

func (t *T) setWay(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.way = s
}

// ways returns one cell of each kind: to itself, and in a hub or link by which of
// the ends is the first.
func (r *rig) ways() [][2]int {
	var found [][2]int
	kinds := make(map[[3]bool]bool)
	r.cells(func(i, j int) {
		kind := [3]bool{i == j}
		if c := r.t.Harness.Caps.Topology; c == Hub || c == Link {
			kind = [3]bool{i == j, i == 0, j == 0}
		}
		if !kinds[kind] {
			kinds[kind] = true
			found = append(found, [2]int{i, j})
		}
	})
	return found
}

// cell returns one pair, with different ends if there is one.
func (r *rig) cell() (from, to int) {
	from, to = -1, -1
	r.cells(func(i, j int) {
		if from < 0 || from == to && i != j {
			from, to = i, j
		}
	})
	return from, to
}

// itself returns an endpoint that reaches itself, if there is one.
func (r *rig) itself() (at int, found bool) {
	r.cells(func(i, j int) {
		if i == j && !found {
			at, found = i, true
		}
	})
	return at, found
}

func (r *rig) add(at int, topic eventtarget.Topic, l eventtarget.Listener[raw]) *eventtarget.Registration {
	reg, err := r.Endpoints[at].Add(r.t.ctx, topic, l)
	if err != nil {
		r.t.Fatalf("Add on %v at endpoint %d: %v", topic, at, err)
	}
	return reg
}

func (r *rig) dispatch(from int, e event) {
	err := r.Endpoints[from].Dispatch(r.t.ctx, e)
	if r.mute(from) && errors.Is(err, errors.ErrUnsupported) {
		return // as declared: nobody may hear it, then
	}
	if err != nil || r.mute(from) {
		r.t.Fatalf("Dispatch on %v at endpoint %d: %v", e.Topic(), from, err)
	}
}

// mute tells whether an endpoint only listens.
func (r *rig) mute(at int) bool { return r.t.Harness.Caps.ReceiveOnly && at != 0 }

// name returns a type or id that nothing else uses.
func (t *T) name() string { return fmt.Sprintf("conf.%s.%d", t.law.ID, t.names.Add(1)) }

// settle returns when everything that was dispatched from one endpoint before has
// been delivered at another: when a sentinel, sent behind it, has, on each lane.
func (r *rig) settle(from, to int) {
	if r.mute(from) {
		return
	}
	if len(r.Lanes) == 0 {
		r.sentinel(from, to, eventtarget.T(r.t.name(), "sentinel"))
	}
	for _, lane := range r.Lanes {
		r.sentinel(from, to, eventtarget.T(lane, r.t.name()))
	}
}

// sentinel sends one and returns when it has been delivered.
func (r *rig) sentinel(from, to int, topic eventtarget.Topic) {
	heard := make(chan struct{})
	hear := sync.OnceFunc(func() { close(heard) }) // whether it is heard once is a law of its own
	reg := r.add(to, topic, eventtarget.Listener[raw]{
		Handle: func(context.Context, event) { hear() }, Inline: true, Once: true,
	})
	r.dispatch(from, event{Type: topic.Type, ID: topic.ID})
	r.t.await(fmt.Sprintf("the sentinel from endpoint %d to %d", from, to), heard)
	r.Endpoints[to].Remove(reg)
}

// quiesce settles every cell, twice, so that what one event sets off is settled too.
func (r *rig) quiesce() {
	for range 2 {
		r.cells(r.settle)
	}
}
