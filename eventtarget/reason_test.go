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

// TestUnknownCode: a code that is in no table comes from another version, over a bus, and
// ends a connection like any other.
func TestUnknownCode(t *testing.T) {
	const unknown = Code(200)
	if unknown.WebSocket() != CodeInternal.WebSocket() || unknown.QUIC() != CodeInternal.QUIC() ||
		unknown.HTTP() != CodeInternal.HTTP() || unknown.Exit() != CodeInternal.Exit() {
		t.Error("an unknown code is not told as an internal error")
	}
	if got := unknown.String(); got != "code(200)" {
		t.Errorf("its words are %q", got)
	}
}
