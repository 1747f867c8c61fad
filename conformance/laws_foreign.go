package conformance

import (
	"fmt"
	"maps"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

var foreignLaws = []Law{
	{"B08", "unknown-members", Must, "members that are not known are ignored, and kept when a hub relays",
		"a newer peer that older ones break", lawUnknownMembers},
	{"B09", "member-order", Must, "members in any order; duplicates, and names in another case, are not taken for ours",
		"messages that two parsers read differently", lawMemberOrder},
	{"B10", "malformed", Must, "what is no envelope is dropped with a fault, or ends that connection; nobody else loses anything",
		"a hub must survive a hostile spoke", lawMalformed},
	{"B13", "golden", Must, "headers arrive as they were given, and messages are, byte for byte, those of the protocol's version 1, both ways",
		"other languages, older and newer peers", lawGolden},
	{"B14", "fragmentation", Stochastic, "messages that arrive back to back in a burst, or a byte at a time, are told apart",
		"buffers that are reused too early, reads that are taken for messages", lawFragmentation},
}

// foreign returns a raw connection to endpoint 0 of a rig with another endpoint.
func (t *T) foreign() (*rig, link.Conn) {
	t.wire()
	r := t.rig(2)
	t.need(r.Foreign != nil, "the harness has no hook Foreign")
	c, err := r.Foreign()
	if err != nil {
		t.Fatalf("the harness cannot connect a foreign peer: %v", err)
	}
	t.cleanups = append(t.cleanups, func() { _ = c.Close(eventtarget.Reason{}) })
	return r, c
}

func (t *T) send(c link.Conn, frame string) {
	if err := c.Send([]byte(frame)); err != nil {
		t.Fatalf("a foreign peer cannot send: %v", err)
	}
}

func lawUnknownMembers(t *T) {
	r, c := t.foreign()
	a := t.name()
	rec := r.listen(0, eventtarget.T(a, "*"))
	frame := fmt.Sprintf(`{"v":2,"type":%q,"id":"x","origin":{"hub":"h","seq":[1]},"payload":1.10}`, a)
	var relayed chan string
	if t.Harness.Caps.Relay {
		other, err := r.Foreign()
		if err != nil {
			t.Fatalf("a second foreign peer: %v", err)
		}
		t.cleanups = append(t.cleanups, func() { _ = other.Close(eventtarget.Reason{}) })
		relayed = make(chan string, 1)
		go func() {
			msg, err := other.Receive()
			if err != nil {
				msg = []byte(err.Error())
			}
			relayed <- string(msg)
		}()
	}
	t.send(c, frame)
	if e := rec.wait(1)[0]; e.ID != "x" || string(e.Payload) != "1.10" {
		t.Errorf("heard %+v", e)
	}
	if relayed != nil {
		select {
		case got := <-relayed:
			if got != frame {
				t.Errorf("relayed as %s", got)
			}
		case <-t.ctx.Done():
			t.Fatalf("it was never relayed")
		}
	}
}

func lawMemberOrder(t *T) {
	r, c := t.foreign()
	a := t.name()
	rec := r.listen(0, eventtarget.T(a, "*"))
	for n, frame := range []string{
		`{"payload":1,"id":"x","type":%q}`, `{"id":"x","type":%q,"payload":1}`, `{"TYPE":"evil","type":%q,"id":"x","ID":"y","payload":1,"Payload":2}`,
	} {
		t.send(c, fmt.Sprintf(frame, a))
		if e := rec.wait(n + 1)[n]; e.ID != "x" || string(e.Payload) != "1" {
			t.Errorf("%s was heard as %+v", frame, e)
		}
	}
	t.send(c, fmt.Sprintf(`{"type":%q,"id":"x","payload":1,"payload":2}`, a))
	t.awaitFault("the duplicate member", 0, func(f eventtarget.Fault) bool {
		return f.Kind == eventtarget.FaultDecode || f.Kind == eventtarget.FaultDisconnected
	})
	if rec.len() != 3 {
		t.Errorf("a message with a duplicate member was heard")
	}
}

func lawMalformed(t *T) {
	t.wire()
	r := t.rig(2)
	t.need(r.Foreign != nil, "the harness has no hook Foreign")
	a := t.name()
	witness := r.listenInline(1, eventtarget.T(a, "*"))
	rec := r.listenInline(0, eventtarget.T("*", "*"))
	bad := []string{
		`{`, `x`, `[]`, `null`, `{}`, `{"type":"a"}`, `{"type":1,"id":""}`, `{"type":"a","id":""}x`, "\xff", "{\"type\":\"a\",\"id\":\"\xff\"}",
		`{"type":"a","id":"","payload":` + strings.Repeat("[", 10_000), `{"type":"a:b","id":""}`, `{"type":"a","id":"*"}`,
		`{"type":"a","id":"","payload":"\ud800"}`, `{"type":"a","id":"","headers":{"x":1}}`,
	}
	for n, frame := range bad {
		c, err := r.Foreign()
		if err != nil {
			t.Fatalf("foreign peer %d: %v", n, err)
		}
		t.mu.Lock()
		before := len(t.faults)
		t.mu.Unlock()
		t.send(c, frame)
		t.eventually(fmt.Sprintf("a fault after %.40q", frame), func() bool {
			t.mu.Lock()
			defer t.mu.Unlock()
			return len(t.faults) > before
		})
		_ = c.Close(eventtarget.Reason{})
		r.dispatch(0, event{Type: a, ID: fmt.Sprint(n)})
	}
	r.settle(0, 1)
	if witness.len() != len(bad) {
		t.Errorf("a witness heard %d of %d events", witness.len(), len(bad))
	}
	for _, e := range rec.all() {
		if e.Type == "a" {
			t.Errorf("a malformed message was heard as %+v", e)
		}
	}
}

func lawFragmentation(t *T) {
	r, c := t.foreign()
	a := t.name()
	rec := r.listen(0, eventtarget.T(a, "*"))
	const events = 500
	for n := range events {
		t.send(c, fmt.Sprintf(`{"type":%q,"id":"%d","payload":%q}`, a, n, strings.Repeat("x", n*7%300)))
	}
	for n, e := range rec.wait(events) {
		if e.ID != fmt.Sprint(n) || len(e.Payload) != n*7%300+2 {
			t.Fatalf("message %d was heard as %s with a payload of %d bytes", n, e.ID, len(e.Payload))
		}
	}
	if r.Shred == nil {
		return
	}
	r.Shred(1)
	r.cells(func(i, j int) {
		rec := r.listen(j, eventtarget.T(t.name(), "*"))
		for n := range 50 {
			p := raw(`"` + strings.Repeat("é", n*13) + `"`)
			r.dispatch(i, event{Type: rec.reg.Topic().Type, Payload: p})
			if got := rec.wait(n + 1)[n].Payload; string(got) != string(p) {
				t.Fatalf("from %d to %d, a byte at a time: %s was heard as %s", i, j, p, got)
			}
		}
	})
}

// golden are messages of version 1 of the protocol, with the events behind them.
var golden = []struct {
	frame string
	event event
}{
	{`{"type":"%s","id":""}`, event{}},
	{`{"type":"%s","id":"b:c*d","payload":null}`, event{ID: "b:c*d", Payload: raw(`null`)}},
	{`{"type":"%s","id":"\"q\" \\","payload":[9007199254740993,1.10,"<&>"]}`, event{ID: `"q" \`, Payload: raw(`[9007199254740993,1.10,"<&>"]`)}},
	{`{"type":"%s","id":"😀","payload":{"a":1},"headers":{"a":"\"","traceparent":"00-1"}}`, event{
		ID: "😀", Payload: raw(`{"a":1}`), Headers: map[string]string{"traceparent": "00-1", "a": `"`},
	}},
}

func lawGolden(t *T) {
	every := t.rig(2)
	a := t.name()
	same := func(where string, got, want event) {
		if got.ID != want.ID || string(got.Payload) != string(want.Payload) || (got.Payload == nil) != (want.Payload == nil) || !maps.Equal(got.Headers, want.Headers) {
			t.Errorf("%s: %+v arrived as %+v", where, want, got)
		}
	}
	every.cells(func(i, j int) {
		topic := eventtarget.T(t.name(), "*")
		rec := every.listen(j, topic)
		for n, g := range golden {
			e := g.event
			e.Type = topic.Type
			every.dispatch(i, e)
			same(fmt.Sprintf("from %d to %d", i, j), rec.wait(n + 1)[n], g.event)
		}
	})
	r, c := t.foreign()
	rec := r.listen(0, eventtarget.T(a, "*"))
	for n, g := range golden {
		frame := fmt.Sprintf(g.frame, a)
		t.send(c, frame)
		same("from a foreign peer", rec.wait(n + 1)[n], g.event)
		e := g.event
		e.Type = a + ".out"
		frame = fmt.Sprintf(g.frame, e.Type)
		r.dispatch(0, e)
		got, err := c.Receive()
		if err != nil {
			t.Fatalf("a foreign peer cannot receive: %v", err)
		}
		if string(got) != frame {
			t.Errorf("%+v was sent as\n%s, want\n%s", e, got, frame)
		}
	}
}
