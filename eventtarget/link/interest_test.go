package link_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// TestSubscribeWiderRefused: where a link needs more topics than it may ask for, and may not have
// what includes them, the one topic too many is refused, and the others are heard as before.
func TestSubscribeWiderRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := subscribing(t, hub.Options{OnlySubscribed: true, Subscriptions: 4, Authorize: func(_ *hub.Spoke, _ hub.Op, topic eventtarget.Topic) error {
			if topic.ID == eventtarget.Wildcard {
				return errors.New("not everything")
			}
			return nil
		}}, link.Options{Subscriptions: 4})
		var all []*eventtarget.Registration
		for n := range 3 {
			all = append(all, s.add(eventtarget.T("a", fmt.Sprint(n))))
		}
		for _, topic := range []eventtarget.Topic{eventtarget.T("a", "3"), eventtarget.T("b", ""), eventtarget.T("c", "")} {
			if _, err := s.link.Add(t.Context(), topic, eventtarget.Func(s.handle)); !errors.Is(err, eventtarget.ErrForbidden) || !strings.Contains(err.Error(), "more topics than 3, and ") {
				t.Errorf("Add of %v: %v", topic, err)
			}
			if got := s.subscriptions(); got != "a:0 a:1 a:2" {
				t.Errorf("behind %v the hub is asked for %q", topic, got)
			}
			s.dispatch("a", "1", "1")
			s.expect("a:1 1")
		}
		s.link.Remove(all[0])
		s.add(eventtarget.T("b", ""))
		if got := s.subscriptions(); got != "a:1 a:2 b:" {
			t.Errorf("where there is room again the hub is asked for %q", got)
		}
	})
}

// TestSubscribeWildcardRefused: who asks for every id of a type and may not have it takes
// nothing from those who listen to one.
func TestSubscribeWildcardRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := subscribing(t, hub.Options{OnlySubscribed: true, Authorize: func(_ *hub.Spoke, _ hub.Op, topic eventtarget.Topic) error {
			if topic.ID == eventtarget.Wildcard {
				return errors.New("not everything")
			}
			return nil
		}}, link.Options{})
		s.add(eventtarget.T("a", "1"))
		if _, err := s.link.Add(t.Context(), eventtarget.T("a", "*"), eventtarget.Func(s.handle)); !errors.Is(err, eventtarget.ErrForbidden) {
			t.Error(err)
		}
		s.dispatch("a", "1", "1")
		s.expect("a:1 1")
	})
}

// TestSubscribeBesideRefused: what was not asked for because every id of its type was, is
// asked for itself when the hub refuses that.
func TestSubscribeBesideRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *spokes
		s = subscribing(t, hub.Options{OnlySubscribed: true, Authorize: func(_ *hub.Spoke, _ hub.Op, topic eventtarget.Topic) error {
			if topic.ID == eventtarget.Wildcard || topic.ID == "2" {
				return errors.New("not everything")
			}
			return nil
		}}, link.Options{Setup: func(l *link.Link) {
			for _, id := range []string{eventtarget.Wildcard, "1", "2", "3"} {
				if _, err := l.Add(t.Context(), eventtarget.T("a", id), eventtarget.Func(func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) { s.handle(ctx, e) })); err != nil {
					t.Error(err)
				}
			}
		}})
		synctest.Wait()
		if got := s.subscriptions(); got != "a:1 a:3" {
			t.Errorf("the hub is asked for %q", got)
		}
		s.dispatch("a", "1", "1")
		s.expect("a:1 1", "a:1 1") // the listener on a:* hears what comes
		s.mu.Lock()
		defer s.mu.Unlock()
		told := map[string]bool{}
		for _, f := range s.faults {
			told[f.Topic.String()] = errors.Is(f.Err, eventtarget.ErrForbidden)
		}
		if len(told) != 2 || !told["a:*"] || !told["a:2"] {
			t.Errorf("told: %v", s.faults)
		}
	})
}

// TestSubscribeRefusedLater: what the hub refuses to listeners that are there already, and no
// Add waits for, is a fault, on the first connection too; the next one is asked for it again.
func TestSubscribeRefusedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var allowed atomic.Bool
		s := subscribing(t, hub.Options{OnlySubscribed: true, Authorize: func(_ *hub.Spoke, _ hub.Op, topic eventtarget.Topic) error {
			if topic.Type == "a" && !allowed.Load() {
				return errors.New("not yet")
			}
			return nil
		}}, link.Options{Setup: func(l *link.Link) {
			if _, err := l.Add(t.Context(), eventtarget.T("a", ""), eventtarget.Func(func(context.Context, eventtarget.Event[raw]) {})); err != nil {
				t.Error(err)
			}
		}})
		if got := s.subscriptions(); got != "" {
			t.Errorf("subscribed to %q", got)
		}
		s.mu.Lock()
		if len(s.faults) != 1 || s.faults[0].Topic.Type != "a" || !errors.Is(s.faults[0].Err, eventtarget.ErrForbidden) {
			t.Errorf("faults: %v", s.faults)
		}
		s.conn.Cut()
		s.mu.Unlock()
		allowed.Store(true)
		s.add(eventtarget.T("b", "")) // once the link is up again
		if got := s.subscriptions(); got != "a: b:" {
			t.Errorf("subscribed to %q", got)
		}
	})
}
