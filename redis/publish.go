package redis

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

func publish(b rueidis.Builder, m *message) rueidis.Completed {
	return b.Publish().Channel(m.channel).Message(rueidis.BinaryString(m.text)).Build()
}

func publishSharded(b rueidis.Builder, m *message) rueidis.Completed {
	return b.Spublish().Channel(m.channel).Message(rueidis.BinaryString(m.text)).Build()
}

// publisher sends messages in the order in which they were handed over, and has
// one answer for each. While Redis has not answered for those that were sent, the
// next ones gather, and are then sent together.
type publisher struct {
	ready   chan struct{}   // closed once node is set
	ended   <-chan struct{} // closed with the target
	start   func(func())    // runs a goroutine that the target owns
	command func(rueidis.Builder, *message) rueidis.Completed
	prepare func(rueidis.Client) // called before commands are made; nil: not
	// passing tells after which errors the command may be sent again, for retryFor;
	// nil: after none. It is not asked about success.
	passing  func(error) bool
	retryFor time.Duration
	// whole has messages that are sent together accepted together, so that one that Redis
	// refuses for now does not come to stand behind those that it had room for.
	whole  bool
	bundle int // how many messages at most go as one; 0: none do

	mu      sync.Mutex
	node    *node // the one to send to from now on, which it uses
	waiting []*message
	writing bool // the writer runs
	closed  bool

	messages sync.Pool // of those that are not used
	numbers  numbers   // the writer's
}

// message is one that waits for Redis to confirm it.
type message struct {
	about   string // the type of its event
	channel string // of that type; both stay when the message is used again
	text    []byte // begins with a head
	number  uint64
	until   time.Time // when it is sent again for the last time
	taken   bool      // by the writer: under mu
	repeat  bool      // Redis may have it already
	held    bool      // rueidis may still read it, since it was sent in vain once
	train   *train
	result  chan error
}

// message returns an empty message, which may have been another before.
func (p *publisher) message() *message {
	m, _ := p.messages.Get().(*message)
	if m == nil {
		m = &message{result: make(chan error, 1)}
	}
	m.text, m.taken, m.repeat, m.train = m.text[:0], false, false, nil
	return m
}

// train is messages of which none is sent behind one that was lost. nil: one by itself.
type train struct{ broken atomic.Bool }

func (t *train) isBroken() bool { return t != nil && t.broken.Load() }

func (t *train) breakUp() {
	if t != nil {
		t.broken.Store(true)
	}
}

var errBroken = errors.New("the connection failed at an event before it")

// keepText bounds what an idle message holds on to.
const keepText = 64 << 10

// hand puts m, which is not the caller's any more, behind those that were handed over
// before. confirmed is to follow.
func (p *publisher) hand(ctx context.Context, m *message) error {
	if m.train.isBroken() {
		return notSent{errBroken}
	}
	if p.retryFor > 0 { // from now on: it may wait for one that is sent again
		m.until = time.Now().Add(p.retryFor)
	}
	if err := p.awaitReady(ctx); err != nil {
		if isNotSent(err) {
			m.train.breakUp() // the others have waited with this one
		}
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return eventtarget.ErrClosed
	}
	p.waiting = append(p.waiting, m)
	if !p.writing {
		p.writing = true
		p.start(p.write)
	}
	return nil
}

// confirmed returns when Redis has confirmed m. If ctx ends before that, the message is
// withdrawn if it was not yet sent, and its outcome is unknown otherwise.
func (p *publisher) confirmed(ctx context.Context, m *message) error {
	select {
	case err := <-m.result:
		if err == nil && !m.held && cap(m.text) <= keepText {
			p.messages.Put(m)
		}
		return err
	case <-ctx.Done():
		return p.abandon(m, context.Cause(ctx))
	}
}

// awaitReady waits until there is somewhere to send to, for retryFor if that is set.
func (p *publisher) awaitReady(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	default:
	}
	var late <-chan time.Time
	if p.retryFor > 0 {
		late = time.After(p.retryFor)
	}
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return eventtarget.ErrClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-late:
		return notSent{errNobody}
	}
}

// abandon gives up waiting for a message.
func (p *publisher) abandon(m *message, cause error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !m.taken {
		p.waiting = slices.DeleteFunc(p.waiting, func(o *message) bool { return o == m })
		m.train.breakUp()
		return cause
	}
	select {
	case err := <-m.result:
		return err
	default:
		return unknown(cause)
	}
}

// write sends what waits until nothing does.
func (p *publisher) write() {
	for batch := p.take(); batch != nil; batch = p.take() {
		many := len(batch) > 1
		for _, m := range batch {
			m.number = p.numbers.next(m.channel)
			setNumber(m.text, m.number)
		}
		for pause := firstPause; len(batch) > 0; pause = min(2*pause, lastPause) {
			if batch = p.send(batch); len(batch) == 0 {
				break
			}
			p.renumber(batch)
			select {
			case <-time.After(pause):
			case <-p.ended:
			}
		}
		if many {
			runtime.Gosched() // so that those who were answered can hand over their next ones
		}
	}
}

// close refuses what waits and what comes.
func (p *publisher) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, m := range p.waiting {
		m.taken = true
		m.result <- eventtarget.ErrClosed
	}
	p.waiting = nil
}

// use has messages sent to another node from now on, which it releases in its turn.
func (p *publisher) use(at *node) {
	p.mu.Lock()
	before := p.node
	p.node = at
	p.mu.Unlock()
	if before == nil {
		close(p.ready)
		return
	}
	before.release()
}
