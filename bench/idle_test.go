package bench

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	idleEnv   = "BENCH_IDLE"
	idleMost  = 20000 // connections
	idleGroup = 10000 // connections of one process at the other end
)

// idleSide is what may wait in a process of its own.
type idleSide struct {
	name, path string
	begin      opening
}

var idleSides = []idleSide{
	{"tcp", "/ws", rawWebSockets(true)},
	{"wsserver", "/ws", ourWebSockets},
	{"wsserver-sessions", "/ws/session", ourWebSockets},
	{"gws", "/ws", gwsBroadcaster},
	{"gorilla", "/ws", gorillaHub},
	{"melody", "/ws", melodyBroadcast},
	{"centrifuge", centrifugePath, centrifugeNode},
}

// BenchmarkIdle has connections wait on a server that is a process of its own, and
// then sends all of them one message, five times. rss-B/conn is by how much the server
// has grown for each, of which heap-B/conn and stack-B/conn are the Go heap and the
// goroutines' stacks; after-B/conn is the same behind the messages. The kernel's memory
// for the sockets is in none of them. broadcast-ms is the median from the publishing to
// the last connection having read, most-ms the longest.
func BenchmarkIdle(b *testing.B) {
	for _, s := range idleSides {
		for _, n := range some(1000, 5000, 10000, idleMost) {
			if most := openFiles() - 100; n > most {
				n = most // a process may open no more here
			}
			b.Run(fmt.Sprintf("conns=%d/%s", n, s.name), func(b *testing.B) {
				for b.Loop() {
					idle(b, s.name, s.path, n)
				}
			})
		}
	}
}

func idle(b *testing.B, name, path string, n int) {
	const broadcasts = 5
	server := start(b, idleEnv, fmt.Sprintf("%s %d", name, n))
	addr, before := server.expect("listens"), server.weigh()
	var groups []*clients
	for left := n; left > 0; left -= idleGroup {
		c := start(b, crowdEnv, fmt.Sprintf("%s %s %d %d 1", addr, path, min(left, idleGroup), broadcasts+1))
		c.expect("up")
		groups = append(groups, c)
	}
	server.tell("joined")
	server.expect("joined")
	waiting := server.weigh()
	var took []float64
	for range broadcasts {
		server.tell("publish")
		began, last := server.when("published"), time.Time{}
		for _, c := range groups {
			if t := c.when("read"); t.After(last) {
				last = t
			}
		}
		took = append(took, last.Sub(began).Seconds()*1e3)
	}
	after := server.weigh()
	server.tell("publish") // so that they end
	server.when("published")
	for _, c := range groups {
		c.when("read")
	}
	for _, c := range groups {
		c.wait()
	}
	server.tell("end")
	server.wait()
	slices.Sort(took)
	each := func(now, then int) float64 { return float64(now-then) / float64(n) }
	b.ReportMetric(each(waiting.resident, before.resident), "rss-B/conn")
	b.ReportMetric(each(waiting.heap, before.heap), "heap-B/conn")
	b.ReportMetric(each(waiting.stacks, before.stacks), "stack-B/conn")
	b.ReportMetric(each(after.resident, before.resident), "after-B/conn")
	b.ReportMetric(took[broadcasts/2], "broadcast-ms")
	b.ReportMetric(took[broadcasts-1], "most-ms")
	b.ReportMetric(0, "ns/op") // of connecting, mostly
}

// weight is what a process takes, in bytes.
type weight struct{ resident, heap, stacks int }

// idleServer is the process that is weighed. It does what its input says.
func idleServer(spec string) error {
	var name string
	var n int
	if _, err := fmt.Sscan(spec, &name, &n); err != nil {
		return err
	}
	at := slices.IndexFunc(idleSides, func(s idleSide) bool { return s.name == name })
	s := idleSides[at].begin(n, log.Fatal)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = server.Serve(l) }()
	fmt.Println("listens", l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		switch in.Text() {
		case "weigh":
			w, err := weighed()
			if err != nil {
				return err
			}
			fmt.Println("weighs", w.resident, w.heap, w.stacks)
		case "joined":
			<-s.joined
			fmt.Println("joined")
		case "publish":
			fmt.Println("published", time.Now().UnixNano())
			s.publish(1)
		case "end":
			return nil
		}
	}
	return io.ErrUnexpectedEOF
}

// weighed collects the garbage, gives free memory back, and says what is left.
func weighed() (weight, error) {
	runtime.GC() // what has a finalizer goes with the second
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	resident, err := residentMemory()
	return weight{resident, int(m.HeapInuse), int(m.StackInuse)}, err
}

// residentMemory is that of this process; 0 where the system does not tell it so.
func residentMemory() (int, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	return pages * os.Getpagesize(), err
}

// weigh asks a server what it takes.
func (c *clients) weigh() (w weight) {
	c.b.Helper()
	c.tell("weigh")
	if _, err := fmt.Sscan(c.expect("weighs"), &w.resident, &w.heap, &w.stacks); err != nil {
		c.b.Fatal(err)
	}
	return w
}

// when waits for a word that stands with a time.
func (c *clients) when(word string) time.Time {
	c.b.Helper()
	ns, err := strconv.ParseInt(c.expect(word), 10, 64)
	if err != nil {
		c.b.Fatal(err)
	}
	return time.Unix(0, ns)
}
