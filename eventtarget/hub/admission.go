package hub

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Grant is what an authenticator has found out about a peer.
type Grant struct {
	// Identity is who it is. It is unique as far as the hub's Duplicates are to make
	// sense, and may be empty.
	Identity string
	// Values are the first of those that [Spoke.Value] returns.
	Values map[any]any
	// Expires is when that holds no longer. Zero: never. See [Meta].
	Expires time.Time
}

// Op is what a spoke asks to be allowed.
type Op uint8

// The operations.
const (
	OpSubscribe Op = iota
	OpDispatch
)

// String returns "subscribe" or "dispatch".
func (o Op) String() string {
	if o == OpSubscribe {
		return "subscribe"
	}
	return "dispatch"
}

// Duplicates says what a second spoke with the same identity does.
type Duplicates uint8

const (
	// Allow lets both be.
	Allow Duplicates = iota
	// Replace ends the first with CodePolicy: nothing more is heard from it.
	Replace
	// Refuse refuses the second.
	Refuse
)

// errPanicked is all that a peer is told of a panic.
var errPanicked = errors.New("internal error")

// authorize asks the hub's owner. Where that panics nothing is allowed: what a peer asks for
// must not end the process.
func (h *Hub) authorize(s *Spoke, op Op, t eventtarget.Topic) (err error) {
	if h.opts.Authorize == nil {
		return nil
	}
	returned := false
	defer func() {
		if !returned {
			h.hookPanicked(s.ID(), "Authorize", recover())
			err = errPanicked
		}
	}()
	err = h.opts.Authorize(s, op, t)
	returned = true
	return err
}

// Revoke asks Authorize anew for everything that the spoke is subscribed to, and
// ends a spoke that may not have it any more with CodePolicy. It tells whether that
// was so. What the spoke is about to be subscribed to is asked for once more, too.
func (h *Hub) Revoke(s *Spoke) bool {
	s.revoked.Add(1)
	return h.recheck(s)
}

// recheckSince asks anew if Revoke was called since there had been so many calls: it may not
// have seen what was allowed then.
func (h *Hub) recheckSince(s *Spoke, calls uint32) {
	if s.revoked.Load() != calls {
		h.recheck(s)
	}
}

func (h *Hub) recheck(s *Spoke) bool {
	for _, t := range s.Subscriptions() {
		if err := h.authorize(s, OpSubscribe, t); err != nil {
			s.end(eventtarget.Reason{Code: eventtarget.CodePolicy, Text: err.Error()})
			return true
		}
	}
	return false
}

// Admit tells whether a connection from addr would find room, before it is made. The
// error is [eventtarget.ErrLimit] or [eventtarget.ErrClosed].
func (h *Hub) Admit(addr string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.admit(addrKey(addr))
}

// SetSpokes changes [Options.Spokes] and SpokesPerAddr; 0 means any number. Spokes that
// are there stay, also those over the new bounds.
func (h *Hub) SetSpokes(all, perAddr int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opts.Spokes, h.opts.SpokesPerAddr = max(all, 0), max(perAddr, 0)
}

// admit is Admit. Under mu.
func (h *Hub) admit(key string) error {
	switch {
	case !h.accepting:
		return eventtarget.ErrClosed
	case h.opts.Spokes > 0 && len(h.spokes) >= h.opts.Spokes:
		return fmt.Errorf("%w: %d spokes", eventtarget.ErrLimit, h.opts.Spokes)
	case h.opts.SpokesPerAddr > 0 && key != "" && h.addrs[key] >= h.opts.SpokesPerAddr:
		return fmt.Errorf("%w: %d spokes from %s", eventtarget.ErrLimit, h.opts.SpokesPerAddr, key)
	}
	return nil
}

// addrKey returns what connections are counted by: an address, or its /64 prefix,
// of which a single household has at least one. Empty if there is no address.
func addrKey(addr string) string {
	var ip netip.Addr
	if ap, err := netip.ParseAddrPort(addr); err == nil {
		ip = ap.Addr()
	} else if ip, err = netip.ParseAddr(addr); err != nil {
		return ""
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	p, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return ""
	}
	return p.String()
}

