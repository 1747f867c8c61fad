package mutants

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"sync"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// muffled is a link without sessions that reconnects and says nothing of that.
func muffled() Mutant {
	m := sessions("reconnects in silence", 0, nil)
	m.Caught, m.Harness.Caps.Resumes = []string{"C10", "C11"}, false
	made := m.Harness.New
	m.Harness.New = func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
		told := s.OnFault
		s.OnFault = func(endpoint int, f eventtarget.Fault) {
			switch f.Kind {
			case eventtarget.FaultDisconnected, eventtarget.FaultReconnected, eventtarget.FaultGap:
			default:
				told(endpoint, f)
			}
		}
		return made(ctx, s)
	}
	return m
}

// visited is a hub that is wrong to peers who do the protocol's part themselves.
func visited(name string, caught []string, wrong func(*visits, link.Conn) link.Conn) Mutant {
	m := sessions(name, 1, nil)
	m.Caught = caught
	made := m.Harness.New
	m.Harness.New = func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
		r, err := made(ctx, s)
		if err != nil {
			return nil, err
		}
		h, v := r.Endpoints[0].(*hub.Hub), new(visits)
		r.Session = func() (link.Conn, error) {
			near, far := link.Pipe()
			go func() { _, _ = h.Attach(tampered{far, &cutter{protocol: 1}, false}, hub.Meta{}) }()
			return wrong(v, near), nil
		}
		return r, nil
	}
	return m
}

// visits is what a wrong hub remembers of such peers.
type visits struct {
	mu     sync.Mutex
	ids    []string  // of the events that were sent
	latest link.Conn // of the connections
}

// spoilt is a connection of which one direction or both are not as they were.
type spoilt struct {
	link.Conn
	send    func(msg []byte) error
	receive func() ([]byte, error)
}

func (s spoilt) Send(msg []byte) error {
	if s.send != nil {
		return s.send(msg)
	}
	return s.Conn.Send(msg)
}

func (s spoilt) Receive() ([]byte, error) {
	if s.receive != nil {
		return s.receive()
	}
	return s.Conn.Receive()
}

// byUserData goes on behind the last event with the id of the one that the peer has
// received.
func byUserData(v *visits, c link.Conn) link.Conn {
	received := regexp.MustCompile(`"received":(\d+)`)
	counted := 0
	return spoilt{Conn: c, send: func(msg []byte) error {
		v.mu.Lock()
		defer v.mu.Unlock()
		return c.Send(received.ReplaceAllFunc(msg, func(m []byte) []byte {
			n, _ := strconv.Atoi(string(m[len(`"received":`):]))
			counted = n
			for at, id := range v.ids {
				if n > 0 && n <= len(v.ids) && id == v.ids[n-1] {
					counted = at + 1
				}
			}
			return fmt.Appendf(nil, `"received":%d`, counted)
		}))
	}, receive: func() ([]byte, error) {
		msg, err := c.Receive()
		var m struct{ Type, ID string }
		if err == nil && json.Unmarshal(msg, &m) == nil && m.Type != "__welcome" && m.Type != "__ack" {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.ids = append(v.ids[:counted], m.ID)
			counted++
		}
		return msg, err
	}}
}

// alwaysResumed says that every session goes on.
func alwaysResumed(_ *visits, c link.Conn) link.Conn {
	session := regexp.MustCompile(`("type":"__welcome".*)"session":"(\w+)"(,"resumed":true)?`)
	return spoilt{Conn: c, receive: func() ([]byte, error) {
		msg, err := c.Receive()
		return session.ReplaceAll(msg, []byte(`$1"session":"$2","resumed":true`)), err
	}}
}

// speaksOn hears what a connection brings when another has taken over.
func speaksOn(v *visits, c link.Conn) link.Conn {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.latest = c
	return spoilt{Conn: c, send: func(msg []byte) error {
		if err := c.Send(msg); err == nil {
			return nil
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		return v.latest.Send(msg)
	}}
}
