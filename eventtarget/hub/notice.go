package hub

import (
	"context"
	"encoding/json"
	"fmt"
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
