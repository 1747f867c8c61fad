package link_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
)

// TestRandomInterest: whatever a link is asked to listen to, several at once, over connections that
// are cut, at a hub that may refuse: each Add returns, what it has confirmed is heard, or it is told
// that it is not any more; the hub is asked for no more than is needed; and that takes no more
// messages than it must.
func TestRandomInterest(t *testing.T) {
	for _, kind := range []string{"sessions", "plain"} {
		t.Run(kind, func(t *testing.T) {
			nemesis.Walk(t, 20, func(t *testing.T, seed uint64) {
				synctest.Test(t, func(t *testing.T) { newAsking(t, kind == "sessions", seed).run() })
			})
		})
	}
}

// asking is a link that asks a hub for its topics.
type asking struct {
	t        *testing.T
	rng      *rand.Rand
	hub      *hub.Hub
	link     *link.Link
	sessions bool
	wg       sync.WaitGroup
	log      []string

	mu        sync.Mutex
	near      *link.PipeConn
	away      time.Time // until then there is no way to the hub
	forbidden map[string]bool
	told      []eventtarget.Topic // that are refused, over this connection
	asked     int                 // topics, of Authorize
	adds      int
	ears      []*asker
}

// asker is a listener.
type asker struct {
	topic eventtarget.Topic
	reg   *eventtarget.Registration // nil: Add has not returned
	heard int                       // events since that was last looked at
	over  bool                      // it was to hear one only, and has
}

func newAsking(t *testing.T, sessions bool, seed uint64) *asking {
	a := &asking{t: t, rng: rand.New(rand.NewPCG(seed, 0)), sessions: sessions, forbidden: make(map[string]bool)}
	ho := hub.Options{OnlySubscribed: !sessions || a.one(2), Heartbeat: -1, OnFault: func(eventtarget.Fault) {}, Authorize: a.authorize}
	lo := link.Options{Subscribe: true, Heartbeat: -1, OnFault: a.fault, Dial: a.dial, Subscriptions: 2 + a.rng.IntN(6)}
	ho.Subscriptions = lo.Subscriptions
	if a.one(3) {
		ho.Subscriptions += a.rng.IntN(3)
	}
	a.note("%d topics, %d at the hub", lo.Subscriptions, ho.Subscriptions)
	var err error
	a.hub, err = hub.New(ho)
	a.must(err)
	a.link, err = link.New(lo)
	a.must(err)
	a.must(a.link.Ready(t.Context()))
	return a
}

func (a *asking) run() {
	for range 60 {
		a.step()
	}
	a.settle()
	for _, e := range a.ears {
		a.link.Remove(e.reg)
	}
	synctest.Wait()
	if got := a.subscriptions(); len(got) > 0 {
		a.t.Errorf("at the end the hub is asked for %v", got)
	}
	a.wg.Wait()
	a.link.Close()
	<-a.link.Done()
	a.hub.Close()
	<-a.hub.Done()
	if a.t.Failed() {
		a.t.Log(strings.Join(a.log, "\n"))
	}
}

func (a *asking) one(of int) bool { return a.rng.IntN(of) == 0 }

func (a *asking) note(format string, args ...any) {
	a.log = append(a.log, fmt.Sprintf(format, args...))
}

func (a *asking) must(err error) {
	if err != nil {
		a.t.Fatalf("%v\n%s", err, strings.Join(a.log, "\n"))
	}
}

func (a *asking) authorize(_ *hub.Spoke, op hub.Op, t eventtarget.Topic) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if op == hub.OpSubscribe {
		a.asked++
	}
	if most := 200 + 40*a.adds; a.asked > most {
		a.t.Errorf("for %d Adds the hub was asked for %d topics", a.adds, a.asked)
		return nil // or it never ends
	}
	if a.forbidden[t.Type] || t.ID == "*" && a.forbidden["*"] {
		return errors.New("no " + t.String())
	}
	return nil
}

func (a *asking) fault(f eventtarget.Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch f.Kind {
	case eventtarget.FaultDispatch:
		a.told = append(a.told, f.Topic)
	case eventtarget.FaultDisconnected:
		a.told = nil
	}
}

