package hub_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

func TestRetain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{RetainTopics: 2, Retain: func(topic eventtarget.Topic) bool { return topic.Type == "votes" }})
		early := attach(t, h, hub.Meta{ID: "early"})
		for n, id := range []string{"a", "b", "a", "c"} { // b gives way
			dispatch(t, h, "votes", id, fmt.Sprint(n))
			dispatch(t, h, "chat", id, "0")
		}
		synctest.Wait()
		early.take()
		everything := attach(t, h, hub.Meta{ID: "everything"})
		everything.expect("votes:a 2", "votes:c 3")
		p := attach(t, h, hub.Meta{ID: "p"})
		synctest.Wait()
		p.take()
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["votes:*","chat:a"]}}`)
		p.expect("__subscribed:1 {}", "votes:a 2", "votes:c 3")
		dispatch(t, h, "votes", "a", "4")
		p.expect("votes:a 4")
		early.expect("votes:a 4")
	})
}

// TestRetainBytes: what is retained is bounded in bytes, too, and a topic that is dispatched again
// counts once.
func TestRetainBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{RetainBytes: 4000, Retain: func(eventtarget.Topic) bool { return true }})
		large := `"` + strings.Repeat("x", 998) + `"` // three of them fit, with what a topic costs
		for _, id := range []string{"a", "b", "b", "b", "b", "c", "a"} {
			dispatch(t, h, "n", id, large)
		}
		attach(t, h, hub.Meta{}).expect("n:b "+large, "n:c "+large, "n:a "+large)
		dispatch(t, h, "n", "d", large)
		attach(t, h, hub.Meta{}).expect("n:c "+large, "n:a "+large, "n:d "+large)
		huge := `"` + strings.Repeat("x", 4998) + `"`
		dispatch(t, h, "n", "e", huge)
		attach(t, h, hub.Meta{}).expect("n:e " + huge)
		dispatch(t, h, "n", "f", "1")
		attach(t, h, hub.Meta{}).expect("n:f 1")
	})
}

// TestBehindGap: who comes back and has missed something gets what is retained, or a snapshot,
// behind the gap, and what has come since; who has missed nothing gets the latter alone, and who
// has heard nothing both.
func TestBehindGap(t *testing.T) {
	topics := []eventtarget.Topic{eventtarget.T("n", "*")}
	for name, c := range map[string]struct {
		o      hub.Options
		topics []eventtarget.Topic
		behind []string
		anew   []string
	}{
		"retained, for all":        {hub.Options{Retain: func(eventtarget.Topic) bool { return true }}, nil, []string{"n:a 1", "n:b 2"}, []string{"n:a 1", "n:b 2"}},
		"retained, for its topics": {hub.Options{Retain: func(eventtarget.Topic) bool { return true }}, topics, []string{"n:a 1", "n:b 2"}, []string{"n:a 1", "n:b 2"}},
		"snapshot": {hub.Options{Snapshot: func(*hub.Spoke, eventtarget.Topic) ([]eventtarget.Event[raw], hub.Position) {
			return []eventtarget.Event[raw]{event("n", "all", "3")}, hub.Position{}
		}}, topics, []string{"n:all 3"}, []string{"n:all 3"}},
		"nothing": {hub.Options{}, topics, nil, []string{"n:b 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, c.o)
				dispatch(t, h, "n", "a", "1")
				since := h.Position()
				dispatch(t, h, "n", "b", "2")
				back := attach(t, h, hub.Meta{Since: since, Resumes: true, Topics: c.topics})
				back.expect("n:b 2")
				lost := attach(t, h, hub.Meta{Since: h.ParsePosition("before.7"), Resumes: true, Topics: c.topics})
				lost.expect(append([]string{`__gap: {"count":0}`}, c.behind...)...)
				anew := attach(t, h, hub.Meta{Since: since, Resumes: true, HeardNothing: true, Topics: c.topics})
				anew.expect(c.anew...)
				dispatch(t, h, "n", "c", "4")
				back.expect("n:c 4")
				lost.expect("n:c 4")
				anew.expect("n:c 4")
			})
		})
	}
}

// TestRetainMuch: for who begins with more than there is room for that is the last of it, behind a
// gap, and no reason to be ended: it would come back to the same.
func TestRetainMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{SpokeEvents: 16, Retain: func(eventtarget.Topic) bool { return true }})
		topics := []eventtarget.Topic{eventtarget.T("n", "*"), eventtarget.T("n", "19")}
		count(t, h, 0, 16)
		attach(t, h, hub.Meta{}).expect(counted(0, 16)...)
		count(t, h, 16, 20)
		want := append([]string{`__gap: {"count":12}`}, counted(12, 20)...)
		attach(t, h, hub.Meta{}).expect(want...)
		attach(t, h, hub.Meta{Topics: topics[:1]}).expect(want...)
		attach(t, h, hub.Meta{Topics: topics}).expect(append(append([]string{`__gap: {"count":13}`}, counted(13, 20)...), "n:19 19")...)
		p := attach(t, h, hub.Meta{Topics: topics[1:]})
		p.expect("n:19 19")
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["n:*"]}}`)
		p.expect(append([]string{"__subscribed:1 {}"}, want...)...)
		count(t, h, 20, 21)
		p.expect(counted(20, 21)...)
		blocks := newHub(t, hub.Options{SpokeEvents: 16, Overflow: eventtarget.Block, Retain: func(eventtarget.Topic) bool { return true }})
		count(t, blocks, 0, 32)
		attach(t, blocks, hub.Meta{}).expect(counted(0, 32)...)
		count(t, blocks, 32, 33)
		attach(t, blocks, hub.Meta{}).expect(append([]string{`__gap: {"count":25}`}, counted(25, 33)...)...)
	})
}

