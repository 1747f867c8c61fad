package hub_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// unsureBus is a bus that does not know the outcome of telling what is missing.
type unsureBus struct {
	*badBus
	unsure atomic.Bool // whether it takes it and says that it does not know
	takes  bool        // whether it takes it then
}

func (u *unsureBus) Dispatch(ctx context.Context, e eventtarget.Event[raw]) error {
	if !u.unsure.Load() || !strings.Contains(string(e.Payload), `"lost"`) {
		return u.badBus.Dispatch(ctx, e)
	}
	if u.takes {
		if err := u.badBus.Dispatch(ctx, e); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: the connection broke", eventtarget.ErrUnknownOutcome)
}

// What is missing is told once, whether the bus took the first notice or not, and so is
// what is missing after that.
func TestJoinedUnsureNotice(t *testing.T) {
	for _, takes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var bus inprocess.Bus
			hubs, _ := joined(t, &bus, 1, hub.Options{})
			gaps, ear := gapsAt(t, hubs[0], hub.Meta{}, "n:*")
			h, on := newHub(t, hub.Options{}), &unsureBus{badBus: newBadBus(t, &bus), takes: takes}
			var loses atomic.Bool
			on.loses = func(e eventtarget.Event[raw]) bool { return loses.Load() && e.Type == "n" }
			if _, err := h.Join(t.Context(), on, nil); err != nil {
				t.Fatal(err)
			}
			loses.Store(true)
			on.unsure.Store(true)
			dispatch(t, h, "n", "", "0")
			synctest.Wait()
			dispatch(t, h, "n", "", "1") // before which the first is told, for all that is known
			synctest.Wait()
			time.Sleep(4 * time.Second)
			loses.Store(false)
			on.unsure.Store(false)
			dispatch(t, h, "n", "", "2")
			time.Sleep(4 * time.Second)
			if got := gaps(); got != "1 1" {
				t.Errorf("takes %v: gaps %s, want one of each", takes, got)
			}
			if got := ear.payloads(); len(got) != 1 || got[0] != "2" {
				t.Errorf("takes %v: heard %v", takes, got)
			}
		})
	}
}
