package quichub_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// TestMain makes this binary the children, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 6 && os.Args[1] == "child" {
		if err := child(os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// quick finds a dead peer within 3 s.
const quick = 2 * time.Second

// child is a hub at an address, or a spoke of the one that is there, with the key in a
// file. It says where it is, or "up", and ends with its standard input.
func child(what, address, keyFile, peer string) error {
	key, err := identity.Load(keyFile)
	if err != nil {
		return err
	}
	pin, err := identity.ParsePin(peer)
	if err != nil {
		return err
	}
	who := identity.Config{Key: key, Pins: []identity.Pin{pin}}
	switch what {
	case "hub":
		h, err := quichub.Listen(address, &quichub.Options{ListenerOptions: quichub.ListenerOptions{Identity: who}})
		if err != nil {
			return err
		}
		fmt.Println(h.Addr())
	case "spoke":
		s, err := quicspoke.New(address, &quicspoke.Options{Identity: who})
		if err != nil {
			return err
		}
		if err := s.Ready(context.Background()); err != nil {
			return err
		}
		fmt.Println("up")
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// process is a child.
type process struct {
	cmd  *exec.Cmd
	said string // its first line
}

func start(t *testing.T, what, address, keyFile string, peer *identity.Key) process {
	t.Helper()
	cmd := exec.Command(os.Args[0], "child", what, address, keyFile, peer.Pin().String())
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // stays open as long as this process lives
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := process{cmd: cmd}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the %s says %q: %v", what, line, err)
	}
	p.said = strings.TrimSpace(line)
	return p
}

// kill kills the child with SIGKILL, so that it says nothing to anybody.
func (p process) kill() {
	_ = p.cmd.Process.Kill() // the error is that it has ended
	_ = p.cmd.Wait()
}

func keyFile(t *testing.T) (path string, key *identity.Key) {
	t.Helper()
	path = t.TempDir() + "/key"
	key, err := identity.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, key
}

// TestKilledSpoke: the hub knows within 3 s.
func TestKilledSpoke(t *testing.T) {
	file, key := keyFile(t)
	for name, sessions := range map[string]time.Duration{"session": 0, "plain": -1} {
		t.Run(name, func(t *testing.T) {
			joined, left := make(chan *hub.Spoke, 1), make(chan eventtarget.Reason, 1)
			h := newHub(t, quichub.Options{
				Options: hub.Options{
					SessionTimeout: sessions, OnFault: quiet,
					OnConnect:    func(s *hub.Spoke) { joined <- s }, // a plain one is up before that
					OnDisconnect: func(_ *hub.Spoke, r eventtarget.Reason) { left <- r },
				},
				ListenerOptions: quichub.ListenerOptions{
					Identity: identity.Config{Key: hubKey(), Pins: []identity.Pin{key.Pin()}}, IdleTimeout: quick, KeepAlive: quick / 4,
				},
			})
			spoke := start(t, "spoke", h.Addr().String(), file, hubKey())
			s := receive(t, joined)
			spoke.kill()
			began := time.Now()
			if sessions < 0 {
				if r := receive(t, left); r.Code != eventtarget.CodeTimeout {
					t.Errorf("the spoke left for %v, want %v", r, eventtarget.CodeTimeout)
				}
			}
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for s.State() == eventtarget.StateUp && time.Since(began) < 2*quick {
				<-tick.C
			}
			within(t, began, 3*time.Second)
		})
	}
}

// TestKilledHub: a spoke knows within 3 s.
func TestKilledHub(t *testing.T) {
	file, key := keyFile(t)
	h := start(t, "hub", "127.0.0.1:0", file, spokeKey())
	down := make(chan struct{}, 1)
	s := newSpoke(t, h.said, quicspoke.Options{
		Identity:    identity.Config{Key: spokeKey(), Pins: []identity.Pin{key.Pin()}},
		IdleTimeout: quick, KeepAlive: quick / 4, Options: link.Options{OnFault: quiet, OnState: tellDown(down)},
	})
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.kill()
	began := time.Now()
	receive(t, down)
	within(t, began, 3*time.Second)
}

// TestRestartedHub: a hub that was killed and is there again at the same port knows
// nothing of its former connections, and says so with a key that it makes of its own:
// the spoke, whose own times are longer than that, notices at once.
func TestRestartedHub(t *testing.T) {
	for name, talks := range map[string]bool{"a spoke that dispatches": true, "one that is silent": false} {
		t.Run(name, func(t *testing.T) {
			file, key := keyFile(t)
			first := start(t, "hub", "127.0.0.1:0", file, spokeKey())
			down := make(chan struct{}, 1)
			o := link.Options{OnFault: quiet, OnState: tellDown(down), Backoff: link.Backoff{Max: 10 * time.Millisecond}, Heartbeat: -1}
			if !talks {
				o.Heartbeat, o.Misses = 50*time.Millisecond, 1<<30
			}
			s := newSpoke(t, first.said, quicspoke.Options{
				Identity: identity.Config{Key: spokeKey(), Pins: []identity.Pin{key.Pin()}}, KeepAlive: -1, Options: o,
			})
			if err := s.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			if talks {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go talk(ctx, s)
			}
			first.kill()
			start(t, "hub", first.said, file, spokeKey())
			began := time.Now()
			receive(t, down)
			within(t, began, 200*time.Millisecond)
			if err := s.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			t.Logf("up again after %v", time.Since(began))
		})
	}
}

// tellDown is an OnState hook.
func tellDown(down chan<- struct{}) func(link.Change) {
	return func(c link.Change) {
		if c.State == eventtarget.StateDown {
			select {
			case down <- struct{}{}:
			default:
			}
		}
	}
}

// talk dispatches something small again and again.
func talk(ctx context.Context, to eventtarget.Target) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		_ = to.Dispatch(ctx, event{Type: "n"}) // whether it is accepted is of no matter
	}
}

func within(t *testing.T, began time.Time, most time.Duration) {
	t.Helper()
	took := time.Since(began)
	t.Logf("noticed after %v", took)
	if took > most {
		t.Errorf("noticed after %v, want at most %v", took, most)
	}
}
