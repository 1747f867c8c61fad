package hub_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// TestOptions: what cannot be is an error of New.
func TestOptions(t *testing.T) {
	for name, o := range map[string]hub.Options{
		"negative bound":     {RetainTopics: -1},
		"negative rate":      {Rate: -1},
		"negative time":      {WriteTimeout: -1},
		"negative patience":  {FirstMessage: -1},
		"a link's Overflow":  {Overflow: eventtarget.Reject},
		"unknown Overflow":   {Overflow: 99},
		"unknown Duplicates": {Duplicates: hub.Refuse + 1},
	} {
		h, err := hub.New(o)
		if e, ok := errors.AsType[*eventtarget.Error](err); h != nil || !ok || e.Op != "open" || e.Adapter != "hub" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestJoinOptions: the error names what cannot be.
func TestJoinOptions(t *testing.T) {
	h := newHub(t, hub.Options{})
	for want, o := range map[string]hub.JoinOptions{
		"a Lease of 1ms is not between 30ms and 1h0m0s": {Lease: time.Millisecond},
		"a Lease of 2h0m0s is not between":              {Lease: 2 * time.Hour},
		"a Name of 5000 bytes is longer than":           {Name: strings.Repeat("n", 5000)},
		"QueueBytes is negative (-5)":                   {QueueBytes: -5},
	} {
		if m, err := h.Join(t.Context(), inprocess.New[eventtarget.Raw](nil), &o); m != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// TestOutcome: one that there is not has a text, too.
func TestOutcome(t *testing.T) {
	for o, want := range map[hub.Outcome]string{hub.Pending: "pending", hub.Out: "out", hub.Dropped: "dropped", hub.Gone: "gone", 9: "outcome(9)"} {
		if got := o.String(); got != want {
			t.Errorf("%d is %q, want %q", o, got, want)
		}
	}
}
