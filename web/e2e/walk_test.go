package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/hub/filestore"
	"github.com/eventtarget-go/toolkit/ssehub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// walk does at random what can be done to a hub and to targets in Node, each behind a network
// of its own.
type walk struct {
	model
	rng    *rand.Rand
	script io.Writer
	lines  chan string
	errs   *strings.Builder
	pings  int
	server string
	hub    *wsserver.Hub
	serves atomic.Pointer[http.ServeMux]

	options hub.Options
	dir     string // of the store; empty: there is none
	store   *filestore.Store
	own     bool // something is dispatched to some alone
}

func newWalk(t *testing.T, kind string, seed uint64) *walk {
	w := &walk{model: newModel(t), rng: rand.New(rand.NewPCG(seed, 0)), lines: make(chan string, 100_000), errs: new(strings.Builder), own: true}
	w.options = hub.Options{
		Relay: true, OnlySubscribed: w.one(2), SpokeBytes: 64 << 20, SpokeEvents: 1 << 17, Heartbeat: 500 * time.Millisecond, OnFault: func(f eventtarget.Fault) { w.note("fault: %v", f) },
		OnConnect: func(s *hub.Spoke) {
			s.Join(groupOf(s.Identity()))
			w.note("%s comes", s.Identity())
		},
		OnDisconnect: func(s *hub.Spoke, why eventtarget.Reason) { w.note("%s leaves: %v", s.Identity(), why) },
	}
	switch kind {
	case "sessions end":
		w.options.SessionTimeout = 200 * time.Millisecond
	case "hubs die":
		w.restarts = true
	case "a store":
		w.restarts, w.again, w.own, w.dir = true, true, w.one(2), t.TempDir()
	}
	w.strict = kind == "one hub" || !w.own
	w.begin()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serves.Load().ServeHTTP(rw, r) }))
	w.server = server.Listener.Addr().String()
	t.Cleanup(func() {
		_ = w.hub.Close()
		server.CloseClientConnections()
		server.Close()
	})
	cmd := exec.CommandContext(t.Context(), "node", "testdata/random.js")
	cmd.Stderr = w.errs
	in, err := cmd.StdinPipe()
	w.must(err)
	out, err := cmd.StdoutPipe()
	w.must(err)
	w.must(cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() && w.errs.Len() > 0 {
			t.Log(w.errs.String())
		}
	})
	w.script = in
	go func() {
		defer close(w.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			w.lines <- scanner.Text()
		}
	}()
	return w
}

// groupOf is the group of a target, by its name.
func groupOf(name string) string {
	n, _ := strconv.Atoi(name)
	return []string{"even", "odd"}[n%2]
}

// begin begins a hub, in place of one that has died if there was one.
func (w *walk) begin() {
	o := w.options
	if w.dir != "" {
		s, err := filestore.Open(w.dir, nil)
		w.must(err)
		w.t.Cleanup(func() { _ = s.Close() })
		w.store, o.Store = s, s
	}
	who := func(r *http.Request) (hub.Grant, error) { return hub.Grant{Identity: path.Base(r.URL.Path)}, nil }
	h, err := wsserver.New(&wsserver.Options{Options: o, Authenticate: who})
	w.must(err)
	_, err = h.Add(w.t.Context(), eventtarget.T("*", "*"), eventtarget.Func(w.atHub))
	w.must(err)
	if o.Store != nil {
		w.must(h.Redeliver(w.t.Context()))
	}
	mux := http.NewServeMux()
	mux.Handle("/ws/", h)
	mux.Handle("/sse/", ssehub.NewHandler(h.Hub, ssehub.HandlerOptions{Authenticate: who}))
	w.hub = h
	w.serves.Store(mux)
}

