package redis

import (
	"strconv"
	"testing"
)

// TestForgets follows a sender with more channels than it counts on: what it forgets
// must not look like a loss, nor like a repetition.
func TestForgets(t *testing.T) {
	var n numbers
	var f follower
	for round := range 3 {
		for i := range maxNumbered + 10 {
			channel := strconv.Itoa(i)
			if missing, late := f.follow(channel, "origin", n.next(channel)); missing > 0 || late {
				t.Fatalf("round %d, channel %d: %d missing, late %v", round, i, missing, late)
			}
		}
	}
	if len(n.last) > maxNumbered || f.size > maxNumbered {
		t.Errorf("%d numbers, %d followed", len(n.last), f.size)
	}
	for channel := range f.last {
		f.forget(channel)
	}
	if f.size != 0 {
		t.Errorf("%d followed after all were forgotten", f.size)
	}
}

func TestTakeBack(t *testing.T) {
	var n numbers
	first := n.next("a")
	second := n.next("a")
	n.takeBack("a", first) // not the last: it stays
	n.takeBack("a", second)
	if again := n.next("a"); again != second {
		t.Errorf("%d follows %d", again, first)
	}
}

func TestNamespace(t *testing.T) {
	for _, prefix := range []string{"a*", "a b", "a\r", "{a}", "ä", "a?", "[a]", `a\`} {
		if _, err := newNamespace(prefix); err == nil {
			t.Errorf("prefix %q was accepted", prefix)
		}
	}
	n, err := newNamespace("a:b")
	if err != nil {
		t.Fatal(err)
	}
	if got := n.channel("x y*ü"); got != "a:b:x%20y%2A%C3%BC" || !n.contains(got) {
		t.Errorf("got %q", got)
	}
	for _, other := range []string{"a:b:", "a:b", "a:bc", "a:b:c:d", "a:c:d"} {
		if n.contains(other) {
			t.Errorf("%q is taken for ours", other)
		}
	}
}
