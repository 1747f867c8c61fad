package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gorilla/websocket"
	"github.com/lxzan/gws"
	"github.com/olahol/melody"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// BenchmarkFanOutPeers: the same messages to so many WebSocket connections through raw
// TCP, the hub and others, with 200 messages in flight, with 16 and with one.
func BenchmarkFanOutPeers(b *testing.B) {
	sides := []struct {
		name   string
		begin  opening
		sweeps bool
	}{
		{"tcp-write", rawWebSockets(false), false},
		{"tcp-sweep", rawWebSockets(true), true},
		{"wsserver", ourWebSockets, true},
		{"coder", coderLoop, false},
		{"gorilla", gorillaHub, false},
		{"gws", gwsBroadcaster, false},
		{"melody", melodyBroadcast, false},
		{"centrifuge", centrifugeNode, false},
	}
	for _, inFlight := range []struct{ burst, bursts, sweeps int }{{200, 5, 50}, {16, 50, 200}, {1, 200, 200}} {
		for _, s := range sides {
			b.Run(fmt.Sprintf("conns=%d/payload=%d/inflight=%d/%s", connections, payloadSize, inFlight.burst, s.name), func(b *testing.B) {
				bursts := inFlight.bursts
				if s.sweeps { // so that it takes as long
					bursts = inFlight.sweeps
				}
				bursts = few(bursts * 1000 / connections)
				path := "/ws"
				if s.name == "centrifuge" {
					path = centrifugePath
				}
				for b.Loop() {
					race(b, s.begin(connections, b.Fatal), path, connections, bursts, inFlight.burst)
				}
			})
		}
	}
}

// opening begins a side for n connections; fail ends the benchmark, or the process that
// the side has to itself.
type opening func(n int, fail func(...any)) side

// rawWebSockets is rawTCP to those who ask for WebSockets.
func rawWebSockets(sweep bool) opening {
	return func(n int, _ func(...any)) side { return rawTCP(n, switching, frame(), sweep) }
}

// frame is envelope as a text frame without a mask.
func frame() []byte {
	text := envelope()
	return append([]byte{0x81, 126, byte(len(text) >> 8), byte(len(text))}, text...)
}

// switching answers an upgrade as far as the crowd looks at it.
const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// room gathers n connections.
type room[C any] struct {
	mu     sync.Mutex
	n      int
	conns  []C
	joined chan struct{}
}

func newRoom[C any](n int) *room[C] { return &room[C]{n: n, joined: make(chan struct{})} }

func (r *room[C]) enter(c C) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns = append(r.conns, c); len(r.conns) == r.n {
		close(r.joined)
	}
}

// rawTCP is the floor: a write(2) for each connection and message, or, as a sweep, for
// each connection and as many messages as there are, by as many goroutines as there are
// processors here.
func rawTCP(n int, answer string, msg []byte, sweep bool) side {
	r := newRoom[net.Conn](n)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if _, err := c.Write([]byte(answer)); err == nil {
			r.enter(c)
		}
	})
	publish := func(n int) {
		for range n {
			for _, c := range r.conns {
				_, _ = c.Write(msg)
			}
		}
	}
	if sweep {
		publish = func(n int) {
			var all []byte
			for range n {
				all = append(all, msg...)
			}
			half := len(r.conns) / 2
			var wg sync.WaitGroup
			for _, conns := range [][]net.Conn{r.conns[:half], r.conns[half:]} {
				wg.Go(func() {
					for _, c := range conns {
						_, _ = c.Write(all)
					}
				})
			}
			wg.Wait()
		}
	}
	return side{handler, r.joined, publish, func() {
		for _, c := range r.conns {
			_ = c.Close()
		}
	}}
}

// count returns hub options that tell when n spokes are there.
func count(n int) (hub.Options, <-chan struct{}) {
	joined := make(chan struct{})
	var spokes atomic.Int64
	return hub.Options{
		Misses: math.MaxInt, // pings are not answered, and for 20 000 to come may take a minute
		OnConnect: func(*hub.Spoke) {
			if spokes.Add(1) == int64(n) {
				close(joined)
			}
		},
		OnFault: func(eventtarget.Fault) {}, // that the client hangs up
	}, joined
}

