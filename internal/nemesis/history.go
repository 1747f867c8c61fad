// Package nemesis records what was dispatched and what was heard while faults are
// injected, and says what became of each event.
//
// A test has a [History], a [Publisher] for each goroutine that dispatches and a
// [Listener] for each listener. Every event carries who dispatched it and which one of
// theirs it is, with a checksum.
package nemesis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Outcome is what a Dispatch said.
type Outcome uint8

// The outcomes.
const (
	OK      Outcome = iota
	Failed          // nobody may hear it
	Unknown         // it may be heard once, or not
)

// History is what has happened. Its methods may be called from any goroutine.
type History struct {
	mu         sync.Mutex
	publishers []*Publisher
	listeners  []*Listener
}

// Publisher dispatches numbered events. It belongs to one goroutine.
type Publisher struct {
	history  *History
	name     string
	outcomes []Outcome
}

// Listener is what one listener has heard, and which gaps it was told.
type Listener struct {
	history *History
	name    string
	from    []*Publisher // whose events it should hear
	heard   []receipt
	reached map[string]int // behind the last number heard of a publisher
	gaps    int
}

type receipt struct {
	publisher string
	number    int
	bad       string // what is wrong with it
	gapsThen  int    // how many gaps were told before
}

type payload struct {
	Publisher string `json:"publisher"`
	Number    int    `json:"number"`
	Sum       uint32 `json:"sum"`
}

func (p payload) sum() uint32 {
	return crc32.ChecksumIEEE(fmt.Appendf(nil, "%s/%d", p.Publisher, p.Number))
}

// Publisher returns a new publisher.
func (h *History) Publisher(name string) *Publisher {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &Publisher{history: h, name: name}
	h.publishers = append(h.publishers, p)
	return p
}

// Listener returns what records what a listener hears of some publishers.
func (h *History) Listener(name string, from ...*Publisher) *Listener {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := &Listener{history: h, name: name, from: from, reached: make(map[string]int)}
	h.listeners = append(h.listeners, l)
	return l
}

// Dispatch dispatches the next event on a topic.
func (p *Publisher) Dispatch(ctx context.Context, to eventtarget.Target, topic eventtarget.Topic) error {
	body := payload{Publisher: p.name, Number: len(p.outcomes)}
	body.Sum = body.sum()
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	p.history.mu.Lock()
	p.outcomes = append(p.outcomes, Unknown) // until it is known
	p.history.mu.Unlock()
	err = to.Dispatch(ctx, eventtarget.Event[eventtarget.Raw]{Type: topic.Type, ID: topic.ID, Payload: text})
	outcome := Failed
	switch {
	case err == nil:
		outcome = OK
	case errors.Is(err, eventtarget.ErrUnknownOutcome):
		outcome = Unknown
	}
	p.history.mu.Lock()
	p.outcomes[body.Number] = outcome
	p.history.mu.Unlock()
	return err
}

// Accepted returns how many events were accepted.
func (p *Publisher) Accepted() (n int) {
	p.history.mu.Lock()
	defer p.history.mu.Unlock()
	for _, o := range p.outcomes {
		if o == OK {
			n++
		}
	}
	return n
}

// Handle is the listener's function.
func (l *Listener) Handle(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
	var body payload
	r := receipt{}
	switch err := json.Unmarshal(e.Payload, &body); {
	case err != nil:
		r.bad = err.Error()
	case body.Sum != body.sum():
		r.bad = "the checksum is wrong"
	}
	r.publisher, r.number = body.Publisher, body.Number
	l.history.mu.Lock()
	defer l.history.mu.Unlock()
	r.gapsThen = l.gaps
	l.heard = append(l.heard, r)
	l.reached[r.publisher] = max(l.reached[r.publisher], r.number+1)
}

// Fault is the OnFault hook of the end at which the listener is. What that could not read counts
// as heard and corrupted.
func (l *Listener) Fault(f eventtarget.Fault) {
	l.history.mu.Lock()
	defer l.history.mu.Unlock()
	switch f.Kind {
	case eventtarget.FaultGap, eventtarget.FaultOverflow:
		l.gaps++
	case eventtarget.FaultDecode:
		l.heard = append(l.heard, receipt{bad: f.Err.Error(), gapsThen: l.gaps})
	}
}

// Heard returns how many events the listener has heard.
func (l *Listener) Heard() int {
	l.history.mu.Lock()
	defer l.history.mu.Unlock()
	return len(l.heard)
}

// UpToDate tells whether it has heard the last event of a publisher.
func (l *Listener) UpToDate(p *Publisher) bool {
	l.history.mu.Lock()
	defer l.history.mu.Unlock()
	return l.reached[p.name] == len(p.outcomes)
}

// WriteTo writes the history, a line for each event, for those who look for the cause
// of a failure.
func (h *History) WriteTo(w io.Writer) (n int64, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := func(format string, args ...any) {
		k, failed := fmt.Fprintf(w, format, args...)
		n, err = n+int64(k), errors.Join(err, failed)
	}
	for _, p := range h.publishers {
		for number, o := range p.outcomes {
			line("dispatch %s %d %s\n", p.name, number, [...]string{"ok", "failed", "unknown"}[o])
		}
	}
	for _, l := range h.listeners {
		for _, r := range l.heard {
			line("heard %s %s %d gaps=%d %s\n", l.name, r.publisher, r.number, r.gapsThen, r.bad)
		}
	}
	return n, err
}
