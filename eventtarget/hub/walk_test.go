package hub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// walk does at random what can be done to hubs and their sessions, and knows who is to hear
// what. A place is the number of a spoke, or ^ that of a hub.
type walk struct {
	diary
	rng     *rand.Rand
	hubs    []*hub.Hub
	spokes  []*walker
	bridges []*walker // clients of the hubs, each bridged to the hub before
	coming  *walker   // for which there may be an OnConnect
	sent    map[string][]sending
	ears    []*ear

	start func() *hub.Hub // another hub, in the place of one that dies; nil: none does
	store hub.Store       // the hub's, if it has one
	crash func()          // makes of it what another process finds
	late  []*delay        // what the hubs wait for, if there is something
	moves bool            // each connection of a spoke is to another hub
	asks  bool            // who asks for nothing hears nothing
	keeps bool            // the last event of each topic is kept
}

// walker is a link, whose session outlives its connections.
type walker struct {
	*link.Link
	n        int
	identity string
	groups   map[string]bool
	gone     bool
	dials    int

	mu   sync.Mutex
	at   *hub.Hub
	been []*hub.Hub
	near *link.PipeConn
	out  bool // is not let in again
}

// sending is an event that somebody dispatched, and the places that are to hear it.
type sending struct {
	topic eventtarget.Topic
	to    map[int]bool
}

// ear is a listener, and how much everyone had dispatched when it came and when it left.
type ear struct {
	place       int
	topic       eventtarget.Topic
	reg         *eventtarget.Registration
	from, until map[string]int // until is nil as long as it is there
	again       bool           // it may hear something twice
	all         string         // whose events before until it hears to the last one

	mu    sync.Mutex
	heard map[string][]int
}

func (e *ear) handle(_ context.Context, ev eventtarget.Event[raw]) {
	e.mu.Lock()
	defer e.mu.Unlock()
	who, number, _ := strings.Cut(strings.Trim(string(ev.Payload), `"`), " ")
	n, _ := strconv.Atoi(number)
	e.heard[who] = append(e.heard[who], n)
}

// is the key of the value that says which walker a spoke is.
type is struct{}

func (w *walk) one(of int) bool { return w.rng.IntN(of) == 0 }

func (w *walk) lost(f eventtarget.Fault) {
	if f.Kind == eventtarget.FaultGap || f.Kind == eventtarget.FaultOverflow || f.Kind == eventtarget.FaultPanic {
		w.t.Error(f)
	}
}

// position is how much everyone has dispatched.
func (w *walk) position() map[string]int {
	at := make(map[string]int)
	for who, sent := range w.sent {
		at[who] = len(sent)
	}
	return at
}

func (w *walk) connect() {
	n := len(w.spokes)
	s := &walker{n: n, at: w.hubs[w.rng.IntN(len(w.hubs))], identity: "who" + strconv.Itoa(n%2), groups: make(map[string]bool)}
	w.coming = s
	var err error
	o := link.Options{
		Subscribe: w.asks || w.one(2), OnFault: w.lost, Dial: func(context.Context) (link.Conn, error) { return w.dial(s) },
	}
	if w.one(2) { // it asks for more than its listeners hear
		o.Subscriptions = 2 + w.rng.IntN(3)
	}
	if w.one(2) {
		o.LogEvents, o.Overflow = 2+w.rng.IntN(5), eventtarget.Block
	}
	s.Link, err = link.New(o)
	w.must(err)
	w.must(s.Ready(w.t.Context()))
	w.spokes = append(w.spokes, s)
	w.note("spoke %d at hub %d", n, slices.Index(w.hubs, s.at))
	w.listen(n)
}

func (w *walk) dial(s *walker) (link.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out {
		return nil, eventtarget.ErrForbidden
	}
	if w.moves && !w.move(s) {
		return nil, eventtarget.ErrGone
	}
	near, far := link.Pipe()
	s.near = near
	go s.at.Attach(negotiated{far}, hub.Meta{Identity: s.identity, Values: map[any]any{is{}: s.n}})
	return negotiated{near}, nil
}

// move has the next connection of a spoke be to another hub; not to one that is late, if it was
// there: that hub would wait for what came over the connection before with a mutex, and where
// anybody waits for one of those the bubble's time stands still.
func (w *walk) move(s *walker) bool {
	for range w.hubs {
		i := (s.n + s.dials) % len(w.hubs)
		s.dials++
		if h := w.hubs[i]; w.late[i].remaining() <= 0 || !slices.Contains(s.been, h) {
			s.at, s.been = h, append(s.been, h)
			return true
		}
	}
	return false
}

