package redis

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// entryID is the name of an entry of the log, two numbers by which Redis keeps the entries
// in order. The first is 0, unless another program has appended an entry under an id that
// Redis made of its clock, or one of its own: Redis takes nothing before that any more, so
// what follows has the same first number, and the second goes on from there.
type entryID struct{ ms, n uint64 }

func parseID(text string) (id entryID, err error) {
	ms, n, both := strings.Cut(text, "-")
	if id.ms, err = strconv.ParseUint(ms, 10, 64); err == nil && both {
		id.n, err = strconv.ParseUint(n, 10, 64)
	}
	if err != nil || !both {
		return entryID{}, fmt.Errorf("%q is no entry's id", text)
	}
	return id, nil
}

func (id entryID) String() string {
	return strconv.FormatUint(id.ms, 10) + "-" + strconv.FormatUint(id.n, 10)
}

func (id entryID) before(o entryID) bool {
	return cmp.Or(cmp.Compare(id.ms, o.ms), cmp.Compare(id.n, o.n)) < 0
}

// previous returns the last id that an entry before this one can have.
func (id entryID) previous() entryID {
	switch {
	case id.n > 0:
		return entryID{id.ms, id.n - 1}
	case id.ms > 0:
		return entryID{id.ms - 1, math.MaxUint64}
	}
	return id
}

// missing returns how many entries there were between this one and a later one, if that
// can be seen by the numbers.
func (id entryID) missing(next entryID) (count uint64, known bool) {
	if id.ms == next.ms {
		return next.n - id.n - 1, true
	}
	return 0, id == next.previous()
}

const (
	// perMilli is how many numbers of a hub's log an id's first number is worth. It is more
	// than Redis can append in a millisecond, so that numbers grow where ids do: what was
	// appended behind a foreign entry has fewer than are worth the time until the next one.
	perMilli = 1 << 12
	// lastMilli is the last first number for which that can be written in JavaScript. It
	// stands for a day in 2039.
	lastMilli = 1<<53/perMilli - 1
)

// number returns the number of an entry in a hub's log.
func (id entryID) number() uint64 { return id.ms*perMilli + id.n }
