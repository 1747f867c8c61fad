// Package framelog is a bounded in-memory log of framed messages. The hub has
// one for all of its spokes, each a cursor; a link's outgoing side is one with a
// single cursor.
//
// A position is a byte offset that only grows, and every message also has a
// sequence number, so that a reader that fell off the tail knows how much it has
// missed. Readers get slices of the log's own memory: what was appended never
// changes, and a segment that the log has let go of lives for as long as somebody
// still reads it.
package framelog

import (
	"sort"
	"sync"
)

// Framing appends the header of a message of n bytes. nil means none: messages
// are then written one by one.
type Framing func(dst []byte, n int) []byte

// Position is a place between two messages: a byte offset and the number of
// messages before it.
type Position struct {
	Offset uint64
	Seq    uint64
}

// Log is safe for concurrent use.
type Log struct {
	framing   Framing
	maxBytes  int
	maxEvents int

	mu       sync.Mutex
	segments []*segment
	head     Position
	tail     Position
	sealed   bool
}

// segment is a piece of the log in one array. The array is never moved, so what
// was read from it stays valid while more is appended.
type segment struct {
	start Position
	buf   []byte
	index []entry // one for each message
}

type entry struct {
	end    uint32 // offset in buf
	header uint8
}

const (
	minSegment = 1 << 10
	maxSegment = 64 << 10
)

// New returns an empty log that keeps at most so many bytes and messages. A message
// is never empty.
func New(framing Framing, maxBytes, maxEvents int) *Log {
	if framing == nil {
		framing = func(dst []byte, _ int) []byte { return dst }
	}
	return &Log{framing: framing, maxBytes: maxBytes, maxEvents: maxEvents}
}

// TryAppend is [Update.Append] for a log that must not lose anything: it refuses the
// message when there is no room, or the log is sealed. An empty log always has room.
func (l *Log) TryAppend(msg []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sealed || !l.fits(len(msg)) {
		return false
	}
	l.append(msg)
	return true
}

// Update runs fn while nobody else appends, or sees what fn does.
func (l *Log) Update(fn func(u Update)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn(Update{l})
}

// Update is the log inside [Log.Update].
type Update struct{ log *Log }

// Head returns the position behind the last message.
func (u Update) Head() Position { return u.log.head }

// Tail and Read are those of the log.
func (u Update) Tail() Position                             { return u.log.tail }
func (u Update) Read(pos, upto Position) (run Run, ok bool) { return u.log.read(pos, upto) }

// Sealed tells whether the log is sealed: then nothing may be appended.
func (u Update) Sealed() bool { return u.log.sealed }

// Append frames msg and appends it, letting go of the oldest segments if the log is over
// its bounds. It returns the positions around the message.
func (u Update) Append(msg []byte) (from, to Position) {
	from, to = u.log.append(msg)
	u.log.trim()
	return from, to
}

// Seal makes the log refuse everything from now on: the head stays where it is.
func (l *Log) Seal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sealed = true
}

func (l *Log) append(msg []byte) (from, to Position) {
	const maxHeader = 16
	s := l.room(len(msg) + maxHeader)
	from = l.head
	before := len(s.buf)
	s.buf = l.framing(s.buf, len(msg))
	header := len(s.buf) - before
	s.buf = append(s.buf, msg...)
	s.index = append(s.index, entry{end: uint32(len(s.buf)), header: uint8(header)})
	l.head.Offset += uint64(len(s.buf) - before)
	l.head.Seq++
	return from, l.head
}

// room returns a segment with n free bytes. Segments begin small, so that an idle
// log is small, and double; no segment is more than an eighth of the log, in bytes or
// in messages, since the log lets go of whole ones.
func (l *Log) room(n int) *segment {
	size := minSegment
	if k := len(l.segments); k > 0 {
		last := l.segments[k-1]
		fits := cap(last.buf)-len(last.buf) >= n
		if fits && len(last.index) < max(1, l.maxEvents/8) {
			return last
		}
		if size = cap(last.buf); !fits {
			size *= 2
		}
	}
	size = max(min(size, maxSegment, l.maxBytes/8), n)
	s := &segment{start: l.head, buf: make([]byte, 0, size)}
	l.segments = append(l.segments, s)
	return s
}