// TestRetainPanics: a function that panics keeps nothing, is told, and stops nobody.
func TestRetainPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var faults []eventtarget.Fault
		h := newHub(t, hub.Options{
			Retain: func(topic eventtarget.Topic) bool {
				if topic.ID == "bad" {
					panic("no idea")
				}
				return true
			},
			OnFault: func(f eventtarget.Fault) { faults = append(faults, f) },
		})
		p := attach(t, h, hub.Meta{})
		p.subscribe("n:*")
		follower := attach(t, h, hub.Meta{})
		dispatch(t, h, "n", "bad", "1")
		dispatch(t, h, "n", "good", "2")
		p.expect("n:bad 1", "n:good 2")
		follower.expect("n:bad 1", "n:good 2")
		attach(t, h, hub.Meta{}).expect("n:good 2")
		if len(faults) != 1 || faults[0].Kind != eventtarget.FaultPanic || len(faults[0].Stack) == 0 {
			t.Errorf("told %v", faults)
		}
	})
}

// TestSnapshotThenLive: a count that goes up while spokes subscribe to it is heard by
// each without a hole and without a repeat (law C28).
func TestSnapshotThenLive(t *testing.T) {
	var mu sync.Mutex // the state's
	count := 0
	var h *hub.Hub
	h = newHub(t, hub.Options{OnlySubscribed: true, Snapshot: func(_ *hub.Spoke, topic eventtarget.Topic) ([]eventtarget.Event[raw], hub.Position) {
		mu.Lock()
		defer mu.Unlock()
		return []eventtarget.Event[raw]{event(topic.Type, topic.ID, fmt.Sprint(count))}, h.Position()
	}})
	stop := make(chan struct{})
	var counting sync.WaitGroup
	counting.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			mu.Lock()
			count++
			err := h.Dispatch(context.Background(), event("n", "", fmt.Sprint(count)))
			mu.Unlock()
			if err != nil {
				t.Error(err)
			}
		}
	})
	for range 50 {
		p := attach(t, h, hub.Meta{})
		p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["n:"]}}`)
		p.await(20)
		got := p.take()
		if got[0] != "__subscribed:1 {}" {
			t.Fatalf("got %q first", got[0])
		}
		var first int
		if _, err := fmt.Sscanf(got[1], "n: %d", &first); err != nil {
			t.Fatal(err)
		}
		for i, m := range got[1:] {
			if m != fmt.Sprintf("n: %d", first+i) {
				t.Fatalf("after a snapshot of %d, message %d is %q", first, i, m)
			}
		}
		p.conn.Cut()
	}
	close(stop)
	counting.Wait()
}

func TestSnapshotPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faults := make(chan eventtarget.Fault, 9)
		h := newHub(t, hub.Options{
			OnFault:  func(f eventtarget.Fault) { faults <- f },
			Snapshot: func(*hub.Spoke, eventtarget.Topic) ([]eventtarget.Event[raw], hub.Position) { panic("no state") },
		})
		p := attach(t, h, hub.Meta{})
		p.subscribe("a:")
		if f := <-faults; f.Kind != eventtarget.FaultPanic {
			t.Error(f)
		}
		dispatch(t, h, "a", "", "1")
		p.expect("a: 1")
	})
}

// TestRate: a spoke that floods is read at its rate, loses nothing, and nobody else
// waits for it.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Rate: 100, Burst: 10})
		heard := listen(t, h, "*")
		flood, other := attach(t, h, hub.Meta{}), attach(t, h, hub.Meta{})
		began := time.Now()
		go func() {
			for range 110 {
				flood.send(`{"type":"flood","id":"","payload":1}`)
			}
		}()
		time.Sleep(500 * time.Millisecond) // of the bubble's time
		synctest.Wait()
		if n := len(heard.payloads()); n != 60 {
			t.Errorf("after half a second %d were heard", n)
		}
		other.send(`{"type":"other","id":"","payload":2}`)
		synctest.Wait()
		if got := heard.payloads(); got[len(got)-1] != "2" {
			t.Error("the other spoke had to wait")
		}
		for len(heard.payloads()) < 111 {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(began); took < 990*time.Millisecond || took > 1010*time.Millisecond {
			t.Errorf("110 messages took %v", took)
		}
	})
}

func TestFirstMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{FirstMessage: time.Second})
		silent, speaks := attach(t, h, hub.Meta{}), attach(t, h, hub.Meta{})
		speaks.send(`{"type":"x","id":""}`)
		time.Sleep(2 * time.Second) // of the bubble's time
		if r := silent.reason(); r.Code != eventtarget.CodePolicy {
			t.Error(r)
		}
		if h.Len() != 1 {
			t.Errorf("%d spokes", h.Len())
		}
	})
}

// TestSnapshotBlock: a hub that blocks does not wait for ever for a spoke whose snapshot waits
// for the dispatcher, which holds the lock of the state.
func TestSnapshotBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		state := make(chan struct{}, 1) // full while it is locked
		h := newHub(t, hub.Options{Overflow: eventtarget.Block, SpokeEvents: 32, OnlySubscribed: true, Heartbeat: -1,
			Snapshot: func(*hub.Spoke, eventtarget.Topic) ([]eventtarget.Event[raw], hub.Position) {
				state <- struct{}{}
				<-state
				return nil, hub.Position{}
			}})
		p, other := attach(t, h, hub.Meta{}), attach(t, h, hub.Meta{})
		other.subscribe("n:*")
		state <- struct{}{}
		p.subscribe("n:*")
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := 0; n < 100 && h.Dispatch(t.Context(), event("n", "", fmt.Sprint(n))) == nil; n++ {
			}
		}()
		select {
		case <-done:
		case <-time.After(time.Minute): // of the bubble's time
			t.Error("it waits still")
			h.Close()
			<-done
		}
		<-state
		if r := p.reason(); r.Code != eventtarget.CodeSlow {
			t.Errorf("ended with %v", r)
		}
		other.expect(numbers(0, 100)...)
	})
}

// TestSnapshotAtOnce: who comes with topics gets the snapshot, which has what was dispatched
// until then, and what follows.
func TestSnapshotAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h *hub.Hub
		h = newHub(t, hub.Options{
			OnConnect: func(*hub.Spoke) { count(t, h, 0, 2) },
			Snapshot: func(*hub.Spoke, eventtarget.Topic) ([]eventtarget.Event[eventtarget.Raw], hub.Position) {
				return []eventtarget.Event[eventtarget.Raw]{event("n", "both", "0")}, h.Position()
			},
		})
		p := attach(t, h, hub.Meta{Topics: []eventtarget.Topic{eventtarget.T("n", "*")}})
		count(t, h, 2, 4)
		p.expect(append([]string{"n:both 0"}, counted(2, 4)...)...)
	})
}
