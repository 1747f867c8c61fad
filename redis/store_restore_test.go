package redis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// longLog is how many records a log has that no reader takes in before anybody asks for them.
const longLog = 3000

// openLong opens a store with a long log on a server, and returns where its faults go.
func openLong(t *testing.T, server *redistest.Server, o redis.Options) (*redis.Store, <-chan eventtarget.Fault) {
	t.Helper()
	appendRefs(t, openStore(t, server, quiet), 0, longLog)
	faults := make(chan eventtarget.Fault, 1000)
	o.Prefix, o.OnFault = "shared", func(f eventtarget.Fault) { faults <- f }
	s, err := redis.OpenStore(t.Context(), server.URL(), &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, faults
}

// newOn begins a hub with a store, and returns how that ended. The hub ends with the test.
func newOn(t *testing.T, s *redis.Store) <-chan error {
	ended := make(chan error, 1)
	began := make(chan *hub.Hub, 1)
	go func() {
		h, err := hub.New(hub.Options{Relay: true, Store: s, OnFault: quiet})
		began <- h
		ended <- err
	}()
	t.Cleanup(func() {
		s.Close() // lets a hub begin in vain that waits for it
		if h := <-began; h != nil {
			h.Close()
			<-h.Done()
		}
	})
	return ended
}

// TestRestoreServerGone: Redis goes away between OpenStore and hub.New, which says so
// instead of waiting.
func TestRestoreServerGone(t *testing.T) {
	server := redistest.Start(t)
	s, _ := openLong(t, server, redis.Options{Timeout: 300 * time.Millisecond, DialTimeout: 300 * time.Millisecond})
	server.Kill()
	select {
	case err := <-newOn(t, s):
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hub.New without Redis: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("hub.New waits for Redis")
	}
}

// TestRestoreServerBack: it goes on when Redis is back soon.
func TestRestoreServerBack(t *testing.T) {
	server := redistest.Start(t, keeps...)
	s, faults := openLong(t, server, redis.Options{})
	server.Kill()
	ended := newOn(t, s)
	for late := time.After(10 * time.Second); ; {
		select {
		case f := <-faults:
			if f.Kind != eventtarget.FaultDisconnected {
				continue
			}
		case <-late:
			t.Fatal("the loss of the connection was not told")
		}
		break
	}
	select {
	case err := <-ended:
		t.Fatalf("hub.New has not waited for Redis: %v", err)
	default:
	}
	server.Restart()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("hub.New with Redis back: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("hub.New does not go on")
	}
}
