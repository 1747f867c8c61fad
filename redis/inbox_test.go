package redis

import (
	"strings"
	"testing"
)

// TestInboxPassed: that the log was passed up to an entry is one thing to take, however often
// that was said, takes no room, and is nothing that is lost.
func TestInboxPassed(t *testing.T) {
	q := newInbox(2, 100)
	for n := range uint64(9) {
		q.passed(entryID{0, n}, strings.Repeat("x", 10*int(n))) //nolint:gosec // few
	}
	q.put("c", "first", 0)
	for n := range uint64(9) {
		q.passed(entryID{1, n}, "")
	}
	a, ok, _ := q.tryTake()
	if !ok || !a.passed || a.entry != (entryID{0, 8}) || a.text != strings.Repeat("x", 80) {
		t.Errorf("took %+v", a)
	}
	if q.bytes != len("first") {
		t.Errorf("%d bytes wait", q.bytes)
	}
	q.lost(loss{any: true, count: 3})
	q.passed(entryID{2, 0}, "") // not together with what was passed before that
	if waiting := len(q.waiting) - q.head; waiting != 3 {
		t.Errorf("%d wait", waiting)
	}
	if n, missing := q.discard(); n != 1 || missing.count != 3 {
		t.Errorf("%d were discarded, and %d missing", n, missing.count)
	}
	q.passed(entryID{3, 0}, "")
	if len(q.waiting) > 0 {
		t.Error("a closed inbox takes something")
	}
}
