package hub

import (
	"container/list"
	"context"
	"fmt"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// room is how much may wait for the store at once: what somebody has dispatched is there
// until the store has it, also when nobody waits for that any more. Who comes when there is
// none stands in line. Under the journal's mu.
type room struct {
	maxEvents, maxBytes int
	events, bytes       int
	line                list.List // of *ticket
}

// ticket is that of one in the line, or in the room.
type ticket struct {
	entry  entry
	inLine *list.Element // nil: it is in the room, or was finished
}

// fits tells whether there is room for one of n bytes. An empty one has room for anything.
func (r *room) fits(n int) bool {
	return r.events == 0 || r.events < r.maxEvents && r.bytes+n <= r.maxBytes
}

// enter puts an entry that somebody waits for into the queue, or in line for it.
func (j *journal) enter(e entry) (*ticket, error) {
	e.done = make(chan error, 1)
	e.size = len(e.record.Message)
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.refuses(); err != nil {
		return nil, err
	}
	p := &ticket{entry: e}
	p.inLine = j.room.line.PushBack(p)
	j.letIn()
	return p, nil
}

// isInLine tells whether what a ticket is for waits for room; nil is none.
func (j *journal) isInLine(p *ticket) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return p != nil && p.inLine != nil
}

// letIn puts those in line into the queue for whom there is room. Under mu.
func (j *journal) letIn() {
	r := &j.room
	for first := r.line.Front(); first != nil && r.fits(first.Value.(*ticket).entry.size); first = r.line.Front() {
		p := r.line.Remove(first).(*ticket)
		p.inLine = nil
		r.events++
		r.bytes += p.entry.size
		j.queue = append(j.queue, p.entry)
		j.poke()
	}
}

// leave makes room again where entries were. Under mu.
func (j *journal) leave(entries ...entry) {
	for _, e := range entries {
		if e.done != nil {
			j.room.events--
			j.room.bytes -= e.size
		}
	}
	j.letIn()
}

// sendAway tells those in line that they will not be let in. Under mu.
func (j *journal) sendAway(err error) {
	for first := j.room.line.Front(); first != nil; first = j.room.line.Front() {
		p := j.room.line.Remove(first).(*ticket)
		p.inLine = nil
		p.entry.finish(err)
	}
}

// await waits until the entry of a ticket is kept. When ctx ends first, the outcome is
// unknown, unless it still stands in line: then it is not kept.
func (j *journal) await(ctx context.Context, p *ticket) error {
	select {
	case err := <-p.entry.done:
		return err
	case <-ctx.Done():
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if p.inLine == nil {
		select {
		case err := <-p.entry.done: // it came to this with ctx
			return err
		default:
		}
		return fmt.Errorf("%w: %w", eventtarget.ErrUnknownOutcome, context.Cause(ctx))
	}
	j.room.line.Remove(p.inLine)
	p.inLine = nil
	j.letIn() // it may have been too large for what is left, and a smaller one is not
	return fmt.Errorf("%w: too much waits for the store: %w", eventtarget.ErrOverflow, context.Cause(ctx))
}
