package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is where a value was given.
type Position struct {
	Source string // the file, the environment variable or the flag
	Line   int    // in a file, from 1; otherwise 0
	Column int
}

// String returns file:line:column, or the source alone.
func (p Position) String() string {
	if p.Line == 0 {
		return p.Source
	}
	return fmt.Sprintf("%s:%d:%d", p.Source, p.Line, p.Column)
}

// Problem is one mistake: where it stands, in which key, and what to write instead. It
// never repeats a secret.
type Problem struct {
	Position
	Key  string // such as tokens[1].token-file; empty for the file as a whole
	Text string
}

// Error returns all of it in one line. What stands nowhere, as a default does, is told by
// its key alone.
func (p Problem) Error() string {
	return label(p.Position, p.Key) + ": " + p.Text
}

// label names a place and the key that stands there.
func label(p Position, key string) string {
	switch {
	case p.Source == "":
		return key
	case key == "":
		return p.String()
	}
	return p.String() + ": " + key
}

// Problems are all mistakes of a configuration, in the order of the file.
type Problems []Problem

// Error returns them, one a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// sorted returns the problems in the order of the file, or nil.
func (p Problems) sorted() error {
	if len(p) == 0 {
		return nil
	}
	slices.SortStableFunc(p, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return p
}
