package redis

import (
	"errors"
	"slices"
	"time"

	"github.com/redis/rueidis"
)

// handled notes that an entry's listeners have returned, or that it has to go back.
func (m *member) handled(id entryID, back bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.held[id]
	if e == nil || e.handled {
		return
	}
	e.handled, e.back = true, back
	if m.waiting--; m.waiting == 0 {
		token(m.wake)
	}
}

// report is what a member has to say of what it holds.
type report struct {
	commands rueidis.Commands
	told     []entryID // what Redis then knows of
	back     []string  // what of that goes back
	backAt   int       // with which command
}

// acks returns the commands that tell Redis what was handled, and what that is.
func (m *member) acks(b rueidis.Builder) (r report) {
	t := m.part.target
	m.mu.Lock()
	defer m.mu.Unlock()
	var done, back, busy []string
	for held, e := range m.held {
		id := held.String()
		switch {
		case e.handled && !e.back:
			done, r.told = append(done, id), append(r.told, held)
		case e.handled && !e.gone:
			back, r.told = append(back, id), append(r.told, held)
		case e.handled:
			r.told = append(r.told, held)
		case !e.gone:
			busy = append(busy, id)
		}
	}
	if len(done) > 0 {
		r.commands = append(r.commands, b.Xack().Key(t.names.log()).Group(t.opts.Group).Id(done...).Build())
	}
	claim := func(ids []string, idle time.Duration) {
		if len(ids) > 0 {
			r.commands = append(r.commands, b.Xclaim().Key(t.names.log()).Group(t.opts.Group).Consumer(t.origin).MinIdleTime("0").
				Id(ids...).Idle(idle.Milliseconds()).Justid().Build())
		}
	}
	m.gave = m.gave || len(back) > 0
	r.back, r.backAt = back, len(r.commands)
	claim(back, t.opts.ClaimAfter)
	claim(busy, 0) // so that nobody claims it
	return r
}

// forget drops entries of which Redis knows. What it could not take back another member has taken
// over, or the log does not have it any more, and nobody will hear it.
func (m *member) forget(conn rueidis.DedicatedClient, r report, answers []rueidis.RedisResult) error {
	m.mu.Lock()
	for _, id := range r.told {
		delete(m.held, id)
	}
	m.mu.Unlock()
	if len(r.back) == 0 {
		return nil
	}
	taken, err := answers[r.backAt].AsStrSlice()
	if err != nil {
		return err
	}
	trimmed := uint64(0)
	for _, id := range r.back {
		if slices.Contains(taken, id) {
			continue
		}
		found, err := m.do(conn, conn.B().Xrange().Key(m.part.target.names.log()).Start(id).End(id).Build()).AsXRange()
		if err != nil {
			return err
		}
		if len(found) == 0 {
			trimmed++
		}
	}
	if trimmed > 0 {
		m.part.target.inbox.lost(loss{any: true, count: trimmed, err: errTrimmed})
	}
	return nil
}

// confirm tells Redis what was handled, and that the rest is still being worked on.
func (m *member) confirm(conn rueidis.DedicatedClient) error {
	r := m.acks(conn.B())
	ctx, cancel := m.patience()
	defer cancel()
	answers := conn.DoMulti(ctx, append(r.commands, conn.B().Ping().Build())...)
	for _, a := range answers {
		if err := a.Error(); err != nil {
			return err
		}
	}
	return m.forget(conn, r, answers)
}

// leave confirms the last and takes this member off the group's list, unless it holds
// something still, or may by what Redis knows, which others will claim: what a member has
// when it is taken off is nobody's any more.
func (m *member) leave(conn rueidis.DedicatedClient) error {
	t := m.part.target
	m.mu.Lock()
	clean := !m.gave
	for _, e := range m.held {
		clean = clean && e.handled && !e.back
	}
	m.mu.Unlock()
	if err := m.confirm(conn); err != nil || !clean {
		return err
	}
	// It may also have been given something by a command that came late, of a connection that is
	// gone.
	found, err := m.do(conn, m.read(conn.B(), 1, "0")).AsXRead()
	if ignoreNil(err) != nil || len(found[t.names.log()]) > 0 {
		return ignoreNil(err)
	}
	n, err := m.do(conn, conn.B().XgroupDelconsumer().Key(t.names.log()).Group(t.opts.Group).Consumername(t.origin).Build()).AsInt64()
	if n > 0 { // just now
		t.inbox.lost(loss{any: true, count: uint64(n), err: errTaken})
	}
	return err
}

var errTaken = errors.New("they were given to a member that has left")
