package link

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// interest is what a link asks its hub for: the topics that have listeners, each
// once, or something wider where those are too many. All of it is under the link's
// mu.
type interest struct {
	most      int                       // of topics to be asked for
	listeners map[eventtarget.Topic]int // how many on each topic
	adding    map[eventtarget.Topic]int // of those, how many an Add waits for
	asked     topicMap[string]          // of the hub, each by the last request for it
	live      topicMap[struct{}]        // of those, what it has confirmed
	refused   map[eventtarget.Topic]string

	requests []request                      // to be sent
	waiting  map[string][]eventtarget.Topic // sent and not yet answered, by id
	lastID   uint64
}

type topicMap[V any] map[eventtarget.Topic]V

type request struct {
	id     string
	kind   string
	topics []eventtarget.Topic
}

func newInterest(most int) *interest {
	return &interest{
		most: most, listeners: make(map[eventtarget.Topic]int), adding: make(map[eventtarget.Topic]int), asked: make(topicMap[string]), live: make(topicMap[struct{}]),
		refused: make(map[eventtarget.Topic]string), waiting: make(map[string][]eventtarget.Topic),
	}
}

func everyID(t eventtarget.Topic) eventtarget.Topic {
	return eventtarget.T(t.Type, eventtarget.Wildcard)
}

var everything = eventtarget.T(eventtarget.Wildcard, eventtarget.Wildcard)

// covers tells whether what stands in the set brings a topic.
func (s topicMap[V]) covers(t eventtarget.Topic) bool {
	for _, selector := range [...]eventtarget.Topic{t, everyID(t), everything} {
		if _, found := s[selector]; found {
			return true
		}
	}
	return false
}

// add notes a listener more.
func (i *interest) add(t eventtarget.Topic) {
	i.listeners[t]++
	delete(i.refused, t)
	if selector, ask := i.lacks(t); ask {
		i.subscribe([]eventtarget.Topic{selector})
	}
}

// lacks returns what to ask for so that a listener hears its topic, if anything. Where one
// topic more is too many it is what includes others; those are dropped when the hub has
// confirmed it. Until then nothing else may be asked for: one place is kept for this.
func (i *interest) lacks(t eventtarget.Topic) (selector eventtarget.Topic, ask bool) {
	switch {
	case i.asked.covers(t) || len(i.asked) >= i.most:
		return t, false
	case len(i.asked) >= i.most-1:
		return i.widened(t), true
	}
	return t, true
}

// remove notes a listener less.
func (i *interest) remove(t eventtarget.Topic) {
	if i.listeners[t]--; i.listeners[t] > 0 {
		return
	}
	delete(i.listeners, t)
	delete(i.refused, t)
	var idle []eventtarget.Topic
	for _, selector := range [...]eventtarget.Topic{t, everyID(t), everything} {
		if _, asked := i.asked[selector]; asked && !i.needed(selector) && !slices.Contains(idle, selector) {
			idle = append(idle, selector)
		}
	}
	i.drop(idle)
}

// needed tells whether any listener is on what a selector brings.
func (i *interest) needed(selector eventtarget.Topic) bool {
	if _, exact := i.listeners[selector]; exact {
		return true
	}
	for t := range i.listeners {
		if selector.Matches(t) || selector == everything {
			return true
		}
	}
	return false
}

// widened returns what to ask for instead of one topic too many: every id of its type
// if that is the one with the most topics, otherwise everything.
func (i *interest) widened(t eventtarget.Topic) eventtarget.Topic {
	types := map[string]int{t.Type: 1}
	for a := range i.asked {
		types[a.Type]++
	}
	widest := t.Type
	for name, n := range types {
		if n > types[widest] {
			widest = name
		}
	}
	if types[widest] == 1 || widest != t.Type {
		return everything // one type's topics would only make room for so many others
	}
	return everyID(t)
}

// included returns what is asked for and a selector brings too.
func (i *interest) included(selector eventtarget.Topic) (all []eventtarget.Topic) {
	for a := range i.asked {
		if a != selector && selector.Matches(a) {
			all = append(all, a)
		}
	}
	return all
}

func (i *interest) drop(topics []eventtarget.Topic) {
	if len(topics) == 0 {
		return
	}
	for _, t := range topics {
		delete(i.asked, t)
		delete(i.live, t)
	}
	i.request(wire.Unsubscribe, topics)
}

func (i *interest) subscribe(topics []eventtarget.Topic) {
	id := i.request(wire.Subscribe, topics)
	for _, t := range topics {
		i.asked[t] = id
	}
}

// request queues a request, with the one before if that is of its kind, and returns its id.
func (i *interest) request(kind string, topics []eventtarget.Topic) (id string) {
	if n := len(i.requests); n > 0 && i.requests[n-1].kind == kind {
		i.requests[n-1].topics = append(i.requests[n-1].topics, topics...)
		return i.requests[n-1].id
	}
	i.lastID++
	id = strconv.FormatUint(i.lastID, 10)
	i.requests = append(i.requests, request{id, kind, topics})
	return id
}

// greeting is the id of the request that stands in the greeting of a session.
const greeting = ""

