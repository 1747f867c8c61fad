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
	if len(n.last) > maxNumbered || f.order.Len() > maxNumbered {
		t.Errorf("%d numbers, %d followed", len(n.last), f.order.Len())
	}
	for channel := range f.last {
		f.forget(channel)
	}
	if n := f.order.Len(); n != 0 {
		t.Errorf("%d followed after all were forgotten", n)
	}
}

// TestForgetsTheOldest: when there is no room for another pair, losses of those that are
// heard are told nevertheless.
func TestForgetsTheOldest(t *testing.T) {
	f := follower{most: 3}
	for _, step := range []struct {
		channel, origin string
		number, missing uint64
		late            bool
	}{
		{"a", "x", 1, 0, false},
		{"a", "y", 1, 0, false},
		{"b", "x", 1, 0, false},
		{"a", "x", 2, 0, false},
		{"b", "y", 1, 0, false}, // instead of y on a
		{"a", "x", 5, 2, false},
		{"b", "x", 3, 1, false},
		{"b", "y", 1, 0, true},
		{"a", "y", 9, 0, false}, // instead of x on a
		{"b", "x", 5, 1, false},
		{"b", "y", 3, 1, false},
		{"a", "x", 9, 0, false}, // instead of y on a
		{"c", "x", 1, 0, false}, // instead of x on b
		{"b", "y", 4, 0, false},
	} {
		if missing, late := f.follow(step.channel, step.origin, step.number); missing != step.missing || late != step.late {
			t.Errorf("%+v: %d missing, late %v", step, missing, late)
		}
		if n := f.order.Len(); n > f.most {
			t.Errorf("%d followed", n)
		}
	}
	if f.forget("a"); f.order.Len() != 2 || len(f.last) != 2 {
		t.Errorf("%d followed on %d channels", f.order.Len(), len(f.last))
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
