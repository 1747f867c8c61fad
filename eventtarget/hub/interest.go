package hub

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

var everything = eventtarget.T(eventtarget.Wildcard, eventtarget.Wildcard)

// interest knows which spokes want what, but for those who follow the log: an event
// costs what those who want it cost. All of it, and a Spoke's topics and everything,
// is touched inside the log's Update only, which puts the beginning and the end of a
// subscription between two events.
type interest struct {
	topics map[eventtarget.Topic]spokeSet
	all    spokeSet // everything, but not by following: see Conflate
}

type spokeSet map[*Spoke]struct{}

func (i *interest) none() bool { return len(i.topics) == 0 && len(i.all) == 0 }

// match calls fn once for each spoke that wants an event on topic.
func (i *interest) match(topic eventtarget.Topic, fn func(s *Spoke)) {
	ofType := eventtarget.Topic{Type: topic.Type, ID: eventtarget.Wildcard}
	for s := range i.topics[topic] {
		if _, also := s.topics[ofType]; !also && !s.everything {
			fn(s)
		}
	}
	for s := range i.topics[ofType] {
		if !s.everything {
			fn(s)
		}
	}
	for s := range i.all {
		fn(s)
	}
}

func (i *interest) add(s *Spoke, topic eventtarget.Topic) {
	if i.topics == nil {
		i.topics = make(map[eventtarget.Topic]spokeSet)
	}
	if i.topics[topic] == nil {
		i.topics[topic] = make(spokeSet)
		s.hub.wants.add(keyOf(topic), 1)
	}
	i.topics[topic][s] = struct{}{}
}

func (i *interest) addAll(s *Spoke) {
	if i.all == nil {
		i.all = make(spokeSet)
	}
	i.all[s] = struct{}{}
}

func (i *interest) remove(s *Spoke, topic eventtarget.Topic) {
	if i.topics[topic] == nil {
		return
	}
	delete(i.topics[topic], s)
	if len(i.topics[topic]) == 0 {
		delete(i.topics, topic)
		s.hub.wants.add(keyOf(topic), -1)
	}
}

// setEverything notes whether s gets everything. Inside the log's Update.
func (s *Spoke) setEverything(all bool) {
	if s.everything == all {
		return
	}
	s.everything = all
	n := 1
	if !all {
		n = -1
	}
	s.hub.wants.add(allTypes, n)
}

// hearAll makes s get everything, or only its topics, from the log's head on.
func (s *Spoke) hearAll(u framelog.Update, all bool) {
	if s.everything == all {
		return
	}
	s.setEverything(all)
	if s.inbox.overflow() == eventtarget.Conflate { // only what waits in an inbox can be superseded
		if all {
			s.hub.interest.addAll(s)
		} else {
			delete(s.hub.interest.all, s)
		}
		return
	}
	d := &step{kind: doLeave}
	if all {
		d = &step{kind: doFollow, to: u.Head()}
	}
	_ = s.inbox.put(item{at: s.placeFor(u.Head()), do: d}) // ErrGone: it ends
	s.shard.follow(s, all)
	s.shard.mark(s)
}

// forget takes s out of the index, for good.
func (h *Hub) forget(s *Spoke) {
	h.log.Update(func(framelog.Update) {
		delete(h.interest.all, s)
		s.setEverything(false)
		for topic := range s.topics {
			h.interest.remove(s, topic)
		}
	})
}

// subscribe answers a request for topics. The answer stands in the log's order: what
// is dispatched behind it arrives.
func (s *Spoke) subscribe(m wire.Message) error {
	topics, err := topicsOf(m)
	if err == nil {
		s.hear(topics, nil, func(refused map[string]string) *message {
			return s.hub.control(wire.Subscribed, m.ID, wire.SubscribedPayload{Refused: refused})
		})
	}
	return err
}

