package hub

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// wants is what a hub's spokes and listeners want, counted by the types of events: what
// a hub that is joined with others asks of the bus.
type wants struct {
	mu      sync.Mutex
	counts  map[string]int   // by key
	changed func(key string) // nil: nobody needs to know
}

// allTypes is the key of everything.
const allTypes = ""

func keyOf(t eventtarget.Topic) string {
	if t.Type == eventtarget.Wildcard {
		return allTypes
	}
	return t.Type
}

// add counts n more, or less.
func (w *wants) add(key string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts == nil {
		w.counts = make(map[string]int)
	}
	before := w.counts[key]
	after := before + n
	if after == 0 {
		delete(w.counts, key)
	} else {
		w.counts[key] = after
	}
	if w.changed != nil && (before == 0) != (after == 0) {
		w.changed(key)
	}
}

// tell has changed called from now on, and for everything that is wanted already, which
// it returns.
func (w *wants) tell(changed func(key string)) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed = changed
	keys := slices.Collect(maps.Keys(w.counts))
	if changed != nil {
		for _, key := range keys {
			changed(key)
		}
	}
	return keys
}

func (w *wants) has(key string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[key] > 0
}

// hasBut tells whether a type is wanted that is not among some.
func (w *wants) hasBut(regs map[string]*eventtarget.Registration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.counts {
		if _, among := regs[key]; key != allTypes && !among {
			return true
		}
	}
	return false
}

// confirmWait is how long who connects waits for the bus to confirm what it wants.
const confirmWait = time.Second

// touch notes that something may have to be asked of the bus.
func (m *Membership) touch(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.refused, key)
	m.look(key, time.Now())
	m.tellChange() // who awaits what nobody wants any more
}

// look has seek look at a key. Under mu.
func (m *Membership) look(key string, since time.Time) {
	if _, noted := m.dirty[key]; !noted {
		m.dirty[key] = since
	}
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// seek asks the bus for what is wanted, as long as the membership lasts.
//
// An event that two registrations select would come twice. So the one for a type has it,
// and the one for everything passes over types that have their own. The two must not
// change hands while events flow: a type gets none of its own while there is one for
// everything, and keeps what it has until that has gone; which goes when every type that
// is still wanted has its own.
func (m *Membership) seek() {
	for {
		select {
		case <-m.wake:
		case <-m.ctx.Done():
			return
		}
		m.mu.Lock()
		dirty := m.dirty
		m.dirty = make(map[string]time.Time)
		m.mu.Unlock()
		for key, since := range dirty {
			m.settle(key, since)
		}
	}
}

// settle makes what the bus is asked for agree with what is wanted of one key.
func (m *Membership) settle(key string, since time.Time) {
	wanted := m.hub.wants.has(key)
	m.mu.Lock()
	reg, all := m.regs[key], m.regs[allTypes]
	if !wanted {
		delete(m.refused, key)
	}
	m.mu.Unlock()
	switch {
	case wanted && reg == nil && all == nil:
		m.ask(key, since)
	case !wanted && reg != nil && (all == nil || key == allTypes):
		m.giveUp(key, reg)
	case !wanted && all != nil && !m.hub.wants.has(allTypes):
		m.touch(allTypes) // it may be in nobody's way any more
	}
}

// ask asks the bus for one key, and waits for as long as that takes.
func (m *Membership) ask(key string, since time.Time) {
	topic, hear := eventtarget.T(key, eventtarget.Wildcard), m.hear
	if key == allTypes {
		topic, hear = everything, m.hearOthers
	}
	reg, err := m.bus.Add(m.ctx, topic, inline(hear))
	if err != nil && m.ctx.Err() != nil {
		return
	}
	m.mu.Lock()
	_, before := m.refused[key]
	if err != nil { // it is asked again with the next sign of life: see askAgain
		m.refused[key] = refusedKey{err, since}
		m.tellChange()
	}
	m.mu.Unlock()
	switch {
	case err == nil: // somebody may have counted on it
		if m.has(key, reg) && (before || time.Since(since) >= confirmWait) {
			m.hub.tellGap(0, errLateBus, key)
		}
	case !before:
		m.hub.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Topic: topic, Err: err})
	}
}

