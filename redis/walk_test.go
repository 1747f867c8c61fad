package redis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// walk does at random what can be done to the members of a bus and to their server, most of
// it at the same time, and knows who is to hear what.
type walk struct {
	t       *testing.T
	rng     *rand.Rand
	url     string
	options redis.Options
	server  *redistest.Server
	cluster *redistest.Cluster // nil: there is one server
	killed  bool               // the server is
	loses   bool               // events may be lost, if that is told
	calm    bool               // nothing is broken, so nothing is lost
	crew    *crew              // nil: there are no hubs
	joined  bool               // the hubs are, by a bus
	refuses bool               // the server does, for a moment
	types   []string
	narrow  bool // an inbox may not hold a burst
	deleted bool // the log was

	trace []string
	ears  []*ear
	adds  sync.WaitGroup

	mu       sync.Mutex
	walkers  []*walker
	speakers []*speaker
}

// walker is a member of the bus, and what it told, in order.
type walker struct {
	eventtarget.Endpoint
	end    func() // ends it, as the end of its process does
	walk   *walk
	n      int
	noEcho bool
	isHub  bool
	lossy  bool // what it had accepted may have ended with it
	gone   bool

	mu   sync.Mutex
	told []tale
	held chan struct{} // not nil: its listeners wait until this is closed
}

// tale is an event that a listener heard, or a gap.
type tale struct {
	ear   *ear // nil: a gap
	count uint64
	err   error
	by    *speaker
	n     int
}

// ear is a listener. Of each speaker it is to hear what was dispatched after it came: from,
// and nothing of what was after it left: until, which is nil as long as it is there.
type ear struct {
	at          *walker
	topic       eventtarget.Topic
	once        bool
	added       chan struct{} // closed when Add has returned
	err         error         // of Add
	start       int           // what had been told before
	from, until map[*speaker]int
	reg         atomic.Pointer[eventtarget.Registration]
}

func (w *walk) one(of int) bool { return w.rng.IntN(of) == 0 }

func (w *walk) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

// position is how much everyone has begun to dispatch.
func (w *walk) position() map[*speaker]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := make(map[*speaker]int)
	for _, s := range w.speakers {
		s.mu.Lock()
		at[s] = len(s.sent)
		s.mu.Unlock()
	}
	return at
}

// join begins another member, which may have to wait for the server.
func (w *walk) join() *walker {
	if w.crew != nil {
		return w.connect()
	}
	m := &walker{walk: w, n: len(w.walkers)}
	o := w.options
	o.OnFault = m.fault
	o.NoEcho = w.one(4)
	m.noEcho = o.NoEcho
	if w.loses && !w.calm && w.one(3) {
		o.InboxEvents = 1 + w.rng.IntN(8)
		w.narrow = true
	}
	target, err := redis.New(w.url, &o)
	if err != nil {
		w.t.Fatal(err)
	}
	m.Endpoint = target
	m.end = func() { _ = target.Close(); <-target.Done() }
	w.t.Cleanup(m.end)
	w.enter(m)
	w.note("%d joins", m.n)
	return m
}

// enter makes a member one of the walk's.
func (w *walk) enter(m *walker) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.walkers = append(w.walkers, m)
	for i := range 2 {
		s := &speaker{name: fmt.Sprint(m.n, "ab"[i:i+1]), at: m, busy: make(chan struct{})}
		close(s.busy)
		w.speakers = append(w.speakers, s)
	}
}

func (m *walker) fault(f eventtarget.Fault) {
	switch f.Kind {
	case eventtarget.FaultGap:
		m.mu.Lock()
		defer m.mu.Unlock()
		m.told = append(m.told, tale{count: f.Count, err: f.Err})
	case eventtarget.FaultDisconnected, eventtarget.FaultReconnected, eventtarget.FaultDiscarded:
	default:
		if f.Kind == eventtarget.FaultDispatch && m.isHub && m.walk.joined { // what the other hubs are told as a gap
			return
		}
		m.walk.t.Error(m.n, f)
	}
}

// present is the members that have not left.
func (w *walk) present() (all []*walker) {
	for _, m := range w.walkers {
		if !m.gone {
			all = append(all, m)
		}
	}
	return all
}

func (w *walk) anyone() *walker {
	all := w.present()
	return all[w.rng.IntN(len(all))]
}

// anySpeaker is one of a member that has not left.
func (w *walk) anySpeaker() *speaker { return w.speakers[2*w.anyone().n+w.rng.IntN(2)] }

func (w *walk) topic() eventtarget.Topic {
	return eventtarget.T(w.types[w.rng.IntN(len(w.types))], []string{"1", "2"}[w.rng.IntN(2)])
}

// listen adds a listener, without waiting for that.
func (w *walk) listen(m *walker) {
	topic := w.topic()
	switch w.rng.IntN(4) {
	case 0:
		topic = eventtarget.T("*", "*")
	case 1:
		topic.ID = "*"
	}
	e := &ear{at: m, topic: topic, once: w.one(6), added: make(chan struct{})}
	m.mu.Lock()
	e.start = len(m.told)
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	if w.one(8) {
		ctx, cancel = context.WithTimeout(w.t.Context(), time.Duration(w.rng.IntN(20))*time.Millisecond)
	}
	w.ears = append(w.ears, e)
	w.note("%d begins to listen to %v (%d), once %v", m.n, topic, len(w.ears)-1, e.once)
	w.adds.Go(func() {
		defer cancel()
		defer close(e.added)
		r, err := m.Add(ctx, topic, eventtarget.Listener[raw]{Handle: e.handle, Inline: true, Once: e.once})
		e.err = err
		e.reg.Store(r)
		e.from = w.position()
	})
}

func (e *ear) handle(_ context.Context, ev event) {
	m := e.at
	if r := e.reg.Load(); r != nil {
		select {
		case <-r.Done():
			m.walk.t.Error("a listener is called that has ended")
		default:
		}
	}
	name, rest, _ := strings.Cut(strings.Trim(string(ev.Payload), `"`), " ")
	number, _, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(number)
	by := m.walk.speaker(name)
	if err != nil || by == nil {
		m.walk.t.Errorf("heard %q", ev.Payload)
		return
	}
	m.mu.Lock()
	m.told = append(m.told, tale{ear: e, by: by, n: n})
	held := m.held
	m.mu.Unlock()
	if held != nil && by.at != m {
		<-held
	}
}

// leave removes a listener.
func (w *walk) leave(e *ear) {
	select {
	case <-e.added:
	default:
		return
	}
	if e.until != nil || e.err != nil {
		return
	}
	is := e.at.Remove(e.reg.Load())
	e.until = w.position()
	w.note("%d listens no more to %v", e.at.n, e.topic)
	if !is && !e.once && !e.at.gone {
		w.t.Errorf("Remove of %v at %d is false", e.topic, e.at.n)
	}
}

// await waits for something that somebody does.
func (w *walk) await(what string, done <-chan struct{}) {
	select {
	case <-done:
	case <-time.After(patience):
		w.t.Fatalf("never seen: %s, after\n%s", what, strings.Join(w.trace, "\n"))
	}
}

// patience is how long anything may take.
const patience = 20 * time.Second
