package eventtarget

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
)

// What follows a method's name in the types of its events.
const (
	requested = ".requested"
	answered  = ".answered"
	failed    = ".failed"
	cancelled = ".cancelled"
)

// cancelTime bounds how long a call whose context has ended tells the other side.
const cancelTime = 100 * time.Millisecond

// Method is a kind of request that is answered. Both sides have the same one:
//
//	var sum = eventtarget.Method[[]int, int]{
//		Name: "sum", Requests: eventtarget.JSON[[]int](), Answers: eventtarget.JSON[int](),
//	}
//	service, err := sum.Serve(ctx, target, answer, nil)  // there
//	total, err := sum.Call(ctx, target, []int{1, 2, 3})  // here
//
// A call is an event of type NAME.requested on an id that is the call's alone. The answer
// is NAME.answered, or NAME.failed with {"error":TEXT}, on that id, and goes to the peer
// that the request came from; on a bus, where nobody is adjacent, it goes to the bus, and
// only the caller listens. A caller that does not want it any more says NAME.cancelled.
// Whoever can hear a request can answer it: what else may dispatch these types is for a
// hub's Authorize to say.
type Method[Q, A any] struct {
	// Name is what the types of its events begin with. It is required.
	Name string
	// Requests and Answers are for the payloads. They are required.
	Requests Codec[Q]
	Answers  Codec[A]
}

// check tells what is wrong with the method itself.
func (m Method[Q, A]) check() error {
	if m.Requests == nil || m.Answers == nil {
		return errors.New("the method lacks a codec: it has to have Requests and Answers")
	}
	return Topic{Type: m.Name + cancelled}.Check() // the longest of them
}

// Failure is in the error of a call that somebody served and could not answer.
type Failure struct {
	Method string
	Text   string // what the other side says
}

// Error returns the method and what the other side says.
func (f *Failure) Error() string { return fmt.Sprintf("%s failed: %s", f.Method, f.Text) }

// Call dispatches a request on t and waits for the first answer. The error is a
// [*Failure], that of t or of a codec, [ErrClosed] when t is closed meanwhile, or ctx's
// cause when ctx ends first: then the other side is told, as it is when Dispatch fails,
// for some may have heard it all the same. Nobody knows whether a request is served at
// all, so ctx should have a deadline. From an Inline listener it is [ErrWouldBlock].
func (m Method[Q, A]) Call(ctx context.Context, t Target, request Q) (answer A, err error) {
	id := rand.Text()
	fail := func(err error) error {
		return &Error{Op: "call", Topic: Topic{m.Name + requested, id}, Err: err}
	}
	if CallerOf(ctx) == InlineListener {
		return answer, fail(ErrWouldBlock)
	}
	if err := m.check(); err != nil {
		return answer, fail(err)
	}
	payload, err := m.Requests.Append(nil, m.Name+requested, request)
	if err != nil {
		return answer, fail(err)
	}
	outcome := make(chan Event[Raw], 1)
	regs, err := hearBoth(ctx, t, [2]Topic{{m.Name + answered, id}, {m.Name + failed, id}}, func(e Event[Raw]) {
		select {
		case outcome <- e:
		default: // it has one
		}
	})
	defer func() {
		for _, r := range regs {
			t.Remove(r)
		}
	}()
	if err != nil {
		return answer, fail(err)
	}
	if err := t.Dispatch(ctx, Event[Raw]{Type: m.Name + requested, ID: id, Payload: payload}); err != nil {
		m.cancel(ctx, t, id)
		return answer, fail(err)
	}
	select {
	case e := <-outcome:
		answer, err = m.read(e)
	case <-ctx.Done():
		m.cancel(ctx, t, id)
		err = context.Cause(ctx)
	case <-regs[0].Done():
		select {
		case e := <-outcome: // it was in time
			answer, err = m.read(e)
		default:
			err = ErrClosed
		}
	}
	if err != nil {
		return answer, fail(err)
	}
	return answer, nil
}

// hearBoth adds an inline listener on two topics, which costs the time of one.
func hearBoth(ctx context.Context, t Target, topics [2]Topic, hear func(Event[Raw])) (regs [2]*Registration, err error) {
	var errs [2]error
	var wg sync.WaitGroup
	for i, topic := range topics {
		wg.Go(func() {
			regs[i], errs[i] = t.Add(ctx, topic, Listener[Raw]{Inline: true, Handle: func(_ context.Context, e Event[Raw]) { hear(e) }})
		})
	}
	wg.Wait()
	return regs, cmp.Or(errs[0], errs[1]) // as a rule both say the same
}

// read returns what an answer says.
func (m Method[Q, A]) read(e Event[Raw]) (answer A, err error) {
	if e.Type == m.Name+answered {
		return m.Answers.Decode(e.Type, e.Payload)
	}
	var f failure
	if err := json.Unmarshal(e.Payload, &f); err != nil {
		f.Error = "no reason is given"
	}
	return answer, &Failure{Method: m.Name, Text: f.Error}
}

// failure is the payload of NAME.failed.
type failure struct {
	Error string `json:"error"`
}

// cancel tells the other side that nobody waits any more. That it may not hear it is no
// error: it would have answered for nobody.
func (m Method[Q, A]) cancel(ctx context.Context, t Target, id string) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer stop()
	_ = t.Dispatch(ctx, Event[Raw]{Type: m.Name + cancelled, ID: id})
}
