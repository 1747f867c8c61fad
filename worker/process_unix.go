//go:build unix

package worker

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

const supported = true

// child is a started program and the connection to it.
type child struct {
	*pipes
	opts   Options
	cmd    *exec.Cmd
	stderr *printer
	gone   chan struct{} // closed when the process has ended
	once   sync.Once
}

// start starts the program and awaits its handshake.
func (o Options) start(ctx context.Context, limit int) (*child, error) {
	if err := o.checkFile(); err != nil {
		return nil, &Exit{Err: err}
	}
	theirIn, ourOut, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	ourIn, theirOut, err := os.Pipe()
	if err != nil {
		closeFiles(theirIn, ourOut)
		return nil, err
	}
	cookie := rand.Text()
	c := &child{pipes: newPipes(ourIn, ourOut, limit), opts: o, gone: make(chan struct{})}
	c.stderr = &printer{log: o.Log, stream: "stderr", rate: o.LogRate}
	c.cmd = &exec.Cmd{
		Path: o.Path, Args: append([]string{o.Path}, o.Args...), Dir: o.Dir,
		Env:        o.environment(cookie),
		ExtraFiles: []*os.File{theirIn, theirOut},
		Stdout:     &printer{log: o.Log, stream: "stdout", rate: o.LogRate},
		Stderr:     c.stderr,
		WaitDelay:  grace, // grandchildren may hold what they inherited
	}
	c.cmd.SysProcAttr = attributes()
	started := make(chan error)
	go c.own(started)
	err = <-started
	closeFiles(theirIn, theirOut)
	if err != nil {
		_ = c.pipes.Close(eventtarget.Reason{Code: eventtarget.CodeLost})
		return nil, &Exit{Err: err}
	}
	if err := c.handshake(ctx, cookie); err != nil {
		c.kill()
		<-c.gone
		_ = c.pipes.Close(eventtarget.Reason{Code: eventtarget.CodeLost})
		return nil, &Exit{State: c.cmd.ProcessState, Stderr: c.stderr.last(), Err: err}
	}
	return c, nil
}

// closeFiles closes files to which nothing was written.
func closeFiles(files ...*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// own starts the process and waits for its end, on a thread of its own: where the
// child is to be killed with its parent, the system takes the thread for the parent.
func (c *child) own(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := c.cmd.Start()
	started <- err
	if err != nil {
		close(c.gone)
		return
	}
	_ = c.cmd.Wait()                                      // the state says it, too
	_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) // grandchildren
	_ = c.in.SetReadDeadline(time.Now().Add(grace))
	close(c.gone)
}

// environment returns what the child gets.
func (o Options) environment(cookie string) []string {
	env := []string{}
	for _, name := range o.Inherit {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, o.Env...)
	return append(env, fmt.Sprintf("%s=%d %s", cookieEnv, version, cookie))
}

// checkFile holds the program against its checksum.
func (o Options) checkFile() error {
	if o.SHA256 == "" {
		return nil
	}
	f, err := os.Open(o.Path)
	if err != nil {
		return err
	}
	defer closeFiles(f)
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(got, o.SHA256) {
		return fmt.Errorf("%w: %s has the SHA-256 %s", ErrHandshake, o.Path, got)
	}
	return nil
}

// handshake awaits the child's first message.
func (c *child) handshake(ctx context.Context, cookie string) error {
	ctx, cancel := context.WithTimeout(ctx, c.opts.HandshakeTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.in.SetReadDeadline(time.Unix(1, 0)) })
	msg, err := c.pipes.Receive()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%w: %s does not say that it is a worker: does it call worker.Parent?", ErrHandshake, c.opts.Path)
	case string(msg) != greeting(cookie):
		return fmt.Errorf("%w: %s is a worker of another version, or says something else", ErrHandshake, c.opts.Path)
	}
	return nil
}

// Receive returns the next message; the error of a child that has ended is an *Exit.
func (c *child) Receive() ([]byte, error) {
	msg, err := c.pipes.Receive()
	if err == nil {
		return msg, nil
	}
	select {
	case <-c.closed:
		return nil, err
	default:
	}
	if r, ok := errors.AsType[eventtarget.Reason](err); ok && r.Code != eventtarget.CodeLost && r.Code != eventtarget.CodeNormal {
		return nil, err // it says something that is not allowed
	}
	c.once.Do(func() { go c.end(eventtarget.Reason{Code: eventtarget.CodeNormal}) })
	<-c.gone // soon: who has nothing more to say is about to end, or is made to
	return nil, &Exit{State: c.cmd.ProcessState, Stderr: c.stderr.last()}
}

// Close ends the connection, and the child: it is told by the end of its pipe, then by
// a signal, then killed.
func (c *child) Close(reason eventtarget.Reason) error {
	_ = c.pipes.Close(reason)
	c.once.Do(func() { go c.end(reason) })
	return nil
}

func (c *child) end(reason eventtarget.Reason) {
	patience := c.opts.TermTimeout
	if reason.Code != eventtarget.CodeNormal {
		patience = grace // it is of no more use
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-c.gone:
			return
		case <-time.After(patience):
			_ = syscall.Kill(-c.cmd.Process.Pid, signal)
		}
		patience = c.opts.KillTimeout
	}
}

// kill ends the child at once.
func (c *child) kill() { _ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL) }

// inherited returns the pipes that a child got from its parent.
func inherited() (in, out *os.File, err error) {
	for _, fd := range []int{fdIn, fdOut} {
		if err := syscall.SetNonblock(fd, true); err != nil {
			return nil, nil, err
		}
		syscall.CloseOnExec(fd)
	}
	return os.NewFile(fdIn, "from parent"), os.NewFile(fdOut, "to parent"), nil
}
