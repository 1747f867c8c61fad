package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/option"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

const (
	// version is that of the handshake and the framing.
	version = 1
	// cookieEnv tells a child that it was started as a worker.
	cookieEnv = "EVENTTARGET_WORKER"
	// fdIn and fdOut are what a child reads from and writes to.
	fdIn, fdOut = 3, 4
)

// ready is what a child says when it has listeners.
const ready = `{"type":"__ready","id":""}`

// grace is how long what a child has written is still read once it has ended, in case
// a grandchild holds its pipe open.
const grace = 200 * time.Millisecond

// ErrHandshake is what a program that is no worker, or not the right one, is told for.
var ErrHandshake = errors.New("the handshake failed")

// ErrNotWorker is what [Parent] returns in a program that was started by hand.
var ErrNotWorker = errors.New("this program is a worker: another program starts it with package worker (github.com/eventtarget-go/toolkit/worker), and talks to it over file descriptors 3 and 4")

func greeting(cookie string) string {
	return fmt.Sprintf(`{"type":"__worker","id":"","payload":{"version":%d,"cookie":%q}}`, version, cookie)
}

// Parent returns the target that talks to the program that started this one, in a child
// of [Start]. It is to be called once, early in main. nil options are the defaults; Dial,
// Conn, Adapter and Framing are set by Parent.
//
// Whatever the worker needs to begin is to be done before, or in Setup: when that has
// returned, the parent is told that the worker is ready.
//
// The target closes when the parent ends the conversation, and what it had sent has been
// handled: a worker then returns from
// main. If the parent has died instead, there is nobody to work for: Linux kills the
// process at once, and elsewhere it exits with status 75 (EX_TEMPFAIL). The error is [ErrNotWorker] in a
// program that was not started so.
func Parent(opts *link.Options) (*link.Link, error) {
	var o link.Options
	if opts != nil {
		o = *opts
	}
	mark, found := os.LookupEnv(cookieEnv)
	v, cookie, _ := strings.Cut(mark, " ")
	switch {
	case !found:
		return nil, &eventtarget.Error{Op: "open", Adapter: adapter, Err: ErrNotWorker}
	case v != fmt.Sprint(version):
		return nil, &eventtarget.Error{Op: "open", Adapter: adapter, Err: fmt.Errorf("%w: the parent speaks version %s, this program %d", ErrHandshake, v, version)}
	}
	if err := option.NotNegative("WriteTimeout", o.WriteTimeout); err != nil { // which the greeting needs already
		return nil, &eventtarget.Error{Op: "open", Adapter: adapter, Err: err}
	}
	_ = os.Unsetenv(cookieEnv) // not for its own children
	in, out, err := inherited()
	if err != nil {
		return nil, &eventtarget.Error{Op: "open", Adapter: adapter, Err: fmt.Errorf("%w: %w", ErrNotWorker, err)}
	}
	def(&o.WriteTimeout, writeTimeout)
	p := &inbound{pipes: newPipes(in, out, wire.MaxFrame(o.Limits.WithDefaults()), o.WriteTimeout)}
	if err := p.Send([]byte(greeting(cookie))); err != nil {
		return nil, &eventtarget.Error{Op: "open", Adapter: adapter, Err: fmt.Errorf("%w: %w", ErrHandshake, err)}
	}
	setup := o.Setup
	o.Setup = func(l *link.Link) {
		p.link = l
		if setup != nil {
			setup(l)
		}
		_ = p.Send([]byte(ready)) // an error is Receive's to say
	}
	o.Adapter, o.Dial, o.Conn, o.Framing, o.Heartbeat = adapter, nil, p, appendHeader, -1
	l, err := link.New(o)
	if err == nil {
		go exitWith(l)
	}
	return l, err
}

// inbound is a child's end of the connection: it tells its parent now and then what has
// been handled, and lets listeners finish, and answer, before it takes the end of the
// parent's messages for the end.
type inbound struct {
	*pipes
	link *link.Link

	delivered atomic.Uint64 // messages for which that is over, but for queued listeners
	telling   atomic.Bool   // somebody is about to tell
}

// tellAfter is how long what was handled may go untold.
const tellAfter = 20 * time.Millisecond

// Delivered counts a message, and sees to it that the parent is told.
func (c *inbound) Delivered() {
	c.delivered.Add(1)
	if !c.telling.Load() && c.telling.CompareAndSwap(false, true) {
		time.AfterFunc(tellAfter, c.tell)
	}
}

// Receive returns the next message.
func (c *inbound) Receive() ([]byte, error) {
	msg, err := c.pipes.Receive()
	if err == nil {
		return msg, nil
	}
	if r, ok := errors.AsType[eventtarget.Reason](err); ok && r.Code == eventtarget.CodeNormal && r.Remote {
		go c.finish()
		<-c.closed
	}
	return nil, err
}

// tell tells the parent what has been handled.
func (c *inbound) tell() {
	n := c.delivered.Load()
	open := c.handled(n)
	c.telling.Store(false)
	if open && c.delivered.Load() != n && c.telling.CompareAndSwap(false, true) {
		time.AfterFunc(tellAfter, c.tell)
	}
}

// handled waits until the listeners have handled what was delivered, and what they have
// answered is on its way, and tells the parent that it was n messages: what is lost with a child
// is no more than what it has not said this of. It is false when the connection has ended.
func (c *inbound) handled(n uint64) bool {
	ctx, cancel := until(context.Background(), c.closed)
	defer cancel()
	select {
	case <-c.link.Idle():
	case <-ctx.Done():
		return false
	}
	return c.link.Flush(ctx) == nil && c.Send(wire.AppendControl(nil, wire.Ack, "", wire.AckPayload{Received: n})) == nil
}

// finish ends the link when everything has been handled.
func (c *inbound) finish() {
	if c.handled(c.delivered.Load()) {
		_ = c.link.Shutdown(context.Background()) // ends with the connection at the latest
	}
	_ = c.Close(eventtarget.Reason{Code: eventtarget.CodeNormal})
}

// exitWith ends the process if its parent has died. Where the system has not done so
// by then, another process has taken the parent's place.
func exitWith(l *link.Link) {
	parent := os.Getppid()
	<-l.Done()
	for range 10 { // the pipe may end a little before
		if os.Getppid() != parent {
			os.Exit(eventtarget.CodeLost.Exit())
		}
		time.Sleep(grace / 10)
	}
}
