package eventtarget

import (
	"testing"
	"time"
)

func TestReasonMessage(t *testing.T) {
	for _, r := range []Reason{
		{}, {Text: "why"}, {Retry: 1500 * time.Millisecond}, {Text: "an upgrade", Retry: time.Minute}, {Text: "retry-ms"},
	} {
		r.Code, r.Remote = CodeRestart, true
		if got := ReasonOf(CodeRestart, r.Message()); got != r {
			t.Errorf("%q: %+v, want %+v", r.Message(), got, r)
		}
	}
	for _, text := range []string{"retry-ms=", "retry-ms=-1", "x retry-ms=soon", "retry-ms=99999999999999999999", "xretry-ms=5", "retry-ms=5 x"} {
		if got := ReasonOf(CodeNormal, text); got.Text != text || got.Retry != 0 {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
