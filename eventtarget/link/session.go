package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// session is the link's half of a conversation that outlives its connections. Both
// ends number what they send by counting it. What the other end has not acknowledged
// stays in the log; a new connection goes on behind what it says that it has received.
//
// What arrives waits in a queue, so that the goroutine that reads never stands still
// for a listener and signs of life always pass: the other end sends no more than the
// window before it is acknowledged, which is when it has been delivered. All of it is
// under the link's mu.
type session struct {
	id     string     // empty: there is none yet
	number int        // among those of the link, from 1 on
	active bool       // the connection belongs to it
	base   uint64     // the number in the log of the message before the first one
	place  wire.Place // how far we are in the hub's store, if it has one
	tries  uint64     // how often we have asked a hub to resume it

	claimed uint64 // acknowledged, perhaps before the writer has noted that it was sent

	received  uint64 // counted messages
	delivered uint64 // of those
	acked     uint64 // of those, told
	unacked   int    // bytes delivered since
	due       bool   // an acknowledgement is to be sent
	timer     bool   // runs

	queue      []arrival
	size       int  // of the queue, in bytes
	delivering bool // a goroutine does
}

// arrival is a message that waits to be delivered.
type arrival struct {
	wire.Message
	size    int
	session int // in which it counts; 0: in none
}

const (
	// window is how much may be on its way to us and not yet delivered. A message
	// over it may still be, alone.
	window = 1 << 20
	// ackAfter is how long the first message waits for its acknowledgement, unless a
	// quarter of the window comes first. A hub has many links to hear.
	ackAfter = 100 * time.Millisecond
)

// converse opens a connection and reads from it until it ends.
func (l *Link) converse(conn Conn) error {
	if wire.Protocol(conn) == 0 {
		if err := l.up(conn, nil); err != nil {
			return err
		}
		return l.read(conn)
	}
	stop := context.AfterFunc(l.ctx, func() { _ = conn.Close(l.goodbye(nil)) }) // nobody else knows it yet
	defer stop()
	hello := l.hello()
	if err := l.guard(conn, func() error { return conn.Send(hello) }); err != nil {
		return err
	}
	var opened sync.Once
	known := l.answers()
	silent := time.AfterFunc(l.opts.DialTimeout, func() {
		opened.Do(func() {
			if known { // it is busy: the session is not given up for that
				l.unanswered++
				_ = conn.Close(eventtarget.Reason{Code: eventtarget.CodeLost})
				return
			}
			_ = l.up(conn, nil) // it only echoes what it was offered
		})
	})
	defer silent.Stop()
	frame, err := conn.Receive()
	if err != nil {
		opened.Do(func() {}) // it is not opened any more, or has been by now
		return err
	}
	var welcome *wire.WelcomePayload
	m, err := wire.Decode(frame, l.opts.Limits)
	if err == nil && m.Type == wire.Welcome {
		welcome = &wire.WelcomePayload{}
		if err := json.Unmarshal(m.Payload, welcome); err != nil {
			opened.Do(func() {}) // as above
			return eventtarget.Reason{Code: eventtarget.CodeMalformed, Text: fmt.Sprintf("%s: %v", m.Type, err)}
		}
	}
	late := true
	opened.Do(func() {
		late = false
		if known && welcome == nil { // it has not had the greeting in time, and takes us for plain
			l.unanswered++
			err = eventtarget.Reason{Code: eventtarget.CodeLost, Text: "the greeting was not answered"}
			return
		}
		l.unanswered = 0
		err = l.up(conn, welcome)
	})
	switch {
	case late && (known || welcome != nil):
		return eventtarget.Reason{Code: eventtarget.CodeTimeout, Text: "the answer to the greeting came late"}
	case !late && err != nil:
		return err
	case welcome == nil:
		l.arrived(conn, frame, nil, false)
	}
	return l.read(conn)
}

// maxUnanswered is after how many greetings without an answer what answers no more is taken
// for another peer, which speaks no sessions.
const maxUnanswered = 3

// answers tells whether the other end is known to answer a greeting.
func (l *Link) answers() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session.id != "" && l.unanswered < maxUnanswered
}

// hello returns what opens or resumes a session.
func (l *Link) hello() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := wire.HelloPayload{
		Version: wire.SessionVersion, Session: l.session.id, Received: l.session.received, Window: window,
	}
	if p.Session != "" {
		l.session.tries++
		p.Try = l.session.tries
	}
	if l.session.place.Store != "" {
		p.Place = &l.session.place
	}
	if l.interest != nil {
		topics := l.interest.greet()
		p.Topics = &topics
	}
	return wire.AppendControl(nil, wire.Hello, "", p)
}

