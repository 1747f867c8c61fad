package natstarget_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/natstarget"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

type event = eventtarget.Event[eventtarget.Raw]

// node is a target, with what it has heard and what went wrong.
type node struct {
	*natstarget.Target
	t      *testing.T
	mu     sync.Mutex
	heard  []event
	faults []eventtarget.Fault
}

// newNode returns a target that is ready, and that has ended with the test.
func newNode(t *testing.T, url string, o natstarget.Options) *node {
	t.Helper()
	n := &node{t: t}
	o.OnFault = func(f eventtarget.Fault) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.faults = append(n.faults, f)
	}
	var err error
	if n.Target, err = natstarget.New(url, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close(); n.within("its end", func() bool { <-n.Done(); return true }) })
	if err := n.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *node) handle(_ context.Context, e event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard = append(n.heard, e)
}

// listen makes the node keep what it hears on a topic.
func (n *node) listen(topic eventtarget.Topic) *eventtarget.Registration {
	n.t.Helper()
	r, err := n.Add(n.t.Context(), topic, eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: n.handle})
	if err != nil {
		n.t.Fatal(err)
	}
	return r
}

func (n *node) dispatch(e event) {
	n.t.Helper()
	if err := n.Dispatch(n.t.Context(), e); err != nil {
		n.t.Fatal(err)
	}
}

// within waits for what must come.
func (n *node) within(what string, done func() bool) {
	n.t.Helper()
	deadline := time.After(20 * time.Second)
	for tick := time.NewTicker(time.Millisecond); !done(); {
		select {
		case <-tick.C:
		case <-deadline:
			n.t.Fatalf("%s does not come; heard %d, faults %v", what, len(n.ids()), n.of(0))
		}
	}
}

// ids returns the ids of the events that were heard.
func (n *node) ids() (ids []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, e := range n.heard {
		ids = append(ids, e.ID)
	}
	return ids
}

// of returns the faults of a kind; 0 is every kind.
func (n *node) of(kind eventtarget.FaultKind) (found []eventtarget.Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, f := range n.faults {
		if kind == 0 || f.Kind == kind {
			found = append(found, f)
		}
	}
	return found
}

// await waits until some event with an id was heard.
func (n *node) await(id string) {
	n.t.Helper()
	n.within("event "+id, func() bool { return slices.Contains(n.ids(), id) })
}

func TestOpen(t *testing.T) {
	url := serve(t)
	var mux eventtarget.Mux
	mux.Handle("nats", natstarget.Open)
	for url, want := range map[string]string{
		url + "?ehco=1":                   `unknown parameter "ehco" (known: prefix, echo)`,
		url + "?echo=maybe":               `parameter echo`,
		"nats://user:secret@127.0.0.1:x":  `cannot be parsed`,
		"gnats://user:secret@127.0.0.1:1": `unknown scheme "gnats" (known: nats)`,
	} {
		if _, err := mux.Open(t.Context(), url); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
	}
	if _, err := natstarget.New("nats://user:secret@127.0.0.1:x", natstarget.Options{}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("New with a bad URL: %v", err)
	}
	for _, c := range []struct{ query, prefix, want string }{
		{"", "", "own other"}, {"?prefix=a", "a", "own other"}, {"?prefix=a.*&echo=false", "a.*", "other"}, {"?echo=false", "a", ""},
	} {
		opened, err := mux.Open(t.Context(), url+c.query)
		if err != nil {
			t.Fatal(err)
		}
		n := &node{t: t, Target: opened.(*natstarget.Target)}
		defer n.Close()
		n.listen(eventtarget.T("t", "*"))
		n.dispatch(event{Type: "t", ID: "own"})
		other := newNode(t, url, natstarget.Options{Prefix: c.prefix})
		other.dispatch(event{Type: "t", ID: "other"})
		if c.want != "" {
			n.await("other")
		}
		if got := strings.Join(n.ids(), " "); got != c.want {
			t.Errorf("%q: heard %q, want %q", c.query, got, c.want)
		}
	}
}

// TestReconnect: a cut is told, with a gap, and listeners hear again.
func TestReconnect(t *testing.T) {
	url := serve(t)
	w := newWire(t, url)
	n := newNode(t, w.url(), natstarget.Options{})
	other := newNode(t, url, natstarget.Options{})
	for _, topic := range []eventtarget.Topic{eventtarget.T("a", "1"), eventtarget.T("b", "*")} {
		n.listen(topic)
	}
	for cut := range 3 {
		w.cut()
		n.within("the cut", func() bool { return n.State() == eventtarget.StateDown })
		w.heal()
		if err := n.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		n.listen(eventtarget.T("c", strconv.Itoa(cut))) // confirmed behind the others
		before := len(n.ids())
		other.dispatch(event{Type: "a", ID: "1"})
		other.dispatch(event{Type: "b", ID: fmt.Sprint("after", cut)})
		n.await(fmt.Sprint("after", cut))
		if got := n.ids()[before:]; len(got) != 2 || got[0] != "1" {
			t.Errorf("after cut %d: heard %q", cut, got)
		}
		for _, kind := range []eventtarget.FaultKind{eventtarget.FaultDisconnected, eventtarget.FaultReconnected, eventtarget.FaultGap} {
			if got := n.of(kind); len(got) != cut+1 || got[cut].Count != 0 {
				t.Errorf("after cut %d: faults %v", cut, got)
			}
		}
	}
}

