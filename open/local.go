package open

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/worker"
)

func (o Options) worker(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
	c, err := o.parse(u, "arg", "sha256", "restart")
	switch {
	case err != nil:
		return nil, err
	case !o.AllowExec:
		return nil, fmt.Errorf("%w: programs may be started only where that is allowed (Options.AllowExec)", eventtarget.ErrForbidden)
	case u.Host != "":
		return nil, errors.New("write worker:///PATH")
	}
	q := u.Query()
	restarts := map[string]worker.Restart{"": worker.Never, "never": worker.Never, "on-failure": worker.OnFailure, "always": worker.Always}
	restart, known := restarts[q.Get("restart")]
	if !known {
		return nil, fmt.Errorf("parameter restart: %q is none of never, on-failure, always", q.Get("restart"))
	}
	w, err := worker.Start(worker.Options{
		Path: u.Path, Args: q["arg"], SHA256: q.Get("sha256"), Restart: restart,
		Options: link.Options{Echo: c.echo, Limits: c.limits, OnFault: o.OnFault},
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

func (o Options) mem(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
	c, err := o.parse(u)
	switch {
	case err != nil:
		return nil, err
	case u.Host == "" || u.Path != "":
		return nil, fmt.Errorf("write mem://NAME")
	}
	return memory.join(u.Host, inprocess.MemberOptions{Limits: c.limits, NoEcho: !c.echo, OnFault: o.OnFault}), nil
}

// memory is the mem:// targets of this process: a name means the same bus whoever
// opens it.
var memory buses

// buses are buses by name. One without members is forgotten.
type buses struct {
	mu    sync.Mutex
	named map[string]*inprocess.Bus
}

func (b *buses) join(name string, o inprocess.MemberOptions) *inprocess.Member {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.named, func(_ string, bus *inprocess.Bus) bool { return bus.Len() == 0 })
	bus := b.named[name]
	if bus == nil {
		bus = new(inprocess.Bus)
		if b.named == nil {
			b.named = make(map[string]*inprocess.Bus)
		}
		b.named[name] = bus
	}
	return bus.Join(&o)
}
