package conformance

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var slowLaws = []Law{
	{"D02", "slow-spoke-isolation", Must, "while a spoke does not read, the others hear thousands of events at no less than a quarter of the usual speed",
		"one hanging customer who is everybody's", lawSlowSpoke},
	{"D03", "bounded-memory", Must, "what waits for a spoke that does not read takes no more memory than its bounds allow",
		"a server that a few hanging phones take down", lawBoundedMemory},
	{"D07", "heartbeat-under-load", Stochastic, "a connection that is kept busy for several heartbeats is not taken for dead, whoever sends",
		"a link that breaks when it is needed most", lawHeartbeat},
	{"D08", "recover", Must, "a spoke that fell behind and reads again hears everything from then on",
		"a spoke that stays slow until it is restarted", lawRecover},
}

func lawSlowSpoke(t *T) {
	t.onlyHub()
	const events, spokes = 2000, 4
	r := t.rig(spokes + 1)
	t.need(r.Stall != nil, "the harness has no hook Stall")
	run := func() time.Duration { // spoke 1 aside
		a := t.name()
		var recs []*record
		for j := 2; j <= spokes; j++ {
			recs = append(recs, r.listenInline(j, eventtarget.T(a, "")))
		}
		begin := time.Now()
		for n := range events {
			r.dispatch(0, event{Type: a, Payload: raw(strconv.Itoa(n))})
		}
		for j, rec := range recs {
			for n, p := range payloads(rec.wait(events)) {
				if p != strconv.Itoa(n) {
					t.Fatalf("spoke %d heard %s as event %d", j+2, p, n)
				}
			}
			r.Endpoints[j+2].Remove(rec.reg)
		}
		return time.Since(begin)
	}
	usual := run()
	r.Stall(1)
	const tries = 5 // on a busy machine one of them may be slow for another reason
	var took time.Duration
	for range tries {
		if took = run(); took <= 4*usual {
			return
		}
	}
	t.Errorf("%d events took %v while one spoke did not read, and %v when all did", events, took, usual)
}

// slowRig is a hub with a bounded log, an endpoint that reads and plain peers that
// read when the law does.
type slowRig struct {
	*rig
	topic string
	sent  int           // to all
	turns chan int      // the first event of the batch to be sent
	heard chan struct{} // a batch, at the endpoint
}

const (
	slowLog   = 128 // events that the hub's log holds
	slowBatch = slowLog / 8
	slowIDs   = 4
	slowSize  = 32 << 10
)

// overflower is a spoke whose policy can be set in OnConnect.
type overflower interface {
	SetOverflow(o eventtarget.Overflow) error
}

// canBeSlow tells whether the rig has what a slowRig needs.
func (r *rig) canBeSlow() bool {
	caps := r.t.Harness.Caps
	if r.Foreign == nil || r.Spoke == nil || !caps.Wire || caps.Relay || r.mute(1) {
		return false
	}
	_, can := r.Spoke(1).(overflower)
	return can
}

// slow makes a slowRig. Every peer that joins is given the policy that is in o.
func (t *T) slow(o *atomic.Value, onDisconnect func(eventtarget.Reason)) *slowRig {
	t.onlyHub()
	t.wire()
	r := &slowRig{topic: t.name(), turns: make(chan int, 1), heard: make(chan struct{}, 1)}
	r.rig = t.rigWith(Setup{
		Endpoints: 2, Outgoing: slowLog, Heartbeat: t.Harness.timeout(), WriteTimeout: t.Harness.timeout(),
		OnConnect: func(p eventtarget.Peer) {
			policy, given := o.Load().(eventtarget.Overflow)
			if s, can := p.(overflower); given && can {
				if err := s.SetOverflow(policy); err != nil {
					t.Errorf("SetOverflow(%v): %v", policy, err)
				}
			}
		},
		OnDisconnect: func(_ eventtarget.Peer, reason eventtarget.Reason) { onDisconnect(reason) },
	})
	t.need(r.canBeSlow(), "there is no hook Foreign or Spoke, the policy of a spoke cannot be set, or the hub relays")
	var count atomic.Int32
	r.add(1, eventtarget.T(r.topic, "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, event) {
		if count.Add(1)%slowBatch == 0 {
			r.heard <- struct{}{}
		}
	}})
	text := `,"` + strings.Repeat("x", slowSize) + `"]`
	// An Inline listener never waits in Dispatch, so that no time is spent on those
	// who do not read.
	r.add(0, eventtarget.T(r.topic+".go", ""), eventtarget.Listener[raw]{Inline: true, Handle: func(ctx context.Context, _ event) {
		first := <-r.turns
		for n := first; n < first+slowBatch; n++ {
			e := event{Type: r.topic, ID: strconv.Itoa(n % slowIDs), Payload: raw("[" + strconv.Itoa(n) + text)}
			if err := r.Endpoints[0].Dispatch(ctx, e); err != nil {
				t.Errorf("Dispatch to all: %v", err)
			}
		}
	}})
	return r
}

