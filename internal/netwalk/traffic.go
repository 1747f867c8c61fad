package netwalk

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

type event = eventtarget.Event[eventtarget.Raw]

// publisher is a goroutine that dispatches: in the hub's process, or at a spoke.
type publisher struct {
	name   string
	by     int // the number of the spoke; -1: the hub
	sent   []sending
	fresh  int // below this number something may have been lost on its way to the hub
	ended  bool
	cut    bool // what it dispatched last need not have arrived
	member *member
}

// sending is an event that was dispatched, or is being.
type sending struct {
	topic   eventtarget.Topic
	to      [spokes]bool
	maybe   [spokes]bool    // they may hear it, too
	but     [spokes]*member // those it is not for: who takes the place of one may hear it
	narrow  bool            // for some alone
	atHub   bool            // the hub's listener has heard it
	outcome outcome
	heard   bool // by anybody
	by      [spokes]bool
}

// late tells whether something of a publisher's may come behind what it dispatched later: it has
// no session, and what was under way over a connection that it has lost is another spoke's.
func (p *publisher) late() bool {
	return p.by >= 0 && p.member.plain && (p.member.touched || p.member.lost)
}

type outcome uint8

const (
	unknown  outcome = iota // it may be heard, or not: it is under way
	accepted                // it is heard, or told to be missing
	refused                 // nobody hears it
)

const filler = "abcdefghijklmnopqrstuvwxyz0123456789"

// payload is the text of an event: who has sent it, its number, and so many bytes which a
// checksum says are the right ones.
func payload(name string, n, size int) eventtarget.Raw {
	at := n % len(filler)
	fill := (filler[at:] + strings.Repeat(filler, size/len(filler)+1))[:size]
	return fmt.Appendf(nil, `"%s %d %d %s"`, name, n, crc32.ChecksumIEEE([]byte(fill)), fill)
}

// parse returns who has sent an event, and its number.
func parse(raw eventtarget.Raw) (name string, n int, err error) {
	parts := strings.SplitN(strings.Trim(string(raw), `"`), " ", 4)
	if len(parts) != 4 {
		return "", 0, fmt.Errorf("%d parts", len(parts))
	}
	n, err = strconv.Atoi(parts[1])
	if sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(parts[3]))), 10); err == nil && sum != parts[2] {
		err = errors.New("the checksum is wrong")
	}
	return parts[0], n, err
}

// send dispatches one event. choose is under mu and says who is to hear it, and how it is
// dispatched; nil: it is not.
func (w *walk) send(ctx context.Context, p *publisher, topic string, size int, choose func(s *sending) dispatch) error {
	w.mu.Lock()
	n := len(p.sent)
	s := sending{topic: eventtarget.T("n", p.name+topic), but: w.members}
	do := choose(&s)
	if do == nil {
		w.mu.Unlock()
		return nil
	}
	p.sent = append(p.sent, s)
	w.mu.Unlock()
	err := do(ctx, event{Type: s.topic.Type, ID: s.topic.ID, Payload: payload(p.name, n, size)})
	w.mu.Lock()
	defer w.mu.Unlock()
	at := &p.sent[n]
	switch {
	case err == nil:
		at.outcome = accepted
	case !errors.Is(err, eventtarget.ErrUnknownOutcome):
		at.outcome = refused
		if at.heard {
			w.wrong("%s %d was heard and refused: %v", p.name, n, err)
		}
	}
	return err
}

type dispatch func(context.Context, event) error

// traffic dispatches some events at random.
func (w *walk) traffic(p *publisher, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // tests need no secret
	budget := 512 << 10
	for n := 60 + rng.IntN(100); n > 0; n-- {
		size := min(sizes(rng), w.most)
		if size > budget {
			size = rng.IntN(100)
		}
		budget -= size
		ctx, cancel := context.Background(), context.CancelFunc(func() {})
		if rng.IntN(20) == 0 {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(1+rng.IntN(50))*time.Millisecond)
		}
		err := w.send(ctx, p, strconv.Itoa(rng.IntN(3)), size, func(s *sending) dispatch { return w.choose(rng, p, s) })
		cancel()
		switch {
		case w.failed():
			return
		case p.by >= 0 && errors.Is(err, eventtarget.ErrClosed):
			return
		case p.by < 0 && rng.IntN(60) == 0:
			w.flush(p)
		case rng.IntN(4) == 0:
			<-time.After(time.Duration(rng.IntN(4000)) * time.Microsecond)
		}
	}
}

