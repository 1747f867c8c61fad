package main

import "testing"

func TestLike(t *testing.T) {
	for _, c := range []struct {
		text, pattern string
		want          bool
	}{
		{"", "*", true}, {"ann", "*", true}, {"", "?*", false}, {"a", "?*", true}, {"ann", "ann", true}, {"anna", "ann", false},
		{"an", "ann", false}, {"", "", true}, {"svc-a/b", "svc-*", true}, {"svc", "svc-*", false}, {"aXbXc", "a*b*c", true},
		{"aXbX", "a*b*c", false}, {"a*c", "a*c", true}, {"abab", "*ab", true}, {"aba", "*ab", false}, {"ab", "a?", true}, {"a", "a?", false},
	} {
		if got := like(c.text, c.pattern); got != c.want {
			t.Errorf("like(%q, %q) = %v", c.text, c.pattern, got)
		}
	}
}
