package open

import (
	"testing"

	"github.com/eventtarget-go/toolkit/inprocess"
)

// TestBusesAreForgotten: a program that makes up names does not grow by them.
func TestBusesAreForgotten(t *testing.T) {
	var b buses
	for _, name := range []string{"a", "b", "c"} {
		m := b.join(name, inprocess.MemberOptions{})
		if again := b.join(name, inprocess.MemberOptions{}); b.named[name].Len() != 2 {
			t.Errorf("%s has %d members", name, b.named[name].Len())
		} else {
			again.Close()
		}
		if len(b.named) != 1 {
			t.Errorf("there are %d buses, want 1", len(b.named))
		}
		m.Close()
	}
}
