package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/rueidis"
)

// The log of a durable bus is one stream. Its entries are numbered 0-1, 0-2, …
// without a hole, by Redis, so that what was trimmed can be counted by who comes too
// late for it; see entryID for what comes behind a foreign entry. Each has one field.
const field = "m"

// repeatField is a second one, of a message that may be in the log already.
const repeatField = "r"

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
	placed   bool    // at is a place in the log
	begun    bool    // entries have been asked for
	at       entryID // the last entry that was read
	text     string  // its message, to know the log by
	known    entryID // an entry that the log had at the last check, at first any that it had
	knownAs  string  // its message
	beyond   entryID // a foreign entry behind which a sink's log cannot go on; 0-0: there is none
	anew     bool    // the log that was read is gone, and told to be, and this one was empty
	doubt    bool    // the log ends before what was read: there is to be another check soon
	checked  time.Time
	follower follower
}

// checkEvery is how often a reader makes sure that the log is the one that it reads: who
// waits for more of one that was deleted waits for ever.
const checkEvery = time.Second

var (
	errTrimmed = errors.New("the log no longer has them")
	errRolled  = errors.New("the log is not the one that it was")
	errNumbers = errors.New("a foreign entry's id leaves no numbers")
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
		if time.Since(r.checked) >= checkEvery {
			if err := r.check(conn, r.doubt); err != nil {
				return outcome(err)
			}
		}
		if !r.wanted() {
			continue
		}
		entries, err := r.read(conn)
		if err != nil {
			return outcome(err)
		}
		for _, e := range entries {
			if err := r.take(conn, e); err != nil {
				return err
			}
		}
	}
	return t.receiving.Err()
}

// place finds the end of the log for who begins, and otherwise makes sure that the
// log still leads on from where the reader is.
func (r *logReader) place(conn rueidis.DedicatedClient) error {
	if r.placed {
		return r.check(conn, true)
	}
	ctx, cancel := r.patience()
	defer cancel()
	key, b := r.part.target.names.log(), conn.B()
	end, text, err := first(conn.Do(ctx, newest(b, key)))
	if err != nil {
		return err
	}
	r.at, r.text, r.checked = end, text, time.Now()
	switch t := r.part.target; {
	case t.opts.From != "":
		if err := r.begin(conn); err != nil {
			return err
		}
	case t.sink == nil:
		t.progress.reach(end, text)
	default: // which reads from the beginning on
		if end.ms <= lastMilli {
			r.known, r.knownAs = end, text
		}
		oldest, _, err := first(conn.Do(ctx, oldest(b, key)))
		if err != nil {
			return err
		}
		r.at, r.text = oldest.previous(), ""
		t.sink.begin(end)
	}
	r.placed = true
	return nil
}

// check makes sure that the log still has what was read: a server that lost entries, in a
// failover for example, gives their numbers to others. A log that ends before what was read
// has lost it, if that is sure: somebody may also have deleted a foreign entry just now.
func (r *logReader) check(conn rueidis.DedicatedClient, sure bool) error {
	ctx, cancel := r.patience()
	defer cancel()
	key, b := r.part.target.names.log(), conn.B()
	is := func(id entryID) rueidis.Completed {
		return b.Xrange().Key(key).Start(id.String()).End(id.String()).Build()
	}
	answers := conn.DoMulti(ctx, newest(b, key), is(r.at), is(r.known))
	end, text, err := first(answers[0])
	if err != nil {
		return err
	}
	short, rolled := end.before(r.at) || end.before(r.known), false
	for n, was := range []string{r.text, r.knownAs} {
		id, now, err := first(answers[n+1])
		if err != nil {
			return err
		}
		rolled = rolled || id != entryID{} && now != was
	}
	r.checked, r.doubt = time.Now(), short && !rolled && !sure
	if r.doubt {
		r.checked = r.checked.Add(readWait - checkEvery)
		return nil
	}
	rolled = rolled || short
	if end.before(r.beyond) {
		r.beyond = entryID{}
	}
	if rolled {
		r.at, r.text, r.anew = end, text, end == entryID{}
		r.lost(loss{any: true, err: errRolled}, end.number(), true)
		r.pass()
	}
	if rolled || !r.at.before(r.known) {
		r.known, r.knownAs = r.at, r.text
	}
	return nil
}

