package framelog

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// framing is a header of two bytes, or of four for what is longer.
func framing(dst []byte, n int) []byte {
	if n < 126 {
		return append(dst, 'h', byte(n))
	}
	return binary.BigEndian.AppendUint16(append(dst, 'H', 126), uint16(n))
}

// naive is a log that nobody would use: a slice.
type naive struct {
	log     *Log
	framing Framing
	all     []message // ever
	tail    int       // index in all
	kept    []kept
	joined  Joined
}

type message struct {
	text     string
	from, to Position
}

// kept is what a reader got some time ago.
type kept struct {
	run  Run
	want string
}

func (n *naive) head() Position { return n.position(len(n.all)) }

// position is the place before the k-th message.
func (n *naive) position(k int) Position {
	if k == 0 {
		return Position{}
	}
	return n.all[k-1].to
}

func (n *naive) add(text string) {
	size := len(text)
	if n.framing != nil {
		size += len(n.framing(nil, len(text)))
	}
	from := n.head()
	n.all = append(n.all, message{text, from, Position{from.Offset + uint64(size), from.Seq + 1}})
}

func (n *naive) bytes() int  { return int(n.head().Offset - n.position(n.tail).Offset) }
func (n *naive) events() int { return len(n.all) - n.tail }

// framed is what stands in the log for some messages.
func (n *naive) framed(all []message) string {
	var b []byte
	for _, m := range all {
		if n.framing != nil {
			b = n.framing(b, len(m.text))
		}
		b = append(b, m.text...)
	}
	return string(b)
}

// check compares the log with the slice; what it lost must be the oldest, and no
// more than its bounds ask for.
func (n *naive) check(t *testing.T, overBounds bool) {
	t.Helper()
	if got := n.log.Head(); got != n.head() {
		t.Fatalf("the head is %v, want %v", got, n.head())
	}
	tail := n.log.Tail()
	k := int(tail.Seq)
	if k > len(n.all) || tail != n.position(k) {
		t.Fatalf("the tail %v is not between two messages", tail)
	}
	switch {
	case k < n.tail:
		t.Fatalf("the tail went back from message %d to %d", n.tail, k)
	case k > n.tail && !overBounds:
		t.Fatalf("%d messages were let go of within the bounds", k-n.tail)
	}
	n.tail = k
	if n.tail > 0 {
		if _, ok := n.log.Read(n.position(n.tail-1), n.head()); ok {
			t.Fatalf("message %d can be read and was let go of", n.tail-1)
		}
	}
}

// put appends a message to a log.
func put(l *Log, msg []byte) { l.Update(func(u Update) { u.Append(msg) }) }

// read reads the messages from one on and before another, as a cursor does, and in one
// piece where they are few enough.
func (n *naive) read(t *testing.T, from, upto int) {
	t.Helper()
	defer func() {
		pos, end := n.position(from), n.position(upto)
		run, ok := n.joined.Read(n.log, pos, end)
		if !ok || run.From != pos || run.To != end && (end.Offset-pos.Offset <= joinedMost || run.To.Seq <= pos.Seq) {
			t.Fatalf("Joined.Read from %v upto %v: %v to %v, %v", pos, end, run.From, run.To, ok)
		}
		n.run(t, run, n.all[from:run.To.Seq])
	}()
	pos, end := n.position(from), n.position(upto)
	for k := from; pos != end; {
		run, ok := n.log.Read(pos, end)
		if !ok || run.From != pos || run.To.Seq <= pos.Seq || run.To.Seq > end.Seq {
			t.Fatalf("Read from %v upto %v: %v to %v, %v", pos, end, run.From, run.To, ok)
		}
		got := n.all[k:run.To.Seq]
		n.run(t, run, got)
		n.kept = append(n.kept, kept{run, n.framed(got)})
		pos, k = run.To, int(run.To.Seq)
	}
	if run, ok := n.log.Read(end, end); !ok || len(run.Bytes) != 0 || run.From != end || run.To != end {
		t.Fatalf("Read of nothing at %v: %v to %v, %v", end, run.From, run.To, ok)
	}
}

