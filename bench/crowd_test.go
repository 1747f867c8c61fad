package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

const (
	crowdEnv = "BENCH_CROWD"
	// marker stands at the end of every message and nowhere else, whatever frames it: a
	// client counts it. It is no byte of a frame's header, whose length is 126 as a
	// rule, and no digit of a chunk's.
	marker = '@'
)

// What is compared at 1000 connections and 128 B can be compared at others.
var (
	connections = fromEnv("BENCH_CONNECTIONS", 1000)
	payloadSize = fromEnv("BENCH_PAYLOAD", 128)
)

// fromEnv is a number that the environment may set, for this process and its clients.
func fromEnv(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// few is n, or with -short a tenth of that, and at least 1.
func few(n int) int {
	if testing.Short() {
		n /= 10
	}
	return max(1, n)
}

// some is all sizes that a benchmark has, or with -short the first.
func some(sizes ...int) []int {
	if testing.Short() {
		return sizes[:1]
	}
	return sizes
}

// payload is JSON of payloadSize bytes with a marker.
func payload() string { return `"` + strings.Repeat("x", payloadSize-3) + string(marker) + `"` }

// envelope is what the hub makes of payload; everybody sends it.
func envelope() []byte { return []byte(`{"type":"bench","id":"x","payload":` + payload() + `}`) }

// side is one side of a comparison.
type side struct {
	handler http.Handler
	joined  <-chan struct{} // closed when every client is
	publish func(n int)     // n messages to everybody
	close   func()
}

// race lets a side publish so many bursts of so many messages to a crowd in another
// process. A burst begins when everybody has read the one before, so that as much is in
// flight for every side.
func race(b *testing.B, s side, path string, clients, bursts, burst int) {
	b.Helper()
	addr, stop := serve(b, s.handler, isSecure(path))
	defer s.close()
	defer stop()
	c := start(b, crowdEnv, fmt.Sprintf("%s %s %d %d %d", addr, path, clients, bursts, burst))
	c.expect("up")
	<-s.joined
	runtime.GC() // what the side before has left
	used, begin := processorTime(), time.Now()
	for range bursts {
		s.publish(burst)
		c.expect("read")
	}
	took, used := time.Since(begin), processorTime()-used
	c.wait()
	deliveries := float64(clients * bursts * burst)
	b.ReportMetric(deliveries/took.Seconds(), "deliveries/s")
	b.ReportMetric(float64(used.Nanoseconds())/deliveries, "cpu-ns/delivery")
	b.ReportMetric(0, "ns/op") // of connecting, mostly
}

// serve returns the address of a server and what stops it.
func serve(b *testing.B, handler http.Handler, secure bool) (addr string, stop func()) {
	b.Helper()
	l := listen(b, secure)
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0), // go-sse answers again when all is over
	}
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), func() { _ = server.Close() }
}

// clients is this binary run as the other end.
type clients struct {
	b     *testing.B
	cmd   *exec.Cmd
	in    io.Writer
	lines *bufio.Scanner
}

func start(b *testing.B, env, spec string) *clients {
	b.Helper()
	c := &clients{b: b, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), env+"="+spec)
	c.cmd.Stderr = os.Stderr
	in, failed := c.cmd.StdinPipe()
	out, err := c.cmd.StdoutPipe()
	if err := errors.Join(failed, err); err != nil {
		b.Fatal(err)
	}
	c.in = in
	c.lines = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.cmd.Process.Kill() }) // unless it has ended
	return c
}

// tell writes a line to its input.
func (c *clients) tell(word string) {
	c.b.Helper()
	if _, err := fmt.Fprintln(c.in, word); err != nil {
		c.b.Fatal(err)
	}
}

// expect waits for a line that begins with a word, and returns what follows.
func (c *clients) expect(word string) string {
	c.b.Helper()
	late := time.AfterFunc(time.Minute, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	c.lines.Scan()
	first, rest, _ := strings.Cut(c.lines.Text(), " ")
	if first != word {
		c.b.Fatalf("the clients say %q, not %q", c.lines.Text(), word)
	}
	return rest
}

func (c *clients) wait() {
	c.b.Helper()
	if err := c.cmd.Wait(); err != nil {
		c.b.Fatal(err)
	}
}

// crowd is the other end of race.
func crowd(spec string) error {
	var addr, path string
	var n, bursts, burst int
	if _, err := fmt.Sscan(spec, &addr, &path, &n, &bursts, &burst); err != nil {
		return err
	}
	conns := make([]net.Conn, n)
	for i := range conns {
		var err error
		var r *bufio.Reader
		if conns[i], r, err = enter(addr, path); err != nil {
			return err
		}
		switch {
		case strings.HasSuffix(path, "/session"):
			err = greet(conns[i], r)
		case path == centrifugePath:
			err = introduce(conns[i], r, centrifugeConnect)
		}
		if err != nil {
			return err
		}
	}
	fmt.Println("up")
	done := make([]atomic.Int64, bursts)
	failed := make(chan error, n)
	for _, c := range conns {
		go func() {
			buf := make([]byte, 8<<10)
			size := 0
			for seen := 0; seen < bursts*burst; {
				k, err := c.Read(buf)
				if err != nil {
					failed <- err
					return
				}
				size += k
				whole := seen / burst
				seen += bytes.Count(buf[:k], []byte{marker})
				if seen/burst > whole && done[whole].Add(1) == int64(n) {
					fmt.Println("read", time.Now().UnixNano())
				}
			}
			if least := bursts * burst * len(envelope()); size < least {
				failed <- fmt.Errorf("%d bytes are counted as messages of %d", size, least)
				return
			}
			failed <- nil
		}()
	}
	var errs []error
	for range conns {
		errs = append(errs, <-failed)
	}
	return errors.Join(errs...)
}

// enter asks for a stream: a WebSocket, that of a session if the path says so, or else
// events. What comes right behind the
// answer stands in the reader and holds no message.
func enter(addr, path string) (net.Conn, *bufio.Reader, error) {
	c, err := dial(addr, isSecure(path))
	if err != nil {
		return nil, nil, err
	}
	upgrade, want := "", http.StatusOK
	if strings.HasPrefix(path, "/ws") {
		want = http.StatusSwitchingProtocols
		upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		if strings.HasSuffix(path, "/session") {
			upgrade += "Sec-WebSocket-Protocol: eventtarget.v1\r\n"
		}
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", path, addr, upgrade); err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(c, 4<<10)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return nil, nil, err
	}
	if res.StatusCode != want {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
		return nil, nil, fmt.Errorf("%s: %s", res.Status, text)
	}
	return c, r, nil
}
