package inprocess_test

import (
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// TestNegativeLimits: where there is no error to tell it, a negative limit is the default,
// and not one that nothing is within.
func TestNegativeLimits(t *testing.T) {
	none := eventtarget.Limits{Message: -1, Depth: -1, Headers: -1, HeaderBytes: -1}
	for name, target := range map[string]eventtarget.Target{
		"target": inprocess.New(&inprocess.Options[eventtarget.Raw]{Codec: eventtarget.JSON[eventtarget.Raw](), Limits: none}),
		"member": new(inprocess.Bus).Join(&inprocess.MemberOptions{Limits: none}),
	} {
		e := eventtarget.Event[eventtarget.Raw]{Type: "a", Payload: eventtarget.Raw(`[{"b":1}]`), Headers: map[string]string{"k": "v"}}
		if err := target.Dispatch(t.Context(), e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		e.Payload = eventtarget.Raw(`"` + strings.Repeat("x", eventtarget.DefaultMaxMessage) + `"`)
		if err := target.Dispatch(t.Context(), e); err == nil {
			t.Errorf("%s: there is no limit", name)
		}
	}
}
