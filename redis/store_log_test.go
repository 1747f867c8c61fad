package redis_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

func openStore(t *testing.T, server *redistest.Server, onFault func(eventtarget.Fault)) *redis.Store {
	t.Helper()
	s, err := redis.OpenStore(t.Context(), server.URL(), &redis.Options{Prefix: "shared", OnFault: onFault})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, err := range s.Restore() {
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// followed returns the refs of what a store follows, as it comes.
func followed(t *testing.T, s *redis.Store) <-chan uint64 {
	t.Helper()
	refs := make(chan uint64, 10_000)
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		for r, err := range s.Follow(ctx) {
			if err != nil {
				t.Error(err)
				return
			}
			refs <- r.Ref
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	return refs
}

func appendRefs(t *testing.T, s *redis.Store, from, upto uint64) {
	var batch []hub.Record
	for n := from; n < upto; n++ {
		batch = append(batch, hub.Record{Kind: hub.RecordAlive, Hub: "a", Ref: n})
	}
	if err := s.Append(batch); err != nil {
		t.Error(err)
	}
}

func expectRefs(t *testing.T, refs <-chan uint64, from, upto uint64) {
	t.Helper()
	late := time.After(20 * time.Second)
	for n := from; n < upto; n++ {
		select {
		case got := <-refs:
			if got != n {
				t.Fatalf("got record %d instead of %d", got, n)
			}
		case <-late:
			t.Fatalf("record %d has not come", n)
		}
	}
}

// What somebody else has written into the log is counted, and passed over.
func TestStoreForeign(t *testing.T) {
	server := redistest.Start(t)
	faults := make(chan eventtarget.Fault, 100)
	s := openStore(t, server, func(f eventtarget.Fault) { faults <- f })
	refs := followed(t, s)
	appendRefs(t, s, 1, 2)
	admin := server.Client()
	keys, err := admin.Do(t.Context(), admin.B().Keys().Pattern("*").Build()).AsStrSlice()
	if err != nil || len(keys) != 1 {
		t.Fatal(keys, err)
	}
	foreign := [][]string{
		{"other", "x"}, {"m", ""}, {"m", "x"}, {"m", "{}"}, {"m", "null"}, {"m", "[]"}, {"m", `{"kind":2}`}, {"m", `{"kind":300,"hub":"x"}`},
		{"m", `{"kind":11,"hub":"x"}`}, {"m", `{"kind":-1,"hub":"x"}`}, {"m", `{"kind":2,"hub":"x","seq":"y"}`}, {"m", "\xff\x00"},
		{"m", `{"origin":"aaaaaaaaaaaa.000000000000zzzz","kind":2}`}, {"m", `{"origin":"`},
	}
	for _, fields := range foreign {
		if err := admin.Do(t.Context(), admin.B().Arbitrary("XADD").Keys(keys[0]).Args("0-*").Args(fields...).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	appendRefs(t, s, 2, 3)
	expectRefs(t, refs, 1, 3)
	if n := len(faults); n != len(foreign) {
		t.Errorf("%d of %d were told", n, len(foreign))
	}
}

// While the server is away Append waits for it; what was appended comes once, in order.
func TestStoreOverKills(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	a, b := openStore(t, server, quiet), openStore(t, server, quiet)
	here, there := followed(t, a), followed(t, b)
	const rounds, each = 5, 200
	for n := range uint64(rounds) {
		appended := make(chan struct{})
		go func() {
			defer close(appended)
			for i := range uint64(each / 10) {
				appendRefs(t, a, n*each+i*10, n*each+(i+1)*10)
			}
		}()
		server.Kill()
		server.Restart()
		select {
		case <-appended:
		case <-time.After(20 * time.Second):
			t.Fatal("Append does not return, round " + strconv.FormatUint(n, 10))
		}
	}
	expectRefs(t, here, 0, rounds*each)
	expectRefs(t, there, 0, rounds*each)
}

// What the server refuses for a while, Append tries again.
func TestStoreRefusedForAWhile(t *testing.T) {
	server := redistest.Start(t)
	s := openStore(t, server, quiet)
	refs := followed(t, s)
	server.Do("CONFIG", "SET", "maxmemory", "1")
	appended := make(chan struct{})
	go func() {
		defer close(appended)
		appendRefs(t, s, 1, 4)
	}()
	select {
	case <-appended:
		t.Fatal("Append returns while the server has no memory")
	case <-time.After(500 * time.Millisecond):
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	<-appended
	expectRefs(t, refs, 1, 4)
}

// busy has a server run a script that does not end, so that it refuses commands, until end is
// called.
func busy(t *testing.T, server *redistest.Server) (end func()) {
	t.Helper()
	runs, kills := server.Client(), server.Client()
	ended := make(chan error)
	go func() {
		ended <- runs.Do(context.Background(), runs.B().Eval().Script("while true do end").Numkeys(0).Build()).Error()
	}()
	eventually(t, "the server is busy", func() bool {
		err := kills.Do(t.Context(), kills.B().Ping().Build()).Error()
		return err != nil && strings.HasPrefix(err.Error(), "BUSY")
	})
	return func() {
		if err := kills.Do(t.Context(), kills.B().ScriptKill().Build()).Error(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("the script ended with %v", err)
		}
	}
}

// TestStoreServerRefusesAll: a server that refuses every command for a while, because a script
// runs too long, or every connection, because it has as many as it may, has done nothing: Append
// tries again.
func TestStoreServerRefusesAll(t *testing.T) {
	for name, refuse := range map[string]func(t *testing.T, server *redistest.Server) (again func()){
		"a script runs": busy,
		"no connection is free": func(t *testing.T, server *redistest.Server) func() {
			admin, release := server.Client().Dedicate()
			t.Cleanup(release)
			do := func(args ...string) {
				if err := admin.Do(t.Context(), admin.B().Arbitrary(args...).Build()).Error(); err != nil {
					t.Fatalf("%q: %v", args, err)
				}
			}
			do("CONFIG", "SET", "maxclients", "1")
			do("CLIENT", "KILL", "SKIPME", "yes")
			return func() { do("CONFIG", "SET", "maxclients", "1000") }
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t, "--busy-reply-threshold", "50")
			s := openStore(t, server, quiet)
			refs := followed(t, s)
			again := refuse(t, server)
			appended := make(chan struct{})
			go func() {
				defer close(appended)
				appendRefs(t, s, 1, 4)
			}()
			select {
			case <-appended:
				t.Error("Append returns while the server refuses everything")
			case <-time.After(500 * time.Millisecond):
			}
			again()
			<-appended
			expectRefs(t, refs, 1, 4)
		})
	}
}

// TestStoreLostWhileRestoring: the server loses the log, or its end, between telling a hub
// where that is and giving it what stands before it. Restore ends, and who follows is told.
func TestStoreLostWhileRestoring(t *testing.T) {
	const records = 2000 // more than a store reads ahead
	for name, lose := range map[string]func(*redistest.Server){
		"the log":          func(s *redistest.Server) { s.Do("FLUSHALL") },
		"the log, by name": func(s *redistest.Server) { s.Do("DEL", "shared:hubs:log") },
		"its last entry":   func(s *redistest.Server) { s.Do("XDEL", "shared:hubs:log", "0-"+strconv.Itoa(records)) },
		"all, in a crash":  func(s *redistest.Server) { s.Kill(); s.Restart() },
		"all but others":   func(s *redistest.Server) { s.Do("FLUSHALL"); s.Do("XADD", "shared:hubs:log", "0-*", "m", "x") },
	} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			writer := openStore(t, server, quiet)
			for n := uint64(0); n < records; n += 100 {
				appendRefs(t, writer, n, n+100)
			}
			s, err := redis.OpenStore(t.Context(), server.URL(), &redis.Options{Prefix: "shared", OnFault: quiet})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			restored, ended := uint64(0), make(chan struct{})
			go func() {
				defer close(ended)
				for r, err := range s.Restore() {
					if err != nil || r.Kind != hub.RecordAlive || r.Ref != restored {
						t.Errorf("%+v, %v; want ref %d", r, err, restored)
						return
					}
					if restored++; restored == 10 {
						lose(server)
					}
				}
			}()
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				_ = s.Close()
				<-ended
				t.Fatalf("Restore waits, behind %d records", restored)
			}
			kinds := make(chan hub.RecordKind, 10)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() {
				for r := range s.Follow(ctx) {
					kinds <- r.Kind
				}
			}()
			appendRefs(t, writer, 1, 2)
			for n, late := 0, time.After(10*time.Second); ; n++ {
				select {
				case kind := <-kinds:
					if n == 0 && kind != hub.RecordLost || kind != hub.RecordLost && kind != hub.RecordAlive {
						t.Errorf("record %d is of kind %d", n, kind)
					}
					if kind == hub.RecordAlive {
						return
					}
				case <-late:
					t.Fatal("what was appended does not come")
				}
			}
		})
	}
}

