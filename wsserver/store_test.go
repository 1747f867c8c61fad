package wsserver_test

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/hub/filestore"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// storedHub is the child: a hub that relays, unless it is told otherwise, and keeps what
// it needs in a folder.
func storedHub(addr, dir string) error {
	store, err := filestore.Open(dir, nil)
	if err != nil {
		return err
	}
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{
		Relay: os.Getenv(storedHubKind) != "own", Store: store, OnFault: func(f eventtarget.Fault) { fmt.Fprintln(os.Stderr, f) },
	}})
	if err != nil {
		return err
	}
	if book := os.Getenv(storedHubBook); book != "" {
		if err := keepBook(h.Hub, book); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return (&http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}).Serve(l)
}

const (
	storedHubDir  = "EVENTTARGET_TEST_STORE"
	storedHubAddr = "EVENTTARGET_TEST_ADDR"
	storedHubKind = "EVENTTARGET_TEST_KIND"
	storedHubBook = "EVENTTARGET_TEST_BOOK"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(storedHubDir); dir != "" {
		fmt.Fprintln(os.Stderr, storedHub(os.Getenv(storedHubAddr), dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// startStored starts the child and returns where it listens.
func startStored(t *testing.T, addr, dir string) (string, *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), storedHubDir+"="+dir, storedHubAddr+"="+addr)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line), cmd
}

// TestNemesisKilledHub: spokes talk to each other while the process of their hub is
// killed again and again, and goes on from its store. Nothing is lost, doubled or out of
// order.
func TestNemesisKilledHub(t *testing.T) {
	var history nemesis.History
	dir := t.TempDir()
	addr, process := startStored(t, "127.0.0.1:0", dir)
	topic := eventtarget.T("n", "")
	names := []string{"ada", "grace", "edsger"}
	publishers := make(map[string]*nemesis.Publisher)
	for _, name := range names {
		publishers[name] = history.Publisher(name)
	}
	clients := make(map[string]*wsclient.Client)
	var fresh atomic.Int32
	for i, name := range names {
		var others []*nemesis.Publisher
		for _, other := range names {
			if other != name {
				others = append(others, publishers[other])
			}
		}
		l := history.Listener(name, others...)
		c, err := wsclient.New("ws://"+addr, &wsclient.Options{Options: link.Options{
			Subscribe: i > 0, // the first one is sent everything
			OnState: func(c link.Change) {
				if c.State == eventtarget.StateUp && !c.Resumed {
					fresh.Add(1)
				}
			},
			OnFault: l.Fault, Backoff: link.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond},
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Add(t.Context(), topic, eventtarget.Func(l.Handle)); err != nil {
			t.Fatal(err)
		}
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		clients[name] = c
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, len(names))
	for _, name := range names {
		go func() { ended <- publishers[name].Traffic(ctx, math.MaxInt, clients[name], topic, 2*time.Millisecond) }()
	}
	random := nemesis.Rand(t)
	kills := nemesis.Times(200)
	for range kills {
		pause := time.NewTimer(time.Duration(random.IntN(100)) * time.Millisecond)
		<-pause.C
		for _, c := range clients {
			if err := c.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := process.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = process.Wait()
		_, process = startStored(t, addr, dir)
	}
	cancel()
	for range names {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	v := history.Await(t, 30*time.Second)
	t.Logf("%d kills", kills)
	if v.LostAnnounced > 0 {
		t.Errorf("with the window held %d events were lost", v.LostAnnounced)
	}
	if n := fresh.Load(); int(n) != len(names) {
		t.Errorf("%d sessions were begun by %d clients", n, len(names))
	}
}