// hear adds topics to what s hears, and returns those that it may not, with reasons. Of those that
// were added by one that resumes nothing has come before. The answer, if there is to be one,
// stands before all that they bring.
func (s *Spoke) hear(topics, added []eventtarget.Topic, answer func(refused map[string]string) *message) (refused map[string]string) {
	refused = make(map[string]string)
	revoked := s.revoked.Load()
	var fresh, forbidden []eventtarget.Topic
	for _, t := range topics {
		if err := s.hub.authorize(s, OpSubscribe, t); err != nil {
			refused[t.String()] = err.Error()
			forbidden = append(forbidden, t)
		} else {
			fresh = append(fresh, t)
		}
	}
	if len(forbidden) > 0 {
		s.drop(forbidden) // it may have had them until now
	}
	var holds []hold
	var late []eventtarget.Topic // that the bus has not confirmed
	adds := len(fresh) > 0 && s.left == nil
	s.hub.updateOwn(s, adds && s.hub.opts.Snapshot != nil, adds, func(u framelog.Update) {
		if s.topics == nil { // it was sent everything unasked until now, or nothing
			s.topics = make(map[eventtarget.Topic]struct{})
			first := fresh[:min(len(fresh), s.hub.opts.Subscriptions)] // for more there is no room
			s.hearAll(u, s.everything && slices.Contains(first, everything))
		}
		live := fresh[:0]
		for _, t := range fresh {
			switch had, room := s.want(u, t); {
			case !room:
				refused[t.String()] = fmt.Sprintf("%v: %d subscriptions", eventtarget.ErrLimit, s.hub.opts.Subscriptions)
			case !had:
				live = append(live, t)
			}
		}
		at, rest := s.placeFor(u.Head()), live
		if answer != nil {
			if late = s.hub.unconfirmed(live); len(late) == 0 {
				s.post(item{at: at, msg: answer(refused)})
			}
		}
		if s.replays && len(live) > 0 {
			s.replays = false
			var anew []eventtarget.Topic
			anew, rest = s.wasAdded(live, added)
			if s.hub.opts.Snapshot != nil {
				for _, t := range anew {
					holds = append(holds, s.hold(t, s.at))
				}
			}
			if s.replayFirst(u, live, anew) {
				return
			}
		}
		s.beginWith(live, at)
		if s.hub.opts.Snapshot == nil {
			return
		}
		for _, t := range rest {
			holds = append(holds, s.hold(t, at))
		}
	})
	s.hub.recheckSince(s, revoked)
	for _, h := range holds {
		s.fill(h)
	}
	switch {
	case len(late) == 0:
	case int(s.unanswered.Add(1)) > s.hub.opts.Subscriptions: // it does not want what it asks for
		s.unanswered.Add(-1)
		s.drop(late)
		for _, t := range late {
			refused[t.String()] = eventtarget.ErrLimit.Error()
		}
		s.answer(answer(refused))
	default:
		s.hub.wg.Go(func() { s.answerLate(late, refused, answer) })
	}
	return refused
}

// wasAdded takes topics apart: those that are new to a spoke that resumes, and the rest.
func (s *Spoke) wasAdded(topics, added []eventtarget.Topic) (anew, rest []eventtarget.Topic) {
	for _, t := range topics {
		if s.resumes && slices.Contains(added, t) {
			anew = append(anew, t)
		} else {
			rest = append(rest, t)
		}
	}
	return anew, rest
}

// want adds a topic to what s hears. Inside the log's Update.
func (s *Spoke) want(u framelog.Update, t eventtarget.Topic) (had, room bool) {
	if _, had := s.topics[t]; had {
		return true, true
	}
	if len(s.topics) >= s.hub.opts.Subscriptions {
		return false, false
	}
	s.topics[t] = struct{}{}
	if t == everything {
		s.hearAll(u, true)
	} else {
		s.hub.interest.add(s, t)
	}
	return false, true
}

// unsubscribe ends what subscribe began.
func (s *Spoke) unsubscribe(m wire.Message) error {
	topics, err := topicsOf(m)
	if err == nil {
		s.drop(topics)
	}
	return err
}

// drop ends what hear began.
func (s *Spoke) drop(topics []eventtarget.Topic) {
	s.hub.log.Update(func(u framelog.Update) {
		for _, t := range topics {
			if _, had := s.topics[t]; !had {
				continue
			}
			delete(s.topics, t)
			if t == everything {
				s.hearAll(u, false)
			} else {
				s.hub.interest.remove(s, t)
			}
		}
	})
}

// reconcile makes what a spoke that is back hears what it says that it wants: it may
// have asked for something while nobody heard it. It returns what is refused.
func (s *Spoke) reconcile(g greeting) (refused map[string]string) {
	if g.hello.Topics == nil {
		return nil
	}
	var unwanted []eventtarget.Topic
	for _, t := range s.Subscriptions() {
		if !slices.Contains(g.topics, t) {
			unwanted = append(unwanted, t)
		}
	}
	s.drop(unwanted)
	return s.hear(g.topics, nil, nil)
}

func topicsOf(m wire.Message) ([]eventtarget.Topic, error) {
	var p wire.TopicsPayload
	if err := json.Unmarshal(m.Payload, &p); err != nil {
		return nil, fmt.Errorf("%s: %w", m.Type, err)
	}
	return parseTopics(m.Type, p.Topics)
}

func parseTopics(messageType string, texts []string) ([]eventtarget.Topic, error) {
	topics := make([]eventtarget.Topic, 0, len(texts))
	for _, text := range texts {
		t, err := eventtarget.ParseTopic(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", messageType, err)
		}
		topics = append(topics, t)
	}
	return topics, nil
}

// Interested returns how many spokes would be sent an event on topic.
func (h *Hub) Interested(topic eventtarget.Topic) int {
	n := 0
	h.log.Update(func(framelog.Update) {
		h.interest.match(topic, func(*Spoke) { n++ })
	})
	for _, sh := range h.shards {
		n += sh.following()
	}
	return n
}
