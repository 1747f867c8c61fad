package hub_test

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// permitted is a peer.
type permitted struct {
	*link.Link
	n         int
	subscribe bool
	ears      []*permittedEar
	sent      []saying
	had       int // connections without those before, when it was last settled

	cord
	no    map[hub.Op]map[string]bool // under the table's lock
	next  string                     // what it may not hear any more from its next connection on
	lacks map[string]bool            // what it may not hear since such a connection
	whole bool                       // it has been allowed everything ever since it began
	begun int
	told  int // how often that it may not dispatch something
	said  []int
}

// saying is an event of a peer's.
type saying struct {
	n         int
	allowed   bool // when it was dispatched
	uncertain bool // that changed before it had arrived, or the session may have ended
}

type permittedEar struct {
	topic  eventtarget.Topic
	reg    *eventtarget.Registration
	from   int  // the event before which it came
	broken bool // it has left, or its session has ended: it may miss something

	mu    sync.Mutex
	heard []int
}

// broken notes that what was under way for a peer may be lost, and what it says.
func (w *permits) broken(p *permitted) {
	for _, e := range p.ears {
		e.broken = true
		p.Remove(e.reg)
	}
	for i := range p.sent {
		p.sent[i].uncertain = true
	}
}

func (w *permits) listen(p *permitted) {
	topic := eventtarget.T([]string{"a", "b", "c", "*"}[w.rng.IntN(4)], "*")
	if topic.Type != "*" && w.rng.IntN(2) == 0 {
		topic.ID = ""
	}
	e := &permittedEar{topic: topic}
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
	defer cancel()
	var err error
	may := w.allowed(p, hub.OpSubscribe, topic.Type)
	e.reg, err = p.Add(ctx, topic, eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, ev eventtarget.Event[raw]) {
		n, _ := strconv.Atoi(string(ev.Payload))
		p.mu.Lock()
		if p.lacks[ev.Type] {
			w.t.Errorf("peer %d heard %d over a connection that may not bring it", p.n, n)
		}
		p.mu.Unlock()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.heard = append(e.heard, n)
	}})
	w.note("peer %d listens to %v: %v", p.n, topic, err)
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		e.from = len(w.types)
		e.broken = !p.subscribe && !p.whole
		p.ears = append(p.ears, e)
	}
	if p.subscribe && err == nil && !may {
		w.t.Errorf("peer %d may listen to %v", p.n, topic)
	}
}

// check compares what a peer heard with what it was to hear, and what was heard of it with what it
// may say.
func (w *permits) check(p *permitted) {
	for _, e := range p.ears {
		e.mu.Lock()
		w.compare(p, e)
		e.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	refused, heard := 0, 0
	for i, s := range p.sent {
		was := heard < len(p.said) && p.said[heard] == s.n
		if was {
			heard++
		}
		if !s.uncertain && was != s.allowed {
			w.t.Errorf("event %d of peer %d, allowed %v, was heard: %v", s.n, p.n, s.allowed, was)
		}
		if !was {
			refused++
		}
		p.sent[i].uncertain, p.sent[i].allowed = true, was
	}
	if heard != len(p.said) {
		w.t.Errorf("of peer %d was heard %v", p.n, p.said)
	}
	if p.had == 1 && p.told != refused && w.sessions && p.State() == eventtarget.StateUp {
		w.t.Errorf("peer %d was refused %d events, and told of %d", p.n, refused, p.told)
	}
}

// compare compares what a listener heard with what it was to hear.
func (w *permits) compare(p *permitted, e *permittedEar) {
	at := 0
	for n, denied := range w.denied {
		if !e.topic.Matches(eventtarget.T(w.types[n], "")) {
			continue
		}
		was := at < len(e.heard) && e.heard[at] == n
		if was {
			at++
		}
		if no, there := denied[p.n]; was && no && there {
			w.t.Errorf("peer %d heard %d, which it may not", p.n, n)
		}
		if n >= e.from && !was && !e.broken {
			w.t.Errorf("peer %d, %v, did not hear %d", p.n, e.topic, n)
		}
	}
	if at != len(e.heard) {
		w.t.Errorf("peer %d, %v: heard %v", p.n, e.topic, e.heard)
	}
}
