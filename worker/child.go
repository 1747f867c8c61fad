package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// child is a started program and the two pipes to it.
type child struct {
	*pipes
	opts   Options
	cmd    *exec.Cmd
	stdout *printer
	stderr *printer
	gone   chan struct{} // closed when the process has ended
	once   sync.Once     // the end

	given   atomic.Uint64 // messages that it was sent whole
	handled atomic.Uint64 // of those, by what it says
}

// greet awaits that the program says that it is a worker, and then that it is ready.
func (c *child) greet(ctx context.Context, cookie string) error {
	msg, err := c.await(ctx, c.opts.HandshakeTimeout)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx) // the caller's, which says nothing of the program
	case err != nil:
		return fmt.Errorf("%w: %s does not say that it is a worker: does it call worker.Parent?", ErrHandshake, c.opts.Path)
	case string(msg) != greeting(cookie):
		return fmt.Errorf("%w: %s is a worker of another version, or says something else", ErrHandshake, c.opts.Path)
	}
	msg, err = c.await(ctx, c.opts.ReadyTimeout)
	if err != nil || string(msg) != ready {
		return fmt.Errorf("%s does not become ready: %w", c.opts.Path, orError(err, "it says something else first"))
	}
	return nil
}

// orError returns err, or an error with a text if there is none.
func orError(err error, text string) error {
	if err == nil {
		return errors.New(text)
	}
	return err
}

// await returns the next message.
func (c *child) await(ctx context.Context, most time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.in.SetReadDeadline(time.Unix(1, 0)) })
	msg, err := c.pipes.Receive()
	if !stop() {
		return nil, context.Cause(ctx)
	}
	return msg, err
}

// ack is what the messages by which a child tells what it has handled begin with.
var ack = []byte(`{"type":"` + wire.Ack + `"`)

// receive returns the next message that is for the target.
func (c *child) receive() ([]byte, error) {
	for {
		msg, err := c.pipes.Receive()
		if err != nil || !bytes.HasPrefix(msg, ack) {
			return msg, err
		}
		var m struct{ Payload wire.AckPayload }
		if err := json.Unmarshal(msg, &m); err != nil {
			return nil, eventtarget.Reason{Code: eventtarget.CodeMalformed, Text: fmt.Sprintf("%s: %v", wire.Ack, err)}
		}
		c.handled.Store(max(c.handled.Load(), m.Payload.Received)) // two that tell may overtake each other
	}
}

// why turns what receive said into the reason of the end: an *Exit, unless the parent
// wanted it, or the child says something that is not allowed.
func (c *child) why(err error) error {
	r, _ := errors.AsType[eventtarget.Reason](err)
	select {
	case <-c.closed:
		if r.Code == eventtarget.CodeNormal {
			return err
		}
	default:
		if r.Code != eventtarget.CodeLost && r.Code != eventtarget.CodeNormal {
			return err
		}
	}
	return c.exit(err)
}

// exit waits for the end of the process, and sees to it that one that has nothing more
// to say ends.
func (c *child) exit(err error) *Exit {
	code := eventtarget.CodeNormal
	select {
	case <-c.closed: // Close may not have come to it
		code = c.reason.Code
	default:
	}
	c.begin(code)
	<-c.gone
	e := &Exit{State: c.cmd.ProcessState, Stderr: c.stderr.last(), Unfinished: c.unfinished()}
	if r, ok := errors.AsType[eventtarget.Reason](err); ok && r.Code != eventtarget.CodeLost && r.Code != eventtarget.CodeNormal {
		e.Err = err
	}
	return e
}

// unfinished returns how many messages the child was given and has not said to have
// handled.
func (c *child) unfinished() uint64 {
	given, handled := c.given.Load(), c.handled.Load()
	return given - min(given, handled)
}

// give writes framed messages, and returns the size of those that it wrote whole.
func (c *child) give(frames []byte) (size int, err error) {
	n, err := c.write(frames)
	messages, size := whole(frames[:n])
	c.given.Add(messages)
	return size, err
}

// Close ends the connection, and the child: it is told by the end of its pipe, then by
// a signal, then killed.
func (c *child) Close(reason eventtarget.Reason) error {
	_ = c.pipes.Close(reason)
	c.begin(reason.Code)
	return nil
}

// finish tells the child that nothing more will come, and lets it say what is left.
func (c *child) finish() {
	go func() { // the pipe may be full
		_ = c.say(c.opts.TermTimeout)
		_ = c.out.Close()
	}()
	c.begin(eventtarget.CodeNormal)
}

// begin begins the end of the process.
func (c *child) begin(code eventtarget.Code) { c.once.Do(func() { go c.end(code) }) }

func (c *child) end(code eventtarget.Code) {
	patience := c.opts.TermTimeout
	if code != eventtarget.CodeNormal {
		patience = grace // it is of no more use
	}
	for _, force := range []bool{false, true} {
		select {
		case <-c.gone:
			return
		case <-time.After(patience):
			c.signal(force)
		}
		patience = c.opts.KillTimeout
	}
}

// ended tells whether the process is known to have ended.
func (c *child) ended() bool {
	select {
	case <-c.gone:
		return true
	default:
		return false
	}
}