// dispatcher publishes through a hub.
func dispatcher(fail func(...any), h *hub.Hub) func(int) {
	e := eventtarget.Event[eventtarget.Raw]{Type: "bench", ID: "x", Payload: eventtarget.Raw(payload())}
	return func(n int) {
		for range n {
			if err := h.Dispatch(context.Background(), e); err != nil {
				fail(err)
			}
		}
	}
}

func closeHub(h *hub.Hub) func() {
	return func() {
		_ = h.Close()
		<-h.Done()
	}
}

func ourWebSockets(n int, fail func(...any)) side {
	o, joined := count(n)
	h, err := wsserver.New(&wsserver.Options{Options: o})
	if err != nil {
		fail(err)
	}
	return side{h, joined, dispatcher(fail, h.Hub), closeHub(h.Hub)}
}

// coderLoop is a loop over the connections that writes to each, with the library that
// the hub is made of.
func coderLoop(n int, fail func(...any)) side {
	r := newRoom[*coder.Conn](n)
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, err := coder.Accept(w, req, nil)
		if err != nil {
			return
		}
		go func() { _, _, _ = c.Read(context.Background()) }()
		r.enter(c)
	})
	text := envelope()
	return side{handler, r.joined, func(n int) {
		for range n {
			for _, c := range r.conns {
				if err := c.Write(context.Background(), coder.MessageText, text); err != nil {
					fail(err)
				}
			}
		}
	}, func() {
		for _, c := range r.conns {
			_ = c.CloseNow()
		}
	}}
}

// gorillaHub is the library's chat example with prepared messages: a goroutine and a
// channel for each connection. It waits for one that is behind, where the example would
// drop it.
func gorillaHub(n int, fail func(...any)) side {
	r := newRoom[chan *websocket.PreparedMessage](n)
	var upgrader websocket.Upgrader
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, err := upgrader.Upgrade(w, req, nil)
		if err != nil {
			return
		}
		queue := make(chan *websocket.PreparedMessage, 256)
		go func() {
			defer c.Close()
			for msg := range queue {
				_ = c.SetWriteDeadline(time.Now().Add(time.Minute))
				if c.WritePreparedMessage(msg) != nil {
					return
				}
			}
		}()
		go func() { _, _, _ = c.ReadMessage() }()
		r.enter(queue)
	})
	text := envelope()
	return side{handler, r.joined, func(n int) {
		for range n {
			msg, err := websocket.NewPreparedMessage(websocket.TextMessage, text)
			if err != nil {
				fail(err)
			}
			for _, queue := range r.conns {
				queue <- msg
			}
		}
	}, func() {
		for _, queue := range r.conns {
			close(queue)
		}
	}}
}

func gwsBroadcaster(n int, fail func(...any)) side {
	r := newRoom[*gws.Conn](n)
	upgrader := gws.NewUpgrader(&gws.BuiltinEventHandler{}, nil)
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, err := upgrader.Upgrade(w, req)
		if err != nil {
			return
		}
		go c.ReadLoop()
		r.enter(c)
	})
	text := envelope()
	return side{handler, r.joined, func(n int) {
		for range n {
			msg := gws.NewBroadcaster(gws.OpcodeText, text)
			for _, c := range r.conns {
				if err := msg.Broadcast(c); err != nil {
					fail(err)
				}
			}
			_ = msg.Close()
		}
	}, func() {
		for _, c := range r.conns {
			_ = c.NetConn().Close()
		}
	}}
}

func melodyBroadcast(n int, fail func(...any)) side {
	r := newRoom[*melody.Session](n)
	m := melody.New()
	m.Config.WriteWait = time.Minute
	m.HandleConnect(r.enter)
	m.HandleError(func(_ *melody.Session, err error) {
		if errors.Is(err, melody.ErrMessageBufferFull) {
			fail(err)
		}
	})
	handler := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { _ = m.HandleRequest(w, req) })
	text := envelope()
	return side{handler, r.joined, func(n int) {
		for range n {
			if err := m.Broadcast(text); err != nil {
				fail(err)
			}
		}
	}, func() { _ = m.Close() }}
}
