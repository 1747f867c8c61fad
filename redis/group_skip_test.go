package redis_test

import (
	"bytes"
	"context"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// tap does something, once, when a client is about to send a command in which there is a word,
// and then breaks the connection if it returns false.
type tap struct {
	word string
	do   func(send func()) bool
	once sync.Once
}

func (p *tap) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	return tapped{c, p}, err
}

type tapped struct {
	net.Conn
	tap *tap
}

func (c tapped) Write(b []byte) (n int, err error) {
	sent := false
	send := func() { sent = true; n, err = c.Conn.Write(b) }
	if bytes.Contains(b, []byte(c.tap.word)) {
		c.tap.once.Do(func() {
			if !c.tap.do(send) {
				_ = c.Conn.Close()
			}
		})
	}
	if !sent {
		send()
	}
	return n, err
}

// TestGroupTellsSkipped: what is trimmed before a member takes it is told, also when that
// happens between the commands of one attempt to take something.
func TestGroupTellsSkipped(t *testing.T) {
	for name, c := range map[string]struct {
		between []string // commands
		heard   int
		gaps    int
	}{
		"trimmed":         {[]string{"XTRIM", "et:log", "MAXLEN", "2"}, 2, 1},
		"kept":            {nil, 5, 0},
		"taken by others": {[]string{"XREADGROUP", "GROUP", "g", "other", "COUNT", "3", "STREAMS", "et:log", ">"}, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			l := newLedger(t)
			from := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
			way := &tap{word: "BLOCK", do: func(func()) bool {
				for n := range 5 {
					if err := from.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(n)}); err != nil {
						t.Error(err)
					}
				}
				if c.between != nil {
					server.Do(c.between...)
				}
				return true
			}}
			m := join(t, server.URL(), inGroup(redis.Options{OnFault: l.fault, Dial: way.dial}))
			listen(t, m, eventtarget.T("n", "*"), l.handle)
			l.await("the events that are left", func() bool { return l.heard() == c.heard })
			if gaps := l.faults(eventtarget.FaultGap); len(gaps) != c.gaps || l.heard() != c.heard || c.gaps > 0 && l.all()[0].number >= 0 {
				t.Errorf("%d events heard, and the gaps %v", l.heard(), gaps)
			}
		})
	}
}

// TestGroupTellsSkippedUnanswered: also when the answer is lost with the connection that says so.
func TestGroupTellsSkippedUnanswered(t *testing.T) {
	for name, c := range map[string]struct {
		trim bool
		gaps int
	}{"trimmed": {true, 1}, "kept": {false, 0}} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			l := newLedger(t)
			from := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
			way := &tap{word: "EXEC", do: func(send func()) bool {
				for n := range 5 {
					if err := from.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(n)}); err != nil {
						t.Error(err)
					}
				}
				if c.trim {
					server.Do("XTRIM", "et:log", "MAXLEN", "2")
				}
				send()
				eventually(t, "Redis has given out an event", func() bool { return pending(t, server) > 0 })
				return false
			}}
			m := join(t, server.URL(), inGroup(redis.Options{OnFault: l.fault, Dial: way.dial}))
			listen(t, m, eventtarget.T("n", "*"), l.handle)
			l.await("the last event", func() bool { all := l.all(); return len(all) > 0 && all[len(all)-1].number == 4 })
			if gaps := l.faults(eventtarget.FaultGap); len(gaps) != c.gaps || l.heard() != 5-3*c.gaps {
				t.Errorf("%d events heard, and the gaps %v", l.heard(), gaps)
			}
		})
	}
}

// TestGroupTellsTrimmedGivenBack: what a member gives back, for want of a listener, is told to be
// missing where the log does not have it any more, for nobody else can have it then; not where another
// member has taken it over and confirmed it.
func TestGroupTellsTrimmedGivenBack(t *testing.T) {
	t.Run("trimmed", func(t *testing.T) {
		tellsGivenBack(t, 0, "XTRIM", "et:log", "MAXLEN", "100")
	})
	t.Run("confirmed by another", func(t *testing.T) {
		tellsGivenBack(t, 1, "EVAL", `
			local all = redis.call('XPENDING', KEYS[1], 'g', '-', '+', 1000)
			for _, entry in ipairs(all) do redis.call('XACK', KEYS[1], 'g', entry[1]) end
			return #all`, "1", "et:log")
	})
}

// tellsGivenBack has a member give back what it has taken, and another client do something to that
// before; elsewhere is 1 if nothing is missing then.
func tellsGivenBack(t *testing.T, elsewhere int, command ...string) {
	server := redistest.Start(t)
	l := newLedger(t)
	from := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	m := join(t, server.URL(), inGroup(redis.Options{OnFault: l.fault}))
	const events = 300
	dispatchAll(t, from, events)
	added, removed := make(chan *eventtarget.Registration, 1), make(chan struct{})
	taken, confirmed := 0, 0 // at once, of which it has not heard so many, and by whom else
	added <- listen(t, m, eventtarget.T("n", "*"), func(ctx context.Context, e event) {
		l.handle(ctx, e)
		if taken--; taken > 0 {
			return
		}
		if taken = int(pending(t, server)); taken > 1 {
			confirmed = (taken - 1) * elsewhere // all but the one that is being heard
			server.Do(command...)
			m.Remove(<-added)
			close(removed)
		}
	})
	<-removed
	eventually(t, "everything was given back", func() bool { return pending(t, server) == 0 })
	listen(t, m, eventtarget.T("n", "*"), l.handle)
	l.await("the last event", func() bool { all := l.all(); return len(all) > 0 && all[len(all)-1].number == events-1 })
	told := 0
	for _, gap := range l.faults(eventtarget.FaultGap) {
		told += int(gap.Count)
	}
	if l.heard()+told+confirmed != events || elsewhere > 0 && told > 0 {
		t.Errorf("%d of %d events were heard, %d by others, and %d told to be missing", l.heard(), events, confirmed, told)
	}
}
