package hub

import (
	"context"
	"maps"
	"slices"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Present is a spoke of one of the hubs that are joined.
type Present struct {
	Hub      string `json:"hub"` // its name
	ID       string `json:"id"`
	Identity string `json:"identity,omitempty"`
}

// Tally is what the hubs that are joined say together.
type Tally struct {
	// Count is how many spokes there are, at those hubs that answered.
	Count int
	// Spokes are they, at most 1000 of each hub. Of those who hear a topic it has none.
	Spokes []Present
	// Missing are the names of the hubs that did not answer in time.
	Missing []string
}

// maxPresent bounds the spokes that one hub tells of.
const maxPresent = 1000

// poll gathers answers.
type poll struct {
	tally   Tally
	waiting map[string]string // names by id of those who have not answered
	done    chan struct{}
}

// Interested asks all hubs how many spokes would be sent an event on topic.
func (m *Membership) Interested(ctx context.Context, topic eventtarget.Topic) (Tally, error) {
	if err := topic.CheckSelector(); err != nil {
		return Tally{}, m.hub.fail("poll", topic, err)
	}
	return m.poll(ctx, notice{Topic: topic.String()})
}

// Group asks all hubs for the members of a group.
func (m *Membership) Group(ctx context.Context, name string) (Tally, error) {
	return m.poll(ctx, notice{To: address{Group: name}})
}

// Identity asks all hubs for the spokes of an identity.
func (m *Membership) Identity(ctx context.Context, id string) (Tally, error) {
	return m.poll(ctx, notice{To: address{Identity: id}})
}

// poll asks all hubs that are there and waits until the last one has answered, or a third
// of the lease has passed, or ctx ends: who has not answered by then is missing, which is
// no error. The error is that the bus does not take the question, which they may have heard
// nevertheless.
func (m *Membership) poll(ctx context.Context, ask notice) (Tally, error) {
	ask.Kind, ask.Poll = noticeAsk, newID()
	own := m.answer(ask)
	p := &poll{tally: Tally{Count: int(own.Count), Spokes: own.Members}, waiting: make(map[string]string), done: make(chan struct{})}
	m.mu.Lock()
	for id, o := range m.others {
		p.waiting[id] = o.Name
	}
	alone := len(p.waiting) == 0
	m.polls[ask.Poll] = p
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.polls, ask.Poll)
	}()
	if alone {
		return p.tally, nil
	}
	limited, cancel := context.WithTimeout(ctx, m.opts.Lease/3)
	defer cancel()
	err := m.send(limited, "", ask)
	if err != nil {
		err = m.hub.fail("poll", eventtarget.Topic{}, err)
	} else {
		select {
		case <-p.done:
		case <-limited.Done():
		case <-m.ctx.Done():
		}
	}
	m.mu.Lock() // they may answer nevertheless
	defer m.mu.Unlock()
	p.tally.Missing = slices.Sorted(maps.Values(p.waiting))
	return p.tally, err
}

// answer is what this hub says to a question.
func (m *Membership) answer(ask notice) notice {
	n := notice{Kind: noticeAnswer, Poll: ask.Poll}
	if ask.Topic != "" {
		if topic, err := eventtarget.ParseTopic(ask.Topic); err == nil {
			n.Count = uint64(m.hub.Interested(topic))
		}
		return n
	}
	to := m.hub.Group(ask.To.Group).Audience
	if ask.To.Identity != "" {
		to = m.hub.Identity(ask.To.Identity)
	}
	for s := range to.Spokes() {
		if n.Count++; n.Count <= maxPresent {
			n.Members = append(n.Members, Present{Hub: m.opts.Name, ID: s.ID(), Identity: s.Identity()})
		}
	}
	return n
}

func (m *Membership) answered(n notice) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.polls[n.Poll]
	if p == nil {
		return
	}
	if _, waits := p.waiting[n.Hub]; !waits {
		return
	}
	delete(p.waiting, n.Hub)
	p.tally.Count += int(n.Count)
	p.tally.Spokes = append(p.tally.Spokes, n.Members...)
	if len(p.waiting) == 0 {
		close(p.done)
	}
}