func (a *asking) dial(context.Context) (link.Conn, error) {
	near, far := link.Pipe()
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Now().Before(a.away) {
		return nil, errors.New("away")
	}
	a.near = near
	if a.sessions {
		go a.hub.Attach(negotiated{far}, hub.Meta{})
		return negotiated{near}, nil
	}
	_, err := a.hub.Attach(far, hub.Meta{})
	return near, err
}

func (a *asking) step() {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch what := a.rng.IntN(12); {
	case what < 5:
		a.add()
	case what < 8 && len(a.ears) > 0:
		i := a.rng.IntN(len(a.ears))
		if e := a.ears[i]; e.reg != nil {
			a.note("listens no more to %v", e.topic)
			a.link.Remove(e.reg)
			a.ears = slices.Delete(a.ears, i, i+1)
		}
	case what < 9:
		if a.one(2) {
			a.away = time.Now().Add(time.Duration(a.rng.IntN(2000)) * time.Millisecond)
		}
		a.note("cut, away for %v", time.Until(a.away))
		a.near.Cut()
	case what < 10:
		topic := []string{"a", "b", "c", "*"}[a.rng.IntN(4)]
		a.forbidden[topic] = !a.forbidden[topic]
		a.note("forbidden: %v", a.forbidden)
	case what < 11:
		a.mu.Unlock()
		a.settle()
		a.mu.Lock()
	default:
		a.mu.Unlock()
		synctest.Wait()
		a.mu.Lock()
	}
}

// add adds a listener, and does not wait for that. Under mu.
func (a *asking) add() {
	e := &asker{topic: eventtarget.T([]string{"a", "b", "c"}[a.rng.IntN(3)], []string{"1", "2", "3", "4", "*"}[a.rng.IntN(5)])}
	if a.one(12) {
		e.topic = eventtarget.T("*", "*")
	}
	a.note("listens to %v", e.topic)
	a.adds++
	a.ears = append(a.ears, e)
	patience, once := time.Hour, a.one(6)
	if a.one(3) {
		patience = time.Duration(1+a.rng.IntN(2000)) * time.Millisecond
	}
	a.wg.Go(func() {
		ctx, cancel := context.WithTimeout(a.t.Context(), patience)
		defer cancel()
		reg, err := a.link.Add(ctx, e.topic, eventtarget.Listener[eventtarget.Raw]{Inline: true, Once: once, Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) {
			a.mu.Lock()
			defer a.mu.Unlock()
			e.heard++
			e.over = once
		}})
		a.mu.Lock()
		defer a.mu.Unlock()
		a.note("listens to %v: %v", e.topic, err)
		e.reg = reg
		if err != nil {
			a.ears = slices.DeleteFunc(a.ears, func(o *asker) bool { return o == e })
		}
		if err != nil && !errors.Is(err, eventtarget.ErrForbidden) && (!errors.Is(err, context.DeadlineExceeded) || patience == time.Hour) {
			a.t.Error(err)
		}
	})
}

// settle waits until everything has been said, and sees who hears.
func (a *asking) settle() {
	<-time.After(time.Minute)
	synctest.Wait()
	a.note("settled")
	for _, e := range a.ears {
		if e.over {
			continue
		}
		if e.reg == nil {
			a.t.Errorf("Add of %v does not return", e.topic)
			continue
		}
		topic := e.topic
		if topic.Type == "*" {
			topic.Type = "c"
		}
		if topic.ID == "*" {
			topic.ID = "9"
		}
		e.heard = 0
		a.must(a.hub.Dispatch(a.t.Context(), eventtarget.Event[eventtarget.Raw]{Type: topic.Type, ID: topic.ID}))
		synctest.Wait()
		told := slices.ContainsFunc(a.told, func(t eventtarget.Topic) bool { return t.Matches(e.topic) })
		if e.heard > 1 || e.heard == 0 && !told {
			a.t.Errorf("who listens to %v hears %d times; told of %v; the hub is asked for %v", e.topic, e.heard, a.told, a.subscriptions())
		}
	}
	for _, t := range a.subscriptions() {
		if !slices.ContainsFunc(a.ears, func(e *asker) bool { return !e.over && t.Matches(e.topic) }) {
			a.t.Errorf("the hub is asked for %v, for nobody", t)
		}
	}
}

func (a *asking) subscriptions() (all []eventtarget.Topic) {
	for s := range a.hub.Spokes() {
		all = append(all, s.Subscriptions()...)
	}
	return all
}
