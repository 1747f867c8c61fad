package hub

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
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
