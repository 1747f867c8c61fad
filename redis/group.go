package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

const (
	// takeAtOnce bounds what a member of a group takes before it has handled it. It
	// begins with one event, and takes more while a round lasts no longer than
	// quickRound, so that who is slow leaves work to the others.
	takeAtOnce = 64
	quickRound = 10 * time.Millisecond
	// beatEvery is how often a member says that it is still at work, and looks for
	// what dead ones have left, or more often where ClaimAfter is short.
	beatEvery = 500 * time.Millisecond
)

// member takes a share of a durable bus's log, as one consumer of a consumer group.
// Redis remembers what each consumer has taken and not yet confirmed. A member takes
// more once it has handled what it took, and confirms that with the same round trip.
type member struct {
	part   *part
	sated  chan struct{} // closed when nothing more will be taken
	wake   chan struct{} // has a token when all was handled, or a listener was added
	placed bool          // the group was there once
	cursor string        // where the search for what dead members left goes on
	due    bool          // that search: it was time for it while something was being handled
	atOnce int           // how many to take next
	took   time.Time     // when it last took something
	gave   bool          // something back, which may still be this member's by what Redis knows
	at     entryID       // how far the group was when this member last saw that
	asked  bool          // for more, and what is behind at may be skipped with an answer that was lost
	heard  bool          // what is being delivered was, by somebody: the delivering goroutine's

	removing, removed atomic.Uint64 // how many Removes have begun, and ended

	mu      sync.Mutex
	held    map[entryID]*entry // what was taken, until Redis knows that it was handled
	waiting int                // how many of those are not handled
}

// entry is one that a member holds.
type entry struct {
	handled bool
	back    bool // it is not for this member: others may have it at once
	gone    bool // another member has claimed it meanwhile
}

func newMember(p *part) *member {
	return &member{part: p, sated: make(chan struct{}), wake: make(chan struct{}, 1), cursor: "0-0", atOnce: 1, held: make(map[entryID]*entry)}
}

func (m *member) listen(client rueidis.Client) error {
	t := m.part.target
	conn, release := client.Dedicate()
	defer release()
	defer conn.Close()
	if err := m.part.publisher.probe(client); err != nil {
		return outcome(err)
	}
	if err := m.begin(conn); err != nil {
		return outcome(err)
	}
	t.up(m.part)
	beat := time.NewTicker(min(beatEvery, t.opts.ClaimAfter/4))
	defer beat.Stop()
	for t.receiving.Err() == nil {
		if err := m.step(conn, beat.C); err != nil {
			return outcome(err)
		}
	}
	close(m.sated)
	for { // what was taken is still being handled
		select {
		case <-beat.C:
			if err := m.confirm(conn); err != nil {
				return outcome(err)
			}
		case <-t.delivered:
			return outcome(m.leave(conn))
		case <-t.ctx.Done():
			return context.Cause(t.ctx)
		}
	}
}

// step takes something if nothing is being handled, and otherwise waits until that has
// changed.
func (m *member) step(conn rueidis.DedicatedClient, beat <-chan time.Time) error {
	t := m.part.target
	if m.busy() || t.registry.Len() == 0 {
		select {
		case <-m.wake:
		case <-beat:
			m.due = true
			return m.confirm(conn)
		case <-t.receiving.Done():
		}
		return nil
	}
	select {
	case <-beat:
		m.due = true
	default:
	}
	if m.due {
		m.due = false
		return m.claim(conn)
	}
	return m.take(conn)
}

func (m *member) busy() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.waiting > 0
}

// begin makes sure that there is the group, and takes up what Redis says this member
// has: the answer with which it was given something may have been lost.
func (m *member) begin(conn rueidis.DedicatedClient) error {
	t := m.part.target
	from := "$"
	if m.placed {
		from = "0" // the server has lost the group, and with it the log: this is another
	}
	err := m.do(conn, conn.B().XgroupCreate().Key(t.names.log()).Group(t.opts.Group).Id(from).Mkstream().Build()).Error()
	switch {
	case err == nil && m.placed:
		m.asked = false
		t.inbox.lost(loss{any: true, err: errRolled})
	case err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP"):
		return err
	}
	if err := m.tellUnanswered(conn); err != nil {
		return err
	}
	m.placed = true
	m.mu.Lock()
	for _, e := range m.held {
		e.gone = true
	}
	m.mu.Unlock()
	for last := "0"; ; {
		found, err := m.do(conn, m.read(conn.B(), takeAtOnce, last)).AsXRead()
		entries := found[t.names.log()]
		if err != nil || len(entries) == 0 {
			return ignoreNil(err)
		}
		if err := m.accept(entries, true); err != nil {
			return err
		}
		last = entries[len(entries)-1].ID
	}
}

