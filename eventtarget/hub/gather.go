package hub

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// notice is what hubs tell each other: the payload of an event of the type ownType. Its id
// is the hub that it is for, or empty.
type notice struct {
	Kind  string `json:"kind"`
	Hub   string `json:"hub"`
	Name  string `json:"name"`
	Since int64  `json:"since"` // when it joined, Unix nanoseconds
	Lease int64  `json:"lease"` // milliseconds

	Spokes  int       `json:"spokes,omitempty"`  // noticeHere
	Count   uint64    `json:"count,omitempty"`   // noticeLost, where 0 is unknown; noticeAnswer
	Types   []string  `json:"types,omitempty"`   // noticeLost; none: any
	Number  uint64    `json:"number,omitempty"`  // noticeLost: which one of its hub it is
	Poll    string    `json:"poll,omitempty"`    // noticeAsk, noticeAnswer
	Topic   string    `json:"topic,omitempty"`   // noticeAsk: one of these three
	To      address   `json:"to,omitzero"`       //
	Members []Present `json:"members,omitempty"` // noticeAnswer

	missed uint64 // noticeLost: how many it is about, for its own hub
}

// The kinds of notices.
const (
	noticeHere   = "here" // a sign of life
	noticeNew    = "new"  // the first one: to be answered by one
	noticeGone   = "gone"
	noticeLost   = "lost" // the bus did not get something
	noticeAsk    = "ask"
	noticeAnswer = "answer"
)

// Member is one of the hubs that are joined.
type Member struct {
	// ID names the membership, Name the hub.
	ID, Name string
	// Since is when it joined, by its own clock.
	Since time.Time
	// Spokes is how many it had, Seen when it said so.
	Spokes int
	Seen   time.Time

	lease  time.Duration
	silent time.Duration // since then, but for when nothing could be heard: see expire
	lost   uint64        // the number of the last notice that the bus did not get something
}

// Hubs returns the hubs that are joined and said so lately, this one first, the others by
// name. Once the membership has ended there are no others.
func (m *Membership) Hubs() []Member {
	all := []Member{{ID: m.id, Name: m.opts.Name, Since: m.since, Spokes: m.hub.Len(), Seen: time.Now()}}
	m.mu.Lock() // never around the hub's own lock, under which wants change
	defer m.mu.Unlock()
	for _, o := range m.others {
		all = append(all, *o)
	}
	slices.SortFunc(all[1:], func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// send gives a notice to the bus and waits for that.
func (m *Membership) send(ctx context.Context, to string, n notice) error {
	return m.bus.Dispatch(ctx, m.event(to, n))
}

// maxPosts bounds the notices that wait for the bus.
const maxPosts = 256

// post sends a notice some time soon, if there is room for it: who waits for it does so no
// longer than he wants.
func (m *Membership) post(to string, n notice) {
	o := &m.outbox
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.posts == maxPosts {
		return
	}
	o.posts++
	m.hub.wg.Go(func() {
		defer o.posted()
		ctx, cancel := context.WithTimeout(m.ctx, m.opts.Lease/3)
		defer cancel()
		_ = m.send(ctx, to, n)
	})
}

func (m *Membership) event(to string, n notice) eventtarget.Event[eventtarget.Raw] {
	n.Hub, n.Name, n.Since, n.Lease = m.id, m.opts.Name, m.since.UnixNano(), m.opts.Lease.Milliseconds()
	payload, _ := json.Marshal(n) // it always can
	return eventtarget.Event[eventtarget.Raw]{Type: ownType, ID: to, Payload: payload}
}

// announce says for the first time that the hub is here, and asks the others to say so.
func (m *Membership) announce(ctx context.Context) error {
	return m.send(ctx, "", notice{Kind: noticeNew, Spokes: m.hub.Len()})
}

// renew gives signs of life and looks for those of others, as long as the membership lasts.
func (m *Membership) renew() {
	tick := time.NewTicker(m.opts.Lease / 3)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-m.ctx.Done():
			return
		}
		m.askAgain()
		ctx, cancel := context.WithTimeout(m.ctx, m.opts.Lease/3)
		err := m.send(ctx, "", notice{Kind: noticeHere, Spokes: m.hub.Len()})
		cancel()
		if err == nil {
			_ = m.tellMissing(m.ctx) // it is tried again
			m.expire()
		}
	}
}

