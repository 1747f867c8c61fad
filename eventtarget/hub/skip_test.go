package hub_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestManySkips: what is not for a spoke that takes nothing costs it next to nothing once it
// has left the log, is not among what the spoke has lost, and is never heard. What is for it
// alone stays where it was.
func TestManySkips(t *testing.T) {
	const events, alone = 100_000, 1000 // every thousandth is for the spoke alone
	for name, o := range map[string]hub.Options{
		"stalled":      {Overflow: eventtarget.DropOldest},
		"down":         {},
		"disconnected": {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o.LogEvents, o.WriteTimeout, o.Heartbeat, o.SessionTimeout = 256, time.Hour, -1, time.Hour
				h := newHub(t, o)
				p, w := open(t, h, "", "")
				if p.conn.Stall(); name == "down" {
					p.conn.Cut()
				}
				synctest.Wait()
				before, _ := inUse()
				want := 0
				var own []string
				for n := range events {
					var err error
					switch e := event("n", fmt.Sprint(n), "1"); {
					case n%alone == alone/2:
						own = append(own, fmt.Sprintf("own:%d 1", n))
						err = p.spoke.Dispatch(t.Context(), event("own", fmt.Sprint(n), "1"))
					case n%2 == 0:
						err = h.DispatchExcept(t.Context(), e, p.spoke)
					default:
						err = h.Dispatch(t.Context(), e)
						want++
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				after, _ := inUse()
				t.Logf("%d events for others in the middle of as many: %.0f bytes", events/2, after-before)
				if after-before > 2<<20 {
					t.Errorf("they cost %.0f bytes", after-before)
				}
				switch name {
				case "disconnected":
					p.conn.Resume()
					if got := p.reason(); got.Code != eventtarget.CodeSlow {
						t.Errorf("it was ended with %v", got)
					}
					return
				case "down":
					p, _ = open(t, h, "", resume(w, 0))
				}
				p.conn.Resume()
				synctest.Wait()
				heard, lost := 0, 0
				var got []string
				for all := p.take(); len(all) > 0; all = p.take() {
					for _, m := range all {
						var n int
						if _, err := fmt.Sscanf(m, `__gap: {"count":%d}`, &n); err == nil {
							lost += n
						} else if _, err := fmt.Sscanf(m, "n:%d", &n); err == nil {
							if heard++; n%2 == 0 {
								t.Fatalf("it has heard %s, which is for others", m)
							}
						} else {
							got = append(got, m)
						}
					}
					p.ack(heard + len(got)) // and gaps, which are few
				}
				if lost == 0 || heard+lost != want {
					t.Errorf("heard %d and told of %d, of %d", heard, lost, want)
				}
				if strings.Join(got, ",") != strings.Join(own, ",") {
					t.Errorf("of its own it has heard %d, want %d: %.100q", len(got), len(own), got)
				}
			})
		})
	}
}

// TestDropOldestWhileAway: what came while a spoke had unsubscribed is not among what it has
// lost, and nothing is lost twice because it has subscribed again.
func TestDropOldestWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{Overflow: eventtarget.DropOldest, LogEvents: 64, WriteTimeout: time.Hour, Heartbeat: -1})
		p := attach(t, h, hub.Meta{})
		p.subscribe("*")
		p.conn.Stall()
		want := 0
		for n := range 2000 {
			switch n % 7 {
			case 0:
				p.send(`{"type":"__unsubscribe","id":"","payload":{"topics":["*"]}}`)
				synctest.Wait()
				dispatch(t, h, "n", "", "1")
				p.send(`{"type":"__subscribe","id":"2","payload":{"topics":["*"]}}`)
				synctest.Wait()
			case 1, 2:
				if err := h.DispatchExcept(t.Context(), event("n", "", "1"), p.spoke); err != nil {
					t.Fatal(err)
				}
			default:
				dispatch(t, h, "n", "", "1")
				want++
			}
		}
		p.conn.Resume()
		synctest.Wait()
		heard, lost := 0, 0
		for _, m := range p.take() {
			var n int
			if _, err := fmt.Sscanf(m, `__gap: {"count":%d}`, &n); err == nil {
				lost += n
			} else if strings.HasPrefix(m, "n:") {
				heard++
			}
		}
		if lost == 0 || heard+lost != want || p.spoke.Stats().Lost != uint64(lost) {
			t.Errorf("heard %d and told of %d, of %d: %+v", heard, lost, want, p.spoke.Stats())
		}
	})
}