// read returns the command to take so many new entries, or where an id is given to see
// again those behind it that were taken.
func (m *member) read(b rueidis.Builder, count int, behind string) rueidis.Completed {
	t := m.part.target
	return b.Xreadgroup().Group(t.opts.Group, t.origin).Count(int64(count)).Streams().Key(t.names.log()).Id(behind).Build()
}

// take confirms what was handled and takes the next entries, or none when there are
// none for a while.
func (m *member) take(conn rueidis.DedicatedClient) error {
	t := m.part.target
	b, key, group := conn.B(), t.names.log(), t.opts.Group
	if time.Since(m.took) <= quickRound {
		m.atOnce = min(2*m.atOnce, takeAtOnce)
	} else {
		m.atOnce = 1
	}
	// Where the group was and what comes next, at one moment, show what was trimmed in
	// between.
	ctx, cancel := m.patience()
	defer cancel()
	r := m.acks(b)
	m.asked = true
	answers := conn.DoMulti(ctx, append(r.commands, b.Multi().Build(), b.XinfoGroups().Key(key).Build(),
		m.read(b, m.atOnce, ">"), b.Exec().Build())...)
	for _, a := range answers {
		if err := a.Error(); err != nil {
			return err
		}
	}
	if err := m.forget(conn, r, answers); err != nil {
		return err
	}
	both, err := answers[len(answers)-1].ToArray()
	if err != nil || len(both) != 2 {
		return errors.Join(errors.New("EXEC has another answer than asked for"), err)
	}
	at, known := m.place(both[0])
	if known {
		m.at = at
	}
	found, err := both[1].AsXRead()
	alone := !rueidis.IsRedisNil(err) // nobody has taken anything since then
	if !alone {
		found, err = m.do(conn, b.Xreadgroup().Group(group, t.origin).Count(1).Block(readWait.Milliseconds()).
			Streams().Key(key).Id(">").Build()).AsXRead()
	}
	if ignoreNil(err) != nil {
		return err
	}
	if known {
		if err := m.tellSkipped(conn, found[key], alone); err != nil {
			return err
		}
	}
	m.asked = false
	if err := m.accept(found[key], false); err != nil || len(found[key]) == 0 {
		return err
	}
	m.at, err = parseID(found[key][len(found[key])-1].ID)
	return err
}

// claim takes over what members have left who say nothing any more.
func (m *member) claim(conn rueidis.DedicatedClient) error {
	t := m.part.target
	answer, err := m.do(conn, conn.B().Xautoclaim().Key(t.names.log()).Group(t.opts.Group).Consumer(t.origin).
		MinIdleTime(strconv.FormatInt(t.opts.ClaimAfter.Milliseconds(), 10)).Start(m.cursor).Count(takeAtOnce).Build()).ToArray()
	if err != nil {
		return err
	}
	if len(answer) < 3 {
		return errors.New("XAUTOCLAIM has another answer than Redis 7 has")
	}
	if m.cursor, err = answer[0].ToString(); err != nil {
		return err
	}
	entries, err := answer[1].AsXRange()
	if err != nil {
		return err
	}
	trimmed, err := answer[2].ToArray()
	if err != nil {
		return err
	}
	if n := len(trimmed); n > 0 {
		t.inbox.lost(loss{any: true, count: uint64(n), err: errTrimmed})
	}
	return m.accept(entries, true)
}

// accept hands entries over to be delivered. again: they may have been delivered
// before, to this member or another.
func (m *member) accept(entries []rueidis.XRangeEntry, again bool) error {
	t := m.part.target
	for _, e := range entries {
		id, err := parseID(e.ID)
		if err != nil {
			return err
		}
		m.mu.Lock()
		known := m.held[id]
		if known != nil {
			known.gone = false
			m.mu.Unlock()
			continue
		}
		m.held[id] = new(entry)
		m.waiting++
		m.mu.Unlock()
		if len(e.FieldValues) == 0 { // trimmed after it was taken
			t.inbox.lost(loss{any: true, count: 1, err: errTrimmed})
			m.handled(id, false)
			continue
		}
		t.inbox.admit(arrival{channel: t.names.log(), text: e.FieldValues[field], entry: id, again: again || e.FieldValues[repeatField] != ""})
	}
	m.took = time.Now()
	return nil
}

// do runs one command, which is given up when it takes too long.
func (m *member) do(conn rueidis.DedicatedClient, command rueidis.Completed) rueidis.RedisResult {
	ctx, cancel := m.patience()
	defer cancel()
	return conn.Do(ctx, command)
}

func (m *member) patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), readWait+m.part.target.opts.Timeout)
}

// ignoreNil makes nothing of the answer that there is nothing.
func ignoreNil(err error) error {
	if rueidis.IsRedisNil(err) {
		return nil
	}
	return err
}
