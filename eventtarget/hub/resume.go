package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// helloTimeout is how long a peer that has negotiated a session may take to open it.
// One that says nothing, or something else first, only echoes what it was offered,
// and is plain.
const helloTimeout = 5 * time.Second

// greeting is what a peer opened a connection with.
type greeting struct {
	hello  *wire.HelloPayload // nil: it is plain
	topics []eventtarget.Topic
	first  <-chan received // of a plain one, what was read in waiting for it
}

// greet hears what a peer wants. The error says that the connection is of no use.
func (h *Hub) greet(conn link.Conn) (greeting, error) {
	if h.opts.SessionTimeout < 0 || wire.Protocol(conn) == 0 {
		return greeting{}, nil
	}
	first := make(chan received, 1)
	if !h.own(func() {
		msg, err := conn.Receive()
		first <- received{msg, err}
	}) {
		return greeting{}, eventtarget.ErrClosed
	}
	silent := time.NewTimer(helloTimeout)
	defer silent.Stop()
	select {
	case r := <-first:
		return h.understand(r, first)
	case <-silent.C:
		return greeting{first: first}, nil
	case <-h.ctx.Done():
		return greeting{}, eventtarget.ErrClosed
	}
}

func (h *Hub) understand(r received, first chan received) (g greeting, err error) {
	if r.err != nil {
		return g, r.err
	}
	m, err := wire.Decode(r.msg, h.opts.Limits)
	if err != nil || m.Type != wire.Hello {
		first <- r                         // the reader's, who knows what to do with it
		return greeting{first: first}, nil //nolint:nilerr // nor is it lost
	}
	g.hello = &wire.HelloPayload{}
	if err = json.Unmarshal(m.Payload, g.hello); err != nil {
		err = fmt.Errorf("%s: %w", m.Type, err)
	} else if g.hello.Topics != nil {
		g.topics, err = parseTopics(m.Type, *g.hello.Topics)
	}
	if err != nil {
		h.stats.malformed.Add(1)
		return g, offence(err)
	}
	return g, nil
}

// newSession returns the session of a new spoke, or of one that another process has left.
func (h *Hub) newSession(hello *wire.HelloPayload, left *returning) *session {
	window := h.opts.SpokeBytes
	if hello.Window > 0 {
		window = min(window, hello.Window)
	}
	if left == nil {
		return &session{id: newID(), window: window}
	}
	x := &session{id: hello.Session, window: window, sent: hello.Received, acked: hello.Received, claimed: hello.Received}
	x.try.Store(hello.Try)
	x.in.Store(left.received)
	x.reported.Store(left.received)
	return x
}

// errOlder tells of an attempt to resume a session that was held up on its way: its peer has
// made another one meanwhile.
var errOlder = errors.New("the peer has come back another way meanwhile")

// arrival is the connections that begin or take over one session.
type arrival struct {
	turn chan struct{} // full while one of them does
	here int           // under the hub's mu
}

// arrive lets one connection after the other begin or take over a session, so that a second
// one finds what the first has made of it: a peer may come back before Attach has returned.
func (h *Hub) arrive(session string) (leave func()) {
	h.mu.Lock()
	a := h.arrivals[session]
	if a == nil {
		a = &arrival{turn: make(chan struct{}, 1)}
		h.arrivals[session] = a
	}
	a.here++
	h.mu.Unlock()
	a.turn <- struct{}{}
	return func() {
		<-a.turn
		h.mu.Lock()
		defer h.mu.Unlock()
		if a.here--; a.here == 0 {
			delete(h.arrivals, session)
		}
	}
}