// enter puts s into the set, or says why not. It returns those that it replaces.
func (h *Hub) enter(s *Spoke) (replaced []*Spoke, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id, key := s.identity, addrKey(s.addr)
	if err := h.admit(key); err != nil {
		return nil, err
	}
	if _, taken := h.spokes[s.id]; taken {
		return nil, fmt.Errorf("a spoke with id %q exists", s.id)
	}
	if id != "" && len(h.identities[id]) > 0 {
		switch h.opts.Duplicates {
		case Refuse:
			if slices.ContainsFunc(h.identities[id], func(o *Spoke) bool { return o.State() == eventtarget.StateUp }) {
				return nil, fmt.Errorf("%w: this identity is connected", eventtarget.ErrForbidden)
			}
			replaced = slices.Clone(h.identities[id]) // who is down has come back without its session
		case Replace:
			replaced = slices.Clone(h.identities[id])
		}
	}
	h.spokes[s.id] = s
	if s.session != nil {
		h.sessions[s.session.id] = s
	}
	if id != "" {
		if h.identities[id] = append(h.identities[id], s); len(h.identities[id]) == 1 {
			h.wants.add(address{Identity: id}.key(), 1)
		}
	}
	if key != "" {
		h.addrs[key]++
	}
	s.shard = h.shards[h.next%len(h.shards)]
	h.next++
	h.wg.Add(1)
	return replaced, nil
}

// exit takes s out of the set and of all that it is counted in. Its session ends, unless
// that has moved away, or has another spoke by now, or is about to: see disown. A hub that ends
// leaves it to the next one.
func (h *Hub) exit(s *Spoke) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.spokes, s.id)
	if s.session != nil && h.sessions[s.session.id] == s {
		delete(h.sessions, s.session.id)
		if !s.movedAway && h.accepting {
			h.journal.note(Record{Kind: RecordEnded, Session: s.session.id})
		}
	}
	if id := s.identity; id != "" {
		rest := slices.DeleteFunc(slices.Clone(h.identities[id]), func(o *Spoke) bool { return o == s })
		if h.identities[id] = rest; len(rest) == 0 {
			delete(h.identities, id)
			h.wants.add(address{Identity: id}.key(), -1)
		}
	}
	if key := addrKey(s.addr); key != "" {
		if h.addrs[key]--; h.addrs[key] == 0 {
			delete(h.addrs, key)
		}
	}
	for group := range s.groups {
		s.leaveGroup(group)
	}
}

// sessionIDs returns the sessions of the spokes that are there.
func (h *Hub) sessionIDs() map[string]struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make(map[string]struct{}, len(h.sessions))
	for id := range h.sessions {
		ids[id] = struct{}{}
	}
	return ids
}

// refusal is the reason that a connection is told when it was not let in.
func refusal(err error) eventtarget.Reason {
	switch {
	case errors.Is(err, eventtarget.ErrClosed):
		return eventtarget.Reason{Code: eventtarget.CodeGoingAway}
	case errors.Is(err, eventtarget.ErrLimit):
		return eventtarget.Reason{Code: eventtarget.CodeTryLater, Text: err.Error()}
	default:
		return eventtarget.Reason{Code: eventtarget.CodePolicy, Text: err.Error()}
	}
}

// throttle holds the reader of a spoke to its rate: a token bucket. The peer feels
// it as a full connection.
type throttle struct {
	rate, burst float64

	mu     sync.Mutex // the reader that another connection has fenced off may still be at it
	tokens float64
	last   time.Time
}

// wait returns when a message may be handled, or with ctx's cause.
func (t *throttle) wait(ctx context.Context) error {
	if t == nil {
		return nil
	}
	late := t.take(time.Now())
	if late <= 0 {
		return nil
	}
	pause := time.NewTimer(late)
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// take takes a token, and returns how long it is until there is one.
func (t *throttle) take(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tokens = min(t.burst, t.tokens+t.rate*now.Sub(t.last).Seconds())
	t.last = now
	t.tokens--
	return time.Duration(-t.tokens / t.rate * float64(time.Second))
}