// sizes are small ones mostly, and some at every step up to the largest.
func sizes(rng *rand.Rand) int {
	switch r := rng.IntN(100); {
	case r < 60:
		return rng.IntN(200)
	case r < 85:
		return rng.IntN(4 << 10)
	case r < 95:
		return rng.IntN(64 << 10)
	case r < 99:
		return 64<<10 + rng.IntN(192<<10)
	default:
		return 256<<10 + rng.IntN(768<<10)
	}
}

// choose says for whom an event is. Under mu.
func (w *walk) choose(rng *rand.Rand, p *publisher, s *sending) dispatch {
	if p.by >= 0 {
		return w.fromSpoke(p, s)
	}
	h := w.server
	if h == nil {
		return nil
	}
	n := rng.IntN(spokes)
	what := rng.IntN(10)
	if w.kind == Store && what != 9 {
		what = 0 // what is for some alone does not outlive a hub
	}
	s.narrow = what >= 6 && what != 9
	switch what {
	default:
		s.to = [spokes]bool{true, true, true, true}
		return h.Dispatch
	case 6:
		if w.members[n].spoke == nil {
			return nil
		}
		s.to[n] = true
		return w.members[n].spoke.Dispatch
	case 7:
		for i := range s.to {
			s.to[i] = i%2 == n%2
		}
		return h.Group(strconv.Itoa(n % 2)).Dispatch
	case 8:
		for i := range s.to {
			s.to[i] = i != n
		}
		return h.Where(func(s *hub.Spoke) bool { return w.tr.Who(s) != n }).Dispatch
	case 9:
		out := w.members[n].spoke
		if out == nil {
			return nil
		}
		for i := range s.to {
			s.to[i] = i != n
		}
		s.maybe[n] = w.members[n].plain || w.kind == Small // it may be back as another already
		return func(ctx context.Context, e event) error { return h.DispatchExcept(ctx, e, out) }
	}
}

func (w *walk) fromSpoke(p *publisher, s *sending) dispatch {
	for n := range s.to {
		s.to[n] = w.opts.Relay && n != p.by
	}
	s.but[p.by] = p.member
	// What it said before it came back as another spoke is not its own.
	s.maybe[p.by] = w.opts.Relay && (p.member.plain || w.kind == Small)
	return p.member.link.Dispatch
}

// flush waits until what was dispatched is out, and looks whether that is so.
func (w *walk) flush(p *publisher) {
	w.mu.Lock()
	h, upto := w.server, len(p.sent)
	w.mu.Unlock()
	if h == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	all, err := h.Flush(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range all {
		m := w.members[w.tr.Who(f.Spoke)]
		switch {
		case f.Outcome == hub.Pending && err == nil, f.Outcome == hub.Out && f.Lost > 0, f.Outcome == hub.Dropped && f.Lost == 0:
			w.wrong("a flush says of spoke %d %v, %d lost, %v", m.n, f.Outcome, f.Lost, err)
		case f.Outcome == hub.Out && !m.plain && f.Spoke == m.spoke && !(m.held && m.back):
			if lacks := m.ear.lacks(p, upto); m.ear.missing+lacks > m.ear.told {
				w.wrong("a flush says that all is out at spoke %d, where %d of %s are missing before %d, of which %d+%d-%d were not told",
					m.n, lacks, p.name, upto, m.ear.missing, lacks, m.ear.told)
			}
		}
	}
}

// round has everybody dispatch, while this and that is done to them.
func (w *walk) round() {
	w.mu.Lock()
	for _, m := range w.members {
		m.held, m.back = false, false
	}
	w.mu.Unlock()
	var busy sync.WaitGroup
	for _, p := range w.talking() {
		seed := w.rng.Uint64()
		busy.Go(func() { w.traffic(p, seed) })
	}
	done := make(chan struct{})
	go func() { busy.Wait(); close(done) }()
	for range 4 + w.rng.IntN(6) {
		if w.failed() {
			break
		}
		w.step()
	}
	w.heal()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		w.must(errors.New("somebody still dispatches"))
	}
}

// talking are the publishers that there are.
func (w *walk) talking() (all []*publisher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.publishers {
		if !p.ended {
			all = append(all, p)
		}
	}
	return all
}
