package link

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// run connects, reads until the connection ends, and begins again. conn is a connection that
// is being read already, since began; failing is since when there was no healthy one, or zero.
func (l *Link) run(conn Conn, began, failing time.Time) {
	defer func() {
		if conn != nil { // an Inline listener has ended this goroutine (runtime.Goexit)
			l.wg.Go(func() { l.run(conn, began, failing) })
		}
	}()
	for {
		var err error
		if conn != nil {
			err = l.read(conn)
		} else if made, failed := l.dial(); failed != nil {
			err = failed
		} else {
			conn, began = made, time.Now()
			err = l.converse(conn)
		}
		if conn != nil {
			_ = conn.Close(l.goodbye(err))
			if time.Since(began) >= l.opts.Backoff.Healthy {
				failing = time.Time{}
			}
			conn = nil
		}
		l.down(err)
		l.awaitWriter()
		if l.ctx.Err() != nil {
			return
		}
		if l.opts.Dial == nil || terminal(err) || l.opts.Retry != nil && !l.opts.Retry(err) {
			l.finish(err)
			return
		}
		if failing.IsZero() {
			failing = time.Now()
		}
		pause := time.NewTimer(l.pause(time.Since(failing), err))
		select {
		case <-pause.C:
		case <-l.ctx.Done():
			pause.Stop()
			return
		}
	}
}

func (l *Link) dial() (Conn, error) {
	if l.opts.Conn != nil {
		return l.opts.Conn, nil
	}
	ctx, cancel := context.WithTimeout(l.ctx, l.opts.DialTimeout)
	defer cancel()
	return l.opts.Dial(ctx)
}

// pause returns how long to wait before dialling again: what the other end asked for,
// or the back-off.
func (l *Link) pause(failing time.Duration, cause error) time.Duration {
	const longest = 5 * time.Minute // a hint is no order to stay away
	if r, ok := errors.AsType[eventtarget.Reason](cause); ok && r.Remote && r.Retry > 0 {
		return min(r.Retry, longest)
	}
	return l.opts.Backoff.Pause(failing)
}

// terminal tells whether dialling again is of no use: the other end said that it
// does not want us.
func terminal(err error) bool {
	if errors.Is(err, eventtarget.ErrForbidden) {
		return true
	}
	r, ok := errors.AsType[eventtarget.Reason](err)
	return ok && r.Remote && r.Code == eventtarget.CodePolicy
}

// finish ends a link that has nothing to connect to any more: what arrived is
// still handled. Listeners that wait for a connection hear at once that there will be none:
// they are waited for.
func (l *Link) finish(cause error) {
	cause = fmt.Errorf("%w: %w", eventtarget.ErrClosed, cause)
	l.mu.Lock()
	l.draining, l.over = true, cause
	l.broadcast()
	l.mu.Unlock()
	l.awaitDelivered()
	_ = l.registry.Shutdown(l.ctx) // fails when Close was called, which then sees to the rest
	l.end(cause)
}

// goodbye is the reason that a connection is closed with. That a message is too large the
// other end has to know: it would send it again over the next one.
func (l *Link) goodbye(cause error) eventtarget.Reason {
	if l.ctx.Err() != nil {
		return eventtarget.Reason{Code: eventtarget.CodeNormal}
	}
	if r, ok := errors.AsType[eventtarget.Reason](cause); ok && !r.Remote && r.Code == eventtarget.CodeTooLarge {
		return r
	}
	return eventtarget.Reason{Code: eventtarget.CodeLost}
}

// up makes conn the link's connection and sends what waits. w is how the other end
// answered the greeting; nil: it is plain.
func (l *Link) up(conn Conn, w *wire.WelcomePayload) error {
	ended := make(chan struct{})
	l.mu.Lock()
	resumed, err := l.open(w)
	if err != nil {
		l.mu.Unlock()
		return err
	}
	if r, ok := conn.(Resumer); ok && w == nil {
		resumed = r.Resumed()
	}
	l.conn, l.writable, l.ended, l.owing = conn, conn, ended, false
	var untold map[string]string
	if l.interest != nil && w != nil {
		untold = l.interest.answered(greeting, w.Refused)
	} else if l.interest != nil {
		l.interest.restart()
	}
	l.connects++
	again := l.connects > 1
	l.setState(Change{State: eventtarget.StateUp, Resumed: resumed})
	l.wakeWriter()
	l.broadcast()
	l.mu.Unlock()
	l.tell()
	if l.ctx.Err() != nil { // closed meanwhile, and did not see conn
		_ = conn.Close(l.goodbye(nil))
	}
	if again {
		l.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultReconnected, Peer: l.opts.ID})
		if !resumed {
			l.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Peer: l.opts.ID})
		}
	}
	for topic, reason := range untold {
		l.refused(topic, reason)
	}
	l.heartbeat(conn, ended)
	return nil
}

