package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/internal/quicconn"
	"github.com/eventtarget-go/toolkit/quichub"
)

const quicEnv = "BENCH_QUIC"

// What the clients of a secure side read from.
const (
	oneStream  = "stream"    // of QUIC, that they open
	eachStream = "streams"   // of QUIC, one for each message
	unreliable = "datagrams" // of QUIC, and a byte of a stream behind those of a burst
	overTCP    = "tls"
)

// secureSide is one side of a comparison with TLS 1.3 and certificates at both ends.
type secureSide struct {
	kind    string
	addr    string
	joined  <-chan struct{}
	publish func(n int)
	close   func()
}

type secureBegin func(b *testing.B, n int) secureSide

// BenchmarkFanOutQUIC: the same messages to 100 and 500 connections through the hub and
// through QUIC and TLS as they are.
func BenchmarkFanOutQUIC(b *testing.B) {
	sides := []struct {
		name      string
		begin     secureBegin
		coalesces bool
	}{
		{"quic-coalesced", func(b *testing.B, n int) secureSide { return rawQUIC(b, n, oneStream, coalesced) }, true},
		{"quichub", ourQUIC, true},
		{"quic-stream-per-message", func(b *testing.B, n int) secureSide { return rawQUIC(b, n, eachStream, streamPerMessage) }, false},
		{"quic-datagrams", func(b *testing.B, n int) secureSide { return rawQUIC(b, n, unreliable, datagrams) }, true},
		{"tls-write", func(b *testing.B, n int) secureSide { return rawTLS(b, n, false) }, false},
		{"tls-coalesced", func(b *testing.B, n int) secureSide { return rawTLS(b, n, true) }, true},
	}
	for _, n := range some(100, 500) {
		for _, inFlight := range []struct{ burst, bursts, coalesced int }{{200, 5, 200}, {16, 30, 500}, {1, 400, 400}} {
			for _, s := range sides {
				b.Run(fmt.Sprintf("conns=%d/inflight=%d/%s", n, inFlight.burst, s.name), func(b *testing.B) {
					bursts := inFlight.bursts
					if s.coalesces { // so that it takes as long
						bursts = inFlight.coalesced
					}
					for b.Loop() {
						secureRace(b, s.begin(b, n), n, few(bursts*100/n+1), inFlight.burst)
					}
				})
			}
		}
	}
}

// BenchmarkIdleQUIC: the memory that a server has for each connection on which nothing
// passes, after a collection: what is alive, and stacks.
func BenchmarkIdleQUIC(b *testing.B) {
	const n = 500
	for _, s := range []struct {
		name  string
		begin secureBegin
	}{
		{"quic", func(b *testing.B, n int) secureSide { return rawQUIC(b, n, oneStream, coalesced) }},
		{"quichub", ourQUIC},
		{"tls", func(b *testing.B, n int) secureSide { return rawTLS(b, n, true) }},
	} {
		b.Run(s.name, func(b *testing.B) {
			for b.Loop() {
				before := memory()
				side := s.begin(b, n)
				c := start(b, quicEnv, fmt.Sprintf("%s %s %d 1 1", side.addr, side.kind, n))
				c.expect("up")
				<-side.joined
				b.ReportMetric((memory()-before)/n/1024, "KiB/conn")
				b.ReportMetric(0, "ns/op")
				side.publish(1)
				c.expect("read")
				c.wait()
				side.close()
			}
		})
	}
}

func memory() float64 {
	runtime.GC()
	runtime.GC() // what the first one has found to be dead
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc + m.StackInuse)
}