// TestSlow: what finds the inbox full is told, with its count, behind what was in it.
func TestSlow(t *testing.T) {
	const inbox, lost = 1 << 16, 1000
	url := serve(t)
	n := newNode(t, url, natstarget.Options{})
	gate, entered := make(chan struct{}), make(chan struct{})
	_, err := n.Add(t.Context(), eventtarget.T("t", "*"), eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: func(ctx context.Context, e event) {
		if e.ID == "first" {
			close(entered)
			<-gate
		}
		n.handle(ctx, e)
	}})
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	publish := func(id string) {
		if err := nc.Publish("eventtarget.t."+id, fmt.Appendf(nil, `{"type":"t","id":%q}`, id)); err != nil {
			t.Fatal(err)
		}
	}
	publish("first")
	<-entered
	for i := range inbox + lost {
		publish(strconv.Itoa(i))
	}
	// The client has read it all when it has read an answer that was sent behind.
	probe := newNode(t, url, natstarget.Options{})
	probe.listen(eventtarget.T("t", "*"))
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	publish("behind")
	probe.await("behind")
	close(gate)
	n.within("the gap", func() bool { return len(n.of(eventtarget.FaultGap)) > 0 })
	publish("last")
	n.await("last")
	const published = 1 + inbox + lost + 2
	var heard, told uint64
	n.within("a count of all that is lost", func() bool {
		heard, told = uint64(len(n.ids())), 0
		for _, f := range n.of(eventtarget.FaultGap) {
			told += f.Count
		}
		return heard+told >= published
	})
	if heard+told != published || told == 0 {
		t.Errorf("of %d events %d were heard and %d told as lost", published, heard, told)
	}
}

// TestOverlap: while a wider subscription takes the place of a narrower one, each
// event is heard once and in order.
func TestOverlap(t *testing.T) {
	url := serve(t)
	from := newNode(t, url, natstarget.Options{Options: link.Options{Overflow: eventtarget.Block}})
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			err := from.Dispatch(ctx, event{Type: "t", ID: "x", Payload: eventtarget.Raw(strconv.Itoa(i))})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	})
	for range 10 {
		n := newNode(t, url, natstarget.Options{})
		n.listen(eventtarget.T("t", "x"))
		for _, wider := range []eventtarget.Topic{eventtarget.T("t", "*"), eventtarget.T("*", "*")} {
			before := len(n.ids())
			n.within("an event", func() bool { return len(n.ids()) > before })
			if _, err := n.Add(t.Context(), wider, eventtarget.Func(func(context.Context, event) {})); err != nil {
				t.Fatal(err)
			}
		}
		n.Close()
		n.mu.Lock()
		for i, e := range n.heard[1:] {
			last, _ := strconv.Atoi(string(n.heard[i].Payload))
			if string(e.Payload) != strconv.Itoa(last+1) {
				t.Fatalf("event %s was heard behind %d", e.Payload, last)
			}
		}
		n.mu.Unlock()
	}
}

// TestSubjects: nothing in a topic is a token or a wildcard of NATS.
func TestSubjects(t *testing.T) {
	url := serve(t)
	topics := []eventtarget.Topic{
		eventtarget.T("a", ""), eventtarget.T("a", "%"), eventtarget.T("a.b", "c"), eventtarget.T("a", "b.c"), eventtarget.T("a", ">"), eventtarget.T(">", ">"),
		eventtarget.T("a", "b*"), eventtarget.T("a b", "+"), eventtarget.T("a", "."), eventtarget.T("a", "ü 😀"), eventtarget.T("a", "%2E"), eventtarget.T("$SYS", "x:y"),
	}
	from, all := newNode(t, url, natstarget.Options{}), newNode(t, url, natstarget.Options{})
	nodes := make([]*node, len(topics))
	for i, topic := range topics {
		nodes[i] = newNode(t, url, natstarget.Options{})
		nodes[i].listen(topic)
		nodes[i].listen(eventtarget.T("end", ""))
	}
	all.listen(eventtarget.T("*", "*"))
	for _, topic := range append(topics, eventtarget.T("end", "")) {
		from.dispatch(event{Type: topic.Type, ID: topic.ID})
	}
	for i, n := range append(nodes, all) {
		n.within("the end", func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			return len(n.heard) > 0 && n.heard[len(n.heard)-1].Type == "end"
		})
		if n == all {
			if got := len(n.ids()); got != len(topics)+1 {
				t.Errorf("everything was %d events, want %d", got, len(topics)+1)
			}
		} else if got := n.heard; len(got) != 2 || got[0].Topic() != topics[i] {
			t.Errorf("on %v was heard %+v", topics[i], got)
		}
	}
}