// send dispatches batches to all. Each is heard by the endpoint before the next.
func (r *slowRig) send(batches int) {
	for range batches {
		r.turns <- r.sent
		r.sent += slowBatch
		r.dispatch(1, event{Type: r.topic + ".go"})
		r.t.await("a batch of events at the spoke that reads", r.heard)
	}
}

// number returns which event e is.
func (r *slowRig) number(e event) int {
	var n int
	if _, err := fmt.Sscanf(string(e.Payload[:min(len(e.Payload), 16)]), "[%d,", &n); err != nil || e.ID != strconv.Itoa(n%slowIDs) {
		r.t.Fatalf("heard %v with %d bytes", e.Topic(), len(e.Payload))
	}
	return n
}

// overflowBatches are more than connections, and what is in between, hold.
const overflowBatches = 1024 / slowBatch

func lawBoundedMemory(t *T) {
	var policy atomic.Value
	r := t.slow(&policy, func(eventtarget.Reason) {})
	policy.Store(eventtarget.DropOldest)
	r.join(false) // and never reads
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	r.send(2) // what is allocated once, is
	before := heap()
	r.send(overflowBatches)
	const most = overflowBatches * slowBatch * slowSize / 2 // the bounds are a quarter of that
	if more := heap() - before; more > most {
		t.Errorf("%d MiB for a spoke that does not read more take %d MiB of memory; the hub was to hold %d",
			overflowBatches*slowBatch*slowSize>>20, more>>20, slowLog*slowSize>>20)
	}
	runtime.KeepAlive(r)
}

// overflowSpokes is the part of law D04 that is about spokes.
func overflowSpokes(t *T) {
	var policy atomic.Value
	slow := make(chan struct{}, 8)
	r := t.slow(&policy, func(reason eventtarget.Reason) {
		if reason.Code == eventtarget.CodeSlow {
			slow <- struct{}{}
		}
	})
	peers := make(map[eventtarget.Overflow]*plain)
	for _, p := range []eventtarget.Overflow{eventtarget.DropOldest, eventtarget.Conflate, eventtarget.Disconnect} {
		policy.Store(p)
		peers[p] = r.join(false)
	}
	r.send(overflowBatches)
	r.readLossy(peers[eventtarget.DropOldest])
	r.readConflated(peers[eventtarget.Conflate])
	p := peers[eventtarget.Disconnect]
	for n := 0; ; n++ {
		e, err := p.next()
		if err != nil {
			break
		}
		if got := r.number(e); got != n {
			t.Fatalf("to be disconnected: behind event %d comes %d", n-1, got)
		}
	}
	if p.gaps != 0 {
		t.Errorf("to be disconnected: a gap was told")
	}
	t.await("that a spoke was disconnected for being slow", slow)
}