// open sets the session as the other end has answered: nil is a plain one. resumed
// tells that nothing is missing. Under mu.
func (l *Link) open(w *wire.WelcomePayload) (resumed bool, err error) {
	x := &l.session
	x.active = w != nil
	if x.active && w.Resumed {
		at, ok := l.out.Find(x.base + w.Received)
		if !ok || w.Session != x.id || at.Offset < l.acked.Offset {
			*x = session{number: x.number + 1, queue: x.queue, size: x.size, delivering: x.delivering, timer: x.timer}
			return false, eventtarget.Reason{Code: eventtarget.CodeProtocol, Text: "the hub resumes a session that there was not"}
		}
		l.sent, l.acked = at, at
		l.out.Release(at)
		x.due, x.claimed = false, w.Received
		return true, nil
	}
	// A new one. What was sent and not acknowledged may have been heard: it is not
	// sent again.
	l.acked = l.sent
	l.out.Release(l.sent)
	*x = session{
		active: x.active, number: x.number + 1, base: l.sent.Seq,
		queue: x.queue, size: x.size, delivering: x.delivering, timer: x.timer,
	}
	if w != nil {
		x.id = w.Session
		if w.Place != nil {
			x.place = *w.Place
		}
	}
	return false, nil
}

// receive takes a message in, to be delivered in turn.
func (l *Link) receive(conn Conn, m wire.Message, size int) {
	l.mu.Lock()
	for l.session.size > 2*window && l.conn == conn { // more than was agreed on
		changed := l.change()
		l.mu.Unlock()
		<-changed
		l.mu.Lock()
	}
	defer l.mu.Unlock()
	x := &l.session
	a := arrival{Message: m, size: size}
	if wire.Counted(m.Type) {
		x.received++
		a.session = x.number
	}
	x.place.Seq = max(x.place.Seq, m.Seq)
	x.queue = append(x.queue, a)
	x.size += size
	if !x.delivering {
		x.delivering = true
		l.wg.Go(l.deliver)
	}
}

// deliver delivers what was received until nothing is left.
func (l *Link) deliver() {
	ended := false
	defer func() {
		if !ended { // an Inline listener has ended this goroutine (runtime.Goexit)
			l.wg.Go(l.deliver)
		}
	}()
	for a, ok := l.next(); ok; a, ok = l.next() {
		l.bring(a)
	}
	ended = true
}

// bring delivers one arrival. What comes when the registry is closing is for nobody, and
// is not acknowledged: so the other end knows.
func (l *Link) bring(a arrival) {
	var err error
	defer func() { // whatever its listeners do
		if !errors.Is(err, eventtarget.ErrClosed) {
			l.handled(a)
		}
	}()
	err = l.handle(a.Message)
}

// next takes an arrival out of the queue; it is false when there is none, and the
// deliverer is to end.
func (l *Link) next() (a arrival, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := &l.session
	if len(x.queue) == 0 {
		x.queue, x.delivering = nil, false
		l.broadcast()
		return a, false
	}
	a = x.queue[0]
	x.queue[0] = arrival{}
	x.queue = x.queue[1:]
	if x.size > 2*window {
		l.broadcast()
	}
	x.size -= a.size
	return a, true
}

// handled counts what was delivered, and sees to its acknowledgement.
func (l *Link) handled(a arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := &l.session
	if a.session != x.number { // which may have begun while a was delivered
		return
	}
	x.delivered++
	x.unacked += a.size
	switch {
	case x.unacked >= window/4:
		x.due = true
		l.wakeWriter()
	case !x.timer:
		x.timer = true
		time.AfterFunc(ackAfter, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.session.timer = false
			l.session.due = l.session.active && l.session.delivered != l.session.acked
			l.wakeWriter()
		})
	}
}

// acknowledgement returns the one that is due, or nil. Under mu.
func (x *session) acknowledgement() []byte {
	if !x.due {
		return nil
	}
	x.due, x.acked, x.unacked = false, x.delivered, 0
	return wire.AppendControl(nil, wire.Ack, "", wire.AckPayload{Received: x.delivered})
}

// acknowledged handles the other end's acknowledgement.
func (l *Link) acknowledged(m wire.Message) error {
	var p wire.AckPayload
	if err := json.Unmarshal(m.Payload, &p); err != nil {
		return fmt.Errorf("%s: %w", m.Type, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	x := &l.session
	if dispatched := l.out.Head().Seq - x.base; p.Received > dispatched {
		return fmt.Errorf("%s: %d messages, and there were %d", m.Type, p.Received, dispatched)
	}
	x.claimed = max(x.claimed, p.Received)
	l.settleClaimed()
	return nil
}

// settleClaimed lets go of what was sent and is acknowledged. Under mu.
func (l *Link) settleClaimed() {
	seq := min(l.session.base+l.session.claimed, l.sent.Seq)
	if seq <= l.acked.Seq {
		return
	}
	if at, ok := l.out.Find(seq); ok {
		l.settle(at)
	}
}

func (l *Link) sessionActive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session.active
}

// settle lets go of what the other end has, or has to be taken to have. Under mu.
func (l *Link) settle(at framelog.Position) {
	l.acked = at
	l.out.Release(at)
	l.broadcast()
}

// awaitDelivered waits until what arrived has been given to the listeners.
func (l *Link) awaitDelivered() {
	for {
		l.mu.Lock()
		busy, changed := l.session.delivering, l.change()
		l.mu.Unlock()
		if !busy {
			return
		}
		select {
		case <-changed:
		case <-l.ctx.Done():
			return
		}
	}
}