// run compares a run, and what is made of it, with the messages that it holds.
func (n *naive) run(t *testing.T, run Run, want []message) {
	t.Helper()
	if string(run.Bytes) != n.framed(want) {
		t.Fatalf("a run of %d messages holds %d bytes that are not theirs", len(want), len(run.Bytes))
	}
	k := 0
	run.Messages(func(msg []byte, after Position) bool {
		if k == len(want) || string(msg) != want[k].text || after != want[k].to {
			t.Fatalf("message %d of a run of %d is %q, behind it %v", k, len(want), msg, after)
		}
		k++
		return true
	})
	if k != len(want) {
		t.Fatalf("a run has %d messages, want %d", k, len(want))
	}
	for k, m := range want {
		if got := run.After(int(m.to.Offset - run.From.Offset)); got != m.to {
			t.Fatalf("After message %d: %v, want %v", k, got, m.to)
		}
	}
	if got := run.After(0); got != run.From {
		t.Fatalf("After nothing: %v, want %v", got, run.From)
	}
}

// FuzzLog holds a log against a slice.
func FuzzLog(f *testing.F) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(1, seed))
		ops := make([]byte, 400)
		for i := range ops {
			ops[i] = byte(rnd.Uint32())
		}
		f.Add(uint16(seed*300), byte(seed*5), seed%2 == 0, ops)
	}
	f.Fuzz(func(t *testing.T, maxBytes uint16, maxEvents byte, framed bool, ops []byte) {
		n := &naive{}
		if framed {
			n.framing = framing
		}
		bounds := [2]int{int(maxBytes) + 1, int(maxEvents) + 1}
		n.log = New(n.framing, bounds[0], bounds[1])
		over := func() bool { return n.bytes() > bounds[0] || n.events() > bounds[1] }
		for ; len(ops) >= 3; ops = ops[3:] {
			a, b := int(ops[1]), int(ops[2])
			// No message is empty: an envelope never is.
			text := strings.Repeat(string(rune('a'+len(n.all)%26)), 1+a*(1+b%16))
			// Two places in what is left of the log.
			from := n.tail + a*(n.events()+1)/256
			upto := from + b*(len(n.all)-from+1)/256
			switch ops[0] % 8 {
			default:
				put(n.log, []byte(text))
				n.add(text)
				n.check(t, over())
			case 4, 5:
				used := n.bytes()
				want := used == 0 || used+len(text) <= bounds[0] && n.events() < bounds[1]
				if got := n.log.TryAppend([]byte(text)); got != want {
					t.Fatalf("TryAppend of %d bytes to a log with %d of %d, %d of %d events: %v", len(text), used, bounds[0], n.events(), bounds[1], got)
				}
				if want {
					n.add(text)
				}
				n.check(t, false)
			case 6:
				n.log.Release(n.position(from))
				n.tail = from
				n.check(t, false)
			case 7:
				n.read(t, from, upto)
			}
		}
		n.read(t, n.tail, len(n.all))
		for _, k := range n.kept {
			if string(k.run.Bytes) != k.want {
				t.Fatalf("what was read at %v has changed since", k.run.From)
			}
		}
	})
}

func TestBounds(t *testing.T) {
	for name, c := range map[string]struct {
		maxBytes, maxEvents int
	}{
		"bytes":  {8 << 10, 1 << 20},
		"events": {1 << 20, 500},
	} {
		l := New(nil, c.maxBytes, c.maxEvents)
		msg := make([]byte, 100)
		for range 10_000 {
			put(l, msg)
			head, tail := l.Head(), l.Tail()
			bytes, events := int(head.Offset-tail.Offset), int(head.Seq-tail.Seq)
			if bytes > c.maxBytes || events > c.maxEvents && len(l.segments) > 1 {
				t.Fatalf("%s: the log holds %d bytes and %d events", name, bytes, events)
			}
		}
		if l.Tail() == (Position{}) {
			t.Errorf("%s: nothing was let go of", name)
		}
	}
}

// TestOversized: a message over the bound of the whole log is still carried, alone.
func TestOversized(t *testing.T) {
	l := New(nil, 1000, 10)
	put(l, make([]byte, 10))
	before := l.Head()
	put(l, make([]byte, 5000))
	run, ok := l.Read(before, l.Head())
	if !ok || len(run.Bytes) != 5000 || l.Tail() != before {
		t.Errorf("read %d bytes, %v; the tail is %v", len(run.Bytes), ok, l.Tail())
	}
	put(l, make([]byte, 100))
	if _, ok := l.Read(before, l.Head()); ok {
		t.Error("a message over the bound stays when another follows")
	}
}

