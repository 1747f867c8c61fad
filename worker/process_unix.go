//go:build unix

package worker

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

const supported = true

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
	c := &child{pipes: newPipes(ourIn, ourOut, limit, o.WriteTimeout), opts: o, gone: make(chan struct{})}
	c.stdout = &printer{log: o.Log, stream: "stdout", rate: o.LogRate}
	c.stderr = &printer{log: o.Log, stream: "stderr", rate: o.LogRate}
	c.cmd = &exec.Cmd{
		Path: o.Path, Args: append([]string{o.Path}, o.Args...), Dir: o.Dir,
		Env:        o.environment(cookie),
		ExtraFiles: []*os.File{theirIn, theirOut},
		Stdout:     c.stdout,
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
	if err := c.greet(ctx, cookie); err != nil {
		c.signal(true)
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
	c.in.end()
	c.stdout.end()
	c.stderr.end()
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

// signal asks the child and its own children to end, or ends them.
func (c *child) signal(force bool) {
	s := syscall.SIGTERM
	if force {
		s = syscall.SIGKILL
	}
	pid := c.cmd.Process.Pid
	_ = syscall.Kill(-pid, s)
	if group, err := syscall.Getpgid(pid); err == nil && group != pid { // it has left its own
		_ = c.cmd.Process.Signal(s)
	}
}

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
