package mutants

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// sessionMutants are links that say that nothing is lost when a connection is.
func sessionMutants() []Mutant {
	received := regexp.MustCompile(`"received":(\d+)`)
	shift := func(by int) func(*cutter, []byte) [][]byte {
		return func(_ *cutter, msg []byte) [][]byte {
			if !bytes.HasPrefix(msg, []byte(`{"type":"__hello"`)) {
				return [][]byte{msg}
			}
			return [][]byte{received.ReplaceAllFunc(msg, func(m []byte) []byte {
				n, _ := strconv.Atoi(string(m[len(`"received":`):]))
				return fmt.Appendf(nil, `"received":%d`, max(0, n+by))
			})}
		}
	}
	return []Mutant{
		sessions("has no session", 0, nil),
		muffled(),
		visited("keeps its cursor in what users send", []string{"C12"}, byUserData),
		visited("keeps silent about what it does not know", []string{"C12"}, alwaysResumed),
		visited("lets the connection that it has fenced speak", []string{"C15"}, speaksOn),
		sessions("says that it has received less", 1, shift(-1)),
		sessions("says that it has received more", 1, shift(1)),
		sessions("sends again what it has sent", 1, func(c *cutter, msg []byte) [][]byte {
			if bytes.HasPrefix(msg, []byte(`{"type":"__hello"`)) {
				if c.last == nil {
					return [][]byte{msg}
				}
				return [][]byte{msg, c.last} // as a connection that was not fenced would
			}
			if !bytes.HasPrefix(msg, []byte(`{"type":"__`)) {
				c.last = bytes.Clone(msg)
			}
			return [][]byte{msg}
		}),
	}
}

// sessions is a hub with one link, whose messages are tampered with on their way.
func sessions(name string, protocol int, tamper func(c *cutter, msg []byte) [][]byte) Mutant {
	return Mutant{Name: name, Caught: []string{"C29"}, Harness: conformance.Harness{
		Name: name, Timeout: hangs,
		Caps: conformance.Capabilities{Topology: conformance.Hub, Wire: true, Source: true, Reconnects: true, Resumes: true},
		New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
			return sessionRig(ctx, s, protocol, tamper, nil)
		},
	}}
}

// sessionRig is the rig of such a hub; with a shelf it can crash.
func sessionRig(ctx context.Context, s conformance.Setup, protocol int, tamper func(c *cutter, msg []byte) [][]byte, x *shelf) (*conformance.Rig, error) {
	o := hub.Options{
		SessionTimeout: s.Session, Limits: s.Limits(), LogEvents: s.Outgoing, SpokeEvents: s.Outgoing, OnFault: s.FaultsOf(0), Heartbeat: s.Heartbeat,
		OnConnect: func(sp *hub.Spoke) { s.OnConnect(sp) },
	}
	if x != nil {
		o.Store = x
	}
	h, err := hub.New(o)
	if err != nil {
		return nil, err
	}
	c := &cutter{hub: h, options: o, protocol: protocol, tamper: tamper}
	l, err := link.New(link.Options{Limits: s.Limits(), LogEvents: s.Outgoing, Backoff: link.Backoff{Max: cmp.Or(s.Backoff, time.Millisecond)}, OnFault: s.FaultsOf(1), Dial: c.dial})
	if err != nil {
		return nil, err
	}
	r := &conformance.Rig{
		Endpoints: []eventtarget.Endpoint{h, l},
		Spoke: func(int) (only eventtarget.Peer) {
			for sp := range h.Spokes() {
				only = sp
			}
			return only
		},
		Spokes: func() (all []eventtarget.Peer) {
			for sp := range h.Spokes() {
				all = append(all, sp)
			}
			return all
		},
		Sever: func(int) { c.sever(true) }, Heal: func(int) { c.sever(false) },
	}
	r.Crash = func(_ int, listen func(eventtarget.Endpoint) error) error { return c.crash(c.options, r, listen) }
	return r, l.Ready(ctx)
}

// cutter makes the connections of a link.
type cutter struct {
	hub      *hub.Hub
	options  hub.Options
	protocol int
	tamper   func(c *cutter, msg []byte) [][]byte
	last     []byte // that was sent: the writer's

	mu      sync.Mutex
	conn    *link.PipeConn
	severed bool
}

func (c *cutter) sever(severed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.severed = severed; severed {
		c.conn.Cut()
	}
}

func (c *cutter) dial(context.Context) (link.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.severed {
		return nil, errors.New("severed")
	}
	near, far := link.Pipe()
	c.conn = near
	h := c.hub
	go func() { _, _ = h.Attach(tampered{far, c, false}, hub.Meta{}) }()
	return tampered{near, c, true}, nil
}

// tampered is one end of a connection; the link's changes what it sends.
type tampered struct {
	*link.PipeConn
	cutter *cutter
	ours   bool
}

// Protocol implements [link.Negotiated].
func (t tampered) Protocol() int { return t.cutter.protocol }

// Send sends what is made of a message.
func (t tampered) Send(msg []byte) error {
	all := [][]byte{msg}
	if t.ours && t.cutter.tamper != nil {
		all = t.cutter.tamper(t.cutter, msg)
	}
	for _, m := range all {
		if err := t.PipeConn.Send(m); err != nil {
			return err
		}
	}
	return nil
}