// refusedKey is why the bus does not bring a key, and since when that is wanted.
type refusedKey struct {
	err   error
	since time.Time
}

// askAgain has seek ask once more for what the bus has refused: there may be those who
// want it still, and who hear nothing of the other hubs meanwhile.
func (m *Membership) askAgain() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r := range m.refused {
		m.look(key, r.since)
	}
}

// giveUp tells the bus that a key is not wanted any more. Who wants it from now on finds
// that it is not covered; who came just before that is noticed here.
func (m *Membership) giveUp(key string, reg *eventtarget.Registration) {
	m.mu.Lock()
	delete(m.regs, key)
	rest := maps.Clone(m.regs)
	m.mu.Unlock()
	if m.hub.wants.has(key) || key == allTypes && m.hub.wants.hasBut(rest) {
		m.has(key, reg)
		return
	}
	m.bus.Remove(reg)
	if key == allTypes {
		for k := range rest {
			m.touch(k)
		}
	}
}

// has notes that the bus brings a key; not once the hub has left.
func (m *Membership) has(key string, reg *eventtarget.Registration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left {
		m.bus.Remove(reg)
		return false
	}
	m.regs[key] = reg
	delete(m.refused, key)
	m.tellChange()
	return true
}

// tellChange wakes those who await. Under mu.
func (m *Membership) tellChange() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// covers tells whether the bus has confirmed what is wanted; the error is why it will
// not. Under mu.
func (m *Membership) covers(keys []string) (bool, error) {
	if m.regs[allTypes] != nil {
		return true, nil
	}
	for _, key := range keys {
		if m.regs[key] == nil {
			return false, m.refused[key].err
		}
	}
	return true, nil
}

// unconfirmed returns those of some topics that are wanted and that the bus has not confirmed.
func (h *Hub) unconfirmed(topics []eventtarget.Topic) (late []eventtarget.Topic) {
	m := h.joined.Load()
	if m == nil || h.sharesLog() {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range topics {
		if done, _ := m.covers([]string{keyOf(t)}); !done {
			late = append(late, t)
		}
	}
	return late
}

// answerLate answers a request for topics once the bus has confirmed them.
func (s *Spoke) answerLate(late []eventtarget.Topic, refused map[string]string, answer func(map[string]string) *message) {
	defer s.unanswered.Add(-1)
	for _, t := range late {
		m := s.hub.joined.Load()
		if m == nil {
			break
		}
		if err := m.await(s.ctx, keyOf(t)); err != nil && m.ctx.Err() == nil {
			refused[t.String()] = err.Error()
			s.drop([]eventtarget.Topic{t})
		}
	}
	s.answer(answer(refused))
}

// awaitBus waits until the bus has confirmed what the spoke wants, for a short time.
func (s *Spoke) awaitBus() {
	m := s.hub.joined.Load()
	if m == nil || s.hub.sharesLog() {
		return
	}
	var keys []string
	s.hub.log.Update(func(framelog.Update) {
		if s.everything {
			keys = append(keys, allTypes)
		}
		for t := range s.topics {
			keys = append(keys, keyOf(t))
		}
	})
	ctx, cancel := context.WithTimeout(s.ctx, confirmWait)
	defer cancel()
	_ = m.await(ctx, keys...) // what comes late is told as a gap then, see ask
}

// await waits until the bus has confirmed what is wanted, or nobody wants it any more. The
// error is ctx's cause, or [eventtarget.ErrClosed].
func (m *Membership) await(ctx context.Context, keys ...string) error {
	for {
		m.mu.Lock()
		done, err := m.covers(keys)
		changed := m.changed
		m.mu.Unlock()
		if done || err != nil || !slices.ContainsFunc(keys, m.hub.wants.has) {
			return err
		}
		if eventtarget.CallerOf(ctx) == eventtarget.InlineListener {
			return eventtarget.ErrWouldBlock
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-m.ctx.Done():
			return eventtarget.ErrClosed
		}
	}
}
