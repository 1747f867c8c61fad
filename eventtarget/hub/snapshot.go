package hub

import (
	"container/list"
	"math"
	"slices"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// hold keeps a place in a spoke's inbox for a snapshot. What is dispatched meanwhile
// waits behind it.
type hold struct {
	topic eventtarget.Topic
	step  *step
	at    framelog.Position
	log   bool // the spoke follows the log
}

// hold puts one in. Inside the log's Update.
func (s *Spoke) hold(t eventtarget.Topic, at framelog.Position) hold {
	h := hold{topic: t, step: &step{kind: doHold}, at: at, log: s.everything}
	_ = s.inbox.put(item{at: at, do: h.step}) // ErrGone: it ends
	return h
}

// fill puts the snapshot in its place, and takes out what it already has.
func (s *Spoke) fill(h hold) {
	events, since := s.snapshot(h.topic)
	var messages []*message
	for i := range events {
		if err := wire.Check(&events[i], s.hub.opts.Limits); err != nil {
			s.hub.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDispatch, Topic: events[i].Topic(), Peer: s.ID(), Count: 1, Err: err})
			continue
		}
		messages = append(messages, s.hub.message(events[i].Topic(), wire.Append(nil, &events[i])))
	}
	s.inbox.fill(h.step, messages, s.covered(h, since), func(i item) bool {
		return i.msg != nil && !i.msg.own && !i.msg.control() && since.valid && i.at.Offset < since.at.Offset && h.topic.Matches(i.msg.topic)
	})
	s.shard.mark(s)
}

// covered returns the skips over what the snapshot already has in the log, where s follows that.
func (s *Spoke) covered(h hold, since Position) (skips []item) {
	if !h.log || !since.valid {
		return nil
	}
	for at := h.at; at.Offset < since.at.Offset; {
		run, ok := s.hub.log.Read(at, since.at)
		if !ok {
			return nil // the log has lost it, and the spoke will
		}
		run.Messages(func(msg []byte, after framelog.Position) bool {
			from := at
			at = after
			m, err := wire.Decode(msg, s.hub.opts.Limits)
			if err == nil && h.topic.Matches(eventtarget.Topic{Type: m.Type, ID: m.ID}) && !s.inbox.passesOver(from) {
				skips = append(skips, item{at: from, do: &step{kind: doSkip, to: after}})
			}
			return true
		})
	}
	return skips
}

// snapshot calls the user's function. One that panics has no snapshot.
func (s *Spoke) snapshot(t eventtarget.Topic) (events []eventtarget.Event[eventtarget.Raw], since Position) {
	returned := false
	defer func() {
		if !returned {
			s.hub.hookPanicked(s.ID(), "Snapshot", recover())
		}
	}()
	events, since = s.hub.opts.Snapshot(s, t)
	returned = true
	return events, since
}

// fill replaces an item by messages, puts skips in and takes out those behind it that drop says.
func (b *inbox) fill(at *step, messages []*message, skips []item, drop func(item) bool) {
	b.mu.Lock()
	defer b.unlock()
	n := slices.IndexFunc(b.items, func(i item) bool { return i.do == at })
	if n < 0 {
		return // the spoke is gone
	}
	items := slices.Clone(b.items[:n])
	for _, m := range messages {
		items = append(items, item{at: b.items[n].at, msg: m})
		b.charge(len(m.bytes), 1)
	}
	for _, i := range b.items[n+1:] {
		for len(skips) > 0 && skips[0].at.Offset < i.at.Offset {
			items, skips = append(items, skips[0]), skips[1:]
		}
		if drop(i) {
			b.charge(-len(i.msg.bytes), -1)
			i.msg = nil
			b.dead++
		}
		items = append(items, i)
	}
	b.items = append(items, skips...)
	b.took = time.Now() // nobody could take anything before
	b.compact()
}

// retained keeps the last event of each topic that the hub was told to. The least
// recently dispatched topic gives way to a new one. Inside the log's Update.
type retained struct {
	hub    *Hub
	topics map[eventtarget.Topic]*list.Element
	order  list.List // of *kept, the most recent in front
	size   int       // of what is kept
}

type kept struct {
	msg *message
	at  framelog.Position
}

// keptSize is about what a topic costs here beside its message.
const keptSize = 300

func (k *kept) size() int { return len(k.msg.bytes) + keptSize }

// retains asks the user's function. Where it panics nothing is kept.
func (h *Hub) retains(topic eventtarget.Topic) (keep bool) {
	if h.opts.Retain == nil {
		return false
	}
	returned := false
	defer func() {
		if !returned {
			h.hookPanicked("", "Retain", recover())
		}
	}()
	keep = h.opts.Retain(topic)
	returned = true
	return keep
}

func (r *retained) keep(topic eventtarget.Topic, msg []byte, at framelog.Position) {
	if r.topics == nil {
		r.topics = make(map[eventtarget.Topic]*list.Element)
	}
	k := &kept{msg: r.hub.message(topic, msg), at: at}
	if e, found := r.topics[topic]; found {
		r.remove(e)
	}
	r.topics[topic] = r.order.PushFront(k)
	r.size += k.size()
	for len(r.topics) > 1 && (len(r.topics) > r.hub.opts.RetainTopics || r.size > r.hub.opts.RetainBytes) {
		r.remove(r.order.Back())
	}
}

func (r *retained) remove(e *list.Element) {
	k := e.Value.(*kept)
	r.size -= k.size()
	delete(r.topics, k.msg.topic)
	r.order.Remove(e)
}

// beginWith puts what of some topics was retained before a position into the spoke's inbox there:
// if it is too much for that the last of it, behind a gap, with room to spare. Inside the log's Update.
func (s *Spoke) beginWith(topics []eventtarget.Topic, at framelog.Position) {
	kept := s.hub.retained.between(topics, framelog.Position{}, at)
	waits, size := s.inbox.waiting()
	all := space{s.hub.opts.SpokeEvents - waits, s.hub.opts.SpokeBytes - size}
	if s.inbox.overflow() == eventtarget.Block { // dispatchers wait behind it
		all = space{all.count + s.hub.opts.SpokeEvents, math.MaxInt}
	}
	cut := 0
	if tooMany(kept, all) > 0 && len(kept)+waits > 1 {
		cut = tooMany(kept, s.room(2, 1))
		s.post(item{at: at, msg: s.gapMessage(uint64(cut))})
	}
	for _, i := range kept[cut:] {
		s.post(i)
	}
}

// between returns what of some topics was retained between two positions, at the second one, the
// oldest of each first.
func (r *retained) between(topics []eventtarget.Topic, from, at framelog.Position) (items []item) {
	add := func(k *kept) {
		if from.Offset <= k.at.Offset && k.at.Offset < at.Offset {
			items = append(items, item{at: at, msg: k.msg})
		}
	}
	for _, t := range topics {
		if t.ID != eventtarget.Wildcard {
			if e, found := r.topics[t]; found {
				add(e.Value.(*kept))
			}
			continue
		}
		for e := r.order.Back(); e != nil; e = e.Prev() {
			if k := e.Value.(*kept); t.Matches(k.msg.topic) {
				add(k)
			}
		}
	}
	return items
}
