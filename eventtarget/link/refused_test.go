package link_test

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestSubscribeAllRefused: a link that comes back with more topics than it may ask for, and may
// have none of them any more, asks for each once, and not again and again.
func TestSubscribeAllRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var forbidden atomic.Bool
		var asked atomic.Int64
		s := subscribing(t, hub.Options{OnlySubscribed: true, Authorize: func(*hub.Spoke, hub.Op, eventtarget.Topic) error {
			if asked.Add(1) == 100 {
				t.Error("it asks again and again")
				forbidden.Store(false) // or this never ends
			}
			if forbidden.Load() {
				return errors.New("not any more")
			}
			return nil
		}}, link.Options{Subscriptions: 2})
		s.add(eventtarget.T("a", ""))
		s.add(eventtarget.T("c", ""))
		forbidden.Store(true)
		s.conn.Cut()
		<-time.After(time.Minute)
		synctest.Wait()
		var told []string
		s.mu.Lock()
		for _, f := range s.faults {
			if f.Kind == eventtarget.FaultDispatch {
				told = append(told, f.Topic.String()+" "+f.Err.Error())
			}
		}
		s.mu.Unlock()
		slices.Sort(told)
		if want := []string{"a: forbidden: not any more", "c: forbidden: not any more"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		if got := s.subscriptions(); got != "" {
			t.Errorf("the hub is asked for %q", got)
		}
	})
}
