package redis

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// maxBatch bounds the messages that are sent together.
const maxBatch = 512

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
	whole bool

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

// renumber makes the numbers of messages that are to be sent again fit: readers take what
// comes behind a later number for a repetition. One that Redis may have keeps its number and
// goes first; the others get new ones, so that none has one before what was accepted, or may
// have been, when it was refused.
func (p *publisher) renumber(again []*message) {
	for _, m := range slices.Backward(again) {
		if !m.repeat {
			p.numbers.takeBack(m.channel, m.number)
		}
	}
	slices.SortStableFunc(again, func(a, b *message) int {
		switch {
		case a.repeat == b.repeat:
			return 0
		case a.repeat:
			return -1
		default:
			return 1
		}
	})
	for _, m := range again {
		if !m.repeat {
			m.number = p.numbers.next(m.channel)
			setNumber(m.text, m.number)
		}
	}
}

// unbroken answers for messages of broken trains, and returns the others.
func unbroken(batch []*message) []*message {
	return slices.DeleteFunc(batch, func(m *message) bool {
		if !m.train.isBroken() {
			return false
		}
		m.result <- notSent{errBroken}
		return true
	})
}

// send sends messages once and returns those that are to be sent again.
func (p *publisher) send(batch []*message) (again []*message) {
	p.mu.Lock()
	at, closed := p.node, p.closed
	at.also() // use may come meanwhile
	p.mu.Unlock()
	defer at.release()
	client := at.client
	if p.prepare != nil {
		p.prepare(client)
	}
	commands := make(rueidis.Commands, len(batch))
	for i, m := range batch {
		commands[i] = p.command(client.B(), m)
	}
	errs := p.do(client, commands)
	accepted, now := false, time.Now()
	for i, m := range slices.Backward(batch) { // so that numbers can be taken back
		err := outcome(errs[i])
		accepted = accepted || err == nil
		if err != nil && now.Before(m.until) && !closed && p.passing != nil && p.passing(err) {
			m.held = true
			m.repeat = m.repeat || !isNotSent(err)
			if !m.repeat || !accepted { // else its number has become too old, and it cannot get another
				again = append(again, m)
				continue
			}
		}
		if err != nil && m.repeat && !errors.Is(err, eventtarget.ErrUnknownOutcome) {
			err = unknown(err) // that of an attempt before
		}
		if err != nil && !errors.Is(err, eventtarget.ErrUnknownOutcome) {
			p.numbers.takeBack(m.channel, m.number)
		}
		if isNotSent(err) || errors.Is(err, eventtarget.ErrUnknownOutcome) {
			m.train.breakUp()
		}
		m.result <- err
	}
	slices.Reverse(again)
	return again
}

// do has Redis do some commands, and returns the error of each.
func (p *publisher) do(client rueidis.Client, commands rueidis.Commands) []error {
	errs := make([]error, len(commands))
	switch {
	case len(commands) == 1:
		errs[0] = client.Do(context.Background(), commands[0]).Error()
	case p.whole:
		doWhole(client, commands, errs)
	default:
		for i, r := range client.DoMulti(context.Background(), commands...) {
			errs[i] = r.Error()
		}
	}
	return errs
}

// doWhole has Redis do all of some commands, or none. Where it does not allow that, it does each
// by itself.
func doWhole(client rueidis.Client, commands rueidis.Commands, errs []error) {
	all := append(rueidis.Commands{client.B().Multi().Build()}, commands...)
	answers := client.DoMulti(context.Background(), append(all, client.B().Exec().Build())...)
	begun := answers[0].Error() == nil
	done, err := answers[len(answers)-1].ToArray()
	for i := range errs {
		errs[i] = answers[i+1].Error()
		switch {
		case errs[i] != nil || !begun:
		case err != nil:
			errs[i] = err
		case i >= len(done):
			errs[i] = errors.New("EXEC has another answer than asked for")
		default:
			errs[i] = done[i].Error()
		}
	}
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

// take returns what is to be sent next; nil ends the writer.
func (p *publisher) take() []*message {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(p.waiting), maxBatch)
	if n == 0 {
		p.writing = false
		return nil
	}
	batch := slices.Clone(p.waiting[:n])
	p.waiting = slices.Delete(p.waiting, 0, n)
	for _, m := range batch {
		m.taken = true
	}
	return unbroken(batch)
}

// probe makes sure that there is a connection to publish on: one that was cut is
// noticed by the first command on it.
func (p *publisher) probe(client rueidis.Client) error {
	var err error
	for range 2 {
		if err = client.Do(context.Background(), client.B().Ping().Build()).NonRedisError(); err == nil {
			return nil
		}
	}
	return err
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

// notSent marks an error after which Redis has certainly not done what was asked,
// and may do it later.
type notSent struct{ error }

func (e notSent) Unwrap() error { return e.error }

func isNotSent(err error) bool {
	_, ok := errors.AsType[notSent](err)
	return ok
}

// notYet tells whether an error reply says that the same may succeed later, or at
// another node of a cluster.
func notYet(err *rueidis.RedisError) bool {
	// The last three are those of a server that takes no command while a script runs, of one
	// that has no room for a connection, and of one that has refused another command of several.
	for _, code := range []string{"READONLY", "OOM", "MISCONF", "NOREPLICAS", "MASTERDOWN", "BUSY ", "max number of clients", "EXECABORT"} {
		if strings.HasPrefix(err.Error(), code) {
			return true
		}
	}
	if noID(err) {
		return true
	}
	_, moved := err.IsMoved()
	_, asked := err.IsAsk()
	return moved || asked || err.IsLoading() || err.IsTryAgain() || err.IsClusterDown()
}

// outcome says what the error of a command means for its caller.
func outcome(err error) error {
	if err == nil {
		return nil
	}
	if refused, ok := rueidis.IsRedisErr(err); ok {
		if notYet(refused) {
			return notSent{refused}
		}
		return refusal(refused)
	}
	if errors.Is(err, rueidis.ErrClosing) {
		return unknown(eventtarget.ErrClosed)
	}
	if isNotSent(err) {
		return err
	}
	return unknown(err)
}

func unknown(cause error) error { return fmt.Errorf("%w: %w", eventtarget.ErrUnknownOutcome, cause) }

// refusal is what an error reply of Redis means.
func refusal(err *rueidis.RedisError) error {
	for _, code := range []string{"NOPERM", "NOAUTH", "WRONGPASS"} {
		if strings.HasPrefix(err.Error(), code) {
			return fmt.Errorf("%w: %w", eventtarget.ErrForbidden, err)
		}
	}
	return err
}
