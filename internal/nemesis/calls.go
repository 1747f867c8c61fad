package nemesis

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Calls knows what was asked, who served it and what came of it, in a test that does this at
// random in a bubble, and says what is wrong with it. Its methods may be called from any
// goroutine.
type Calls struct {
	T testing.TB
	// Reaches tells whether somebody at one place hears what is dispatched at another.
	Reaches func(from, to *Place) bool
	// Hears tells whether the answer of a server to a caller may be heard at a place, too.
	Hears func(server, caller, at *Place) bool

	mu       sync.Mutex
	epoch    int // how often everything has come to rest
	calls    []*call
	services []*Service
	lines    []string
	since    time.Time
}

// Place is a target at which somebody calls, or serves.
type Place struct {
	Name    string
	Target  eventtarget.Target
	Narrow  bool        // what is dispatched there may find no room for a while
	Refuses bool        // and is refused then
	Gone    func() bool // tells whether it has ended by itself; nil: it does not

	closed bool // or being closed
}

// Do is what whoever serves is to do with a request.
type Do int

// What there is to do.
const (
	Answer  Do = iota
	Late       // answer when some time has passed, whoever waits
	Patient    // the same, unless nobody waits
	Fail
	Bad // what cannot be encoded
	Panic
	Exit // the goroutine
	End  // the service, from inside
	Ask  // somebody else, before the answer
	Done // how many there are
)

// Request is one of a call.
type Request struct {
	Number int
	Do     Do
	Wait   time.Duration
}

// Reply is the answer to one.
type Reply struct {
	Number, By int
	Do         Do
}

// Service answers requests as they want it.
type Service struct {
	*eventtarget.Service
	n          int
	serving    chan struct{} // closed when Serve has returned
	place      *Place
	method     int
	concurrent int
	lossy      bool // has a short queue
	from       int  // serves all calls from this one on
	running    int
	newest     int // epoch of what it has begun
	closed     bool
	resting    bool // was closed while nothing happened
}

// ended tells whether it has, or is about to.
func (p *Place) ended() bool { return p.closed || p.Gone != nil && p.Gone() }

type call struct {
	number, method, epoch int
	place                 *Place
	do                    Do
	ctx                   context.Context
	over                  time.Time // when its context has ended; zero: not known
	dead                  bool      // it had before
	lost                  bool      // perhaps its request or its answer
	returned, cancelled   bool
	told                  bool // everyone who is reached knows that it is cancelled
	runs                  map[*Service]*run
}

// run is what one service makes of a call.
type run struct {
	ctx         context.Context
	do          Do
	over, heard bool // heard: somebody waited when it was over
}

// slack is for how long a call may tell others that its context has ended.
const slack = 100 * time.Millisecond

// never is from which call on a service has to answer that may end.
const never = math.MaxInt

// replies encodes what can be encoded.
type replies struct{ eventtarget.Codec[Reply] }

func (c replies) Append(dst []byte, eventType string, r Reply) ([]byte, error) {
	if r.Do == Bad {
		return dst, r.failure()
	}
	return c.Codec.Append(dst, eventType, r)
}

func (r Reply) failure() error { return fmt.Errorf("no. %d of %d", r.Number, r.By) }

// Methods are those that are called: the name of one begins with the other's.
var Methods = [2]eventtarget.Method[Request, Reply]{
	{Name: "m", Requests: eventtarget.JSON[Request](), Answers: replies{eventtarget.JSON[Reply]()}},
	{Name: "m.requested", Requests: eventtarget.JSON[Request](), Answers: replies{eventtarget.JSON[Reply]()}},
}

// Note writes down what was done.
func (k *Calls) Note(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note(format, args...)
}