// TestShutdownLosesLog: the server loses the log, with an event that was appended and has not
// come back yet, while its hub shuts down. Shutdown does not wait for that.
func TestShutdownLosesLog(t *testing.T) {
	server := redistest.Start(t)
	ways := [2]*faultnet.Proxy{redistest.NewProxy(t, server.Addr), redistest.NewProxy(t, server.Addr)}
	var dials atomic.Int32
	store, err := redis.OpenStore(t.Context(), server.URL(), &redis.Options{OnFault: quiet, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		way := ways[min(dials.Add(1)-1, 1)] // the first is for appending
		return new(net.Dialer).DialContext(ctx, network, way.Addr)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	h, err := hub.New(hub.Options{Relay: true, Store: store, OnFault: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	ways[1].Cut()
	admin := server.Client()
	entries := func() int64 {
		n, err := admin.Do(t.Context(), admin.B().Xlen().Key("et:hubs:log").Build()).AsInt64()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := entries()
	accepted, down := make(chan error, 1), make(chan error, 1)
	go func() { accepted <- h.Dispatch(t.Context(), event{Type: "n"}) }()
	eventually(t, "the event is in the log", func() bool { return entries() > before })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	go func() { down <- h.Shutdown(ctx) }()
	eventually(t, "the hub refuses events", func() bool { return h.State() != eventtarget.StateUp })
	server.Do("FLUSHALL")
	ways[1].Heal()
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-accepted; !errors.Is(err, eventtarget.ErrUnknownOutcome) {
		t.Errorf("Dispatch: %v", err)
	}
}
