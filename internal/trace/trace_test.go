package trace

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, header := range []string{"a/1/0", "a/b/18446744073709551615/8", "/x/1/2"} {
		id, hops, ok := Parse(header)
		if !ok || id.Header(hops) != header {
			t.Errorf("%q is read as %q, %v", header, id.Header(hops), ok)
		}
	}
	for _, header := range []string{"", "/", "x", "x/0", "x/1/-1", "x/1/y", "x/y/1", "/1/0", "x/1/", "x//1", "x/18446744073709551616/1", strings.Repeat("/", 200)} {
		if id, hops, ok := Parse(header); ok {
			t.Errorf("%q is read as %q", header, id.Header(hops))
		}
	}
}

func TestOrigin(t *testing.T) {
	a, b := NewOrigin(), NewOrigin()
	first, second := a.Next(), a.Next()
	read, hops, ok := Parse(first.Header(0))
	if !ok || hops != 0 || read != first || first == second {
		t.Errorf("%v and %v, the first one read as %v", first, second, read)
	}
	if !a.Owns(read) || b.Owns(read) {
		t.Error("an event is not its origin's alone")
	}
}

func TestWindow(t *testing.T) {
	var w Window
	o := NewOrigin()
	first := o.Next()
	if !w.First(first) || w.First(first) {
		t.Error("an event is the first one once")
	}
	w.Forget(first)
	w.Forget(first)
	if !w.First(first) {
		t.Error("an event was not forgotten")
	}
	for range Size - 1 {
		w.First(o.Next())
	}
	if w.First(first) {
		t.Errorf("an event was forgotten after %d others", Size-1)
	}
	w.First(o.Next())
	if !w.First(first) || len(w.at) > Size {
		t.Errorf("an event is remembered after %d others, among %d", Size, len(w.at))
	}
}
