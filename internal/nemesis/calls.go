package nemesis

import (
	"context"
	"errors"
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
}

// Place is a target at which somebody calls, or serves.
type Place struct {
	Name   string
	Target eventtarget.Target
	Narrow bool        // what is dispatched there may find no room for a while
	Gone   func() bool // tells whether it has ended by itself; nil: it does not

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
	k.lines = append(k.lines, fmt.Sprintf(format, args...))
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
		panic(reply.failure())
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

// begin notes that a service has begun to serve a call. Under mu.
func (k *Calls) begin(ctx context.Context, s *Service, c *call) *run {
	k.note("%d begins at %d", c.number, s.n)
	sure := c.number >= s.from && !c.lost
	switch {
	case c.runs[s] != nil:
		k.wrong("%d is served twice by %d", c.number, s.n)
	case c.method != s.method:
		k.wrong("%d is for another method than that of %d", c.number, s.n)
	case !k.Reaches(c.place, s.place):
		k.wrong("%d, of %s, is served by %d, at %s", c.number, c.place.Name, s.n, s.place.Name)
	case c.dead:
		k.wrong("%d is served by %d, and was over before it began", c.number, s.n)
	case c.told && sure:
		k.wrong("%d, which was cancelled, is begun by %d", c.number, s.n)
	case s.resting:
		k.wrong("%d is begun by %d, which was closed", c.number, s.n)
	case s.concurrent == 1 && c.epoch < s.newest && sure:
		k.wrong("%d is begun by %d behind what was asked later", c.number, s.n)
	}
	if s.running++; s.running > s.concurrent {
		k.wrong("%d serves %d at once", s.n, s.running)
	}
	s.newest = max(s.newest, c.epoch)
	r := &run{ctx: ctx, do: c.do}
	c.runs[s] = r
	return r
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

// outcome compares what a call has returned with what happened.
func (k *Calls) outcome(c *call, reply Reply, err error) {
	if !c.over.IsZero() && time.Since(c.over) > slack {
		k.wrong("%d returns %v behind the end of its context", c.number, time.Since(c.over))
	}
	f, failed := errors.AsType[*eventtarget.Failure](err)
	switch {
	case err == nil:
		k.answered(c, reply, Answer, Late, Patient, Ask)
	case failed && f.Text == "internal error":
		for _, r := range c.runs {
			if r.do == Panic || r.do == Exit {
				return
			}
		}
		k.wrong("%d: nobody panicked: %v", c.number, err)
	case failed:
		if _, err := fmt.Sscanf(f.Text, "no. %d of %d", &reply.Number, &reply.By); err != nil {
			k.wrong("%d: %q: %v", c.number, f.Text, err)
			return
		}
		k.answered(c, reply, Fail, Bad)
	case c.ctx.Err() != nil && errors.Is(err, context.Cause(c.ctx)):
		c.cancelled = !c.place.ended() && !c.place.Narrow // else it may have had no way to say so
	case (errors.Is(err, eventtarget.ErrClosed) || errors.Is(err, eventtarget.ErrGone)) && c.place.ended():
	default:
		k.wrong("%d, at %s: %v, and its context's error is %v", c.number, c.place.Name, err, c.ctx.Err())
	}
}

// answered looks whether somebody has answered so.
func (k *Calls) answered(c *call, reply Reply, as ...Do) {
	r := c.runs[k.services[reply.By]]
	if reply.Number != c.number || r == nil || !r.over {
		k.wrong("%d hears the answer to %d, of %d", c.number, reply.Number, reply.By)
		return
	}
	for _, do := range as {
		if r.do == do {
			return
		}
	}
	k.wrong("%d is answered, and was to be %d", c.number, r.do)
}

// Overhears tells that somebody else at a place hears an answer.
func (k *Calls) Overhears(p *Place, reply Reply) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, s := k.calls[reply.Number], k.services[reply.By]
	k.note("%s hears the answer of %d to %d", p.Name, s.n, c.number)
	if p != c.place && !k.Hears(s.place, c.place, p) {
		k.wrong("%s hears the answer of %s to %d, which is for %s", p.Name, s.place.Name, c.number, c.place.Name)
	}
}

// Rest looks at what has become of everything, when nothing is under way any more and every
// place is connected.
func (k *Calls) Rest() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.epoch++
	k.note("at rest")
	for _, c := range k.calls {
		if !c.returned {
			k.waits(c)
		}
		for s, r := range c.runs {
			left := c.cancelled && !c.lost && c.number >= s.from && k.Reaches(c.place, s.place)
			if (left || s.closed) && !r.over && r.ctx.Err() == nil {
				k.wrong("%d still serves %d, for which nobody waits, in a context that goes on", s.n, c.number)
			}
		}
		c.told = c.cancelled
	}
	for _, s := range k.services {
		if s.Service == nil {
			continue
		}
		select {
		case <-s.Done():
			if s.running > 0 || !s.closed && !s.place.closed {
				k.wrong("%d has ended, and is to serve, or does: %d", s.n, s.running)
			}
		default:
			if s.running == 0 && s.closed {
				k.wrong("%d is closed, serves nothing, and has not ended", s.n)
			}
		}
	}
}

// waits looks at why a call still waits. Under mu.
func (k *Calls) waits(c *call) {
	switch {
	case !c.over.IsZero() && time.Since(c.over) > slack:
		k.wrong("%d waits, and its context has ended %v ago", c.number, time.Since(c.over))
	case c.place.closed:
		k.wrong("%d waits at %s, which is closed", c.number, c.place.Name)
	}
	if c.lost || c.ctx.Err() != nil {
		return
	}
	for _, s := range k.services {
		if s.method != c.method || c.number < s.from || !k.Reaches(c.place, s.place) {
			continue
		}
		switch r := c.runs[s]; {
		case r == nil && s.running < s.concurrent && !s.lossy:
			k.wrong("%d waits, and %d, which serves %d others, has not begun", c.number, s.n, s.running)
		case r != nil && r.over && r.heard && k.Reaches(s.place, c.place):
			k.wrong("%d waits, and %d has answered", c.number, s.n)
		}
	}
}
