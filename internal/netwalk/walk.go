// Package netwalk does at random, over sockets, what networks, peers and operators do to a hub
// and its spokes, and knows who is to hear what.
//
// An adapter gives it a [Transport]; [Run] then has some goroutines dispatch, to all, to
// groups and to single spokes, from the hub and from its spokes, while connections are cut,
// stalled and replaced, peers stop reading, spokes leave, and the hub ends and another takes
// its place.
package netwalk

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// Transport is how the hubs and spokes of an adapter come about.
type Transport struct {
	// Listen starts a hub at an address, at any if that is empty.
	Listen func(address string, o hub.Options) (*Server, error)
	// Dial makes the spoke of a number from 0 to 3, with a network of its own between it and
	// the hub at an address.
	Dial func(n int, address string, plain bool, o link.Options) (*link.Link, Net, error)
	// Who is the number of a spoke, as its hub knows it.
	Who func(s *hub.Spoke) int
}

// Server is a hub that listens.
type Server struct {
	*hub.Hub
	// End is what is shut down and closed: the hub, or what owns it.
	End     eventtarget.Endpoint
	Address string
	// Stop ends what listens, when the hub is done.
	Stop func()
}

// Net is the network between a spoke and its hub.
type Net interface {
	Break()        // the connection that there is ends
	Away()         // it ends, and there is no other until Heal
	Hang(way int)  // nothing passes to the hub, to the spoke, or either way (2), until Heal
	Strand()       // nothing passes over the connection that there is; another may be made
	Worsen(by int) // what passes is late, in pieces, lost or out of order, as the number says
	Heal()
	Close()
}

// The kinds of walks.
const (
	Roomy = "roomy" // there is room for everything: nothing is lost in a session
	Small = "small" // there is not: what is lost is told
	Store = "store" // the hub's process dies, and another goes on
)

// spokes is how many there are.
const spokes = 4

// walk is one of them.
type walk struct {
	t      *testing.T
	kind   string
	tr     Transport
	rng    *rand.Rand
	policy eventtarget.Overflow
	opts   hub.Options
	most   int // bytes of an event
	dir    string
	store  *gate // nil: there is none
	begun  time.Time

	mu         sync.Mutex
	server     *Server // nil while there is none
	publishers []*publisher
	members    [spokes]*member
	atHub      map[*publisher]int // what the hub's listener is to hear next
	holes      []hole
	replaced   int // how often a hub took the place of another
	closing    bool
	trace      []string
	broken     bool
}

// member is a spoke, and all that is there of it.
type member struct {
	n       int
	plain   bool
	link    *link.Link
	net     Net
	ear     *ear
	says    *publisher
	coming  *hub.Spoke    // for which there was an OnConnect, which may not have returned
	spoke   *hub.Spoke    // the same, once something was heard over it
	touched bool          // its connection was
	lost    bool          // a connection
	hold    chan struct{} // its listener waits for it; nil: it does not
	state   eventtarget.State
	// In this round its listener was held up, and its connection was lost: what it says over
	// the next one that it has received, which a flush takes for out, it need not have handled.
	held, back bool
}

// Run does one walk of a kind.
func Run(t *testing.T, kind string, seed uint64, tr Transport) {
	before := count()
	w := &walk{
		t: t, kind: kind, tr: tr, rng: rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // tests need no secret
		atHub: make(map[*publisher]int), begun: time.Now(),
	}
	w.options()
	w.serve("")
	for range 2 {
		w.publishers = append(w.publishers, &publisher{name: "hub" + strconv.Itoa(len(w.publishers)), by: -1})
	}
	for n := range spokes {
		w.join(n)
	}
	for rounds := 1 + w.rng.IntN(2); rounds > 0 && !w.failed(); rounds-- {
		w.round()
		w.settle()
	}
	w.over()
	if !w.failed() {
		before.await(t)
	}
	w.tell()
}

// options are those of the hub.
func (w *walk) options() {
	w.policy = []eventtarget.Overflow{eventtarget.Disconnect, eventtarget.DropOldest, eventtarget.Conflate, eventtarget.Block}[w.rng.IntN(4)]
	w.most = 1<<20 - 1<<10
	w.opts = hub.Options{
		Overflow: w.policy, Relay: w.one(2), OnConnect: w.connected, OnFault: w.fault, Sweepers: 1 + w.rng.IntN(2),
		SpokeBytes: 64 << 20, LogBytes: 64 << 20,
		// Signs of life pass while a spoke is stalled, and it is not ended for that.
		Heartbeat: 20 * time.Millisecond, Misses: 1 << 20, WriteTimeout: time.Minute,
	}
	switch w.kind {
	case Small:
		w.most = 64 << 10
		w.opts.LogBytes, w.opts.LogEvents = []int{256 << 10, 1 << 20}[w.rng.IntN(2)], 64<<w.rng.IntN(5)
		w.opts.SpokeBytes, w.opts.SpokeEvents = []int{128 << 10, 512 << 10}[w.rng.IntN(2)], 32<<w.rng.IntN(5)
		if w.one(2) {
			w.opts.Heartbeat, w.opts.Misses = 100*time.Millisecond, 2
		}
		w.opts.WriteTimeout = time.Duration(200+w.rng.IntN(2000)) * time.Millisecond
	case Store:
		w.dir = w.t.TempDir()
	}
	w.note("%v, relay %t, log %d and %d, spoke %d and %d, heartbeat %v, write timeout %v", w.policy, w.opts.Relay,
		w.opts.LogBytes, w.opts.LogEvents, w.opts.SpokeBytes, w.opts.SpokeEvents, w.opts.Heartbeat, w.opts.WriteTimeout)
}

func (w *walk) one(of int) bool { return w.rng.IntN(of) == 0 }

func (w *walk) failed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.broken
}

func (w *walk) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted(format, args...)
}

// noted is note under mu.
func (w *walk) noted(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%7.3f ", time.Since(w.begun).Seconds())+fmt.Sprintf(format, args...))
}

// wrong is for what is not as it is to be. Under mu.
func (w *walk) wrong(format string, args ...any) {
	if w.broken {
		return // what follows follows from that
	}
	w.broken = true
	w.noted("WRONG: "+format, args...)
	w.t.Errorf(format, args...)
}

func (w *walk) must(err error) {
	if err != nil {
		w.mu.Lock()
		w.wrong("%v", err)
		w.mu.Unlock()
		w.tell()
		w.t.FailNow()
	}
}

// tell logs what was done, if the walk has failed.
func (w *walk) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.t.Failed() {
		w.t.Log(strings.Join(w.trace, "\n"))
	}
}

// pause is between what is done at random.
func (w *walk) pause(most time.Duration) {
	<-time.After(time.Duration(w.rng.Int64N(int64(most))))
}