func (l *Link) down(cause error) {
	l.mu.Lock()
	wasUp := l.conn != nil
	l.conn, l.writable, l.cause = nil, nil, cause
	if wasUp {
		close(l.ended)
	}
	l.setState(Change{State: eventtarget.StateDown, Cause: cause})
	l.broadcast()
	l.mu.Unlock()
	l.tell()
	r, ok := errors.AsType[eventtarget.Reason](cause)
	over := l.opts.Dial == nil && ok && r.Remote && r.Code == eventtarget.CodeNormal // as Done tells
	if wasUp && !over && l.ctx.Err() == nil {
		l.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDisconnected, Peer: l.opts.ID, Err: cause})
	}
}

// read delivers what arrives until the connection ends.
func (l *Link) read(conn Conn) error {
	queued, topics := l.sessionActive(), new(wire.Topics)
	acks, _ := conn.(Acknowledger)
	for {
		frame, err := conn.Receive()
		if err != nil {
			return err
		}
		if l.arrived(conn, frame, topics, queued) && acks != nil {
			acks.Delivered()
		}
	}
}

// arrived takes a message in: a session's waits to be delivered, a plain one holds up
// the reader, and so the other end, and is delivered then, unless it comes too late.
func (l *Link) arrived(conn Conn, frame []byte, topics *wire.Topics, queued bool) (delivered bool) {
	m, err := topics.Decode(frame, l.opts.Limits)
	if err != nil {
		l.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDecode, Peer: l.opts.ID, Count: 1, Err: err})
	}
	switch {
	case queued && m.Type == wire.Ack:
		l.receiveControl(m)
	case queued: // a bad one has a number too
		l.receive(conn, m, len(frame))
	default:
		return !errors.Is(l.handle(m), eventtarget.ErrClosed)
	}
	return false
}

// handle brings a message to listeners. The error is ErrClosed, for what comes too late.
func (l *Link) handle(m wire.Message) error {
	switch {
	case m.Type == "": // it was a bad one
	case m.Control():
		l.receiveControl(m)
	default:
		return l.registry.Deliver(l.ctx, eventtarget.Event[eventtarget.Raw]{
			Type: m.Type, ID: m.ID, Payload: m.Payload, Headers: m.Headers, Source: l,
		})
	}
	return nil
}

// receiveControl handles a message of the protocol's own.
func (l *Link) receiveControl(m wire.Message) {
	var err error
	switch {
	case m.Type == wire.Ack && l.sessionActive():
		err = l.acknowledged(m)
	case m.Type == wire.Subscribed && l.interest != nil:
		err = l.subscribed(m)
	case m.Type == wire.Gap:
		var p wire.GapPayload
		if err = json.Unmarshal(m.Payload, &p); err == nil {
			l.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Peer: l.opts.ID, Count: p.Count})
		}
	case m.Type == wire.Refused:
		var p wire.RefusedPayload
		if err = json.Unmarshal(m.Payload, &p); err == nil {
			l.refused(p.Topic, p.Reason)
		}
	default:
		l.ignored.Add(1)
	}
	if err != nil {
		l.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDecode, Peer: l.opts.ID, Count: 1, Err: fmt.Errorf("%s: %w", m.Type, err)})
	}
}

// refused tells that the other end does not let us have, or dispatch, a topic.
func (l *Link) refused(topic, reason string) {
	t, _ := eventtarget.ParseTopic(topic) // as far as it is one
	l.ReportFault(eventtarget.Fault{
		Kind: eventtarget.FaultDispatch, Topic: t, Peer: l.opts.ID,
		Err: fmt.Errorf("%w: %s", eventtarget.ErrForbidden, reason),
	})
}

// heartbeat ends conn when the other end gives no sign of life.
func (l *Link) heartbeat(conn Conn, ended <-chan struct{}) {
	p, ok := conn.(Pinger)
	if !ok || l.opts.Heartbeat < 0 {
		return
	}
	l.wg.Go(func() {
		tick := time.NewTicker(l.opts.Heartbeat)
		defer tick.Stop()
		heard, misses := p.Heard(), 0
		for {
			select {
			case <-tick.C:
			case <-ended:
				return
			}
			now := p.Heard()
			if now != heard {
				heard, misses = now, 0
				continue
			}
			if misses++; misses > l.opts.Misses {
				_ = conn.Close(eventtarget.Reason{Code: eventtarget.CodeTimeout})
				return
			}
			if p.Ping() != nil {
				return // Receive says why
			}
		}
	})
}
