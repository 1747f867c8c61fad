package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// peer is the far end of a spoke, seen message by message.
type peer struct {
	t     *testing.T
	conn  *link.PipeConn
	spoke *hub.Spoke

	arrived chan struct{} // something, since it was last received from

	mu       sync.Mutex
	messages []message
	closed   error
}

type message struct {
	Type, ID string
	Payload  json.RawMessage
}

// String returns the message in short: "type:id payload".
func (m message) String() string { return fmt.Sprintf("%s:%s %s", m.Type, m.ID, m.Payload) }

// attach connects a plain peer, which reads all that it is sent.
func attach(t *testing.T, h *hub.Hub, meta hub.Meta) *peer {
	t.Helper()
	near, far := link.Pipe()
	p := &peer{t: t, conn: near, arrived: make(chan struct{}, 1)}
	t.Cleanup(near.Resume)
	go p.read()
	s, err := h.Attach(far, meta)
	if err != nil {
		t.Fatal(err)
	}
	p.spoke = s
	return p
}

func (p *peer) read() {
	for {
		msg, err := p.conn.Receive()
		p.mu.Lock()
		if err != nil {
			p.closed = err
			p.mu.Unlock()
			return
		}
		var m message
		if err := json.Unmarshal(msg, &m); err != nil {
			p.t.Error(err)
		}
		p.messages = append(p.messages, m)
		p.mu.Unlock()
		select {
		case p.arrived <- struct{}{}:
		default:
		}
	}
}

// send sends a message as it stands.
func (p *peer) send(msg string) {
	p.t.Helper()
	if err := p.conn.Send([]byte(msg)); err != nil {
		p.t.Fatal(err)
	}
}

// subscribe subscribes, and forgets the answer once it is there.
func (p *peer) subscribe(topics ...string) {
	p.t.Helper()
	text, _ := json.Marshal(map[string]any{"type": "__subscribe", "id": "1", "payload": map[string]any{"topics": topics}})
	p.send(string(text))
	synctest.Wait()
	if got := p.take(); len(got) == 0 || got[0] != `__subscribed:1 {}` {
		p.t.Fatalf("subscribed to %v, told %v", topics, got)
	} else if len(got) > 1 {
		p.t.Fatalf("subscribed to %v, and heard %v", topics, got[1:])
	}
}

// take returns what arrived since it was last called, in short.
func (p *peer) take() (all []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.messages {
		all = append(all, m.String())
	}
	p.messages = nil
	return all
}

// expect waits until nothing moves any more and compares what arrived.
func (p *peer) expect(want ...string) {
	p.t.Helper()
	synctest.Wait()
	got := p.take()
	for n := range max(len(got), len(want)) {
		if n >= len(got) || n >= len(want) || got[n] != want[n] {
			p.t.Errorf("spoke %s got %d messages, want %d; from message %d on %q, want %q",
				p.spoke.ID(), len(got), len(want), n, got[min(n, len(got)):min(n+3, len(got))], want[min(n, len(want)):min(n+3, len(want))])
			return
		}
	}
}

// reason returns why the connection was closed.
func (p *peer) reason() eventtarget.Reason {
	p.t.Helper()
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := errors.AsType[eventtarget.Reason](p.closed)
	if !ok {
		p.t.Fatalf("spoke %s was closed with %v", p.spoke.ID(), p.closed)
	}
	return r
}

func dispatch(t *testing.T, to eventtarget.Target, eventType, id, payload string) {
	t.Helper()
	if err := to.Dispatch(t.Context(), event(eventType, id, payload)); err != nil {
		t.Error(err)
	}
}

// await waits until n messages have arrived since the last take.
func (p *peer) await(n int) {
	p.t.Helper()
	for late := time.After(10 * time.Second); ; {
		p.mu.Lock()
		got := len(p.messages)
		p.mu.Unlock()
		if got >= n {
			return
		}
		select {
		case <-p.arrived:
		case <-late:
			p.t.Fatalf("spoke %s got %d of %d messages", p.spoke.ID(), got, n)
		}
	}
}
