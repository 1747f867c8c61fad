package hub_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestRandomPermits: whatever peers are allowed and forbidden, while they come, go, subscribe and
// dispatch: nobody hears what was dispatched while they were not allowed to, no listener of the hub
// hears of a peer what that may not say, it is told so, and nobody else misses anything.
func TestRandomPermits(t *testing.T) {
	random(t, []string{"sessions", "plain"}, func(t *testing.T, kind string, seed uint64) {
		w := &permits{diary: diary{t: t}, rng: rand.New(rand.NewPCG(seed, 0)), sessions: kind == "sessions"}
		o := hub.Options{Heartbeat: -1, OnFault: func(eventtarget.Fault) {}, Authorize: w.authorize, OnlySubscribed: w.rng.IntN(2) == 0}
		w.note("only subscribed: %v", o.OnlySubscribed)
		w.asks = o.OnlySubscribed
		w.hub = newHub(t, o)
		_, err := w.hub.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Listener[raw]{Inline: true, Handle: w.heard})
		w.must(err)
		for range 3 {
			w.all = append(w.all, w.connect())
		}
		w.settle()
		for range 120 {
			w.step()
		}
		w.settle()
		for _, p := range w.all {
			w.check(p)
			p.Close()
			<-p.Done()
		}
		w.tell()
	})
}

var permitTypes = []string{"a", "b", "c"}

// permits are a hub that does not allow everyone everything, and its peers.
type permits struct {
	diary
	rng      *rand.Rand
	hub      *hub.Hub
	sessions bool
	asks     bool
	all      []*permitted
	peers    int            // that there have been
	denied   []map[int]bool // of each event, the peers that may not have it
	types    []string       // of each event

	table sync.RWMutex // no other lock is asked for under it
}

func (w *permits) allowed(p *permitted, op hub.Op, eventType string) bool {
	w.table.RLock()
	defer w.table.RUnlock()
	if eventType != eventtarget.Wildcard {
		return !p.no[op][eventType]
	}
	return len(p.no[op]) == 0
}

func (w *permits) authorize(s *hub.Spoke, op hub.Op, t eventtarget.Topic) error {
	defer func() { // what is allowed may change before anything is made of it
		for range t.Type[0] % 7 * 5 {
			runtime.Gosched()
		}
	}()
	if p := s.Value(is{}).(*permitted); !w.allowed(p, op, t.Type) {
		return errors.New("no " + t.Type)
	}
	return nil
}

func (w *permits) heard(_ context.Context, e eventtarget.Event[raw]) {
	n, _ := strconv.Atoi(string(e.Payload))
	p := e.Source.(*hub.Spoke).Value(is{}).(*permitted)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = append(p.said, n)
}

func (w *permits) connect() *permitted {
	p := &permitted{n: w.peers, had: 1, subscribe: w.asks || w.rng.IntN(3) > 0, no: make(map[hub.Op]map[string]bool), lacks: make(map[string]bool), whole: true}
	for _, op := range []hub.Op{hub.OpSubscribe, hub.OpDispatch} {
		p.no[op] = make(map[string]bool)
		if w.rng.IntN(2) == 0 {
			p.no[op][permitTypes[w.rng.IntN(len(permitTypes))]] = true
			p.whole = p.whole && op == hub.OpDispatch
		}
	}
	o := link.Options{
		Subscribe: p.subscribe, Heartbeat: -1,
		OnFault: func(f eventtarget.Fault) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if f.Kind == eventtarget.FaultDispatch && f.Topic.ID == "" {
				p.told++
			}
		},
		OnState: func(c link.Change) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if c.State == eventtarget.StateUp && !c.Resumed {
				p.begun++
			}
		},
		Dial: func(context.Context) (link.Conn, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			if time.Now().Before(p.away) {
				return nil, errors.New("away")
			}
			w.shows(p)
			near, far := link.Pipe()
			p.near = near
			meta := hub.Meta{Values: map[any]any{is{}: p}}
			if w.sessions {
				go w.hub.Attach(negotiated{far}, meta)
				return negotiated{near}, nil
			}
			_, err := w.hub.Attach(far, meta)
			return near, err
		},
	}
	if w.rng.IntN(2) == 0 {
		o.Subscriptions = 2 + w.rng.IntN(3)
	}
	w.note("peer %d: subscribes %v, may not %v", p.n, p.subscribe, p.no)
	var err error
	p.Link, err = link.New(o)
	w.must(err)
	w.peers++
	return p
}

