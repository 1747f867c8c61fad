package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// spokes is a hub, and a link to it that asks for its topics.
type spokes struct {
	t    *testing.T
	hub  *hub.Hub
	link *link.Link

	mu     sync.Mutex
	conn   *link.PipeConn
	faults []eventtarget.Fault
	heard  []string
}

func subscribing(t *testing.T, ho hub.Options, lo link.Options) *spokes {
	t.Helper()
	s := &spokes{t: t}
	ho.OnFault = func(eventtarget.Fault) {}
	var err error
	if s.hub, err = hub.New(ho); err != nil {
		t.Fatal(err)
	}
	lo.Subscribe = true
	lo.OnFault = func(f eventtarget.Fault) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = append(s.faults, f)
	}
	lo.Dial = func(context.Context) (link.Conn, error) {
		near, far := link.Pipe()
		s.mu.Lock()
		s.conn = near
		s.mu.Unlock()
		_, err := s.hub.Attach(far, hub.Meta{ID: "link"})
		return near, err
	}
	if s.link, err = link.New(lo); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.link.Close(); <-s.link.Done(); s.hub.Close(); <-s.hub.Done() })
	return s
}

func (s *spokes) add(topic eventtarget.Topic) *eventtarget.Registration {
	s.t.Helper()
	r, err := s.link.Add(s.t.Context(), topic, eventtarget.Func(s.handle))
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *spokes) handle(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, e.Topic().String()+" "+string(e.Payload))
}

func (s *spokes) dispatch(eventType, id, payload string) {
	s.t.Helper()
	if err := s.hub.Dispatch(s.t.Context(), eventtarget.Event[eventtarget.Raw]{Type: eventType, ID: id, Payload: eventtarget.Raw(payload)}); err != nil {
		s.t.Error(err)
	}
}

func (s *spokes) expect(want ...string) {
	s.t.Helper()
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.heard, want) {
		s.t.Errorf("heard %q, want %q", s.heard, want)
	}
	s.heard = nil
}

// subscriptions returns what the hub believes that the link wants, in order.
func (s *spokes) subscriptions() string {
	s.t.Helper()
	synctest.Wait()
	spoke, ok := s.hub.Spoke("link")
	if !ok {
		s.t.Fatal("not connected")
	}
	var all []string
	for _, t := range spoke.Subscriptions() {
		all = append(all, t.String())
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestSubscribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := subscribing(t, hub.Options{OnlySubscribed: true}, link.Options{})
		first, second := s.add(eventtarget.T("a", "1")), s.add(eventtarget.T("a", "1"))
		s.dispatch("a", "1", "1")
		s.dispatch("a", "2", "1")
		s.expect("a:1 1", "a:1 1")
		s.link.Remove(first)
		if got := s.subscriptions(); got != "a:1" {
			t.Errorf("with one of two listeners left: %q", got)
		}
		s.link.Remove(second)
		if got := s.subscriptions(); got != "" {
			t.Errorf("without listeners: %q", got)
		}
		once, err := s.link.Add(t.Context(), eventtarget.T("b", ""), eventtarget.Listener[eventtarget.Raw]{Handle: s.handle, Once: true})
		if err != nil {
			t.Fatal(err)
		}
		s.dispatch("b", "", "2")
		<-once.Done()
		s.expect("b: 2")
		if got := s.subscriptions(); got != "" {
			t.Errorf("after Once: %q", got)
		}
	})
}

// TestSubscribeAgain: what is listened to is asked for again after a cut, and an Add
// while the link is down waits for it.
func TestSubscribeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := subscribing(t, hub.Options{OnlySubscribed: true}, link.Options{})
		s.add(eventtarget.T("a", "*"))
		s.mu.Lock()
		s.conn.Cut()
		s.mu.Unlock()
		s.add(eventtarget.T("b", ""))
		if got := s.subscriptions(); got != "a:* b:" {
			t.Errorf("after a cut: %q", got)
		}
		s.dispatch("a", "1", "1")
		s.expect("a:1 1")
		s.dispatch("b", "", "1")
		s.expect("b: 1")
	})
}

func TestSubscribeTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := subscribing(t, hub.Options{OnlySubscribed: true, Subscriptions: 4}, link.Options{Subscriptions: 4})
		var all []*eventtarget.Registration
		for n := range 3 {
			all = append(all, s.add(eventtarget.T("a", fmt.Sprint(n))))
		}
		if got := s.subscriptions(); got != "a:0 a:1 a:2" {
			t.Errorf("as many topics as there may be: %q", got)
		}
		all = append(all, s.add(eventtarget.T("a", "5")))
		if got := s.subscriptions(); got != "a:*" {
			t.Errorf("one topic too many: %q", got)
		}
		s.dispatch("a", "6", "0")
		s.dispatch("a", "5", "0")
		s.expect("a:5 0")
		for n := range 4 {
			all = append(all, s.add(eventtarget.T(fmt.Sprint("t", n), "")))
		}
		if got := s.subscriptions(); got != "*" {
			t.Errorf("one type too many: %q", got)
		}
		s.dispatch("t3", "", "1")
		s.dispatch("t4", "", "1")
		s.expect("t3: 1")
		for _, r := range all {
			s.link.Remove(r)
		}
		if got := s.subscriptions(); got != "" {
			t.Errorf("without listeners: %q", got)
		}
	})
}

func TestSubscribeRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := subscribing(t, hub.Options{Authorize: func(_ *hub.Spoke, op hub.Op, topic eventtarget.Topic) error {
			if topic.Type == "open" || topic.Type == "quiet" && op == hub.OpSubscribe {
				return nil
			}
			return errors.New("not for you")
		}}, link.Options{})
		s.add(eventtarget.T("open", ""))
		for range 2 { // also when it was refused before
			_, err := s.link.Add(t.Context(), eventtarget.T("closed", ""), eventtarget.Func(s.handle))
			if !errors.Is(err, eventtarget.ErrForbidden) || !strings.Contains(err.Error(), "not for you") {
				t.Error(err)
			}
		}
		if err := s.link.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "quiet"}); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.faults) != 1 || s.faults[0].Topic.Type != "quiet" || !errors.Is(s.faults[0].Err, eventtarget.ErrForbidden) {
			t.Errorf("faults: %v", s.faults)
		}
	})
}

// TestSubscribeWaits: Add waits no longer than its context, and inside an Inline
// listener not at all.
func TestSubscribeWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := link.Pipe() // to an end that never answers
		l, err := link.New(link.Options{Conn: near, Subscribe: true, Heartbeat: -1, OnFault: func(eventtarget.Fault) {}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Add(ctx, eventtarget.T("a", ""), eventtarget.Func(func(context.Context, eventtarget.Event[eventtarget.Raw]) {})); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		added := make(chan error, 1)
		go func() {
			_, err := l.Add(t.Context(), eventtarget.T("b", ""), eventtarget.Listener[eventtarget.Raw]{Inline: true,
				Handle: func(ctx context.Context, _ eventtarget.Event[eventtarget.Raw]) {
					_, err := l.Add(ctx, eventtarget.T("c", ""), eventtarget.Func(func(context.Context, eventtarget.Event[eventtarget.Raw]) {}))
					added <- err
				}})
			added <- err
		}()
		synctest.Wait()
		if err := far.Send([]byte(`{"type":"b","id":""}`)); err != nil {
			t.Error(err)
		}
		if err := <-added; !errors.Is(err, eventtarget.ErrWouldBlock) {
			t.Errorf("Add inside an Inline listener: %v", err)
		}
		l.Close()
		if err := <-added; !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("Add when the link was closed: %v", err)
		}
		<-l.Done()
	})
}

// TestSubscribeAnew: an Add that asks again for what an Add before has given up is confirmed by
// the answer to its own request: between the two the hub does without.
func TestSubscribeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := link.Pipe()
		l := start(t, link.Options{Conn: near, Subscribe: true, Heartbeat: -1})
		if err := l.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := l.Add(ctx, eventtarget.T("a", ""), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) {})); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		added := make(chan error, 1)
		go func() {
			_, err := l.Add(t.Context(), eventtarget.T("a", ""), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) {}))
			added <- err
		}()
		for _, want := range []string{"__subscribe 1", "__unsubscribe 2", "__subscribe 3", "__unsubscribe 4", "__subscribe 5"} {
			msg, err := far.Receive()
			if err != nil {
				t.Fatal(err)
			}
			var m struct{ Type, ID string }
			if err := json.Unmarshal(msg, &m); err != nil || m.Type+" "+m.ID != want {
				t.Fatalf("asked %s, want %s", msg, want)
			}
			if m.Type != "__subscribe" {
				continue
			}
			synctest.Wait()
			if len(added) > 0 {
				t.Errorf("confirmed before %s was answered", want)
			}
			if err := far.Send([]byte(`{"type":"__subscribed","id":"` + m.ID + `","payload":{}}`)); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-added; err != nil {
			t.Error(err)
		}
	})
}
