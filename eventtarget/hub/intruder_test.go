package hub_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/internal/hublog"
)

// behindOthers is a way to a log in which somebody else writes first.
type behindOthers struct {
	*sharedStore
	first []hub.Record
}

func (b *behindOthers) Append(records []hub.Record) error {
	records = append(b.first, records...)
	b.first = nil
	return b.sharedStore.Append(records)
}

// What somebody else has written into the log is no hub's end, and reaches no spoke as
// anything but an event; what is none is counted.
func TestSharedForeign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		nameless := hub.Record{Kind: hub.RecordName, Hub: "foreign"}
		h := newHub(t, hub.Options{Heartbeat: -1, Relay: true, Store: &behindOthers{log.Open(), []hub.Record{nameless, nameless}}})
		p, w := open(t, h, "ada", "")
		if w.Place.Store == "" {
			t.Error("the log has no name")
		}
		control := []byte(`{"type":"__refused","id":"","payload":{}}`)
		foreign := []hub.Record{
			nameless,
			{Kind: hub.RecordEvent, Hub: "foreign", Message: control},
			{Kind: hub.RecordAddressed, Hub: "foreign", Identity: "ada", Message: control},
			{Kind: hub.RecordEvent, Hub: "foreign", Message: []byte("{")},
			{Kind: hub.RecordEvent, Hub: "foreign"},
			{Kind: hub.RecordAddressed, Hub: "foreign", Identity: "ada"},
			{Kind: 77, Hub: "foreign"},
		}
		if err := log.Open().Append(foreign); err != nil {
			t.Fatal(err)
		}
		count(t, h, 0, 1)
		p.expect("n:0 0")
		if n := h.Stats().Malformed; n != 5 {
			t.Errorf("%d were counted", n)
		}
		// Nor does it come to who was away.
		at := log.Seq()
		p.conn.Cut()
		if err := log.Open().Append(foreign); err != nil {
			t.Fatal(err)
		}
		other := newHub(t, hub.Options{Heartbeat: -1, Relay: true, Store: log.Open()})
		p, _ = open(t, other, "ada", resumeAt(w, 1, at))
		p.expect()
	})
}

// held is a connection whose end its reader learns of late.
type held struct {
	negotiated
	until chan struct{}
}

func (h held) Receive() ([]byte, error) {
	msg, err := h.negotiated.Receive()
	if err != nil {
		<-h.until
	}
	return msg, err
}

// A session that comes back to a hub where the end of its former spoke is not over lives on.
func TestSharedComesBackEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		a, b := sharing(t, log, hub.Options{}), sharing(t, log, hub.Options{})
		until := make(chan struct{})
		_, w := openOver(t, a, func(c negotiated) link.Conn { return held{c, until} }, "ada", "")
		back := func(h *hub.Hub, last string) *peer {
			p, again := open(t, h, "ada", resumeAt(w, 0, w.Place.Seq))
			if !again.Resumed {
				t.Errorf("not resumed %s", last)
			}
			return p
		}
		back(b, "at the other one")
		p := back(a, "at the first one")
		close(until)
		synctest.Wait()
		p.conn.Cut()
		synctest.Wait()
		p = back(a, "over a third connection")
		p.conn.Cut()
		synctest.Wait()
		back(b, "at the other one in the end")
	})
}

// A session that was taken over for a peer that is not let in then ends when its time is
// over, and not before.
func TestSharedTakenForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		a := sharing(t, log, hub.Options{})
		b := sharing(t, log, hub.Options{OnConnect: func(*hub.Spoke) {}, Spokes: 1, SessionTimeout: time.Minute})
		attach(t, b, hub.Meta{})
		p, w := open(t, a, "ada", "")
		p.conn.Cut()
		refused := func() {
			near, far := link.Pipe()
			if err := near.Send([]byte(`{"type":"__hello","id":"","payload":{"version":1` + resumeAt(w, 0, w.Place.Seq) + `}}`)); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Attach(negotiated{far}, hub.Meta{Identity: "ada"}); err == nil {
				t.Error("let in")
			}
		}
		refused()
		time.Sleep(30 * time.Second)
		refused()
		time.Sleep(50 * time.Second)
		q, again := open(t, a, "ada", resumeAt(w, 0, w.Place.Seq))
		if !again.Resumed {
			t.Error("the session has ended early")
		}
		q.conn.Cut()
		refused()
		time.Sleep(5 * time.Minute)
		if _, again := open(t, a, "ada", resumeAt(w, 0, w.Place.Seq)); again.Resumed {
			t.Error("the session outlives its time")
		}
	})
}

