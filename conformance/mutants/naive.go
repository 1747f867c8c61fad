package mutants

import (
	"context"
	"slices"
	"sync"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

// naive is a bus as it is often written: a slice of listeners, called one after the
// other by Dispatch. Its registrations are those of a real target, on which nothing
// is dispatched.
type naive struct {
	*inprocess.Target[raw]
	faults naiveFaults
	report func(eventtarget.Fault)

	mu      sync.Mutex
	entries []*naiveEntry
	work    chan func() // of the only worker
}

type naiveFaults struct {
	inPlace   bool // takes listeners out of the slice that is being walked
	live      bool // walks listeners that were added meanwhile
	locked    bool // holds its lock while listeners run
	backwards bool // calls the last listener first
	goroutine bool // a goroutine for each call
	oneWorker bool // one goroutine for all queued listeners
	unguarded bool // lets a panic skip the rest
}

type naiveEntry struct {
	l   listener
	t   topic
	reg *registration
	ctx context.Context
}

func newNaive(f naiveFaults, report func(eventtarget.Fault)) *naive {
	n := &naive{Target: inprocess.New(&inprocess.Options[raw]{OnFault: report}), faults: f, report: report}
	if f.oneWorker {
		n.work = make(chan func(), 1<<16)
		go func() {
			for {
				select {
				case do := <-n.work:
					do()
				case <-n.Target.Done():
					return
				}
			}
		}()
	}
	return n
}

func (n *naive) Add(ctx context.Context, t topic, l listener) (*registration, error) {
	reg, err := n.Target.Add(ctx, t, listener{Handle: l.Handle, Inline: l.Inline, Queue: l.Queue, Overflow: l.Overflow})
	if err != nil {
		return nil, err
	}
	if !n.faults.locked {
		n.mu.Lock()
		defer n.mu.Unlock()
	}
	n.entries = append(n.entries, &naiveEntry{l: l, t: t, reg: reg, ctx: context.WithoutCancel(ctx)})
	return reg, nil
}

func (n *naive) Remove(r *registration) bool {
	if !n.faults.locked {
		n.mu.Lock()
		defer n.mu.Unlock()
	}
	i := slices.IndexFunc(n.entries, func(e *naiveEntry) bool { return e.reg == r })
	if i >= 0 && n.faults.inPlace {
		copy(n.entries[i:], n.entries[i+1:])
		n.entries = n.entries[:len(n.entries)-1]
	} else if i >= 0 {
		n.entries = slices.Delete(slices.Clone(n.entries), i, i+1)
	}
	return n.Target.Remove(r)
}

func (n *naive) Close() error {
	n.mu.Lock()
	n.entries = nil
	n.mu.Unlock()
	return n.Target.Close()
}

func (n *naive) Dispatch(ctx context.Context, e event) error {
	if err := n.Target.Dispatch(ctx, event{Type: "nobody.hears", ID: e.ID}); err != nil {
		return err
	}
	if err := e.Topic().Check(); err != nil {
		return err
	}
	n.mu.Lock()
	if n.faults.locked {
		defer n.mu.Unlock()
	}
	entries := n.entries
	if !n.faults.locked {
		n.mu.Unlock()
	}
	if n.faults.backwards {
		entries = slices.Clone(entries)
		slices.Reverse(entries)
	}
	for i := 0; i < len(entries); i++ {
		n.call(entries[i], e)
		if n.faults.inPlace || n.faults.live {
			n.mu.Lock()
			entries = n.entries
			n.mu.Unlock()
		}
	}
	return nil
}

func (n *naive) call(x *naiveEntry, e event) {
	if x == nil || !x.t.Matches(e.Topic()) {
		return
	}
	handle := func() {
		defer func() {
			if n.faults.unguarded {
				return
			}
			if cause := recover(); cause != nil {
				n.report(eventtarget.Fault{Kind: eventtarget.FaultPanic, Topic: e.Topic()})
			}
		}()
		if x.l.Once {
			n.Remove(x.reg)
		}
		x.l.Handle(x.ctx, e)
	}
	switch {
	case n.faults.goroutine && !x.l.Inline:
		go handle()
	case n.faults.oneWorker && !x.l.Inline:
		n.work <- handle
	default:
		handle()
	}
}

// naiveMutants are the faults that such a bus has.
func naiveMutants() []Mutant {
	mutant := func(name string, f naiveFaults, caught ...string) Mutant {
		return Mutant{name, caught, conformance.Harness{
			Name: name, Timeout: hangs,
			Caps: conformance.Capabilities{Topology: conformance.Local, Echo: true},
			New: func(_ context.Context, s conformance.Setup) (*conformance.Rig, error) {
				return &conformance.Rig{Endpoints: []eventtarget.Endpoint{newNaive(f, s.FaultsOf(0))}}, nil
			},
		}}
	}
	return []Mutant{
		mutant("skips a sibling", naiveFaults{inPlace: true}, "A12"),
		mutant("calls who was added meanwhile", naiveFaults{live: true}, "A13"),
		mutant("calls backwards", naiveFaults{backwards: true}, "A20"),
		mutant("holds a lock while listeners run", naiveFaults{locked: true}, "A14", "D13"),
		mutant("runs a goroutine for each event", naiveFaults{goroutine: true}, "A17", "A21"),
		mutant("lets a panic skip the rest", naiveFaults{unguarded: true}, "A23"),
		mutant("has one worker for all listeners", naiveFaults{oneWorker: true}, "A24", "D01"),
		mutant("handles where it dispatches", naiveFaults{}, "D01", "D12"),
	}
}
