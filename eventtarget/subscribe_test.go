package eventtarget_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// TestSubscriptionLeft: who leaves the loop where events were lost, and comes back, misses no
// more than those.
func TestSubscriptionLeft(t *testing.T) {
	target := inprocess.New[int](nil)
	defer target.Close()
	sub, err := eventtarget.Subscribe(t.Context(), target, eventtarget.T("a", ""), 2)
	if err != nil {
		t.Fatal(err)
	}
	dispatch := func(n int) {
		t.Helper()
		if err := target.Dispatch(t.Context(), eventtarget.Event[int]{Type: "a", Payload: n}); err != nil {
			t.Fatal(err)
		}
	}
	var heard []int
	once := func() (err error) {
		for e, err := range sub.All(t.Context()) {
			if err == nil {
				heard = append(heard, e.Payload)
			}
			return err
		}
		return nil
	}
	for n := range 4 {
		dispatch(n) // 2 and 3 find no room
	}
	if err := errors.Join(once(), once()); err != nil {
		t.Error(err)
	}
	dispatch(4)
	if err := once(); !errors.Is(err, eventtarget.ErrOverflow) {
		t.Errorf("%v where events were lost", err)
	}
	dispatch(5)
	dispatch(6) // finds no room
	sub.Close()
	if err := errors.Join(once(), once()); err != nil {
		t.Error(err)
	}
	if err := once(); !errors.Is(err, eventtarget.ErrOverflow) {
		t.Errorf("%v where events were lost", err)
	}
	if err := once(); !errors.Is(err, eventtarget.ErrClosed) {
		t.Errorf("%v at the end", err)
	}
	if want := []int{0, 1, 4, 5}; !slices.Equal(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
}

// TestSubscriptionBytes: by default what is collected is bounded in bytes, too, and what was
// ranged over makes room.
func TestSubscriptionBytes(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // where nothing comes any more
	defer cancel()
	target := inprocess.New[raw](nil)
	defer target.Close()
	sub, err := eventtarget.Subscribe(t.Context(), target, eventtarget.T("a", ""), 0)
	if err != nil {
		t.Fatal(err)
	}
	const fit = 4
	payload := make(raw, eventtarget.DefaultQueueBytes/fit)
	for range 2 {
		for range fit + 2 {
			if err := target.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "a", Payload: payload}); err != nil {
				t.Fatal(err)
			}
		}
		heard := 0
		for _, err := range sub.All(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if heard++; heard == fit {
				break
			}
		}
		if err := target.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "a"}); err != nil { // behind what was lost
			t.Fatal(err)
		}
		for _, err := range sub.All(ctx) {
			if !errors.Is(err, eventtarget.ErrOverflow) || !strings.Contains(err.Error(), "2 events") {
				t.Errorf("%v where two events were lost", err)
			}
			break
		}
		next(t, sub)
	}
}
