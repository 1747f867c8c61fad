package eventtarget

import "sync"

// feed is what the queued listeners of one selector have in common: a log of the
// events that wait, and the lock of their mailboxes. So an event is stored once however
// many hear it, and to put it into all their mailboxes takes one lock.
type feed[T any] struct {
	mu     sync.Mutex
	log    log[T]
	active int // mailboxes
}

// log is where events are stored, in chunks that grow while somebody has something to
// do. Under the feed's lock, like all but the events of its chunks.
type log[T any] struct{ tail *chunk[T] }

// chunk is a piece of a log. Those who have events in it hold it, and it is let go and
// used again as a whole.
type chunk[T any] struct {
	events  []Event[T] // of full length; the first used of them never change
	used    int
	bytes   int // of their payloads
	holders int
}

// chunkSizes are the numbers of events in the first chunks of a log, one after the other, and all
// others: for most listeners few wait.
var chunkSizes = [...]int{1, 8, 64, 256}

// chunkBytes is how many bytes of payloads one has before there is another: who is slow holds
// on to all of a chunk, and who is not is given one at a time.
const chunkBytes = 256 << 10

// append stores an event and returns where.
func (g *log[T]) append(r *Registry[T], e *Event[T]) span[T] {
	if g.tail == nil || g.tail.used == len(g.tail.events) || g.tail.bytes >= chunkBytes {
		next := 0
		if g.tail != nil {
			next = min(sizeClass(g.tail)+1, len(chunkSizes)-1)
		}
		g.close(r)
		g.tail, _ = r.chunks[next].Get().(*chunk[T])
		if g.tail == nil {
			g.tail = &chunk[T]{events: make([]Event[T], chunkSizes[next])}
		}
		g.tail.holders = 1
	}
	at := g.tail.used
	g.tail.events[at] = *e
	g.tail.used++
	g.tail.bytes += payloadSize(e)
	return span[T]{g.tail, at, at + 1, 0}
}

// close lets go of the last chunk.
func (g *log[T]) close(r *Registry[T]) {
	if g.tail != nil {
		g.tail.release(r)
		g.tail = nil
	}
}

// release is for a holder of c that has no event in it any more.
func (c *chunk[T]) release(r *Registry[T]) {
	if c.holders--; c.holders == 0 {
		clear(c.events[:c.used])
		c.used, c.bytes = 0, 0
		r.chunks[sizeClass(c)].Put(c)
	}
}

func sizeClass[T any](c *chunk[T]) (class int) {
	for chunkSizes[class] != len(c.events) {
		class++
	}
	return class
}

// span is events of one chunk that wait for one listener.
type span[T any] struct {
	*chunk[T]
	from, to int
	charged  int // bytes: see mailbox.put
}

// payloadSize is how many bytes a payload takes that has come over a wire; of others nobody
// knows.
func payloadSize[T any](e *Event[T]) int {
	if raw, ok := any(&e.Payload).(*Raw); ok {
		return len(*raw)
	}
	return 0
}