// greet begins a new connection with a greeting that asks for everything that is needed.
func (i *interest) greet() []string {
	topics := i.reset()
	i.waiting[greeting] = topics
	for _, t := range topics {
		i.asked[t] = greeting
	}
	return texts(topics)
}

func texts(topics []eventtarget.Topic) []string {
	all := make([]string, len(topics))
	for n, t := range topics {
		all[n] = t.String()
	}
	return all
}

// restart asks a new connection for everything that is needed.
func (i *interest) restart() {
	if topics := i.reset(); len(topics) > 0 {
		i.subscribe(topics)
	}
}

// reset forgets what the connection before has answered, and returns what to ask the new one
// for: what was asked of that one, and what it refused to listeners that are still there.
func (i *interest) reset() []eventtarget.Topic {
	clear(i.live)
	clear(i.waiting)
	clear(i.refused)
	i.requests = nil
	for t := range i.listeners {
		if selector, ask := i.lacks(t); ask {
			i.asked[selector] = ""
		}
	}
	return slices.Collect(maps.Keys(i.asked))
}

// pending tells whether there is a request to be sent.
func (i *interest) pending() bool { return i != nil && len(i.requests) > 0 }

// next returns the message of the next request, or nil.
func (i *interest) next() []byte {
	if !i.pending() {
		return nil
	}
	r := i.requests[0]
	i.requests = i.requests[1:]
	p := wire.TopicsPayload{Topics: texts(r.topics)}
	if r.kind == wire.Subscribe {
		i.waiting[r.id] = r.topics
	}
	return wire.AppendControl(nil, r.kind, r.id, p)
}

// answered notes the answer to a request. Of what was given up meanwhile, and asked for anew,
// it says nothing: in between the hub does without. It returns what is refused to listeners
// that no Add waits for.
func (i *interest) answered(id string, refused map[string]string) (untold map[string]string) {
	untold = make(map[string]string)
	wider := false
	var no []eventtarget.Topic
	for _, t := range i.waiting[id] {
		if last, still := i.asked[t]; !still || last != id {
			continue
		}
		wider = wider || t.ID == eventtarget.Wildcard
		if _, forbidden := refused[t.String()]; forbidden {
			no = append(no, t)
			delete(i.asked, t)
		} else {
			i.live[t] = struct{}{}
			i.drop(i.included(t))
		}
	}
	for _, t := range no {
		reason := refused[t.String()]
		for l, n := range i.listeners {
			if !t.Matches(l) || i.asked.covers(l) {
				continue
			}
			if selector, _ := i.lacks(l); l != t && (selector == l || slices.Contains(no, l)) {
				continue // it was never asked for itself, and is below; or has a reason of its own
			}
			i.refused[l] = reason
			if l != t { // the reason is of a topic that nobody has heard of
				i.refused[l] = fmt.Sprintf("more topics than %d, and %s in their place: %s", i.most-1, t, reason)
			}
			if n > i.adding[l] {
				untold[t.String()] = reason
			}
		}
	}
	delete(i.waiting, id)
	if wider { // there is room again for what has waited for that
		for t := range i.listeners {
			if _, no := i.refused[t]; no {
				continue
			}
			if selector, ask := i.lacks(t); ask {
				i.subscribe([]eventtarget.Topic{selector})
			}
		}
	}
	return untold
}

// subscribe notes a new listener, for which an Add will wait until it calls added.
func (l *Link) subscribe(t eventtarget.Topic) (added func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 1
	if !l.settled.Load() {
		n = 0
	}
	l.interest.adding[t] += n
	l.interest.add(t)
	l.wakeWriter()
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.interest.adding[t] -= n; l.interest.adding[t] == 0 {
			delete(l.interest.adding, t)
		}
	}
}

// confirmed waits until the hub has confirmed what a listener needs.
func (l *Link) confirmed(ctx context.Context, r *eventtarget.Registration) error {
	t := r.Topic()
	for {
		l.mu.Lock()
		live, changed, closed := l.interest.live.covers(t), l.change(), l.over != nil || l.state == eventtarget.StateClosed
		reason, refused := l.interest.refused[t]
		l.mu.Unlock()
		switch {
		case closed:
			return eventtarget.ErrClosed
		case live:
			return nil
		case refused:
			return fmt.Errorf("%w: %s", eventtarget.ErrForbidden, reason)
		case eventtarget.CallerOf(ctx) == eventtarget.InlineListener:
			return eventtarget.ErrWouldBlock // the answer comes on the goroutine that we may stand on
		}
		select {
		case <-changed:
		case <-r.Done(): // Once, and already served; or the link is being closed
			if l.registry.Closed() {
				return eventtarget.ErrClosed
			}
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// unsubscribe notes that a listener has gone.
func (l *Link) unsubscribe(t eventtarget.Topic) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.interest.remove(t)
	l.wakeWriter()
}

// subscribed handles the hub's answer.
func (l *Link) subscribed(m wire.Message) error {
	var p wire.SubscribedPayload
	if err := json.Unmarshal(m.Payload, &p); err != nil {
		return err
	}
	l.mu.Lock()
	untold := l.interest.answered(m.ID, p.Refused)
	l.wakeWriter()
	l.broadcast()
	l.mu.Unlock()
	for topic, reason := range untold {
		l.refused(topic, reason)
	}
	return nil
}