// die ends a hub as the end of its process does, and begins another one in its place.
func (w *walk) die() {
	w.note("the hub dies")
	for _, p := range w.targets {
		p.proxy.Cut() // before it is known what the store has: nothing comes out that it has not
	}
	if w.dir != "" {
		dir := w.t.TempDir()
		w.must(os.CopyFS(dir, os.DirFS(w.dir)))
		w.dir = dir
	}
	_ = w.hub.Close()
	<-w.hub.Done()
	w.begin()
	for _, p := range w.targets {
		p.proxy.Heal()
	}
}

func (w *walk) one(of int) bool { return w.rng.IntN(of) == 0 }

// pick returns one of several.
func pick[T any](w *walk, of ...T) T { return of[w.rng.IntN(len(of))] }

// tell tells the script what to do.
func (w *walk) tell(c command) {
	text, err := json.Marshal(c)
	w.must(err)
	w.note("> %s", text)
	_, err = fmt.Fprintf(w.script, "%s\n", text)
	w.must(err)
}

// read reads the lines that there are.
func (w *walk) read() {
	for {
		select {
		case l, ok := <-w.lines:
			if !ok {
				w.fail("the script has ended")
			}
			w.line(l)
		default:
			return
		}
	}
}

// until waits for what the script says, or for what the hub knows.
func (w *walk) until(what func() string, done func() bool) {
	late := time.After(30 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for w.read(); !done(); w.read() {
		select {
		case l, ok := <-w.lines:
			if !ok {
				w.fail("the script has ended")
			}
			w.line(l)
		case <-tick.C:
		case <-late:
			w.fail("in vain: %s", what())
		}
	}
}

// ping waits until the script has done everything that it was told, and has said so.
func (w *walk) ping() {
	w.pings++
	n := w.pings
	w.tell(command{Do: "ping", N: n})
	w.until(func() string { return "pong" }, func() bool { return w.ponged == n })
}

// spokes are those of a target's.
func (w *walk) spokes(p *target) iter.Seq[*hub.Spoke] {
	return func(yield func(*hub.Spoke) bool) {
		for s := range w.hub.Spokes() {
			if s.Identity() == strconv.Itoa(p.n) && !yield(s) {
				return
			}
		}
	}
}

// has tells whether the hub has a target.
func (w *walk) has(p *target) bool {
	for range w.spokes(p) {
		return true
	}
	return false
}

// hasBegun tells whether the hub has a target, and has heard what it wants.
func (w *walk) hasBegun(p *target) bool {
	for s := range w.spokes(p) {
		return len(s.Subscriptions()) > 0
	}
	return false
}

// agrees tells whether the hub has a target as it is.
func (w *walk) agrees(p *target) bool {
	var topics []string
	up := 0
	for s := range w.spokes(p) {
		if s.State() != eventtarget.StateUp { // one whose peer has never learned of its session may wait for that
			continue
		}
		up++
		for _, t := range s.Subscriptions() {
			topics = append(topics, t.String())
		}
	}
	slices.Sort(topics)
	want := p.topics()
	return (up == 1 || p.sse && want == nil && up == 0) && slices.Equal(topics, want)
}

// settle waits until a target is connected and the hub knows what it wants: from here on it
// is to hear that.
func (w *walk) settle(p *target) {
	p.proxy.Heal()
	nudged := 0
	w.until(func() string {
		return fmt.Sprintf("%d, which is %s, wants %v", p.n, p.ready, p.topics())
	}, func() bool {
		if p.closed() { // by a listener
			return true
		}
		if !p.open && nudged != p.downs { // it waits longer and longer
			nudged = p.downs
			w.tell(command{Do: "online"})
		}
		if !w.agrees(p) {
			return false
		}
		w.ping()
		return (p.ready == "open" || p.sse && p.topics() == nil) && w.agrees(p)
	})
	w.sure(p)
	w.note("%d has settled", p.n)
}

// arrive waits until everyone has heard everything.
func (w *walk) arrive() {
	for _, p := range w.present() {
		w.settle(p)
	}
	w.until(func() string { return strings.Join(w.missing(), "\n") }, func() bool { return len(w.missing()) == 0 })
	w.ping()
	w.check()
	w.note("everything has arrived")
}
