package hub_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/hublog"
)

// TestSharedTellsOnce: what finds no room behind a listener that holds up delivery is told
// in one fault with the count, between what was heard before it and after it.
func TestSharedTellsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const room, events = 8, 40
		log := hublog.New()
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
		log := hublog.New()
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

// TestSharedShutdownHears: what has come out of the log when a hub shuts down its listeners
// hear, however slow they are; what Close discards, or Shutdown when its time is over, is told.
func TestSharedShutdownHears(t *testing.T) {
	const events = 20
	for name, end := range map[string]func(ctx context.Context, h *hub.Hub) error{
		"Shutdown": func(ctx context.Context, h *hub.Hub) error { return h.Shutdown(ctx) },
		"Shutdown, too short": func(ctx context.Context, h *hub.Hub) error {
			ctx, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
			defer cancel()
			return h.Shutdown(ctx)
		},
		"Close": func(_ context.Context, h *hub.Hub) error { return h.Close() },
		"Shutdown, and Close meanwhile": func(ctx context.Context, h *hub.Hub) error {
			time.AfterFunc(100*time.Millisecond, func() { h.Close() })
			return h.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := hublog.New()
				var discarded, heard atomic.Uint64
				a := sharing(t, log, hub.Options{})
				b := sharing(t, log, hub.Options{OnFault: func(f eventtarget.Fault) {
					if f.Kind == eventtarget.FaultDiscarded {
						discarded.Add(f.Count)
					}
				}})
				if _, err := b.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) {
					time.Sleep(30 * time.Millisecond) // of the bubble's time
					heard.Add(1)
				}}); err != nil {
					t.Fatal(err)
				}
				p, _ := open(t, a, "", "")
				for n := range events {
					p.send(fmt.Sprintf(`{"type":"n","id":"%d","payload":1}`, n))
				}
				synctest.Wait()
				err := end(t.Context(), b)
				<-b.Done()
				if n := heard.Load(); n+discarded.Load() != events || name == "Shutdown" && n != events {
					t.Errorf("of %d events %d were heard, and %d told as discarded", events, n, discarded.Load())
				}
				if (err == nil) != (name == "Shutdown" || name == "Close") {
					t.Errorf("%s: %v", name, err)
				}
			})
		})
	}
}

// TestSharedNobodyHears: what nobody here listens to is not waiting for the listeners: it takes
// no room from what does, and is not told as discarded when the hub is closed.
func TestSharedNobodyHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := hublog.New()
		var discarded, lost atomic.Uint64
		a := sharing(t, log, hub.Options{})
		b := sharing(t, log, hub.Options{LogEvents: 8, OnFault: func(f eventtarget.Fault) {
			switch f.Kind {
			case eventtarget.FaultDiscarded:
				discarded.Add(f.Count)
			case eventtarget.FaultGap:
				lost.Add(f.Count)
			}
		}})
		for _, topic := range []eventtarget.Topic{eventtarget.T("n", "1"), eventtarget.T("w", "*")} {
			if _, err := b.Add(t.Context(), topic, eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) {
				time.Sleep(30 * time.Millisecond) // of the bubble's time
			}}); err != nil {
				t.Fatal(err)
			}
		}
		p, _ := open(t, a, "", "")
		for n := range 30 {
			p.send(fmt.Sprintf(`{"type":"n","id":"%d","payload":1}`, n%15)) // of which 1 and 16 are heard
		}
		p.send(`{"type":"w","id":"1","payload":1}`)
		synctest.Wait()
		time.Sleep(40 * time.Millisecond) // until the first is heard, and the second is being
		b.Close()
		<-b.Done()
		if discarded.Load() != 1 || lost.Load() != 0 {
			t.Errorf("%d were told as discarded, and %d as lost", discarded.Load(), lost.Load())
		}
	})
}
