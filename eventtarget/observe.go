package eventtarget

import (
	"slices"
	"sync"
)

// FaultSource is implemented by targets whose faults others than their owner may hear.
type FaultSource interface {
	// Observe has fn called for each fault, as OnFault is, until stop is called. A
	// fault is told before what comes behind it is delivered.
	Observe(fn func(Fault)) (stop func())
}

// observers are those who hear a registry's faults beside its OnFault.
type observers struct {
	mu  sync.Mutex
	all []*func(Fault) // never changes: a new one takes its place
}

func (o *observers) add(fn func(Fault)) (stop func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	own := &fn
	o.all = append(slices.Clone(o.all), own)
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.all = slices.DeleteFunc(slices.Clone(o.all), func(other *func(Fault)) bool { return other == own })
	}
}

func (o *observers) tell(f Fault) {
	o.mu.Lock()
	all := o.all
	o.mu.Unlock()
	for _, fn := range all {
		func() {
			defer func() { _ = recover() }() // the others, and OnFault, are to hear of it
			(*fn)(f)
		}()
	}
}