// expire takes out those who have given no sign of life for longer than their lease. It is
// called three times in a lease if the bus takes notices. While it does not nobody else can
// give any either, and while what it has brought is being handled they may wait behind that:
// neither is counted.
func (m *Membership) expire() {
	if m.inside.Load() > 0 || m.cut.Load() {
		return
	}
	m.mu.Lock()
	var gone []*Member
	for id, o := range m.others {
		if o.silent += m.opts.Lease / 3; o.silent > o.lease {
			gone = append(gone, o)
			delete(m.others, id)
		}
	}
	m.mu.Unlock()
	for _, o := range gone {
		why := fmt.Errorf("%w: %s", errVanished, o.Name)
		if m.hub.sharesLog() { // what it had accepted stands there
			m.hub.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDisconnected, Err: why})
			continue
		}
		m.hub.tellGap(0, why)
	}
}

// notice takes in what another hub tells.
func (m *Membership) notice(e eventtarget.Event[eventtarget.Raw]) {
	var n notice
	if err := n.read(e.Payload); err != nil {
		m.malformed(e, err)
		return
	}
	if n.Hub == m.id || e.ID != "" && e.ID != m.id {
		return
	}
	if n.Kind == noticeGone {
		m.mu.Lock()
		delete(m.others, n.Hub)
		m.mu.Unlock()
		return
	}
	if !m.seen(n) {
		m.malformed(e, errCrowd)
		return
	}
	switch n.Kind {
	case noticeNew:
		m.post(n.Hub, notice{Kind: noticeHere, Spokes: m.hub.Len()})
	case noticeLost:
		if m.again(n) {
			return
		}
		m.hub.tellGap(n.Count, fmt.Errorf("%w: %s", errNotPassed, n.Name), n.Types...)
	case noticeAsk:
		m.post(n.Hub, m.answer(n))
	case noticeAnswer:
		m.answered(n)
	}
}

// What bounds what others on the bus can make a hub remember of them.
const (
	maxHubs  = 1024
	maxName  = 1024 // bytes
	minLease = 30 * time.Millisecond
	maxLease = time.Hour
)

// read reads a notice that somebody else may have made up.
func (n *notice) read(payload []byte) error {
	if err := json.Unmarshal(payload, n); err != nil {
		return err
	}
	if n.Hub == "" || len(n.Hub) > maxName || len(n.Name) > maxName || n.Lease <= 0 || n.Lease > maxLease.Milliseconds() {
		return errNoHub
	}
	return nil
}

// seen notes a sign of life. Of two hubs of one name the one that joined later counts: the
// other has been started anew. It is false if there are too many to note one more.
func (m *Membership) seen(n notice) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left { // while this came
		return true
	}
	o := m.others[n.Hub]
	if o == nil {
		for id, twin := range m.others {
			if twin.Name != n.Name {
				continue
			}
			if twin.Since.UnixNano() > n.Since {
				return true
			}
			delete(m.others, id)
		}
		if len(m.others) >= maxHubs {
			return false
		}
		o = &Member{ID: n.Hub, Name: n.Name, Since: time.Unix(0, n.Since)}
		m.others[n.Hub] = o
	}
	o.Seen, o.silent, o.lease = time.Now(), 0, time.Duration(n.Lease)*time.Millisecond
	if n.Kind == noticeHere || n.Kind == noticeNew {
		o.Spokes = n.Spokes
	}
	return true
}

// again tells whether a notice of a loss has come before: its hub tells it again when it does
// not know whether the bus took it.
func (m *Membership) again(n notice) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := m.others[n.Hub]
	if from == nil || n.Number == 0 {
		return false
	}
	known := n.Number <= from.lost
	from.lost = max(from.lost, n.Number)
	return known
}

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