// secureRace is race for a secure side.
func secureRace(b *testing.B, s secureSide, clients, bursts, burst int) {
	b.Helper()
	defer s.close()
	c := start(b, quicEnv, fmt.Sprintf("%s %s %d %d %d", s.addr, s.kind, clients, bursts, burst))
	c.expect("up")
	<-s.joined
	runtime.GC()
	used, begin := processorTime(), time.Now()
	for range bursts {
		s.publish(burst)
		c.expect("read")
	}
	took, used := time.Since(begin), processorTime()-used
	sent := float64(clients * bursts * burst)
	deliveries := sent
	if s.kind == unreliable {
		if _, err := fmt.Sscan(c.expect("arrived"), &deliveries); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(100*(1-deliveries/sent), "%lost")
	}
	c.wait()
	b.ReportMetric(deliveries/took.Seconds(), "deliveries/s")
	b.ReportMetric(float64(used.Nanoseconds())/deliveries, "cpu-ns/delivery")
	b.ReportMetric(0, "ns/op")
}

// anybody is an identity for either end: what is compared is not whom they talk to.
func anybody() identity.Config {
	key, err := identity.New()
	if err != nil {
		panic(err)
	}
	return identity.Config{Key: key, Insecure: true}
}

func serverTLS(b *testing.B) *tls.Config {
	b.Helper()
	c, err := anybody().Server(quicconn.PlainProtocol)
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func ourQUIC(b *testing.B, n int) secureSide {
	o, joined := count(n)
	h, err := quichub.Listen("127.0.0.1:0", &quichub.Options{
		Options: o, ListenerOptions: quichub.ListenerOptions{Identity: anybody()},
	})
	if err != nil {
		b.Fatal(err)
	}
	return secureSide{oneStream, h.Addr().String(), joined, dispatcher(b.Fatal, h.Hub), func() {
		_ = h.Close()
		<-h.Done()
	}}
}

// framed is envelope as the hub sends it over QUIC.
func framed() []byte {
	text := envelope()
	return append(quicconn.AppendHeader(nil, len(text)), text...)
}

// parcel is n messages, and all of them one behind the other.
type parcel struct {
	n   int
	all []byte
}

// toEach returns what gives the goroutine of each connection n messages to send.
func toEach(r *room[chan parcel]) func(n int) {
	return func(n int) {
		p := parcel{n, bytes.Repeat(framed(), n)}
		for _, queue := range r.conns {
			queue <- p
		}
	}
}

// rawQUIC is QUIC as it is. Each connection has a goroutine, since a write waits until
// most of it has left.
func rawQUIC(b *testing.B, n int, kind string, write func(*quic.Conn, *quic.Stream, parcel) error) secureSide {
	times, err := quicconn.Times{}.WithDefaults()
	if err != nil {
		b.Fatal(err)
	}
	config := quicconn.Config(times, 1)
	config.EnableDatagrams = kind == unreliable
	l, err := quic.ListenAddr("127.0.0.1:0", serverTLS(b), config)
	if err != nil {
		b.Fatal(err)
	}
	r := newRoom[chan parcel](n)
	go func() {
		for {
			c, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			go func() {
				s, err := c.AcceptStream(context.Background())
				if err != nil {
					return
				}
				queue := make(chan parcel, 1)
				r.enter(queue)
				for p := range queue {
					if err := write(c, s, p); err != nil {
						b.Error(err)
					}
				}
			}()
		}
	}()
	return secureSide{kind, l.Addr().String(), r.joined, toEach(r), func() {
		for _, queue := range r.conns {
			close(queue)
		}
		_ = l.Close()
	}}
}

func coalesced(_ *quic.Conn, s *quic.Stream, p parcel) error {
	_, err := s.Write(p.all)
	return err
}

func streamPerMessage(c *quic.Conn, _ *quic.Stream, p parcel) error {
	size := len(p.all) / p.n
	for i := range p.n {
		s, err := c.OpenUniStreamSync(context.Background())
		if err != nil {
			return err
		}
		if _, err := s.Write(p.all[i*size : (i+1)*size]); err != nil {
			return err
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// rawTLS is TLS over TCP: a write for each message, or one for all that there are.
func rawTLS(b *testing.B, n int, coalesces bool) secureSide {
	l, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS(b))
	if err != nil {
		b.Fatal(err)
	}
	r := newRoom[chan parcel](n)
	serve := func(c *tls.Conn) {
		defer c.Close()
		if c.HandshakeContext(context.Background()) != nil {
			return
		}
		queue := make(chan parcel, 1)
		r.enter(queue)
		for p := range queue {
			size := len(p.all)
			if !coalesces {
				size /= p.n
			}
			for at := 0; at < len(p.all); at += size {
				if _, err := c.Write(p.all[at : at+size]); err != nil {
					b.Error(err)
				}
			}
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c.(*tls.Conn))
		}
	}()
	return secureSide{overTCP, l.Addr().String(), r.joined, toEach(r), func() {
		for _, queue := range r.conns {
			close(queue)
		}
		_ = l.Close()
	}}
}

// secureCrowd is the other end of secureRace.
func secureCrowd(spec string) error {
	var addr, kind string
	var n, bursts, burst int
	if _, err := fmt.Sscan(spec, &addr, &kind, &n, &bursts, &burst); err != nil {
		return err
	}
	security, err := anybody().Client(quicconn.PlainProtocol)
	if err != nil {
		return err
	}
	readers := make([]io.Reader, n)
	for i := range readers {
		if readers[i], err = enterSecure(addr, kind, security); err != nil {
			return err
		}
	}
	fmt.Println("up")
	if kind == unreliable {
		return hearDatagrams(readers, bursts)
	}
	done := make([]atomic.Int64, bursts)
	failed := make([]error, n)
	var wg sync.WaitGroup
	for i, r := range readers {
		wg.Go(func() {
			buf := make([]byte, 8<<10)
			size := 0
			for seen := 0; seen < bursts*burst; {
				k, err := r.Read(buf)
				if err != nil {
					failed[i] = err
					return
				}
				size += k
				whole := seen / burst
				seen += bytes.Count(buf[:k], []byte{marker})
				if seen/burst > whole && done[whole].Add(1) == int64(n) {
					fmt.Println("read")
				}
			}
			if least := bursts * burst * len(envelope()); size < least {
				failed[i] = fmt.Errorf("%d bytes are counted as messages of %d", size, least)
			}
		})
	}
	wg.Wait()
	return errors.Join(failed...)
}

// enterSecure connects, each time from a socket of its own.
func enterSecure(addr, kind string, security *tls.Config) (io.Reader, error) {
	if kind == overTCP {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return nil, err
		}
		t := tls.Client(c, security)
		return t, t.HandshakeContext(context.Background())
	}
	times, err := quicconn.Times{}.WithDefaults()
	if err != nil {
		return nil, err
	}
	config := quicconn.Config(times, -1)
	config.EnableDatagrams = kind == unreliable
	if kind == eachStream {
		config.MaxIncomingUniStreams, config.RequireStreamCreditRelease = 1000, false
	}
	conn, err := quic.DialAddr(context.Background(), addr, security, config)
	if err != nil {
		return nil, err
	}
	s, err := conn.OpenStream()
	if err != nil {
		return nil, err
	}
	if _, err := s.Write(make([]byte, 4)); err != nil { // so that the server sees it
		return nil, err
	}
	switch kind {
	case eachStream:
		return &streams{conn: conn}, nil
	case unreliable:
		return &packets{s, conn}, nil
	}
	return s, nil
}

// streams reads one stream behind the other.
type streams struct {
	conn *quic.Conn
	in   *quic.ReceiveStream
}

func (s *streams) Read(b []byte) (n int, err error) {
	if s.in == nil {
		if s.in, err = s.conn.AcceptUniStream(context.Background()); err != nil {
			return 0, err
		}
	}
	if n, err = s.in.Read(b); errors.Is(err, io.EOF) {
		s.in, err = nil, nil
	}
	return n, err
}