func (l *Log) size() int   { return int(l.head.Offset - l.tail.Offset) }
func (l *Log) events() int { return int(l.head.Seq - l.tail.Seq) }

// trim lets go of the oldest segments until the log is within its bounds.
func (l *Log) trim() {
	for len(l.segments) > 1 && (l.size() > l.maxBytes || l.events() > l.maxEvents) {
		l.drop()
	}
}

func (l *Log) drop() {
	l.segments[0] = nil
	l.segments = l.segments[1:]
	l.tail = l.head
	if len(l.segments) > 0 {
		l.tail = l.segments[0].start
	}
}

// Release lets go of everything before pos, which is then the tail.
func (l *Log) Release(pos Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.segments) > 0 && l.segments[0].end() <= pos.Offset {
		if len(l.segments) == 1 && cap(l.segments[0].buf)-len(l.segments[0].buf) >= minSegment/2 {
			break // the one that is being filled
		}
		l.drop()
	}
	l.tail = pos
}

// Head returns the position behind the last message.
func (l *Log) Head() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head
}

// Tail returns the position of the oldest message that is still there.
func (l *Log) Tail() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tail
}

// fits tells whether there is room for n bytes. Under mu.
func (l *Log) fits(n int) bool {
	used := l.size()
	return used == 0 || used+n <= l.maxBytes && l.events() < l.maxEvents
}

// Find returns the position before the message with a sequence number, which is the
// head's for the one to come. ok is false when the log has let go of it, or does not
// have it yet.
func (l *Log) Find(seq uint64) (pos Position, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case seq < l.tail.Seq || seq > l.head.Seq:
		return Position{}, false
	case seq == l.head.Seq:
		return l.head, true
	}
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].start.Seq > seq }) - 1
	s := l.segments[i]
	pos = s.start
	if n := seq - s.start.Seq; n > 0 {
		pos = Position{Offset: s.start.Offset + uint64(s.index[n-1].end), Seq: seq}
	}
	return pos, true
}

func (s *segment) end() uint64 { return s.start.Offset + uint64(len(s.buf)) }

// Run is a stretch of whole, framed messages, one behind the other.
type Run struct {
	From, To Position
	Bytes    []byte

	base  uint32 // offset of Bytes in the segment
	index []entry
}

// Read returns the messages from pos on, as far as they lie in one piece and
// before upto. ok is false when pos has left the log.
func (l *Log) Read(pos, upto Position) (run Run, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.read(pos, upto)
}

func (l *Log) read(pos, upto Position) (run Run, ok bool) {
	if pos.Offset < l.tail.Offset {
		return Run{}, false
	}
	run = Run{From: pos, To: pos}
	if pos.Offset >= upto.Offset {
		return run, true
	}
	i := sort.Search(len(l.segments), func(i int) bool { return l.segments[i].end() > pos.Offset })
	s := l.segments[i]
	first := uint32(pos.Offset - s.start.Offset)
	n := int(pos.Seq - s.start.Seq)
	last := uint32(min(s.end(), upto.Offset) - s.start.Offset)
	m := len(s.index)
	if upto.Offset < s.end() {
		m = int(upto.Seq - s.start.Seq)
	}
	run.Bytes = s.buf[first:last:last]
	run.base = first
	run.index = s.index[n:m:m]
	run.To = Position{Offset: s.start.Offset + uint64(last), Seq: s.start.Seq + uint64(m)}
	return run, true
}

// After returns the position in the run that is n bytes on. n must end a message.
func (r Run) After(n int) Position {
	at := r.base + uint32(n)
	k := sort.Search(len(r.index), func(i int) bool { return r.index[i].end > at })
	return Position{Offset: r.From.Offset + uint64(n), Seq: r.From.Seq + uint64(k)}
}

// Messages calls fn for each message without its header, with the position behind
// it, until fn returns false.
func (r Run) Messages(fn func(msg []byte, after Position) bool) {
	start := r.base
	for i, e := range r.index {
		msg := r.Bytes[start-r.base+uint32(e.header) : e.end-r.base]
		after := Position{Offset: r.From.Offset + uint64(e.end-r.base), Seq: r.From.Seq + uint64(i) + 1}
		if !fn(msg, after) {
			return
		}
		start = e.end
	}
}
