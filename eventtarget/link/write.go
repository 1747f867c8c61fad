package link

import (
	"errors"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// wakeWriter starts the writer if there is something to write and nobody does.
// Under mu.
func (l *Link) wakeWriter() {
	if l.writing || l.writable == nil || l.state == eventtarget.StateClosed || l.sent == l.out.Head() && !l.owing && !l.interest.pending() && !l.session.due {
		return
	}
	l.writing = true
	l.wg.Go(l.write)
}

// alone is how long nothing must have been written for a Dispatch to write by itself: as
// long as a write takes. What comes faster is better gathered by the writer.
const alone = time.Microsecond

// wakeOrWrite sees to it that what was accepted is written: by the caller, if that is
// possible at once and gathers no less than the writer would. Under mu, which it releases.
func (l *Link) wakeOrWrite() {
	conn := l.direct()
	if conn == nil {
		l.wakeWriter()
		l.mu.Unlock()
		return
	}
	l.writing = true
	run, _ := l.out.Read(l.sent, l.out.Head())
	l.mu.Unlock()
	n, blocked, err := conn.TryWriteFrames(run.Bytes)
	l.mu.Lock()
	l.owing = blocked
	l.wroteUpTo(conn, run.After(n), err)
	l.writing = false
	l.wakeWriter()
	l.mu.Unlock()
	l.failed(conn, err)
}

// direct returns the connection if a Dispatch is to write to it, and nil if it is not.
// Under mu.
func (l *Link) direct() tryConn {
	if l.writing || l.owing || l.opts.Framing == nil || l.state == eventtarget.StateClosed ||
		l.interest.pending() || l.session.due {
		return nil
	}
	conn, able := l.writable.(tryConn)
	if !able || time.Since(l.wrote) < alone {
		return nil
	}
	return conn
}

type tryConn interface {
	Conn
	TryFrameSender
}

// wroteUpTo notes how far a write to conn came. Under mu.
func (l *Link) wroteUpTo(conn Conn, sent framelog.Position, err error) {
	l.sent = sent
	if l.session.active {
		l.settleClaimed()
	} else {
		l.settle(sent)
	}
	if err != nil && l.writable == conn {
		l.writable = nil
	}
	if _, able := conn.(tryConn); able {
		l.wrote = time.Now()
	}
	l.broadcast()
}

// failed ends a connection that cannot be written to, so that the reader notices. When
// the peer has closed, it will by itself, behind what the peer sent before.
func (l *Link) failed(conn Conn, err error) {
	if err == nil {
		return
	}
	if r, ok := errors.AsType[eventtarget.Reason](err); !ok || !r.Remote {
		_ = conn.Close(eventtarget.Reason{Code: eventtarget.CodeLost, Text: err.Error()})
	}
}

// write sends what waits until there is nothing left or the connection fails.
func (l *Link) write() {
	for {
		l.mu.Lock()
		conn, from, head := l.writable, l.sent, l.out.Head()
		var request []byte
		owing := l.owing
		l.owing = false
		if conn != nil && !owing {
			if request = l.session.acknowledgement(); request == nil {
				request = l.interest.next()
			}
		}
		if conn == nil || request == nil && from == head && !owing {
			l.writing = false
			l.broadcast()
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		var sent framelog.Position
		var err error
		if request != nil { // overtakes: it says nothing of what was dispatched
			sent, err = from, l.guard(conn, func() error { return conn.Send(request) })
		} else {
			sent, err = l.send(conn, from, head)
		}
		l.mu.Lock()
		l.wroteUpTo(conn, sent, err)
		l.mu.Unlock()
		l.failed(conn, err)
	}
}

// awaitWriter waits until nobody writes to a connection that has ended.
func (l *Link) awaitWriter() {
	for {
		l.mu.Lock()
		writing, changed := l.writing, l.change()
		l.mu.Unlock()
		if !writing {
			return
		}
		<-changed
	}
}

// guard ends the connection when fn takes too long.
func (l *Link) guard(conn Conn, fn func() error) error {
	stalled := time.AfterFunc(l.opts.WriteTimeout, func() {
		_ = conn.Close(eventtarget.Reason{Code: eventtarget.CodeSlow})
	})
	defer stalled.Stop()
	return fn()
}

// send writes a run of messages and returns how far it came. A message whose Send
// failed is sent again over the next connection: the peer has not got it.
func (l *Link) send(conn Conn, from, head framelog.Position) (sent framelog.Position, err error) {
	run, _ := l.out.Read(from, head)
	stalled := time.AfterFunc(l.opts.WriteTimeout, func() {
		_ = conn.Close(eventtarget.Reason{Code: eventtarget.CodeSlow})
	})
	defer stalled.Stop()
	if fs, ok := conn.(FrameSender); ok && l.opts.Framing != nil {
		err := fs.WriteFrames(run.Bytes)
		if short, ok := errors.AsType[*ShortWrite](err); ok {
			return run.After(short.Written), err
		}
		return run.To, err
	}
	sent = from
	run.Messages(func(msg []byte, after framelog.Position) bool {
		if err = conn.Send(msg); err != nil {
			return false
		}
		sent = after
		stalled.Reset(l.opts.WriteTimeout)
		return true
	})
	return sent, err
}
