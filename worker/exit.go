package worker

import (
	"fmt"
	"os"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Exit is how a child ended. It stands in the error chain of the fault that tells it
// (FaultDisconnected), and of what Ready returns once the target is closed for it.
type Exit struct {
	// State is the child's; nil if it was never there.
	State *os.ProcessState
	// Stderr are the last lines that it printed there, at most 2 KiB.
	Stderr string
	// Unfinished is how many messages it had been given of which it had not said that
	// its listeners had handled them: at most so many are lost, and the answers to them.
	// A child says it a little later, behind the answers, so that some of them may have been
	// handled.
	Unfinished uint64
	// Err is what the parent has to say about it, such as a failed handshake.
	Err error
}

// Error returns how the child ended, and its last line.
func (e *Exit) Error() string {
	s := "the worker was not started"
	if e.State != nil {
		s = "the worker ended: " + e.State.String()
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if last := lastLine(e.Stderr); last != "" {
		s += fmt.Sprintf(" (it says: %s)", last)
	}
	return s
}

// Unwrap returns Err and the reason, as every connection's end has one.
func (e *Exit) Unwrap() []error {
	if e.Err == nil {
		return []error{e.reason()}
	}
	return []error{e.Err, e.reason()}
}

// Failed tells whether the child ended in any other way than with status 0.
func (e *Exit) Failed() bool { return e.State == nil || !e.State.Success() }

func (e *Exit) reason() eventtarget.Reason {
	if e.Failed() {
		return eventtarget.Reason{Code: eventtarget.CodeLost}
	}
	return eventtarget.Reason{Code: eventtarget.CodeNormal, Remote: true}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
