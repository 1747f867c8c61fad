package hub_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestSharedTellsOnce: what finds no room behind a listener that holds up delivery is told
// in one fault with the count, between what was heard before it and after it.
func TestSharedTellsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const room, events = 8, 40
		log := newSharedLog()
		var story []string // of the goroutine that delivers; read when nothing moves
		a := sharing(t, log, hub.Options{})
		b := sharing(t, log, hub.Options{LogEvents: room, OnFault: func(f eventtarget.Fault) {
			if f.Kind == eventtarget.FaultGap {
				story = append(story, fmt.Sprint(f.Count, " lost"))
			}
		}})
		free := make(chan struct{})
		if _, err := b.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
			<-free
			story = append(story, e.ID)
		}}); err != nil {
			t.Fatal(err)
		}
		p, _ := open(t, a, "", "")
		var want []string
		send := func(id string) {
			p.send(`{"type":"n","id":"` + id + `","payload":1}`)
			synctest.Wait()
		}
		hold := func(first int) {
			for n := range events {
				if send(fmt.Sprint(first + n)); n <= room { // one is being delivered
					want = append(want, fmt.Sprint(first+n))
				}
			}
			want = append(want, fmt.Sprint(events-room-1, " lost"))
		}
		hold(0)
		close(free)
		synctest.Wait()
		send("next")
		want = append(want, "next")
		if !slices.Equal(story, want) {
			t.Errorf("got  %q\nwant %q", story, want)
		}
		free = make(chan struct{})
		hold(events)
		close(free)
		synctest.Wait()
		if !slices.Equal(story, want) {
			t.Errorf("when it is held up again:\ngot  %q\nwant %q", story, want)
		}
	})
}

// TestSharedGoexit: an Inline listener that ends the goroutine does not make the hub deaf.
func TestSharedGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newSharedLog()
		a, b := sharing(t, log, hub.Options{}), sharing(t, log, hub.Options{OnFault: func(eventtarget.Fault) {}})
		free := make(chan struct{})
		var heard []string // of the goroutine that delivers; read when nothing moves
		if _, err := b.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
			<-free
			heard = append(heard, e.ID)
			if len(heard) < 4 {
				runtime.Goexit()
			}
		}}); err != nil {
			t.Fatal(err)
		}
		p, _ := open(t, a, "", "")
		var want []string
		for n := range 6 {
			want = append(want, fmt.Sprint(n))
			p.send(fmt.Sprintf(`{"type":"n","id":"%d","payload":1}`, n))
			synctest.Wait()
			if n == 4 {
				close(free)
				synctest.Wait()
			}
		}
		if !slices.Equal(heard, want) {
			t.Errorf("heard %q, want %q", heard, want)
		}
	})
}
