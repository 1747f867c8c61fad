package e2e_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/ssehub"
)

// script is a program of Node's that says in lines what it hears.
type script struct {
	t     *testing.T
	lines chan string
}

func node(t *testing.T, file string, args ...string) *script {
	t.Helper()
	cmd := exec.CommandContext(deadline(t), "node", append([]string{"testdata/" + file}, args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() && errs.Len() > 0 {
			t.Log(errs.String())
		}
	})
	s := &script{t, make(chan string, 10_000)}
	go func() {
		defer close(s.lines)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			s.lines <- scanner.Text()
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	return s
}

// says waits for lines, in this order and with nothing between.
func (s *script) says(want ...string) {
	s.t.Helper()
	for _, w := range want {
		select {
		case got, ok := <-s.lines:
			if !ok || got != w {
				s.t.Fatalf("it says %q instead of %q", got, w)
			}
		case <-time.After(30 * time.Second):
			s.t.Fatalf("it does not say %q", w)
		}
	}
}

// TestNode: the module in Node, over the npm client "ws": a session that outlives its
// connection, an event of ours that waited meanwhile, queries that go stale.
func TestNode(t *testing.T) {
	at, hub := startHub(t, "127.0.0.1:0")
	proxy, err := faultnet.NewProxy(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	spoke := connect(t, at)
	said := make(chan eventtarget.Event[raw], 100)
	if _, err := spoke.Add(t.Context(), eventtarget.T("node", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) { said <- e })); err != nil {
		t.Fatal(err)
	}
	next := func(want string) {
		t.Helper()
		select {
		case e := <-said:
			if got := e.ID + " " + string(e.Payload); got != want {
				t.Fatalf("node says %s, want %s", got, want)
			}
		case <-deadline(t).Done():
			t.Fatalf("node does not say %s", want)
		}
	}
	s := node(t, "module.js", "ws://"+proxy.Addr+"/ws")
	s.says("open false", "connecting")
	next(`early {"n":1}`)
	dispatch(t, spoke, "todo", "7", "done")
	s.says(`todo:7 "done"`, `stale ["todo","7"]`)
	proxy.Cut()
	s.says("down")
	dispatch(t, spoke, "todo", "8", nil)
	proxy.Heal()
	s.says("open true", "todo:8 null", `stale ["todo","8"]`)
	next(`down {"n":2}`)
	if err := hub.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = hub.Wait()
	s.says("down")
	startHub(t, at)
	s.says("open false", "gap 0", "stale all")
}

// TestNodeHubIsLate: a connection that fails, or that is let go before it is there, is no
// error that would end the process.
func TestNodeHubIsLate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	l.Close()
	s := node(t, "late.js", "ws://"+at+"/ws")
	s.says("down", "down", "closed")
	startHub(t, at)
	s.says("open")
}

// TestForeignEventSource: the npm client "eventsource" resumes by Last-Event-ID, and is
// told of a gap by a hub that is another one.
func TestForeignEventSource(t *testing.T) {
	at, hub := startHub(t, "127.0.0.1:0")
	proxy, err := faultnet.NewProxy(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	s := node(t, "eventsource.js", "http://"+proxy.Addr+"/sse?topic=chat:*")
	s.says("open")
	spoke := connect(t, at)
	dispatch(t, spoke, "chat", "1", 1)
	s.says("chat:1 1")
	proxy.Cut()
	s.says("error")
	for n := range 3 {
		dispatch(t, spoke, "chat", "1", 2+n)
	}
	proxy.Heal()
	s.behind("error", "open", "chat:1 2", "chat:1 3", "chat:1 4")
	if err := hub.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = hub.Wait()
	startHub(t, at)
	s.behind("error", "open", "__gap: {\"count\":0}")
	dispatch(t, connect(t, at), "chat", "1", 5)
	s.says("chat:1 5")
}

// behind is says, behind any number of lines that are all the same.
func (s *script) behind(skip string, want ...string) {
	s.t.Helper()
	for line := range s.lines {
		if line == skip {
			continue
		}
		if line != want[0] {
			s.t.Fatalf("it says %q instead of %q", line, want[0])
		}
		s.says(slices.Clone(want[1:])...)
		return
	}
	s.t.Fatal("it has ended")
}

// TestRaces: what comes between two steps of the module's: a listener between the greeting
// and its answer is told to the hub, and what is closed stays closed. What is no message ends
// the connection, and not the process. Over a stream of events it goes on behind the last id, and
// says what is new since. A session in which the hub has taken nothing in goes on as any other. A
// stream that was cut before its first id is a gap.
func TestRaces(t *testing.T) {
	s := node(t, "races.js")
	s.says("__hello before:*, __subscribe between:*, __unsubscribe before:*, __subscribe behind:*", "closed 1", "closed 0")
	for _, bad := range []string{"null", "5", "{}", `{"type":5}`, `{"type":"__ack"}`} {
		s.says(bad+" 1007", bad+" 1007")
	}
	s.says("stream 1007", "behind  a:*,log.7 b:1,log.7 b:1 b:2,log.9 b:3,log.9 b:3 b:4")
	s.says("said [[0,0.5],[0,0.5,1,1.5],[1,1.5,2,2.5]]", "open false, open false, gap 0, open true")
}

// TestAdded: what is retained of a topic that a page adds reaches it, over a stream of events, too.
func TestAdded(t *testing.T) {
	h, err := ssehub.New(&ssehub.Options{Options: hub.Options{Retain: func(eventtarget.Topic) bool { return true }}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() { h.Close(); server.Close() })
	dispatch(t, h, "b", "1", 1)
	s := node(t, "added.js", server.URL)
	s.says("open")
	dispatch(t, h, "a", "1", 2)
	s.says("a:1 2", "open", "b:1 1")
	dispatch(t, h, "b", "1", 3)
	s.says("b:1 3")
}

// TestSilent: who loses a stream of events before one was heard goes on where that began.
func TestSilent(t *testing.T) {
	at, _ := startHub(t, "127.0.0.1:0")
	proxy, err := faultnet.NewProxy(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	s := node(t, "silent.js", "http://"+proxy.Addr+"/sse")
	s.says("open", "sent __welcome")
	proxy.Cut()
	s.says("down")
	dispatch(t, connect(t, at), "chat", "1", 1)
	proxy.Heal()
	s.behind("down", "open", "sent chat", "chat:1 1")
}