// TestSegments: an idle log is small, a busy one has few segments, and none is more
// than an eighth of the log.
func TestSegments(t *testing.T) {
	l := New(nil, 1<<20, 1<<20)
	msg := make([]byte, 100)
	put(l, msg)
	if got := cap(l.segments[0].buf); got != minSegment {
		t.Errorf("the first segment has %d bytes, want %d", got, minSegment)
	}
	for l.Head().Offset < 1<<19 {
		put(l, msg)
	}
	var sizes []int
	for _, s := range l.segments {
		sizes = append(sizes, cap(s.buf))
	}
	if !slices.IsSorted(sizes) || sizes[1] != 2*minSegment || slices.Max(sizes) != maxSegment {
		t.Errorf("the segments are %v", sizes)
	}
	small := New(nil, 16<<10, 1<<20)
	for range 1000 {
		put(small, msg)
	}
	for _, s := range small.segments {
		if cap(s.buf) > 16<<10/8 {
			t.Errorf("a segment of %d bytes in a log of %d", cap(s.buf), 16<<10)
		}
	}
}

func TestUpdate(t *testing.T) {
	l := New(nil, 1<<10, 10)
	put(l, []byte("first"))
	var from, to Position
	l.Update(func(u Update) {
		from, to = u.Append([]byte("second"))
		if u.Head() != to || u.Sealed() {
			t.Errorf("inside Update: head %v, sealed %v", u.Head(), u.Sealed())
		}
	})
	if want := (Position{Offset: 5, Seq: 1}); from != want {
		t.Errorf("from %v, want %v", from, want)
	}
	if to != l.Head() {
		t.Errorf("to %v, but the head is %v", to, l.Head())
	}
	l.Seal()
	l.Update(func(u Update) {
		if !u.Sealed() {
			t.Error("not sealed")
		}
	})
}

func TestSeal(t *testing.T) {
	l := New(nil, 1<<10, 10)
	put(l, []byte("kept"))
	head := l.Head()
	l.Seal()
	if l.TryAppend([]byte("refused")) {
		t.Error("a sealed log took a message")
	}
	run, ok := l.Read(Position{}, head)
	if !ok || string(run.Bytes) != "kept" || l.Head() != head {
		t.Errorf("a sealed log holds %q, %v, up to %v", run.Bytes, ok, l.Head())
	}
}

// TestReleaseKeepsArray: a link whose peer keeps up fills one segment after the
// other, and lets go of each.
func TestReleaseKeepsArray(t *testing.T) {
	l := New(nil, 1<<20, 1<<10)
	for n := range 10_000 {
		if !l.TryAppend(fmt.Append(nil, n)) {
			t.Fatalf("message %d was refused", n)
		}
		l.Release(l.Head())
		if len(l.segments) > 1 || l.Tail() != l.Head() {
			t.Fatalf("%d segments, from %v to %v", len(l.segments), l.Tail(), l.Head())
		}
		if len(l.segments) == 1 && cap(l.segments[0].buf) > minSegment {
			t.Fatalf("a log that is always empty has a segment of %d bytes", cap(l.segments[0].buf))
		}
	}
}

func TestMessagesStops(t *testing.T) {
	l := New(framing, 1<<10, 100)
	for range 3 {
		put(l, []byte("m"))
	}
	run, _ := l.Read(Position{}, l.Head())
	calls := 0
	run.Messages(func([]byte, Position) bool { calls++; return calls < 2 })
	if calls != 2 {
		t.Errorf("called %d times after false", calls)
	}
}

// TestConcurrentReaders: readers see whole messages, in order, while the log lets go
// of what they have not read.
func TestConcurrentReaders(t *testing.T) {
	const messages = 20_000
	l := New(nil, 4<<10, 1<<20)
	done := make(chan error, 4)
	for range cap(done) {
		go func() {
			pos, missed := Position{}, 0
			for pos.Seq < messages {
				run, ok := l.Read(pos, l.Head())
				if !ok {
					tail := l.Tail()
					missed += int(tail.Seq - pos.Seq)
					pos = tail
					continue
				}
				n := pos.Seq
				for b := run.Bytes; len(b) > 0; b = b[8:] {
					if got := binary.BigEndian.Uint64(b); got != n {
						done <- fmt.Errorf("message %d is %d, after %d that were missed", n, got, missed)
						return
					}
					n++
				}
				pos = run.To
			}
			done <- nil
		}()
	}
	for n := range uint64(messages) {
		put(l, binary.BigEndian.AppendUint64(nil, n))
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// TestKeepsMostByCount: a log that is full by its number of messages keeps most of
// them, however small they are.
func TestKeepsMostByCount(t *testing.T) {
	l := New(framing, 1<<20, 1<<10)
	for n := range 20_000 {
		put(l, []byte("m"))
		if kept := l.Head().Seq - l.Tail().Seq; kept > 1<<10 || n > 1<<10 && kept < 3<<8 {
			t.Fatalf("after %d messages %d are kept, of %d", n, kept, 1<<10)
		}
	}
}
