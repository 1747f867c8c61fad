package redis

import (
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

// acks returns the commands that tell Redis what was handled, and what that is.
func (m *member) acks(b rueidis.Builder) (commands rueidis.Commands, told []entryID) {
	t := m.part.target
	m.mu.Lock()
	defer m.mu.Unlock()
	var done, back, busy []string
	for held, e := range m.held {
		id := held.String()
		switch {
		case e.handled && !e.back:
			done, told = append(done, id), append(told, held)
		case e.handled && !e.gone:
			back, told = append(back, id), append(told, held)
		case e.handled:
			told = append(told, held)
		case !e.gone:
			busy = append(busy, id)
		}
	}
	if len(done) > 0 {
		commands = append(commands, b.Xack().Key(t.names.log()).Group(t.opts.Group).Id(done...).Build())
	}
	claim := func(ids []string, idle time.Duration) {
		if len(ids) > 0 {
			commands = append(commands, b.Xclaim().Key(t.names.log()).Group(t.opts.Group).Consumer(t.origin).MinIdleTime("0").
				Id(ids...).Idle(idle.Milliseconds()).Justid().Build())
		}
	}
	m.gave = m.gave || len(back) > 0
	claim(back, t.opts.ClaimAfter)
	claim(busy, 0) // so that nobody claims it
	return commands, told
}

// forget drops entries of which Redis knows.
func (m *member) forget(told []entryID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range told {
		delete(m.held, id)
	}
}

// confirm tells Redis what was handled, and that the rest is still being worked on.
func (m *member) confirm(conn rueidis.DedicatedClient) error {
	commands, told := m.acks(conn.B())
	ctx, cancel := m.patience()
	defer cancel()
	for _, a := range conn.DoMulti(ctx, append(commands, conn.B().Ping().Build())...) {
		if err := a.Error(); err != nil {
			return err
		}
	}
	m.forget(told)
	return nil
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
	return m.do(conn, conn.B().XgroupDelconsumer().Key(t.names.log()).Group(t.opts.Group).Consumername(t.origin).Build()).Error()
}