// readLossy reads all that was sent, of which the peer must have
// lost some and been told how many.
func (r *slowRig) readLossy(p *plain) {
	for n, lost, gaps := 0, 0, 0; n < r.sent; n++ {
		got := r.number(p.event())
		n += p.lost - lost
		lost = p.lost
		// The network may take some of it meanwhile: then it falls behind anew.
		if p.gaps > gaps+1 {
			r.t.Fatalf("to drop the oldest: before event %d more than one gap was told", got)
		}
		gaps = p.gaps
		if got != n {
			r.t.Fatalf("to drop the oldest: heard event %d, want %d; told of %d lost", got, n, lost)
		}
	}
	if p.gaps == 0 {
		r.t.Errorf("to drop the oldest: told of no gap")
	}
}

// readConflated reads up to the last event, of which the peer must have been spared
// some, but not the last of any topic.
func (r *slowRig) readConflated(p *plain) {
	var all []int
	for last := -1; last < r.sent-1; {
		n := r.number(p.event())
		if n <= last {
			r.t.Fatalf("to conflate: heard event %d behind %d", n, last)
		}
		last = n
		all = append(all, n)
	}
	if len(all) == r.sent || len(all) < slowIDs || all[len(all)-slowIDs] != r.sent-slowIDs {
		r.t.Errorf("to conflate: heard %d of %d events, at the end %d; want the last of each of %d topics",
			len(all), r.sent, all[max(0, len(all)-slowIDs):], slowIDs)
	}
	if p.gaps != 0 {
		r.t.Errorf("to conflate: a gap was told")
	}
}

func lawRecover(t *T) {
	var policy atomic.Value
	r := t.slow(&policy, func(eventtarget.Reason) {})
	policy.Store(eventtarget.DropOldest)
	p := r.join(false)
	r.send(overflowBatches)
	r.readLossy(p)
	told := p.gaps
	for range 10 {
		n := r.sent
		r.send(1)
		for ; n < r.sent; n++ {
			if got := r.number(p.event()); got != n {
				t.Fatalf("after it had caught up a spoke heard event %d, want %d", got, n)
			}
		}
	}
	if p.gaps != told {
		t.Errorf("told of %d gaps after it had caught up", p.gaps-told)
	}
}

func lawHeartbeat(t *T) {
	topology := t.Harness.Caps.Topology
	t.need(topology == Hub || topology == Link, "has no connection of its own")
	const tries = 3 // on a busy machine a sign of life may come too late for another reason
	for range tries {
		if t.busyConnection() {
			return
		}
	}
	t.Errorf("%d times a busy connection was taken for dead", tries)
}

// busyConnection keeps a connection busy and tells whether it was not taken for dead.
func (t *T) busyConnection() (stayed bool) {
	const heartbeat, periods = 150 * time.Millisecond, 5
	disconnected := func() (n int) { // for want of a sign of life
		t.mu.Lock()
		defer t.mu.Unlock()
		for _, s := range t.faults {
			reason, _ := errors.AsType[eventtarget.Reason](s.fault.Err)
			if s.fault.Kind == eventtarget.FaultDisconnected && reason.Code == eventtarget.CodeTimeout {
				n++
			}
		}
		return n
	}
	before := disconnected()
	r := t.rigWith(Setup{Endpoints: 2, Heartbeat: heartbeat})
	defer r.takeDown()
	var heard [2]atomic.Int64
	end := time.Now().Add(periods * heartbeat)
	var busy sync.WaitGroup
	for from := range 2 {
		if r.mute(from) {
			continue
		}
		topic := eventtarget.T(t.name(), "")
		r.add(1-from, topic, eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, event) { heard[from].Add(1) }})
		busy.Go(func() {
			e := sized(topic.Type, 1<<10)
			for time.Now().Before(end) {
				if r.Endpoints[from].Dispatch(t.ctx, e) != nil { // more than it can send, or it is lost
					<-time.After(time.Millisecond)
				}
			}
		})
	}
	busy.Wait()
	stayed = disconnected() == before
	for from := range 2 {
		if stayed && !r.mute(from) && heard[from].Load() == 0 {
			t.Errorf("nothing was heard from endpoint %d", from)
		}
	}
	return stayed
}