// TestStrangers: what other programs publish on the bus cannot speak for its hub, nor
// under a topic that the server did not let them use.
func TestStrangers(t *testing.T) {
	url := serve(t)
	n := newNode(t, url, natstarget.Options{})
	n.listen(eventtarget.T("*", "*"))
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	publish := func(subject, msg, name string) {
		t.Helper()
		if err := nc.PublishMsg(&nats.Msg{Subject: subject, Data: []byte(msg), Header: nats.Header{"Eventtarget-Origin": {name}}}); err != nil {
			t.Fatal(err)
		}
	}
	publish("eventtarget.t.1", `{"type":"__gap","id":"","payload":{"count":5}}`, "")
	publish("eventtarget.t.1", `{"type":"\u005f_gap","id":"","payload":{"count":5}}`, "")
	publish("eventtarget.t.2", `{"type":"other","id":"2"}`, "")
	publish("eventtarget.t.3.3", `{"type":"t","id":"3"}`, "")
	for _, name := range []string{"", "x", strings.Repeat("x", 100)} { // it need not know what the header is for
		publish("eventtarget.t.heard", `{"type":"t","id":"heard"}`, name)
	}
	publish("eventtarget.t.last", `{"type":"t","id":"last"}`, "")
	n.await("last")
	if got := strings.Join(n.ids(), " "); got != "heard heard heard last" {
		t.Errorf("heard %q", got)
	}
	if got := n.of(0); len(got) != 1 || got[0].Kind != eventtarget.FaultDecode || got[0].Topic != eventtarget.T("other", "2") {
		t.Errorf("faults: %v", got)
	}
}

// TestForbidden: what the server does not allow is an error of Add, a fault behind
// Dispatch, and the end of a target that it does not know.
func TestForbidden(t *testing.T) {
	url := serve(t, &server.User{Username: "u", Password: "p", Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Deny: []string{"eventtarget.secret.*"}},
		Subscribe: &server.SubjectPermission{Deny: []string{"eventtarget.secret.>"}},
	}})
	host := strings.TrimPrefix(url, "nats://")
	n := newNode(t, "nats://u:p@"+host, natstarget.Options{})
	for range 2 {
		_, err := n.Add(t.Context(), eventtarget.T("secret", "1"), eventtarget.Func(n.handle))
		if !errors.Is(err, eventtarget.ErrForbidden) {
			t.Errorf("Add: %v", err)
		}
		n.listen(eventtarget.T("open", "1"))
	}
	n = newNode(t, url, natstarget.Options{NATS: []nats.Option{nats.UserInfo("u", "p")}})
	n.dispatch(event{Type: "secret", ID: "1"})
	n.within("the fault", func() bool {
		return slices.ContainsFunc(n.of(eventtarget.FaultDispatch), func(f eventtarget.Fault) bool {
			return errors.Is(f.Err, nats.ErrPermissionViolation) && strings.Contains(f.Err.Error(), "Publish")
		})
	})
	stranger, err := natstarget.New("nats://u:wrong@"+host, natstarget.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	if err := stranger.Ready(t.Context()); !errors.Is(err, eventtarget.ErrForbidden) || !errors.Is(err, eventtarget.ErrClosed) {
		t.Errorf("Ready with a wrong password: %v", err)
	}
}

// TestTooLarge: a message over the server's limit is told, and the others arrive.
func TestTooLarge(t *testing.T) {
	url := serve(t)
	o := natstarget.Options{Options: link.Options{Limits: eventtarget.Limits{Message: 4 << 20}}}
	n, other := newNode(t, url, o), newNode(t, url, o)
	other.listen(eventtarget.T("t", "*"))
	n.dispatch(event{Type: "t", ID: "big", Payload: eventtarget.Raw(`"` + strings.Repeat("x", 3<<20) + `"`)})
	n.dispatch(event{Type: "t", ID: "small"})
	other.await("small")
	if got := other.ids(); len(got) != 1 {
		t.Errorf("heard %q", got)
	}
	if got := n.of(0); len(got) != 1 || got[0].Kind != eventtarget.FaultDispatch || got[0].Topic != eventtarget.T("t", "big") || !errors.Is(got[0].Err, nats.ErrMaxPayload) {
		t.Errorf("faults: %v", got)
	}
}

var (
	_ eventtarget.Endpoint      = (*natstarget.Target)(nil)
	_ eventtarget.FaultReporter = (*natstarget.Target)(nil)
	_ eventtarget.Opener        = natstarget.Open
)
