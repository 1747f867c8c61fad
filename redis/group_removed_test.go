package redis

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestGroupRemovedUnderway: an event during whose delivery a member's last listener is removed
// was heard, or goes back; one that the listeners do not listen to does not.
func TestGroupRemovedUnderway(t *testing.T) {
	target, err := New("redis://127.0.0.1:1", &Options{Durable: true, Group: "g", OnFault: func(eventtarget.Fault) {}, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("there is no server")
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { target.Close(); <-target.Done() }()
	m := target.member
	// Large, so that it takes a while to decode.
	text := `{"type":"n","id":"","payload":"` + strings.Repeat("x", 900_000) + `"}`
	arrives := func(id entryID) *entry {
		e := new(entry)
		m.mu.Lock()
		m.held[id] = e
		m.waiting++
		m.mu.Unlock()
		target.arrived(arrival{channel: target.names.log(), entry: id, text: text})
		return e
	}
	listens := func(eventType string, handle func()) *eventtarget.Registration {
		r, err := target.registry.Add(t.Context(), eventtarget.T(eventType, "*"), m.inGroup(eventtarget.Listener[eventtarget.Raw]{
			Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) { handle() },
		}))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for n := range uint64(200) {
		heard, removed := false, make(chan struct{})
		r := listens("n", func() { heard = true })
		go func() { // sooner or later
			for range n % 50 {
				runtime.Gosched()
			}
			target.Remove(r)
			close(removed)
		}()
		e := arrives(entryID{0, n})
		<-removed
		if e.back == heard {
			t.Fatalf("event %d: heard %v, goes back %v", n, heard, e.back)
		}
	}
	listens("other", func() { t.Error("heard by who listens to another type") })
	if e := arrives(entryID{1, 1}); e.back || !e.handled {
		t.Error("what nobody listens to goes back")
	}
}

// TestGroupTellsAtClose: a member that is closed tells what is missing that it alone knows of.
func TestGroupTellsAtClose(t *testing.T) {
	var target *Target
	told := uint64(0)
	target, err := New("redis://127.0.0.1:1", &Options{Durable: true, Group: "g", OnFault: func(f eventtarget.Fault) {
		if f.Kind == eventtarget.FaultGap {
			told += f.Count
			target.Close()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	target.inbox.mu.Lock() // so that all is there at once
	for n := range uint64(3) {
		target.inbox.pending = loss{any: true, count: 1 + n}
		target.inbox.append(arrival{channel: target.names.log(), entry: entryID{0, n}, text: `{"type":"n","id":""}`})
	}
	target.inbox.pending = loss{any: true, count: 10}
	target.inbox.mu.Unlock()
	<-target.Done()
	if told != 16 {
		t.Errorf("told that %d are missing, want 16", told)
	}
}
