package wsconn

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestText: what a close frame cannot hold is cut from the text, and not from the hint when to
// come back, nor in the middle of a letter.
func TestText(t *testing.T) {
	for _, text := range []string{"", "full", strings.Repeat("x", 123), strings.Repeat("x", 124), strings.Repeat("ü", 300), strings.Repeat("€", 43)} {
		for _, retry := range []time.Duration{0, 90 * time.Second} {
			said := Text(eventtarget.Reason{Text: text, Retry: retry})
			if len(said) > 123 || len(text) > 123 && len(said) < 120 || !utf8.ValidString(said) {
				t.Errorf("%.9q, %v: %d bytes: %q", text, retry, len(said), said)
			}
			if r := eventtarget.ReasonOf(eventtarget.CodeTryLater, said); r.Retry != retry || !strings.HasPrefix(text, r.Text) {
				t.Errorf("%.9q, %v: read as %q, %v", text, retry, r.Text, r.Retry)
			}
		}
	}
}