func (k *Calls) note(format string, args ...any) {
	if k.lines == nil {
		k.since = time.Now()
	}
	k.lines = append(k.lines, fmt.Sprintf("%8v ", time.Since(k.since).Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// wrong fails the test. Under mu, so that what was noted is how it came to be.
func (k *Calls) wrong(format string, args ...any) {
	k.note("WRONG: "+format, args...)
	k.T.Errorf(format, args...)
}

// Tell logs what was done if the test has failed.
func (k *Calls) Tell() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.T.Failed() {
		k.T.Log("\n" + strings.Join(k.lines, "\n"))
	}
}

// Serve begins a service.
func (k *Calls) Serve(p *Place, method int, o eventtarget.ServeOptions) *Service {
	k.mu.Lock()
	s := &Service{n: len(k.services), place: p, method: method, concurrent: max(o.Concurrent, 1), lossy: o.Queue > 0, from: never, serving: make(chan struct{})}
	k.services = append(k.services, s)
	k.mu.Unlock()
	var err error
	s.Service, err = Methods[method].Serve(k.T.Context(), p.Target, func(ctx context.Context, e eventtarget.Event[Request]) (Reply, error) {
		return k.serve(ctx, s, e.Payload)
	}, &o)
	close(s.serving)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.wrong("Serve at %s: %v", p.Name, err)
		s.closed, s.resting = true, true
		return nil
	}
	if !s.closed && !p.closed {
		s.from = len(k.calls)
	}
	k.note("%d serves %d at %s: %+v", s.n, method, p.Name, o)
	return s
}

// serve does with a request what that wants.
func (k *Calls) serve(ctx context.Context, s *Service, q Request) (Reply, error) {
	k.mu.Lock()
	c := k.calls[q.Number]
	r := k.begin(ctx, s, c)
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		s.running--
		r.over, r.heard = true, ctx.Err() == nil
		k.note("%d is over at %d: %v", c.number, s.n, ctx.Err())
	}()
	reply := Reply{Number: q.Number, By: s.n, Do: q.Do}
	switch q.Do {
	case Late:
		<-time.After(q.Wait)
	case Patient:
		select {
		case <-time.After(q.Wait):
		case <-ctx.Done():
		}
	case Fail:
		return Reply{}, reply.failure()
	case Panic:
		panic(reply.failure()) //nolint:forbidigo // that is what it is to do
	case Exit:
		runtime.Goexit()
	case End:
		<-s.serving
		k.Close(s, false)
	case Ask:
		inner, cancel := context.WithTimeout(ctx, q.Wait)
		defer cancel()
		k.Call(inner, s.place, 1-s.method, Answer, 0)
	}
	return reply, nil
}

// Close ends a service: resting tells that nothing happens beside it, so that nothing may
// begin behind it.
func (k *Calls) Close(s *Service, resting bool) {
	k.mu.Lock()
	k.note("%d is closed", s.n)
	s.closed, s.resting, s.from = true, resting, never
	k.mu.Unlock()
	if err := s.Service.Close(); err != nil {
		k.T.Error(err)
	}
}

// Closing tells that a place begins to end, and with it what goes on there.
func (k *Calls) Closing(p *Place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note("%s begins to end", p.Name)
	p.closed = true
	for _, s := range k.services {
		if s.place == p {
			s.from = never
		}
	}
}

// Closed tells that it has.
func (k *Calls) Closed(p *Place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note("%s has ended", p.Name)
	for _, s := range k.services {
		if s.place == p {
			s.closed = true
		}
	}
}

// Lost tells that what was under way to a place, and from there, may never arrive.
func (k *Calls) Lost(p *Place) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note("what is under way at %s is lost", p.Name)
	for _, c := range k.calls {
		c.lost = c.lost || c.place == p
	}
	for _, s := range k.services {
		if s.place == p && s.from != never {
			s.from = len(k.calls)
		}
	}
}

// Live returns the services that nobody has closed, at places that are not being closed.
func (k *Calls) Live() (all []*Service) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.services {
		if !s.closed && !s.place.closed && s.Service != nil {
			all = append(all, s)
		}
	}
	return all
}

// Pending returns how many calls have not returned.
func (k *Calls) Pending() (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.calls {
		if !c.returned {
			n++
		}
	}
	return n
}

// Call calls, and looks at what comes of it.
func (k *Calls) Call(ctx context.Context, p *Place, method int, do Do, wait time.Duration) {
	k.mu.Lock()
	c := &call{number: len(k.calls), method: method, epoch: k.epoch, place: p, do: do, ctx: ctx, dead: ctx.Err() != nil, runs: make(map[*Service]*run)}
	k.calls = append(k.calls, c)
	k.note("%d: %s asks %d to do %d in %v", c.number, p.Name, method, do, wait)
	k.mu.Unlock()
	defer context.AfterFunc(ctx, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		c.over = time.Now()
	})()
	reply, err := Methods[method].Call(ctx, p.Target, Request{c.number, do, wait})
	k.mu.Lock()
	defer k.mu.Unlock()
	k.note("%d returns %+v, %v", c.number, reply, err)
	c.returned = true
	k.outcome(c, reply, err)
}
