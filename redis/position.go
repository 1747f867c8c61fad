package redis

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/rueidis"
)

// position is a place in the log, behind an entry.
type position struct {
	id  entryID
	sum string // of the entry's message, to know the log by; empty: it is not known
}

func positionOf(id entryID, text string) position {
	if text == "" {
		return position{id: id}
	}
	return position{id, fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(text)))}
}

// parsePosition reads what [Target.Position] returned, or the id of an entry.
func parsePosition(text string) (p position, err error) {
	id, sum, both := strings.Cut(text, ".")
	if p.id, err = parseID(id); err != nil {
		return p, err
	}
	if _, err := strconv.ParseUint(sum, 16, 32); both && (err != nil || len(sum) != 8) {
		return p, fmt.Errorf("%q is no position: %q is not eight hexadecimal digits", text, sum)
	}
	p.sum = sum
	return p, nil
}

func (p position) String() string {
	if p.sum == "" {
		return p.id.String()
	}
	return p.id.String() + "." + p.sum
}

// progress is how far a target's listeners are in the log.
type progress struct {
	mu   sync.Mutex
	any  bool
	id   entryID
	text string
}

// reach notes that everything up to an entry was delivered.
func (p *progress) reach(id entryID, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.any, p.id, p.text = true, id, text
}

// Position returns how far in the log of a durable bus listeners have been given everything.
// [Options.From] begins another target behind it, in another process for example. Behind a
// Shutdown, and with listeners that handle what their queues hold, both together hear each event
// once, but for what this one dispatched in its last moments, and for what was then stored twice:
// the other may hear that again.
// It is empty before Ready, on Pub/Sub and for a member of a group. It may be called at any
// time, also when the target has ended.
func (t *Target) Position() string {
	p := &t.progress
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.any {
		return ""
	}
	return positionOf(p.id, p.text).String()
}

// begin finds the place that From names. If the log does not have it, because it is another
// one, or has lost its end, that is a gap of unknown size, and the end is where to begin.
func (r *logReader) begin(conn rueidis.DedicatedClient) error {
	t := r.part.target
	from := t.opts.from
	ctx, cancel := r.patience()
	defer cancel()
	id, was, err := first(conn.Do(ctx, conn.B().Xrange().Key(t.names.log()).Start(from.id.String()).End(from.id.String()).Build()))
	if err != nil {
		return err
	}
	end, endsAs := r.at, r.text
	another := id != entryID{} && from.sum != "" && positionOf(id, was).sum != from.sum
	if another || end.before(from.id) {
		t.inbox.lost(loss{any: true, err: errRolled})
		r.pass()
		return nil
	}
	r.at, r.text, r.known, r.knownAs = from.id, was, end, endsAs
	t.progress.reach(r.at, r.text)
	return nil
}

// pass notes that of what the log has up to where the reader is, only what is in the inbox has yet to
// be delivered.
func (r *logReader) pass() {
	if t := r.part.target; t.sink == nil {
		t.inbox.passed(r.at, r.text)
	}
}
