package main_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/wsclient"
)

// balancer passes each connection on to one of some addresses, in turn; to the next one
// where that does not answer.
type balancer struct {
	listener net.Listener
	turn     atomic.Int32

	mu    sync.Mutex
	addrs []string
}

func newBalancer(t *testing.T, addrs ...string) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	b := &balancer{listener: l, addrs: addrs}
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			go b.serve(near)
		}
	}()
	return b
}

func (b *balancer) set(n int, addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addrs[n] = addr
}

func (b *balancer) serve(near net.Conn) {
	defer near.Close()
	first := int(b.turn.Add(1))
	b.mu.Lock()
	addrs := append([]string(nil), b.addrs...)
	b.mu.Unlock()
	for i := range addrs {
		far, err := net.Dial("tcp", addrs[(first+i)%len(addrs)])
		if err != nil {
			continue
		}
		go func() {
			_, _ = io.Copy(far, near)
			_ = far.Close()
		}()
		_, _ = io.Copy(near, far)
		_ = far.Close()
		return
	}
}

// TestNemesisJoinedHubs: spokes of two hub processes on one Redis talk to each other while
// these are killed in turn and started again; the spokes of the dead one go on at the other.
// With a log in common nothing is lost, doubled or out of order, and no session is begun
// anew. Without one, whoever misses something is told that something is missing.
func TestNemesisJoinedHubs(t *testing.T) {
	for name, c := range map[string]struct {
		parameter string
		durable   bool
	}{"fast": {}, "durable": {"?durable=true", true}} {
		t.Run(name, func(t *testing.T) { joinedHubs(t, c.parameter, c.durable) })
	}
}

func joinedHubs(t *testing.T, parameter string, durable bool) {
	server := redistest.Start(t)
	start := func() (addr string, kill func()) {
		url, process := startHub(t, "--backplane", server.URL()+parameter)
		return strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/ws"), func() {
			_ = process.Process.Kill()
			_ = process.Wait()
		}
	}
	one, killOne := start()
	two, killTwo := start()
	kill := []func(){killOne, killTwo}
	balance := newBalancer(t, one, two)
	var history nemesis.History
	var fresh atomic.Int32
	topic := eventtarget.T("n", "")
	const talking = 4
	quiet := nemesis.Times(1000) - talking
	var publishers []*nemesis.Publisher
	for n := range talking {
		publishers = append(publishers, history.Publisher(fmt.Sprint("spoke", n)))
	}
	var clients []*wsclient.Client
	gaps := make([]atomic.Int32, talking+quiet)
	listeners := make([]*nemesis.Listener, talking+quiet)
	for n := range talking + quiet {
		var others []*nemesis.Publisher
		for i, p := range publishers {
			if i != n {
				others = append(others, p)
			}
		}
		l := history.Listener(fmt.Sprint("spoke", n), others...)
		c, err := wsclient.New("ws://"+balance.listener.Addr().String()+"/ws", &wsclient.Options{Options: link.Options{
			Subscribe: true,
			OnState: func(c link.Change) {
				if c.State == eventtarget.StateUp && !c.Resumed {
					fresh.Add(1)
				}
			},
			OnFault: func(f eventtarget.Fault) {
				l.Fault(f)
				if f.Kind == eventtarget.FaultGap {
					gaps[n].Add(1)
				}
			},
			Backoff: link.Backoff{Min: time.Millisecond, Max: 50 * time.Millisecond},
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := c.Add(t.Context(), topic, eventtarget.Func(l.Handle)); err != nil {
			t.Fatal(err)
		}
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		clients, listeners[n] = append(clients, c), l
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, talking)
	every := time.Duration(talking+quiet) * 200 * time.Microsecond // all spokes are in this process
	for n, p := range publishers {
		go func() { ended <- p.Traffic(ctx, math.MaxInt, clients[n], topic, every) }()
	}
	kills := nemesis.Times(20)
	for n := range kills {
		pause := time.NewTimer(500 * time.Millisecond)
		<-pause.C
		kill[n%2]()
		for _, c := range clients {
			if err := c.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var addr string
		addr, kill[n%2] = start()
		balance.set(n%2, addr)
	}
	before := make([]int, len(listeners))
	for n, l := range listeners {
		before[n] = l.Heard()
	}
	for n, l := range listeners { // nobody is deaf in the end
		for end := time.Now().Add(30 * time.Second); l.Heard() == before[n]; <-time.After(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("spoke %d hears nothing any more", n)
			}
		}
	}
	stop()
	for range publishers {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if durable {
		if v := history.Await(t, 30*time.Second); v.LostAnnounced > 0 {
			t.Errorf("with a log in common %d events were lost", v.LostAnnounced)
		}
		if n := int(fresh.Load()); n != talking+quiet {
			t.Errorf("%d sessions were begun by %d spokes", n, talking+quiet)
		}
		return
	}
	untold := func() (n int) {
		for n < len(gaps) && gaps[n].Load() > 0 {
			n++
		}
		return n
	}
	v := history.Check()
	for end := time.Now().Add(10 * time.Second); v.LostSilently > 0 && time.Now().Before(end); {
		told := untold() == len(gaps)
		<-time.After(500 * time.Millisecond) // longer than a lease, in the end; for what is doubled, too
		if v = history.Check(); told {
			break
		}
	}
	t.Log(v)
	if v.Duplicated+v.Reordered+v.Invented+v.Corrupted > 0 {
		t.Errorf("the history is not right: %v", v)
	}
	if n := untold(); n < len(gaps) && v.LostSilently+v.LostAnnounced > 0 {
		t.Errorf("spoke %d was never told of a gap", n)
	}
}
