package hub_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestAnswersStay: what the hub has to answer a peer is not among what the spoke's policy
// drops, or what takes the place of something else.
func TestAnswersStay(t *testing.T) {
	for _, o := range []eventtarget.Overflow{eventtarget.Conflate, eventtarget.DropOldest} {
		t.Run(o.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, hub.Options{Overflow: o, SpokeEvents: 32, WriteTimeout: time.Hour, Heartbeat: -1,
					Authorize: func(_ *hub.Spoke, op hub.Op, _ eventtarget.Topic) error {
						if op == hub.OpDispatch {
							return errors.New("no")
						}
						return nil
					}})
				p := attach(t, h, hub.Meta{})
				p.conn.Stall()
				for range pipeHolds { // one by one, so that the writer holds no more than that
					dispatch(t, p.spoke, "fill", "", "0")
					synctest.Wait()
				}
				p.send(`{"type":"__subscribe","id":"1","payload":{"topics":["n:*"]}}`)
				p.send(`{"type":"a","id":""}`)
				p.send(`{"type":"b","id":""}`)
				synctest.Wait()
				for n := range 100 {
					dispatch(t, h, "n", fmt.Sprint(n), "1")
				}
				p.conn.Resume()
				synctest.Wait()
				got := slices.DeleteFunc(p.take(), func(m string) bool { return !strings.HasPrefix(m, "__") || strings.HasPrefix(m, "__gap") })
				want := []string{"__subscribed:1 {}", `__refused: {"topic":"a:","reason":"no"}`, `__refused: {"topic":"b:","reason":"no"}`}
				if !slices.Equal(got, want) {
					t.Errorf("it was told %q, want %q", got, want)
				}
				if _, gone := p.spoke.Reason(); gone {
					t.Error("it was ended")
				}
			})
		})
	}
}

// TestAnswersBounded: who asks and does not hear the answers is ended, also if its events are
// dropped.
func TestAnswersBounded(t *testing.T) {
	for _, o := range []eventtarget.Overflow{eventtarget.Conflate, eventtarget.DropOldest} {
		t.Run(o.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHub(t, hub.Options{Overflow: o, SpokeEvents: 32, WriteTimeout: time.Hour, Heartbeat: -1,
					Authorize: func(_ *hub.Spoke, op hub.Op, _ eventtarget.Topic) error { return errors.New("no") }})
				p := attach(t, h, hub.Meta{})
				p.conn.Stall()
				for n := 0; n < 10*pipeHolds && p.spoke.State() == eventtarget.StateUp; n++ {
					_ = p.conn.Send([]byte(`{"type":"a","id":""}`))
					synctest.Wait()
				}
				if r, gone := p.spoke.Reason(); !gone || r.Code != eventtarget.CodeSlow {
					t.Errorf("ended: %v, %v", gone, r)
				}
			})
		})
	}
}
