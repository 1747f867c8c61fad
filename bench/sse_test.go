package bench

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	r3labs "github.com/r3labs/sse/v2"
	gosse "github.com/tmaxmax/go-sse"

	"github.com/eventtarget-go/toolkit/ssehub"
)

// BenchmarkSSE: the same events to 5000 responses through raw TCP, the hub and others,
// with 50 in flight and with one.
func BenchmarkSSE(b *testing.B) {
	n := 5000
	if most := openFiles() - 100; most < n { // the hub's end of each; the clients are elsewhere
		n = most
		b.Logf("only %d connections: this process may open no more files", n)
	}
	sides := []struct {
		name   string
		path   string
		begin  func(*testing.B, int) side
		sweeps bool
	}{
		{"tcp-write", "/sse", func(_ *testing.B, n int) side { return rawTCP(n, streaming, chunk(), false) }, false},
		{"tcp-sweep", "/sse", func(_ *testing.B, n int) side { return rawTCP(n, streaming, chunk(), true) }, true},
		{"ssehub", "/sse", ourEvents, true},
		{"go-sse", "/sse", goSSE, false},
		{"r3labs", "/sse?stream=bench", r3labsSSE, false},
	}
	for _, inFlight := range []struct{ burst, bursts, sweeps int }{{50, 3, 40}, {1, 40, 40}} {
		for _, s := range sides {
			b.Run(fmt.Sprintf("inflight=%d/%s", inFlight.burst, s.name), func(b *testing.B) {
				bursts := inFlight.bursts
				if s.sweeps { // so that it takes as long
					bursts = inFlight.sweeps
				}
				for b.Loop() {
					race(b, s.begin(b, n), s.path, n, few(bursts), inFlight.burst)
				}
			})
		}
	}
}

// streaming answers a request for events.
const streaming = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

// chunk is an event as a chunk of a response.
func chunk() []byte {
	event := "id: 1\nevent: bench\ndata: " + string(envelope()) + "\n\n"
	return fmt.Appendf(nil, "%x\r\n%s\r\n", len(event), event)
}

func ourEvents(b *testing.B, n int) side {
	o, joined := count(n)
	h, err := ssehub.New(&ssehub.Options{Options: o})
	if err != nil {
		b.Fatal(err)
	}
	return side{h, joined, dispatcher(b.Fatal, h.Hub), closeHub(h.Hub)}
}

// doorman sees who subscribes to go-sse, where no event can come between, and lets them
// have the head of the response, which would else come with the first event.
type doorman struct{ *room[gosse.MessageWriter] }

func (doorman) Put(msg *gosse.Message, _ []string) (*gosse.Message, error) { return msg, nil }

func (d doorman) Replay(s gosse.Subscription) error {
	d.enter(s.Client)
	return s.Client.Flush()
}

func goSSE(b *testing.B, n int) side {
	r := newRoom[gosse.MessageWriter](n)
	server := &gosse.Server{Provider: &gosse.Joe{Replayer: doorman{r}}}
	published := 0
	return side{server, r.joined, func(n int) {
		for range n {
			published++
			msg := &gosse.Message{ID: gosse.ID(strconv.Itoa(published)), Type: gosse.Type("bench")}
			msg.AppendData(string(envelope()))
			if err := server.Publish(msg); err != nil {
				b.Error(err)
			}
		}
	}, func() { _ = server.Shutdown(b.Context()) }}
}

func r3labsSSE(b *testing.B, n int) side {
	joined, left := make(chan struct{}), make(chan struct{})
	var in, out atomic.Int64
	server := r3labs.NewWithCallback(func(string, *r3labs.Subscriber) {
		if in.Add(1) == int64(n) {
			close(joined)
		}
	}, func(string, *r3labs.Subscriber) {
		if out.Add(1) == int64(n) {
			close(left)
		}
	})
	server.AutoReplay = false // keeps every event for ever
	server.CreateStream("bench")
	published := 0
	return side{server, joined, func(n int) {
		for range n {
			published++
			server.Publish("bench", &r3labs.Event{
				ID: []byte(strconv.Itoa(published)), Event: []byte("bench"), Data: envelope(),
			})
		}
	}, func() {
		select {
		case <-left: // each goes through the stream, which is closed then
		case <-time.After(5 * time.Second):
			b.Error("not everybody has left")
		}
		server.Close()
	}}
}