// settle waits until everybody is connected, or has ended, and everything has arrived; who has
// ended is followed by another one.
func (w *permits) settle() {
	for _, p := range w.all {
		p.mu.Lock()
		p.away = time.Time{}
		p.mu.Unlock()
	}
	<-time.After(time.Minute)
	synctest.Wait()
	w.note("settled")
	for i, p := range w.all {
		p.mu.Lock()
		begun := p.begun
		p.mu.Unlock()
		ended := p.State() == eventtarget.StateClosed
		if !ended && p.State() != eventtarget.StateUp {
			w.t.Errorf("peer %d is %v", p.n, p.State())
		}
		if ended || begun != p.had {
			w.note("peer %d: ended %v, begun %d", p.n, ended, begun)
			w.broken(p)
		}
		p.had = begun
		w.check(p)
		if ended {
			w.all[i] = w.connect()
			<-time.After(time.Second)
			synctest.Wait()
		}
	}
}

func (w *permits) step() {
	p := w.all[w.rng.IntN(len(w.all))]
	topic := permitTypes[w.rng.IntN(len(permitTypes))]
	switch what := w.rng.IntN(20); {
	case what < 6:
		denied := make(map[int]bool)
		for _, p := range w.all {
			denied[p.n] = !w.allowed(p, hub.OpSubscribe, topic)
		}
		w.denied, w.types = append(w.denied, denied), append(w.types, topic)
		n := len(w.types) - 1
		w.note("the hub dispatches %d on %s, not for %v", n, topic, denied)
		w.must(w.hub.Dispatch(w.t.Context(), event(topic, "", strconv.Itoa(n))))
	case what < 10:
		n := len(p.sent)
		if err := p.Dispatch(w.t.Context(), event(topic, "", strconv.Itoa(n))); err != nil {
			w.note("peer %d: %v", p.n, err)
			return
		}
		p.sent = append(p.sent, saying{n: n, allowed: w.allowed(p, hub.OpDispatch, topic)})
		w.note("peer %d dispatches %d on %s", p.n, n, topic)
	case what < 13:
		w.note("peer %d is cut off, away for %v", p.n, p.cut(w.rng))
		if w.rng.IntN(3) == 0 {
			w.note("from its next connection on it may not hear %s", topic)
			p.mu.Lock()
			p.next = topic
			p.mu.Unlock()
		}
		if !w.sessions {
			w.broken(p)
			w.settle()
		}
	case what < 15:
		w.listen(p)
	case what < 16 && len(p.ears) > 0:
		e := p.ears[w.rng.IntN(len(p.ears))]
		p.Remove(e.reg)
		e.broken = true
		w.note("peer %d no longer listens to %v", p.n, e.topic)
	case what < 18:
		w.change(p, topic)
	case what < 19:
		d := time.Duration(1+w.rng.IntN(1500)) * time.Millisecond
		w.note("%v", d)
		<-time.After(d)
	default:
		synctest.Wait()
	}
}

// shows has what the peer shows for a new connection allow it less than for those before. Under
// the peer's mu.
func (w *permits) shows(p *permitted) {
	if p.next == "" {
		return
	}
	w.table.Lock()
	p.no[hub.OpSubscribe][p.next] = true
	w.table.Unlock()
	p.lacks[p.next], p.whole, p.next = true, false, ""
}

// change allows a peer something, or forbids it.
func (w *permits) change(p *permitted, topic string) {
	op := hub.Op(w.rng.IntN(2))
	w.table.Lock()
	no := !p.no[op][topic]
	if no {
		p.no[op][topic] = true
	} else {
		delete(p.no[op], topic)
	}
	w.table.Unlock()
	w.note("peer %d may not %v %s: %v", p.n, op, topic, no)
	if op == hub.OpDispatch {
		for i := range p.sent {
			p.sent[i].uncertain = true // as far as it has not arrived
		}
		return
	}
	p.mu.Lock()
	p.whole = p.whole && !no
	delete(p.lacks, topic)
	p.mu.Unlock()
	if !no {
		return
	}
	for s := range w.hub.Spokes() {
		if s.Value(is{}) == p {
			w.note("revoked: %v", w.hub.Revoke(s))
		}
	}
	for _, e := range p.ears {
		e.broken = true // it may have ended
	}
	w.settle()
	for _, e := range p.ears {
		p.Remove(e.reg)
	}
}
