package redistest

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
)

// ForExample starts a server for an example, which has no test to end it: stop does that.
// What goes wrong ends the program.
func ForExample(args ...string) (s *Server, stop func()) {
	t := &example{}
	s = Start(t, args...)
	return s, t.cleanUp
}

// example is as much of a test as a server takes.
type example struct {
	testing.TB // nil: its other methods are never called

	cleanups []func()
}

func (t *example) Helper()                  {}
func (t *example) Context() context.Context { return context.Background() }
func (t *example) Cleanup(f func())         { t.cleanups = append(t.cleanups, f) }

func (t *example) Fatal(args ...any) {
	t.cleanUp()
	panic(fmt.Sprint(args...)) //nolint:forbidigo // an example has no test that could fail
}

func (t *example) Fatalf(format string, args ...any) {
	t.cleanUp()
	panic(fmt.Sprintf(format, args...)) //nolint:forbidigo // as above
}

func (t *example) TempDir() string {
	dir, err := os.MkdirTemp("", "redis")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// cleanUp does what is to be done at the end, the last of it first.
func (t *example) cleanUp() {
	for _, f := range slices.Backward(t.cleanups) {
		f()
	}
	t.cleanups = nil
}
