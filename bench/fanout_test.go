// Package bench compares the hub with others, side by side in one run, with the
// clients in a process of their own.
package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

const (
	messages  = 200 // of a round of the loop over Write; the hub gets more
	readerEnv = "BENCH_READER"
)

// TestMain makes this binary its own client: cheap readers on many connections.
func TestMain(m *testing.M) {
	for env, run := range map[string]func(spec string) error{readerEnv: read, crowdEnv: crowd, watchEnv: watcher, quicEnv: secureCrowd, idleEnv: idleServer} {
		if spec := os.Getenv(env); spec != "" {
			if err := run(spec); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	if what := os.Getenv(childEnv); what != "" {
		child(what)
		return
	}
	os.Exit(m.Run())
}

// read connects to "addr frames size session" and says when every connection is up
// and when each has read so many frames of that size behind the handshake. With a
// session it acknowledges them, as package link does.
func read(spec string) error {
	var addr string
	var frames, size int
	var session bool
	if _, err := fmt.Sscan(spec, &addr, &frames, &size, &session); err != nil {
		return err
	}
	offer := ""
	if session {
		offer = "Sec-WebSocket-Protocol: eventtarget.v1\r\n"
	}
	var wg sync.WaitGroup
	failed := make(chan error, connections)
	conns := make([]net.Conn, connections)
	readers := make([]*bufio.Reader, connections)
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n", addr, offer)
		conns[i], readers[i] = c, bufio.NewReaderSize(c, 16<<10)
		res, err := http.ReadResponse(readers[i], nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			return fmt.Errorf("upgrade: %v, %w", res, err)
		}
		if session {
			if err := greet(c, readers[i]); err != nil {
				return fmt.Errorf("greeting: %w", err)
			}
		}
	}
	fmt.Println("up")
	for i := range conns {
		wg.Go(func() {
			most := frames
			if session {
				most = max(1, (256<<10)/size) // a quarter of the window
			}
			for seen := 0; seen < frames; {
				n := min(most, frames-seen)
				if _, err := io.CopyN(io.Discard, readers[i], int64(n*size)); err != nil {
					failed <- err
					return
				}
				if seen += n; session {
					_, _ = conns[i].Write(masked(fmt.Sprintf(`{"type":"__ack","id":"","payload":{"received":%d}}`, seen)))
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
	}
	fmt.Println("read")
	return nil
}

// greet opens a session.
func greet(c net.Conn, r *bufio.Reader) error {
	return introduce(c, r, `{"type":"__hello","id":"","payload":{"version":1,"window":1048576}}`)
}

// introduce sends a first message, and reads the answer.
func introduce(c net.Conn, r *bufio.Reader, text string) error {
	if _, err := c.Write(masked(text)); err != nil {
		return err
	}
	header := make([]byte, 4)
	if _, err := io.ReadFull(r, header[:2]); err != nil {
		return err
	}
	size := int64(header[1])
	if size == 126 {
		if _, err := io.ReadFull(r, header[2:]); err != nil {
			return err
		}
		size = int64(binary.BigEndian.Uint16(header[2:]))
	}
	_, err := io.CopyN(io.Discard, r, size)
	return err
}

// masked returns a short text frame with a mask of zeros.
func masked(text string) []byte {
	return append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
}

// fanOut runs one round: a server, 1000 connections in another process, and n
// messages to each. It returns deliveries per second.
func fanOut(b *testing.B, handler http.Handler, joined <-chan struct{}, n, frame int, session bool, publish func(n int)) float64 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(l) }()
	defer server.Close()
	client := exec.Command(os.Args[0])
	client.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %d %v", readerEnv, l.Addr(), n, frame, session))
	client.Stderr = os.Stderr
	out, err := client.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := client.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "up" {
		b.Fatal("the client did not connect")
	}
	<-joined
	begin := time.Now()
	publish(n)
	if !lines.Scan() || lines.Text() != "read" {
		b.Fatal("the client did not read everything")
	}
	took := time.Since(begin)
	if err := client.Wait(); err != nil {
		b.Fatal(err)
	}
	return float64(n*connections) / took.Seconds()
}

func event() eventtarget.Event[eventtarget.Raw] {
	return eventtarget.Event[eventtarget.Raw]{
		Type: "bench", ID: "x", Payload: eventtarget.Raw(`"` + strings.Repeat("x", payloadSize-2) + `"`),
	}
}

// envelopeSize is what event is on the wire, with the frame's header.
var envelopeSize = len(`{"type":"bench","id":"x","payload":}`) + payloadSize + 4

// BenchmarkFanOut: deliveries per second to 1000 WebSocket connections, the hub
// beside a loop over the library's Write.
func BenchmarkFanOut(b *testing.B) {
	b.Run("coder", func(b *testing.B) {
		for b.Loop() {
			var mu sync.Mutex
			var conns []*websocket.Conn
			joined := make(chan struct{})
			handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := websocket.Accept(w, r, nil)
				if err != nil {
					return
				}
				mu.Lock()
				if conns = append(conns, c); len(conns) == connections {
					close(joined)
				}
				mu.Unlock()
				_, _, _ = c.Read(context.Background())
			})
			e := event()
			msg := []byte(`{"type":"bench","id":"x","payload":` + string(e.Payload) + `}`)
			rate := fanOut(b, handler, joined, messages, envelopeSize, false, func(n int) {
				for range n {
					for _, c := range conns {
						if err := c.Write(context.Background(), websocket.MessageText, msg); err != nil {
							b.Error(err)
						}
					}
				}
			})
			b.ReportMetric(rate, "deliveries/s")
			for _, c := range conns {
				_ = c.CloseNow()
			}
		}
	})
	b.Run("wsserver", func(b *testing.B) { fanOutOfHub(b, false) })
	b.Run("wsserver-sessions", func(b *testing.B) { fanOutOfHub(b, true) })
}

func fanOutOfHub(b *testing.B, session bool) {
	for b.Loop() {
		var spokes atomic.Int64
		joined := make(chan struct{})
		h, err := wsserver.New(&wsserver.Options{Options: hub.Options{
			OnConnect: func(*hub.Spoke) {
				if spokes.Add(1) == int64(connections) {
					close(joined)
				}
			},
			OnFault: func(eventtarget.Fault) {}, // that the client hangs up
		}})
		if err != nil {
			b.Fatal(err)
		}
		rate := fanOut(b, h, joined, 20*messages, envelopeSize, session, func(n int) {
			e := event()
			for range n {
				if err := h.Dispatch(context.Background(), e); err != nil {
					b.Error(err)
				}
			}
		})
		b.ReportMetric(rate, "deliveries/s")
		_ = h.Close()
		<-h.Done()
	}
}
