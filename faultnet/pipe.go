package faultnet

import (
	"errors"
	"os"
	"sync"
)

// Pipe forwards what two ends say to each other over pipes of the operating system, as two
// processes do, until it is told otherwise. An end that closes what it writes to is heard
// to do so at the other. All methods may be called from any goroutine.
type Pipe struct {
	// Client and Server are what the two ends read from and write to, and theirs to close.
	Client, Server Files

	stream
	ours []*os.File
	wg   sync.WaitGroup
}

// Files are one end of a conversation over pipes.
type Files struct{ In, Out *os.File }

// NewPipe returns a pipe. The error is that of the system.
func NewPipe() (*Pipe, error) {
	p := &Pipe{stream: newStream()}
	var errs []error
	open := func() (in, out *os.File) {
		in, out, err := os.Pipe()
		errs = append(errs, err)
		return in, out
	}
	fromClient, clientOut := open()
	clientIn, toClient := open()
	fromServer, serverOut := open()
	serverIn, toServer := open()
	p.Client, p.Server = Files{clientIn, clientOut}, Files{serverIn, serverOut}
	p.ours = []*os.File{fromClient, toServer, fromServer, toClient}
	if err := errors.Join(errs...); err != nil {
		p.Close()
		return nil, err
	}
	p.wg.Go(func() { p.forward(toServer, fromClient, ToServer) })
	p.wg.Go(func() { p.forward(toClient, fromServer, ToClient) })
	return p, nil
}

// Cut ends both ways without a word, for good: what is under way is lost.
func (p *Pipe) Cut() {
	p.set(func(w *way) { w.refuses = true })
	for _, f := range p.ours {
		_ = f.Close()
	}
}

// Close ends the pipe, and the ends' files too.
func (p *Pipe) Close() {
	p.Cut()
	for _, f := range []*os.File{p.Client.In, p.Client.Out, p.Server.In, p.Server.Out} {
		_ = f.Close()
	}
	p.wg.Wait()
}

// forward copies until one of the ends is closed.
func (p *Pipe) forward(to, from *os.File, d Direction) {
	defer func() { _, _ = to.Close(), from.Close() }()
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		if err != nil || !p.pass(to, b[:n], d) {
			return
		}
	}
}
