package redis

import (
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// notSent marks an error after which Redis has certainly not done what was asked,
// and may do it later.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

func isNotSent(err error) bool {
	_, ok := errors.AsType[notSent](err)
	return ok
}

// notYet tells whether an error reply says that the same may succeed later, or at
// another node of a cluster.
func notYet(err *rueidis.RedisError) bool {
	// The last three are those of a server that takes no command while a script runs, of one
	// that has no room for a connection, and of one that has refused another command of several.
	for _, code := range []string{"READONLY", "OOM", "MISCONF", "NOREPLICAS", "MASTERDOWN", "BUSY ", "max number of clients", "EXECABORT"} {
		if strings.HasPrefix(err.Error(), code) {
			return true
		}
	}
	if noID(err) {
		return true
	}
	_, moved := err.IsMoved()
	_, asked := err.IsAsk()
	return moved || asked || err.IsLoading() || err.IsTryAgain() || err.IsClusterDown()
}

// outcome says what the error of a command means for its caller.
func outcome(err error) error {
	if err == nil {
		return nil
	}
	if refused, ok := rueidis.IsRedisErr(err); ok {
		if notYet(refused) {
			return notSent{refused}
		}
		return refusal(refused)
	}
	if errors.Is(err, rueidis.ErrClosing) {
		return unknown(eventtarget.ErrClosed)
	}
	if isNotSent(err) {
		return err
	}
	return unknown(err)
}

func unknown(cause error) error { return fmt.Errorf("%w: %w", eventtarget.ErrUnknownOutcome, cause) }

// refusal is what an error reply of Redis means.
func refusal(err *rueidis.RedisError) error {
	for _, code := range []string{"NOPERM", "NOAUTH", "WRONGPASS"} {
		if strings.HasPrefix(err.Error(), code) {
			return fmt.Errorf("%w: %w", eventtarget.ErrForbidden, err)
		}
	}
	return err
}
