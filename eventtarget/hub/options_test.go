package hub_test

import (
	"errors"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
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
		if e, ok := errors.AsType[*eventtarget.Error](err); h != nil || !ok || e.Op != "open" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