// resume goes on with a session over another connection. It returns nil when there is
// none that the peer may have: it then gets a new one. The error is that it is to come
// again.
func (h *Hub) resume(conn link.Conn, meta Meta, g greeting) (*Spoke, error) {
	h.mu.Lock()
	s := h.sessions[g.hello.Session]
	h.mu.Unlock()
	if s == nil || s.identity != meta.Identity { // whose it is, is nobody else's to know
		return nil, nil
	}
	a, elsewhere := newAttachment(conn, nil), h.sharesLog() && g.hello.Try > s.session.try.Load()+1
	fenced, received, ok := s.takeOver(a, meta, g.hello)
	switch {
	case ok:
	case s.session.newer(g.hello.Try):
		return nil, errOlder
	default:
		return nil, nil
	}
	settled := false
	defer s.abandon(a, &settled)
	if fenced != nil {
		_ = fenced.conn.Close(eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "its session goes on over another connection"})
	}
	if !s.mayHear() {
		settled = true
		s.giveBack(a)
		return nil, nil
	}
	if elsewhere {
		if err := h.journal.shared.ascertain(s, a, g.hello); err != nil {
			settled = true
			s.detach(a, eventtarget.Reason{Code: eventtarget.CodeLost})
			return nil, err
		}
	}
	refused := s.reconcile(g)
	s.awaitBus()
	if err := s.welcome(a, wire.WelcomePayload{Session: g.hello.Session, Resumed: true, Received: received, Refused: refused}); err != nil {
		a.fail(reasonOf(err))
	}
	s.incoming.Store(&incoming{att: a, received: g.hello.Received})
	s.shard.add(s)
	settled = true
	s.startReading(a)
	return s, nil
}

// mayHear tells whether what the peer has proved now allows all that the session hears, and so
// what waits for it.
func (s *Spoke) mayHear() bool {
	if s.hub.opts.Authorize == nil {
		return true
	}
	return !slices.ContainsFunc(s.Subscriptions(), func(t eventtarget.Topic) bool {
		return s.hub.authorize(s, OpSubscribe, t) != nil
	})
}

// giveBack ends the session without a, which it has taken over, and waits for that.
func (s *Spoke) giveBack(a *attachment) {
	s.mu.Lock()
	ending := s.ending.Load() // whoever did that has closed a, and left the rest to its reader
	if !ending {
		s.att = nil
	}
	s.mu.Unlock()
	r := eventtarget.Reason{Code: eventtarget.CodeExpired, Text: "what its peer proves now does not allow what it hears"}
	if ending {
		s.detach(a, r)
	} else {
		s.end(r)
	}
	<-s.Done()
}

// takeOver makes a the spoke's connection: from now on nothing counts that comes over
// the one before, if there still is one. It is false when the session is over, or is
// not what the peer takes it for, or the peer has come back another way since.
func (s *Spoke) takeOver(a *attachment, meta Meta, hello *wire.HelloPayload) (fenced *attachment, in uint64, ok bool) {
	s.receiving.Lock() // until what the old connection brought has been heard
	defer s.receiving.Unlock()
	s.uplink.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.session
	x.mu.Lock()
	possible := hello.Received >= x.acked
	x.mu.Unlock()
	if s.ending.Load() || !possible || x.newer(hello.Try) {
		return nil, 0, false
	}
	x.try.Store(max(x.try.Load(), hello.Try))
	fenced, s.att = s.att, a
	s.renew(meta)
	if x.expiry != nil {
		x.expiry.Stop()
	}
	s.resumed.Add(1)
	in = x.in.Load()
	x.reported.Store(in)
	return fenced, in, true
}

// welcome answers a peer's greeting, before anything else is written to a connection.
func (s *Spoke) welcome(a *attachment, p wire.WelcomePayload) error {
	p.Version = wire.SessionVersion
	m := s.hub.control(wire.Welcome, "", p)
	late := time.AfterFunc(s.hub.opts.WriteTimeout, func() {
		_ = a.conn.Close(eventtarget.Reason{Code: eventtarget.CodeSlow})
	})
	defer late.Stop()
	if a.frames != nil {
		return a.frames.WriteFrames(m.bytes)
	}
	return a.conn.Send(m.bytes[m.header:])
}

// Sessions tells whether the hub has sessions, so that an adapter should negotiate
// them.
func (h *Hub) Sessions() bool { return h.opts.SessionTimeout > 0 }
