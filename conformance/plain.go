package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// plain is a plain peer of endpoint 0, whose messages the law itself reads.
type plain struct {
	t    *T
	conn link.Conn
	gaps int // that it was told of
	lost int // how many events they are
}

// join connects a plain peer; nil: it was refused, which the law must have wanted.
// Its connection is closed when the law ends or runs out of time.
func (r *rig) join(refusable bool) *plain {
	t := r.t
	conn, err := r.Foreign()
	switch {
	case err == nil || refusable && errors.Is(err, eventtarget.ErrGone) && conn != nil:
	case refusable:
		return nil
	default:
		t.Fatalf("the harness cannot connect a foreign peer: %v", err)
	}
	p := &plain{t: t, conn: conn}
	context.AfterFunc(t.ctx, p.close)
	return p
}

func (p *plain) close() { _ = p.conn.Close(eventtarget.Reason{}) }

// next returns the next event that the peer is sent, or why there is none.
func (p *plain) next() (e event, err error) {
	for {
		msg, err := p.conn.Receive()
		if err != nil {
			return e, err
		}
		var got struct {
			Type, ID string
			Payload  raw
		}
		if err := json.Unmarshal(msg, &got); err != nil {
			p.t.Fatalf("a plain peer was sent %s: %v", msg, err)
		}
		if got.Type == "__gap" {
			var gap struct{ Count int }
			if err := json.Unmarshal(got.Payload, &gap); err != nil {
				p.t.Fatalf("a plain peer was told of the gap %s: %v", got.Payload, err)
			}
			p.gaps, p.lost = p.gaps+1, p.lost+gap.Count
		}
		if !strings.HasPrefix(got.Type, "__") {
			return event{Type: got.Type, ID: got.ID, Payload: got.Payload}, nil
		}
	}
}

// event returns the next event, which there must be.
func (p *plain) event() event {
	e, err := p.next()
	if err != nil {
		p.t.Fatalf("a plain peer lost its connection: %v", err)
	}
	return e
}

// end returns why the connection ended. What is sent before that is of no interest.
func (p *plain) end() (reason eventtarget.Reason, told bool) {
	for {
		if _, err := p.next(); err != nil {
			if p.t.ctx.Err() != nil {
				p.t.Fatalf("the connection of a plain peer was not ended")
			}
			return errors.AsType[eventtarget.Reason](err)
		}
	}
}
