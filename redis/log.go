package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// The log of a durable bus is one stream. Its entries are numbered 0-1, 0-2, …
// without a hole, by Redis, so that what was trimmed can be counted by who comes too
// late for it. Each has one field.
const field = "m"

// repeatField is a second one, of a message that may be in the log already.
const repeatField = "r"

// appendToLog returns the command that adds a message to a log that keeps so many.
func appendToLog(keep int) func(rueidis.Builder, *message) rueidis.Completed {
	most := strconv.Itoa(keep)
	return func(b rueidis.Builder, m *message) rueidis.Completed {
		fields := b.Xadd().Key(m.channel).Maxlen().Almost().Threshold(most).Id("0-*").
			FieldValue().FieldValue(field, rueidis.BinaryString(m.text))
		if m.repeat {
			fields = fields.FieldValue(repeatField, "1")
		}
		return fields.Build()
	}
}

const (
	// readWait is how long Redis waits for entries before it answers that there are
	// none, which is the sign of life of a quiet bus.
	readWait = 250 * time.Millisecond
	// readAtOnce bounds the entries of one answer.
	readAtOnce = 256
)

// logReader listens to the log of a durable bus. It goes on where it was when the
// connection is made again.
type logReader struct {
	part     *part
	placed   bool   // at is a place in the log
	at       uint64 // the number of the last entry that was read
	text     string // that entry, to know the log by
	follower follower
}

var (
	errTrimmed = errors.New("the log no longer has them")
	errRolled  = errors.New("the log is not the one that it was")
)

func (r *logReader) listen(client rueidis.Client) error {
	t := r.part.target
	conn, release := client.Dedicate()
	defer release()
	defer conn.Close()
	if err := r.part.publisher.probe(client); err != nil {
		return outcome(err)
	}
	if err := r.place(conn); err != nil {
		return outcome(err)
	}
	t.up(r.part)
	for t.receiving.Err() == nil {
		entries, err := r.read(conn)
		if err != nil {
			return outcome(err)
		}
		for _, e := range entries {
			if err := r.take(e); err != nil {
				return err
			}
		}
	}
	return t.receiving.Err()
}

// place finds the end of the log for who begins, and otherwise makes sure that the
// log still leads on from where the reader is: a server that lost entries, in a
// failover for example, gives their numbers to others.
func (r *logReader) place(conn rueidis.DedicatedClient) error {
	ctx, cancel := r.patience()
	defer cancel()
	newest, err := conn.Do(ctx, conn.B().Xrevrange().Key(r.part.target.names.log()).End("+").Start("-").Count(1).Build()).AsXRange()
	if err != nil {
		return err
	}
	var end uint64
	var text string
	if len(newest) > 0 {
		text = newest[0].FieldValues[field]
		if end, err = number(newest[0].ID); err != nil {
			return err
		}
	}
	if !r.placed {
		r.placed, r.at, r.text = true, end, text
		if r.part.target.sink != nil {
			return r.placeFirst(ctx, conn, end)
		}
		return nil
	}
	id := entryID(r.at)
	if r.text == "" { // nothing was read yet
		return nil
	}
	same, err := conn.Do(ctx, conn.B().Xrange().Key(r.part.target.names.log()).Start(id).End(id).Build()).AsXRange()
	if err != nil {
		return err
	}
	if end < r.at || len(same) > 0 && same[0].FieldValues[field] != r.text {
		r.at, r.text = end, text
		r.lost(loss{any: true, err: errRolled})
	}
	return nil
}

// sink takes what a log has from its beginning on, this target's own messages included.
type sink interface {
	// begin is told once how far the log is.
	begin(end uint64)
	// entry takes one, which may be the repetition of another. It may wait, no longer than ctx.
	entry(ctx context.Context, n uint64, text string, repeated bool)
	// lost tells that there is nothing up to a number.
	lost(ctx context.Context, upto uint64)
}

// placeFirst puts a reader that reads for a sink at the beginning of the log.
func (r *logReader) placeFirst(ctx context.Context, conn rueidis.DedicatedClient, end uint64) error {
	oldest, err := conn.Do(ctx, conn.B().Xrange().Key(r.part.target.names.log()).Start("-").End("+").Count(1).Build()).AsXRange()
	if err == nil && len(oldest) > 0 {
		r.text = ""
		if r.at, err = number(oldest[0].ID); err == nil {
			r.at--
		}
	}
	if err != nil {
		r.placed = false
		return err
	}
	r.part.target.sink.begin(end)
	return nil
}

// lost tells that entries up to where the reader is are missing.
func (r *logReader) lost(l loss) {
	t := r.part.target
	if t.sink == nil {
		t.inbox.lost(l)
		return
	}
	t.sink.lost(t.receiving, r.at)
}

// read returns the next entries, or none when there are none for a while.
func (r *logReader) read(conn rueidis.DedicatedClient) ([]rueidis.XRangeEntry, error) {
	ctx, cancel := r.patience()
	defer cancel()
	key := r.part.target.names.log()
	found, err := conn.Do(ctx, conn.B().Xread().Count(readAtOnce).Block(readWait.Milliseconds()).
		Streams().Key(key).Id(entryID(r.at)).Build()).AsXRead()
	if rueidis.IsRedisNil(err) {
		return nil, nil
	}
	return found[key], err
}

// patience bounds one command.
func (r *logReader) patience() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), readWait+r.part.target.opts.Timeout)
}

// take takes one entry in, as soon as there is room for it.
func (r *logReader) take(e rueidis.XRangeEntry) error {
	t := r.part.target
	n, err := number(e.ID)
	if err != nil {
		return err
	}
	if missing := n - r.at - 1; missing > 0 {
		r.at = n - 1
		r.lost(loss{any: true, count: missing, err: errTrimmed})
	}
	r.at, r.text = n, e.FieldValues[field]
	repeated := false // stored twice, because the outcome of the first was not known
	if origin, number, ok := head(r.text); ok {
		if origin == t.origin && t.sink == nil {
			return nil // heard when it was dispatched
		}
		_, repeated = r.follower.follow("", origin, number)
	}
	switch {
	case t.sink != nil:
		t.sink.entry(t.receiving, n, r.text, repeated)
		return nil
	case repeated:
		return nil
	}
	if !t.inbox.putWait(t.receiving, t.names.log(), r.text) {
		return t.receiving.Err()
	}
	return nil
}

func entryID(n uint64) string { return "0-" + strconv.FormatUint(n, 10) }

func number(id string) (uint64, error) {
	digits, ours := strings.CutPrefix(id, "0-")
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ours || err != nil {
		return 0, fmt.Errorf("entry %q is not of this log", id)
	}
	return n, nil
}
