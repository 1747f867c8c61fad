package redis

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// appender adds messages to the log. Its methods are the publishing goroutine's.
type appender struct {
	target *Target
	most   string // entries that the log keeps
	ms     uint64 // the first number of the next entry's id
	behind bool   // that is too low: somebody else has appended an entry with a higher one
	unseen int    // how often in a row that entry could not be seen
	told   string // which entry was told to be in the way
}

// command adds one message.
func (a *appender) command(b rueidis.Builder, m *message) rueidis.Completed {
	fields := b.Xadd().Key(m.channel).Maxlen().Almost().Threshold(a.most).Id(strconv.FormatUint(a.ms, 10)+"-*").
		FieldValue().FieldValue(field, rueidis.BinaryString(m.text))
	if m.repeat {
		fields = fields.FieldValue(repeatField, "1")
	}
	return fields.Build()
}

// passing tells whether to try again after an error.
func (a *appender) passing(err error) bool {
	if refused, is := errors.AsType[*rueidis.RedisError](err); is && noID(refused) {
		a.behind = true
	}
	return isNotSent(err) || errors.Is(err, eventtarget.ErrUnknownOutcome)
}

// noID tells whether an error says that the log has an entry behind the one that was to be
// added.
func noID(err *rueidis.RedisError) bool {
	return strings.Contains(err.Error(), "equal or smaller than the target stream top item") ||
		strings.Contains(err.Error(), "exhausted the last possible ID")
}

// prepare goes on behind a foreign entry.
func (a *appender) prepare(client rueidis.Client) {
	if !a.behind {
		return
	}
	a.behind = false
	key := a.target.names.log()
	ctx, cancel := context.WithTimeout(a.target.ctx, a.target.opts.Timeout)
	defer cancel()
	top, _, err := first(client.Do(ctx, newest(client.B(), key)))
	if err != nil && !errors.Is(outcome(err), eventtarget.ErrForbidden) {
		return // and is tried again
	}
	last := uint64(math.MaxUint64 - 1)
	if a.target.sink != nil {
		last = lastMilli
	}
	switch {
	case top.ms > last:
		a.tell(top.String())
	case top.ms > a.ms:
		a.ms, a.unseen = top.ms, 0
	default: // it was deleted again, but Redis remembers its id
		a.ms = max(a.ms, uint64(time.Now().UnixMilli()))
		if a.unseen++; a.unseen > 2 {
			a.tell("that was deleted")
		}
	}
}

// tell tells, once, that nothing can be appended.
func (a *appender) tell(entry string) {
	if a.told == entry {
		return
	}
	a.told = entry
	key := a.target.names.log()
	a.target.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDispatch, Err: fmt.Errorf(
		"the foreign entry %s leaves no id to append %s with: XDEL it and XSETID %s to the id of the last entry before it, or DEL %s, which loses what was not read",
		entry, key, key, key)})
}

// oldest asks for the first entry of a log.
func oldest(b rueidis.Builder, key string) rueidis.Completed {
	return b.Xrange().Key(key).Start("-").End("+").Count(1).Build()
}

// newest asks for the last one.
func newest(b rueidis.Builder, key string) rueidis.Completed {
	return b.Xrevrange().Key(key).End("+").Start("-").Count(1).Build()
}

// first reads an answer with one entry, or none: its id, or 0-0, and its message.
func first(answer rueidis.RedisResult) (id entryID, text string, err error) {
	entries, err := answer.AsXRange()
	if err != nil || len(entries) == 0 {
		return entryID{}, "", err
	}
	id, err = parseID(entries[0].ID)
	return id, entries[0].FieldValues[field], err
}
