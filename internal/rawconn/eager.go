package rawconn

import (
	"runtime"
	"sync/atomic"
	"time"
)

// What an answer that comes soon costs most is to sleep until it comes: two processes that ask
// each other in turn spend more time on waking up than on all else. So whose answers come soon
// looks for the next one for a while before it waits.
const (
	// look is for how long at most: longer than it takes to wake the other process up and to
	// have an answer from it.
	look = 100 * time.Microsecond
	// soon is what a wait may have taken in all for its end to have come soon. To look, and
	// to wake up, are part of it.
	soon = 2 * look
	// trust is how many waits in a row must have ended soon for the next one to begin with a
	// look. Each time that this did not pay it doubles, up to distrust.
	trust, distrust = 8, 128
	// wake is how long a look may take to pay: about what it takes to sleep and to be woken.
	// What one takes longer others must have taken less; no more than credit counts.
	wake, credit = 20 * time.Microsecond, 5 * look
)

// eager decides whether to look. In the long run a look takes no longer than it does to wake up,
// and where it does not pay there is one in over a hundred waits: because there is no processor
// for both, because the other one thinks, or because what comes is no answer, but a stream with
// pauses.
type eager struct {
	short   int           // waits in a row that ended soon
	needs   int           // so many to look; 0 is trust
	balance time.Duration // that looks took less than they might have
}

func (e *eager) looks() bool { return e.short >= max(e.needs, trust) }

// looked is for a look that took d, in vain or not.
func (e *eager) looked(d time.Duration) {
	e.balance = min(e.balance+wake-d, credit)
	switch {
	case e.balance < -look: // the first one may be in vain
		*e = eager{needs: min(2*max(e.needs, trust), distrust)}
	case d <= wake:
		e.needs = trust
	}
}

// waited is for a wait that took d, with the look before it.
func (e *eager) waited(d time.Duration) {
	if d < soon {
		e.short++
	} else {
		e.short, e.balance = 0, 0
	}
}

// looking is how many goroutines of the process look, each of which takes a processor: half of
// them may.
var looking atomic.Int32

func beginLooking() bool {
	if int(looking.Add(1)) <= runtime.GOMAXPROCS(0)/2 {
		return true
	}
	endLooking()
	return false
}

func endLooking() { looking.Add(-1) }
