package hub_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestRandomEnds: what links and their hub dispatch for each other while connections are cut and
// stall, and sessions end, is heard once and in order at the other end; where something is
// missing there is a gap, and there is one for each session, or plain connection, that ended.
func TestRandomEnds(t *testing.T) {
	random(t, []string{"disconnected", "oldest dropped", "waited for"}, func(t *testing.T, kind string, seed uint64) {
		w := &partings{diary: diary{t: t}, rng: rand.New(rand.NewPCG(seed, 0))}
		o := hub.Options{
			LogEvents: 32 << w.rng.IntN(6), SpokeEvents: 16 << w.rng.IntN(5), SessionTimeout: time.Second,
			WriteTimeout: time.Second, OnFault: ignore,
			Overflow: map[string]eventtarget.Overflow{"disconnected": eventtarget.Disconnect, "oldest dropped": eventtarget.DropOldest, "waited for": eventtarget.Block}[kind],
		}
		o.OnConnect = func(s *hub.Spoke) {
			if n, _ := s.Value(is{}).(int); n%2 == 0 {
				s.Join("g")
			}
		}
		w.hub = newHub(t, o)
		w.note("hub: %d events, %d per spoke", o.LogEvents, o.SpokeEvents)
		for n := range 4 {
			w.connect(n)
		}
		_, err := w.hub.Add(t.Context(), eventtarget.T("up", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
			n, _ := strconv.Atoi(string(e.Payload))
			i, _ := e.Source.(*hub.Spoke).Value(is{}).(int)
			l := w.all[i]
			l.mu.Lock()
			defer l.mu.Unlock()
			l.at = append(l.at, n)
		}})
		w.must(err)
		w.settle()
		for range 100 {
			w.step()
		}
		w.settle()
		for _, l := range w.all {
			w.checkLink(l)
			w.checkHub(l)
		}
		for _, l := range w.all {
			w.leave(l)
		}
		w.tell()
	})
}

// flush sees whether what is out has been heard.
func (w *partings) flush() {
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(w.rng.IntN(300))*time.Millisecond)
	defer cancel()
	all, err := w.hub.Flush(ctx)
	w.note("flush: %v", err)
	for _, f := range all {
		i, _ := f.Spoke.Value(is{}).(int)
		l := w.all[i]
		l.mu.Lock()
		if f.Outcome == hub.Out && l.isSession && l.lastAt == f.Spoke && !slices.Contains(l.heard, told{number: l.to[len(l.to)-1]}) {
			w.t.Errorf("link %d: %d was out, and not heard", i, l.to[len(l.to)-1])
		}
		if err == nil && f.Outcome == hub.Pending {
			w.t.Errorf("link %d: pending", i)
		}
		l.mu.Unlock()
	}
}

// checkLink compares what is missing at a link before each event, and at the end, with what was
// told before. A gap without a count is for what was dispatched before its session ended.
func (w *partings) checkLink(l *parted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next, ended, lost, missing := 0, 0, 0, 0
	hole := func(upto int) {
		if next == upto || l.to[next] < ended {
			return
		}
		if missing += upto - next; missing > lost {
			w.t.Errorf("link %d misses %v, and was told %d of %d", l.n, l.to[next:upto], lost, missing)
		}
	}
	for i, h := range l.heard {
		switch at := slices.Index(l.to[next:], h.number); {
		case h.number < 0 && h.lost == 0:
			ended = ^h.number
		case h.number < 0:
			lost += h.lost
		case at >= 0:
			hole(next + at)
			next += at + 1
		case !l.may[h.number]:
			w.t.Errorf("link %d heard %d again, or it was not for it; at %d of %v", l.n, h.number, i, l.heard)
			return
		}
	}
	hole(len(l.to))
	if l.gaps == 0 && lost != missing {
		w.t.Errorf("link %d misses %d, and was told %d", l.n, missing, lost)
	}
	if l.gaps != l.begun-1 {
		w.t.Errorf("link %d was told of %d gaps, and %d sessions ended", l.n, l.gaps, l.begun-1)
	}
}

// checkHub compares what is missing at the hub with the gaps that the link was told.
func (w *partings) checkHub(l *parted) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next, holes := 0, 0
	for i, number := range l.at {
		at := slices.Index(l.sent[next:], number)
		if at < 0 {
			w.t.Errorf("the hub heard %d of link %d again, or nobody dispatched it; at %d of %v", number, l.n, i, l.at)
			return
		}
		next += at + 1
		if at > 0 {
			holes++
		}
	}
	if next < len(l.sent) {
		holes++
	}
	if holes > l.gaps {
		w.t.Errorf("link %d was told of %d gaps, and %d times something was missing at the hub", l.n, l.gaps, holes)
	}
}

// leave ends a link while something of it is under way: all that it dispatched arrives, or is
// told as discarded.
func (w *partings) leave(l *parted) {
	l.mu.Lock()
	before := len(l.at)
	l.mu.Unlock()
	l.sent = nil
	if w.rng.IntN(2) == 0 {
		l.far.Stall()
	}
	for range w.rng.IntN(200) {
		w.up(l)
	}
	shut := errors.New("closed")
	if w.rng.IntN(2) == 0 {
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Duration(w.rng.IntN(300))*time.Millisecond)
		defer cancel()
		shut = l.Shutdown(ctx)
	} else {
		l.Close()
	}
	w.note("link %d ends: %v", l.n, shut)
	l.goOn()
	<-l.Done()
	<-time.After(time.Minute)
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.at[before:]
	if len(at) > len(l.sent) || !slices.Equal(at, l.sent[:len(at)]) {
		w.t.Errorf("the hub heard of link %d %v instead of %v", l.n, at, l.sent)
	} else if missing := len(l.sent) - len(at); missing > int(l.discarded) || missing > 0 && shut == nil {
		w.t.Errorf("link %d ended (%v): %d are missing, and %d were told to be discarded", l.n, shut, missing, l.discarded)
	}
}
