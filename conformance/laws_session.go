package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

var sessionLaws = []Law{
	{"C12", "resume-position", Optional, "who goes on from a position hears what came after it, once and in order, then what is new, whatever events say of themselves; a position that is not known, or has gone, is told",
		"a replay that depends on what users send, and a hole that nobody hears of", lawPosition},
	{"C31", "at-least-once", Optional, "what the listeners of a process that died had not finished with is heard again, marked Redelivered, and nothing else is",
		"work that is lost with a process, or done twice by those who could not know", lawAtLeastOnce},
}

// visitor is a peer with a session of which the law itself does the protocol's part, so
// that it says what it has received, and comes back before it has gone.
type visitor struct {
	t        *T
	conn     link.Conn
	session  string
	received uint64 // by it
	taken    uint64 // by the hub, when it was welcomed
	resumed  bool
}

// visit opens a session, or goes on with one behind a message.
func (r *rig) visit(session string, received uint64) *visitor {
	t := r.t
	conn, err := r.Session()
	if err != nil {
		t.Fatalf("the harness cannot connect a peer with a session: %v", err)
	}
	v := &visitor{t: t, conn: conn, received: received}
	t.cleanups = append(t.cleanups, v.cut)
	context.AfterFunc(t.ctx, v.cut)
	hello, err := json.Marshal(map[string]any{"version": 1, "session": session, "received": received})
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.send(conn, fmt.Sprintf(`{"type":"__hello","id":"","payload":%s}`, hello))
	w := v.next()
	var welcome struct {
		Session  string
		Resumed  bool
		Received uint64
	}
	if err := json.Unmarshal(w.Payload, &welcome); err != nil || w.Type != "__welcome" || welcome.Session == "" {
		t.Fatalf("a hello is answered with %s %s", w.Type, w.Payload)
	}
	v.session, v.resumed, v.taken = welcome.Session, welcome.Resumed, welcome.Received
	if !v.resumed {
		v.received = 0
	}
	return v
}

// cut breaks the connection. The session stays.
func (v *visitor) cut() { _ = v.conn.Close(eventtarget.Reason{Code: eventtarget.CodeLost}) }

// next returns the next message but acknowledgements.
func (v *visitor) next() (m struct {
	Type, ID string
	Payload  raw
}) {
	for {
		msg, err := v.conn.Receive()
		if err == nil {
			err = json.Unmarshal(msg, &m)
		}
		if err != nil {
			v.t.Fatalf("a peer with a session hears no more: %v", err)
		}
		switch m.Type {
		case "__ack":
			continue
		case "__welcome", "__subscribed":
		default:
			v.received++
		}
		return m
	}
}

// misleading is an event whose data look like positions, and are none: there are few ids,
// and the numbers in the payload fall.
func misleading(eventType string, n int) event {
	return event{
		Type: eventType, ID: strconv.Itoa(n % 3),
		Payload: raw(fmt.Sprintf(`{"seq":%d,"received":%d,"n":%d}`, 1000-n, 2000-n, n)),
		Headers: map[string]string{"id": strconv.Itoa(n / 7)},
	}
}

// hears checks that the next events are those.
func (v *visitor) hears(eventType string, from, to int) {
	for n := from; n <= to; n++ {
		m := v.next()
		if want := misleading(eventType, n); m.Type != eventType || string(m.Payload) != string(want.Payload) {
			v.t.Fatalf("who goes on behind event %d hears %s %s, want event %d", from-1, m.Type, m.Payload, n)
		}
	}
}