// sink takes what a log has from its beginning on, this target's own messages included.
type sink interface {
	// begin is told once how far the log is.
	begin(end entryID)
	// entry takes one, which may be the repetition of another. It may wait, no longer than ctx.
	entry(ctx context.Context, id entryID, text string, repeated bool)
	// lost tells that there is nothing up to a number, and with rolled that what was there
	// behind it is not there any more either.
	lost(ctx context.Context, upto uint64, rolled bool)
}

// lost tells that entries up to a number are missing.
func (r *logReader) lost(l loss, upto uint64, rolled bool) {
	t := r.part.target
	if t.sink == nil {
		t.inbox.lost(l)
		return
	}
	t.sink.lost(t.receiving, upto, rolled)
}

// wanted tells whether entries are to be read: by who begins at a position, only once there is
// a listener to hear them. It waits a moment for one.
func (r *logReader) wanted() bool {
	t := r.part.target
	if t.opts.From == "" || r.begun || t.registry.Len() > 0 {
		r.begun = true
		return true
	}
	timer := time.NewTimer(readWait)
	defer timer.Stop()
	select {
	case <-t.added:
	case <-timer.C:
	case <-t.receiving.Done():
	}
	return false
}

// read returns the next entries, or none when there are none for a while.
func (r *logReader) read(conn rueidis.DedicatedClient) ([]rueidis.XRangeEntry, error) {
	ctx, cancel := r.patience()
	defer cancel()
	key := r.part.target.names.log()
	behind := r.at
	if behind.before(r.beyond) {
		behind = r.beyond
	}
	found, err := conn.Do(ctx, conn.B().Xread().Count(readAtOnce).Block(readWait.Milliseconds()).
		Streams().Key(key).Id(behind.String()).Build()).AsXRead()
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
func (r *logReader) take(conn rueidis.DedicatedClient, e rueidis.XRangeEntry) error {
	t := r.part.target
	id, err := parseID(e.ID)
	if err != nil {
		return err
	}
	if t.sink != nil && id.ms > lastMilli {
		r.beyond = id
		t.sink.entry(t.receiving, id, e.FieldValues[field], false)
		return nil
	}
	missing, known := r.at.missing(id)
	if !known && !r.anew { // the numbers do not tell, but that nothing behind this one was trimmed does
		ctx, cancel := r.patience()
		oldest, _, err := first(conn.Do(ctx, oldest(conn.B(), t.names.log())))
		cancel()
		if err != nil {
			return outcome(err)
		}
		known = !r.at.before(oldest)
	}
	switch {
	case r.anew: // nothing more
	case !known || missing > 0:
		r.lost(loss{any: true, count: missing, err: errTrimmed}, id.number()-1, false)
	case t.sink != nil && id.number() <= r.at.number():
		r.lost(loss{any: true, err: errNumbers}, id.number()-1, false)
	}
	r.at, r.text, r.anew = id, e.FieldValues[field], false
	if r.known == (entryID{}) {
		r.known, r.knownAs = r.at, r.text
	}
	repeated := false // stored twice, because the outcome of the first was not known
	if origin, number, ok := head(r.text); ok {
		if origin == t.origin && t.sink == nil {
			r.pass() // heard when it was dispatched
			return nil
		}
		_, repeated = r.follower.follow("", origin, number)
	}
	switch {
	case t.sink != nil:
		t.sink.entry(t.receiving, id, r.text, repeated)
		return nil
	case repeated:
		r.pass()
		return nil
	}
	if !t.inbox.putWait(t.receiving, arrival{channel: t.names.log(), text: r.text, entry: id}) {
		return t.receiving.Err()
	}
	return nil
}