// A peer that comes back while the store is stuck is asked to try again later, and keeps
// its session.
func TestSharedStuckForWhoComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		a := sharing(t, log, hub.Options{})
		stuck := &stuckStore{sharedStore: log.Open()}
		b := newHub(t, hub.Options{Heartbeat: -1, Relay: true, Store: stuck})
		p, w := open(t, a, "ada", "")
		p.conn.Cut()
		free := make(chan struct{})
		stuck.busy.Store(&free)
		near, far := link.Pipe()
		if err := near.Send([]byte(`{"type":"__hello","id":"","payload":{"version":1` + resumeAt(w, 0, w.Place.Seq) + `}}`)); err != nil {
			t.Fatal(err)
		}
		attached := make(chan error, 1)
		go func() {
			_, err := b.Attach(negotiated{far}, hub.Meta{Identity: "ada"})
			attached <- err
		}()
		time.Sleep(10 * time.Second)
		if len(attached) == 0 {
			t.Fatal("Attach waits for the store")
		}
		if err := <-attached; err == nil {
			t.Error("attached")
		}
		_, err := near.Receive()
		if r, ok := errors.AsType[eventtarget.Reason](err); !ok || r.Code != eventtarget.CodeTryLater {
			t.Errorf("closed with %v", err)
		}
		close(free)
		synctest.Wait()
		if _, again := open(t, b, "ada", resumeAt(w, 0, w.Place.Seq)); !again.Resumed {
			t.Error("not resumed")
		}
	})
}

// stuckStore is one whose Append may wait.
type stuckStore struct {
	*sharedStore
	busy atomic.Pointer[chan struct{}] // nil, or what Append waits for
}

func (s *stuckStore) Append(records []hub.Record) error {
	if busy := s.busy.Load(); busy != nil {
		<-*busy
	}
	return s.sharedStore.Append(records)
}

// What somebody else publishes on the bus as if he were a hub is counted, is never fatal,
// and is not remembered without bound.
func TestJoinedForeign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		hubs, members := joined(t, &bus, 2, hub.Options{})
		foreign := bus.Join(&inprocess.MemberOptions{OnFault: ignore})
		defer foreign.Close()
		ear := listen(t, dial(t, hubs[1], "a", "ann", link.Options{}), "*")
		var to string // the type of what is for ann
		spy, err := foreign.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) { to = e.Type }))
		if err != nil {
			t.Fatal(err)
		}
		dispatchTo(t, hubs[0].Identity("ann"), "n", "", "0")
		synctest.Wait()
		foreign.Remove(spy)
		sent := 0
		for _, payload := range []string{
			"", "null", "1", "[]", "{", `"x"`, "{}", `{"hub":1}`, `{"hub":"x","kind":1}`, `{"hub":"x","lease":"y"}`, `{"hub":"x","count":-1}`,
			`{"hub":"x","kind":"here"}`, `{"hub":"x","kind":"here","lease":-1}`, `{"hub":"x","kind":"here","lease":9223372036854775807}`,
			`{"hub":"` + strings.Repeat("x", 2000) + `","kind":"here","lease":1000}`, strings.Repeat("[", 5000),
			`{"hub":"x","identity":"ann","event":1}`, `{"hub":"x","identity":"ann","event":{}}`, `{"hub":"x","identity":"ann"}`,
			`{"hub":"x","identity":"ann","event":{"type":"__gap","id":"","payload":{"count":1}}}`,
			`{"hub":"x","identity":"ann","event":{"type":"a:b","id":""}}`, `{"hub":"x","identity":"ann","event":{"type":"a","id":"","id":""}}`,
		} {
			for _, topic := range []eventtarget.Topic{eventtarget.T("et.hub", ""), eventtarget.T(to, "")} {
				e := eventtarget.Event[raw]{Type: topic.Type, ID: topic.ID, Payload: raw(payload)}
				if err := foreign.Dispatch(t.Context(), e); err != nil && !errors.Is(err, eventtarget.ErrInvalidPayload) {
					t.Fatalf("%.50s: %v", payload, err)
				} else if err == nil {
					sent++
				}
			}
		}
		synctest.Wait()
		if n := int(hubs[1].Stats().Malformed); n == 0 || n > sent {
			t.Errorf("%d of %d were counted", n, sent)
		}
		for n := range 2000 {
			payload := fmt.Sprintf(`{"hub":"x%d","name":"x%d","kind":"new","lease":3600000}`, n, n)
			if err := foreign.Dispatch(t.Context(), event("et.hub", "", payload)); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if n := len(members[1].Hubs()); n > 1100 {
			t.Errorf("%d hubs are remembered", n)
		}
		dispatch(t, hubs[0], "n", "", "1")
		synctest.Wait()
		if got := ear.payloads(); len(got) != 2 || !isCounting(got) {
			t.Errorf("heard %q", got)
		}
	})
}

// Of a question that the bus does not take the answers of all others are missing.
func TestJoinedAsksInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bus inprocess.Bus
		joined(t, &bus, 3, hub.Options{})
		h, on := newHub(t, hub.Options{}), newBadBus(t, &bus)
		m, err := h.Join(t.Context(), on, nil)
		if err != nil {
			t.Fatal(err)
		}
		on.loses = func(e eventtarget.Event[raw]) bool { return strings.Contains(string(e.Payload), `"ask"`) }
		synctest.Wait()
		tally, err := m.Interested(t.Context(), eventtarget.T("n", ""))
		if err == nil || fmt.Sprint(tally.Missing) != "[a b c]" {
			t.Errorf("%+v, %v", tally, err)
		}
	})
}
