package eventtarget

import (
	"context"
	"encoding/json"
	"errors"
	"runtime"
	"sync"
)

// cancelWindow is how many cancelled calls a service remembers, whose requests may still
// wait.
const cancelWindow = 1024

// ServeOptions configures [Method.Serve]. A zero field means its default.
type ServeOptions struct {
	// Concurrent is how many requests are answered at once. Default 1: in order.
	Concurrent int
	// Queue is how many may wait. One that finds no room is lost, and its caller waits
	// until its context ends. Default [DefaultQueue].
	Queue int
}

// Service answers requests. Its methods may be called from any goroutine.
//
// Owns: a goroutine for each request that is being answered, and one that sees the end.
type Service struct {
	target  Target
	name    string
	answer  func(ctx context.Context, e Event[Raw]) ([]byte, error)
	slots   chan struct{}
	regs    []*Registration
	ctx     context.Context // ends with the service
	stop    context.CancelFunc
	running sync.WaitGroup
	done    chan struct{}

	mu    sync.Mutex
	calls map[string]context.CancelFunc // that are being answered
	gone  map[string]struct{}           // cancelled, and not seen yet
	ring  [cancelWindow]string          // what is in gone, the oldest at next
	next  int
}

// Serve answers the requests that are heard on t with what answer returns, from now on
// until Close, or until t is closed. The text of answer's error is told to the caller; so
// is that it panicked, which is also a fault of the target. ctx bounds the call; its
// values are those of answer's context, and so is what t adds for each event, such as a
// trace. That ends when the caller cancels or the service does. nil options are the defaults.
func (m Method[Q, A]) Serve(ctx context.Context, t Target, answer func(ctx context.Context, request Event[Q]) (A, error), opts *ServeOptions) (*Service, error) {
	var o ServeOptions
	if opts != nil {
		o = *opts
	}
	if err := m.check(); err != nil {
		return nil, &Error{Op: "serve", Topic: Topic{m.Name + requested, Wildcard}, Err: err}
	}
	s := &Service{
		target: t, name: m.Name, slots: make(chan struct{}, max(o.Concurrent, 1)), done: make(chan struct{}),
		calls: make(map[string]context.CancelFunc), gone: make(map[string]struct{}),
	}
	s.answer = func(ctx context.Context, e Event[Raw]) ([]byte, error) {
		request, err := m.Requests.Decode(e.Type, e.Payload)
		if err != nil {
			s.report(Fault{Kind: FaultDecode, Topic: e.Topic(), Peer: peerID(e.Source), Count: 1, Err: err})
			return nil, err
		}
		a, err := answer(ctx, withPayload(e, request))
		if err != nil {
			return nil, err
		}
		return m.Answers.Append(nil, m.Name+answered, a)
	}
	// The service waits for nobody who waits for Serve, even if that is a listener.
	s.ctx, s.stop = context.WithCancel(context.WithValue(context.WithoutCancel(ctx), callerKey{}, NotListener))
	for _, l := range []struct {
		suffix   string
		listener Listener[Raw]
	}{
		{cancelled, Listener[Raw]{Inline: true, Handle: func(_ context.Context, e Event[Raw]) { s.cancelled(e.ID) }}},
		{requested, Listener[Raw]{Queue: o.Queue, Handle: s.take}},
	} {
		r, err := t.Add(ctx, Topic{m.Name + l.suffix, Wildcard}, l.listener)
		if err != nil {
			_ = s.Close()
			return nil, err
		}
		s.regs = append(s.regs, r)
	}
	go s.reap()
	return s, nil
}

// Close ends the service and never waits: what is being answered is cancelled. It
// returns nil.
func (s *Service) Close() error {
	for _, r := range s.regs {
		s.target.Remove(r)
	}
	s.stop()
	return nil
}

// Done is closed when the service has ended and none of its code runs any more.
func (s *Service) Done() <-chan struct{} { return s.done }

func (s *Service) reap() {
	for _, r := range s.regs {
		<-r.Done()
	}
	s.stop()
	s.running.Wait()
	close(s.done)
}

// take begins to answer a request when there is a slot for it.
func (s *Service) take(ctx context.Context, e Event[Raw]) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return
	}
	within := requestContext{s.ctx, context.WithoutCancel(ctx)}
	ctx, wanted := s.begin(within, e.ID)
	if !wanted {
		<-s.slots
		return
	}
	s.running.Go(func() {
		defer func() { <-s.slots }()
		s.serve(ctx, within, e)
	})
}

// requestContext ends with the service. Its values are those of the context in which the
// request was heard, which are Serve's and what a target adds for each event, such as a trace.
type requestContext struct {
	context.Context
	heard context.Context
}

// Value looks at the service's for what is not of the event: who answers is no listener, and
// whoever derives a context finds there how this one ends.
func (c requestContext) Value(key any) any {
	if key != (callerKey{}) {
		if v := c.heard.Value(key); v != nil {
			return v
		}
	}
	return c.Context.Value(key)
}

// begin returns the context of a call, unless that has been cancelled.
func (s *Service) begin(within context.Context, id string) (ctx context.Context, wanted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, gone := s.gone[id]; gone || s.calls[id] != nil { // or it is no id of a call's own
		return nil, false
	}
	ctx, cancel := context.WithCancel(within)
	s.calls[id] = cancel
	return ctx, true
}

func (s *Service) cancelled(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cancel := s.calls[id]; cancel != nil {
		cancel()
		return
	}
	delete(s.gone, s.ring[s.next])
	s.gone[id], s.ring[s.next] = struct{}{}, id
	s.next = (s.next + 1) % cancelWindow
}

// serve answers a request: ctx is the call's, and within what it is told the answer in. A
// panic of the answering function ends here.
func (s *Service) serve(ctx, within context.Context, e Event[Raw]) {
	returned := false
	defer func() {
		if cause := recover(); !returned {
			stack := make([]byte, 16<<10)
			s.report(Fault{
				Kind: FaultPanic, Topic: e.Topic(), Peer: peerID(e.Source),
				Err: crash("service", cause), Stack: stack[:runtime.Stack(stack, false)],
			})
			s.fail(within, e, errors.New("internal error"))
		}
		s.mu.Lock()
		s.calls[e.ID]()
		delete(s.calls, e.ID)
		s.mu.Unlock()
	}()
	payload, err := s.answer(ctx, e)
	returned = true
	switch {
	case ctx.Err() != nil: // nobody waits
	case err != nil:
		s.fail(within, e, err)
	default:
		if err := s.reply(within, e, answered, payload); err != nil && !errors.Is(err, ErrGone) {
			s.fail(within, e, err)
		}
	}
}

// fail answers with an error.
func (s *Service) fail(ctx context.Context, e Event[Raw], cause error) {
	payload, err := json.Marshal(failure{Error: cause.Error()})
	if err == nil {
		err = s.reply(ctx, e, failed, payload)
	}
	if err != nil && !errors.Is(err, ErrGone) && s.ctx.Err() == nil {
		s.report(Fault{Kind: FaultDispatch, Topic: e.Topic(), Peer: peerID(e.Source), Count: 1, Err: err})
	}
}

// reply dispatches to the one who asked, or on a bus to all.
func (s *Service) reply(ctx context.Context, e Event[Raw], suffix string, payload []byte) error {
	to := s.target
	if e.Source != nil {
		to = e.Source
	}
	return to.Dispatch(ctx, Event[Raw]{Type: s.name + suffix, ID: e.ID, Payload: payload})
}

func (s *Service) report(f Fault) {
	if r, ok := s.target.(FaultReporter); ok {
		r.ReportFault(f)
	}
}
