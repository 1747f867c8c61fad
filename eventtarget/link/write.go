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
	if l.writing || l.writable == nil || l.state == eventtarget.StateClosed || l.sent == l.out.Head() && !l.interest.pending() && !l.session.due {
		return
	}
	l.writing = true
	l.wg.Go(l.write)
}

// write sends what waits until there is nothing left or the connection fails.
func (l *Link) write() {
	for {
		l.mu.Lock()
		conn, from, head := l.writable, l.sent, l.out.Head()
		var request []byte
		if conn != nil {
			if request = l.session.acknowledgement(); request == nil {
				request = l.interest.next()
			}
		}
		if conn == nil || request == nil && from == head {
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
		l.sent = sent
		if !l.session.active {
			l.settle(sent)
		}
		if err != nil && l.writable == conn {
			l.writable = nil
		}
		l.broadcast()
		l.mu.Unlock()
		if r, ok := errors.AsType[eventtarget.Reason](err); err != nil && !(ok && r.Remote) {
			// So that the reader notices. When the peer has closed, it will by itself,
			// behind what the peer sent before.
			_ = conn.Close(eventtarget.Reason{Code: eventtarget.CodeLost, Text: err.Error()})
		}
	}
}

// awaitWriter waits until nobody writes to a connection that has ended.
func (l *Link) awaitWriter() {
	for {
		l.mu.Lock()
		writing, changed := l.writing, l.changed
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