// at is the hub at which a spoke is.
func (w *walk) at(n int) *hub.Hub {
	s := w.spokes[n]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// spoke is a spoke as its hub has it.
func (w *walk) spoke(n int) *hub.Spoke {
	for s := range w.at(n).Spokes() {
		if s.Value(is{}) == n {
			return s
		}
	}
	w.t.Fatalf("spoke %d is not there", n)
	return nil
}

// present is the spokes that have not left, but for some.
func (w *walk) present(but ...int) []int {
	return w.members(func(s *walker) bool { return !slices.Contains(but, s.n) })
}

func (w *walk) members(of func(*walker) bool) (all []int) {
	for n, s := range w.spokes {
		if !s.gone && of(s) {
			all = append(all, n)
		}
	}
	return all
}

func (w *walk) anyone() int {
	all := w.present()
	return all[w.rng.IntN(len(all))]
}

func (w *walk) target(place int) eventtarget.Target {
	if place < 0 {
		return w.hubs[^place]
	}
	return w.spokes[place]
}

func (w *walk) listen(place int) {
	topics := []eventtarget.Topic{{Type: "a", ID: "1"}, {Type: "a", ID: "2"}, {Type: "b", ID: "1"}, {Type: "a", ID: "*"}, {Type: "b", ID: "*"}, {Type: "*", ID: "*"}}
	e := &ear{place: place, topic: topics[w.rng.IntN(len(topics))], heard: make(map[string][]int)}
	var err error
	e.reg, err = w.target(place).Add(w.t.Context(), e.topic, eventtarget.Func(e.handle))
	w.must(err)
	e.from = w.position()
	w.ears = append(w.ears, e)
	w.note("%d listens to %v", place, e.topic)
}

// dispatch dispatches one event, and notes who is to hear it.
func (w *walk) dispatch(who string, to []int, send func(context.Context, eventtarget.Event[raw]) error) {
	topic := eventtarget.T([]string{"a", "b"}[w.rng.IntN(2)], []string{"1", "2"}[w.rng.IntN(2)])
	n := len(w.sent[who])
	places := make(map[int]bool)
	for _, p := range to {
		places[p] = true
	}
	w.sent[who] = append(w.sent[who], sending{topic, places})
	w.note("%s %d: %v to %v", who, n, topic, to)
	w.must(send(w.t.Context(), event(topic.Type, topic.ID, fmt.Sprintf("%q", fmt.Sprint(who, " ", n)))))
}

// bridge joins a hub with the next one.
func (w *walk) bridge(i int) {
	b := &walker{n: ^i, at: w.hubs[(i+1)%len(w.hubs)]}
	var err error
	b.Link, err = link.New(link.Options{Subscribe: true, OnFault: w.lost, Dial: func(context.Context) (link.Conn, error) { return w.dial(b) }})
	w.must(err)
	w.must(b.Ready(w.t.Context()))
	w.t.Cleanup(func() { b.Close(); <-b.Done() })
	g, err := eventtarget.Bridge(w.t.Context(), w.hubs[i], b, &eventtarget.BridgeOptions{OnFault: w.lost})
	w.must(err)
	w.t.Cleanup(func() { g.Close() })
	w.bridges = append(w.bridges, b)
}

// settle waits until everyone is connected and everything has arrived.
func (w *walk) settle() {
	synctest.Wait() // who is cut off knows
	if w.late != nil {
		<-time.After(time.Second)
	}
	for _, n := range w.present() {
		w.must(w.spokes[n].Ready(w.t.Context()))
	}
	for _, b := range w.bridges {
		w.must(b.Ready(w.t.Context()))
	}
	if w.late != nil {
		<-time.After(time.Second)
	}
	synctest.Wait()
	w.note("settled")
}

// check compares what everyone heard of everyone with what was dispatched.
func (w *walk) check() {
	<-time.After(time.Minute) // for what nobody is to hear any more
	synctest.Wait()
	for _, e := range w.ears {
		e.mu.Lock()
		for who, sent := range w.sent {
			w.compare(e, who, sent)
		}
		e.mu.Unlock()
	}
	w.tell()
}

func (w *walk) compare(e *ear, who string, sent []sending) {
	var before, want []int // what may still have been under way when it came, and what it is to hear
	for n, s := range sent {
		switch {
		case !s.to[e.place] || !e.topic.Matches(s.topic) || e.until != nil && n >= e.until[who]:
		case n < e.from[who]:
			before = append(before, n)
		default:
			want = append(want, n)
		}
	}
	heard := e.heard[who]
	if w.keeps || e.again { // what is kept comes with each topic that is asked for, to everyone
		var once []int
		for _, n := range heard {
			if slices.Contains(want, n) && !slices.Contains(once, n) {
				once = append(once, n)
			}
		}
		heard, before = once, nil
	}
	early := 0
	for early < len(heard) && slices.Contains(before, heard[early]) {
		before = before[slices.Index(before, heard[early])+1:]
		early++
	}
	heard = heard[early:]
	// Of what it left behind a listener has heard the beginning.
	if len(heard) > len(want) || !slices.Equal(heard, want[:len(heard)]) || len(heard) < len(want) && (e.until == nil || who == e.all) {
		w.t.Errorf("place %d, %v: heard of %s %v, and before it came %d others, instead of %v", e.place, e.topic, who, heard, early, want)
	}
}
