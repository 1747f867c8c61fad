package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// What is nested too deep is told with the limit that the user has set, at either end.
func TestDepth(t *testing.T) {
	limits := eventtarget.Limits{Depth: 3}.WithDefaults()
	for depth, deep := range map[int]bool{3: false, 4: true} {
		payload := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		_, decode := Decode([]byte(`{"type":"a","id":"","payload":`+payload+`}`), limits)
		check := Check(&eventtarget.Event[eventtarget.Raw]{Type: "a", Payload: eventtarget.Raw(payload)}, limits)
		for _, err := range []error{decode, check} {
			told := errors.Is(err, eventtarget.ErrLimit) && strings.Contains(err.Error(), "nested deeper than 3")
			if deep != told || deep != (err != nil) {
				t.Errorf("nested %d deep, of 3: %v", depth, err)
			}
		}
	}
}