func lawPosition(t *T) {
	t.onlyHub()
	t.wire()
	t.need(t.Harness.Caps.Resumes, "declares that what is under way when a connection breaks is lost")
	r := t.rig(2)
	t.need(r.Session != nil, "the harness has no hook Session")
	a, n := t.name(), 0
	say := func(more int) {
		for range more {
			n++
			r.dispatch(0, misleading(a, n))
		}
	}
	v := r.visit("", 0)
	if v.resumed {
		t.Errorf("a session begins as one that goes on")
	}
	say(20)
	v.hears(a, 1, 20)
	for behind := 5; behind <= 20; behind += 3 { // a peer loses what its connection still holds
		v.cut()
		if v = r.visit(v.session, uint64(behind)); !v.resumed {
			t.Fatalf("a session does not go on behind message %d of 20", behind)
		}
		say(5)
		v.hears(a, behind+1, n)
	}
	if v = r.visit("no such session", 3); v.resumed {
		t.Errorf("a session that is not known goes on")
	}
	say(1)
	v.hears(a, n, n)
	t.outrun(r)
}

// outrun checks that a position that has gone is told.
func (t *T) outrun(r *rig) {
	const bound = 16
	r.takeDown()
	r = t.rigWith(Setup{Endpoints: 2, Outgoing: bound})
	a := t.name()
	v := r.visit("", 0)
	r.dispatch(0, misleading(a, 1))
	v.hears(a, 1, 1)
	v.cut()
	t.need(r.Spokes != nil, "the harness has no hook Spokes")
	t.eventually("that the hub knows of the cut", func() bool { return r.connected() < 2 })
	last := 1
	for range 10 * bound {
		last++
		r.dispatch(0, misleading(a, last))
	}
	if v = r.visit(v.session, 1); !v.resumed {
		return // that is how it is told
	}
	m, missing := v.next(), 0
	if m.Type == "__gap" {
		var gap struct{ Count int }
		if err := json.Unmarshal(m.Payload, &gap); err != nil {
			t.Fatalf("a gap is %s", m.Payload)
		}
		missing = gap.Count
	}
	if missing == 0 {
		t.Fatalf("a position that has gone is answered with %s %s", m.Type, m.Payload)
	}
	v.hears(a, missing+2, last)
}

// connected returns how many spokes have a connection.
func (r *rig) connected() (n int) {
	for _, s := range r.Spokes() {
		if s, can := s.(interface{ State() eventtarget.State }); can && s.State() == eventtarget.StateUp {
			n++
		}
	}
	return n
}

// fence checks that a connection of a session has no say once another has taken over.
func (t *T) fence() {
	r := t.rig(2)
	if r.Session == nil {
		return
	}
	const rounds = 5
	for range rounds {
		a := t.name()
		heard := r.listenInline(0, eventtarget.T(a, ""))
		frame := func(n int) []byte { return fmt.Appendf(nil, `{"type":%q,"id":"","payload":%d}`, a, n) }
		first := r.visit("", 0)
		stop := make(chan struct{})
		var sending sync.WaitGroup
		end := sync.OnceFunc(func() {
			close(stop)
			sending.Wait()
		})
		t.cleanups = append(t.cleanups, end)
		sending.Go(func() { // on and on, also when it has been told
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
					if err := first.conn.Send(frame(n)); err != nil {
						return
					}
				}
			}
		})
		heard.wait(100)
		second := r.visit(first.session, 0)
		if !second.resumed {
			t.Fatalf("a session does not go on over a second connection")
		}
		taken := int(second.taken) // all that counts of the first one
		t.send(second.conn, string(frame(-1)))
		var all []event
		t.eventually("an event over the second connection", func() bool {
			all = heard.all()
			return len(all) > taken
		})
		end()
		t.send(second.conn, string(frame(-2)))
		t.eventually("another event over the second connection", func() bool {
			all = heard.all()
			return string(all[len(all)-1].Payload) == "-2"
		})
		if got := payloads(all[min(taken, len(all)-1):]); len(got) != 2 || got[0] != "-1" {
			t.Fatalf("with %d events taken in a second connection took over, and then %d are heard, from %s: want the two that came over that", taken, len(got), got[0])
		}
		second.cut()
	}
	r.takeDown()
}
