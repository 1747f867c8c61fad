//go:build unix

package worker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/worker"
)

type event = eventtarget.Event[eventtarget.Raw]

// TestMain makes this binary the children, too.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "child" {
		child(os.Args[2])
		return
	}
	os.Exit(m.Run())
}

// child is what the children do.
func child(what string) {
	switch what {
	case "not a worker":
		<-time.After(time.Hour)
	case "exits in the handshake":
		fmt.Fprintln(os.Stderr, "I had no time")
		os.Exit(3)
	case "prints a lot and ends":
		fmt.Print(strings.Repeat("a line\n", 50), "half a line")
		os.Exit(3)
	case "prints instead":
		fmt.Println("hello")
		<-time.After(time.Hour)
	case "garbage":
		_, _ = os.NewFile(4, "").Write([]byte("this is no worker"))
		<-time.After(time.Hour)
	case "leaves its group":
		if group, err := syscall.Getpgid(os.Getppid()); err != nil || syscall.Setpgid(0, group) != nil {
			os.Exit(3)
		}
	case "parent":
		parent()
		return
	case "foreign":
		foreign()
		return
	case "example":
		ExampleParent()
		return
	}
	setup := listen
	switch os.Getenv("BROKEN") {
	case "handshake":
		os.Exit(3)
	case "setup":
		setup = func(*link.Link) { os.Exit(4) }
	case "slow setup":
		setup = func(*link.Link) {
			fmt.Fprintf(os.Stderr, "sets up %d\n", os.Getpid())
			select {}
		}
	}
	p, err := worker.Parent(&link.Options{Setup: setup})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(77)
	}
	if what == "hears nothing" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
	}
	<-p.Done()
	if what == "stays" || what == "leaves its group" {
		select {}
	}
	if n := mutes.Load(); n > 0 {
		fmt.Fprintf(os.Stderr, "mutes heard: %d\n", n)
	}
	os.Exit(int(status.Load()))
}

var status, mutes atomic.Int32

// listen adds what the children listen to.
func listen(p *link.Link) {
	ctx := context.Background()
	on := func(eventType string, do func(e event)) {
		if _, err := p.Add(ctx, eventtarget.T(eventType, "*"), eventtarget.Func(func(_ context.Context, e event) { do(e) })); err != nil {
			panic(err)
		}
	}
	say := func(eventType, id string) {
		if err := p.Dispatch(ctx, event{Type: eventType, ID: id}); err != nil {
			panic(err)
		}
	}
	on("mirror", func(e event) {
		if err := p.Dispatch(ctx, event{Type: "mirrored", ID: e.ID, Payload: e.Payload}); err != nil {
			panic(err)
		}
	})
	for _, eventType := range []string{"slow", "hang"} {
		if _, err := p.Add(ctx, eventtarget.T(eventType, "*"), eventtarget.Listener[eventtarget.Raw]{
			Inline: true, Handle: func(_ context.Context, e event) { say("arrived", e.ID) },
		}); err != nil {
			panic(err)
		}
	}
	on("slow", func(e event) {
		<-time.After(2 * time.Millisecond)
		say("echoed", e.ID+" by "+strconv.Itoa(os.Getpid()))
	})
	on("hang", func(event) { select {} })
	on("pid", func(event) { say("pid", strconv.Itoa(os.Getpid())) })
	on("echo", func(e event) { say("echoed", e.ID) })
	on("env", func(event) { say("env", strings.Join(os.Environ(), " ")) })
	on("files", func(event) {
		var open []string
		for fd := range 20 {
			var st syscall.Stat_t
			if syscall.Fstat(fd, &st) == nil {
				open = append(open, strconv.Itoa(fd))
			}
		}
		say("files", strings.Join(open, " "))
	})
	on("exit", func(e event) {
		fmt.Fprintln(os.Stderr, "about to exit")
		n, _ := strconv.Atoi(e.ID)
		status.Store(int32(n))
		say("last", "word")
		go func() { _ = p.Shutdown(ctx) }() // a listener cannot wait for itself
	})
	on("mute", func(event) { mutes.Add(1) })
	on("die", func(e event) {
		n, _ := strconv.Atoi(e.ID)
		os.Exit(n)
	})
	on("grandchild", func(e event) {
		cmd := exec.Command("/bin/sleep", "1000")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: e.ID == "apart"}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.ExtraFiles = []*os.File{os.NewFile(3, ""), os.NewFile(4, "")}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		say("grandchild", strconv.Itoa(cmd.Process.Pid))
	})
	on("flood", func(event) {
		line := append(bytes.Repeat([]byte("x"), 1023), '\n')
		for range 100 << 10 {
			_, _ = os.Stderr.Write(line)
		}
		say("flooded", "")
	})
	on("bad frame", func(event) { _, _ = os.NewFile(4, "").Write([]byte{0xff, 0xff, 0xff, 0xff}) })
}

// start starts a child and returns what it says.
func start(t *testing.T, what string, o worker.Options) (*worker.Worker, *said) {
	t.Helper()
	s := &said{t: t, events: make(chan event, 1000)}
	if o.OnFault == nil {
		o.OnFault = s.fault
	}
	w, err := worker.Start(self(t, what, o))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		w.Close()
		<-w.Done()
	})
	if _, err := w.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Listener[eventtarget.Raw]{
		Inline: true, Handle: func(_ context.Context, e event) { s.events <- e },
	}); err != nil {
		t.Fatal(err)
	}
	return w, s
}

// self makes this program the child, which does what it is told.
func self(t *testing.T, what string, o worker.Options) worker.Options {
	path, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	o.Path, o.Args = path, []string{"child", what}
	if o.Env == nil {
		o.Env = []string{"GORACE=atexit_sleep_ms=0"} // a child that ends has ended, under the race detector too
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	return o
}

type said struct {
	t      *testing.T
	events chan event

	mu     sync.Mutex
	faults []eventtarget.Fault
}

func (s *said) fault(f eventtarget.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
}

// next returns the id of the next event, which must be of a type.
func (s *said) next(eventType string) string {
	s.t.Helper()
	select {
	case e := <-s.events:
		if e.Type != eventType {
			s.t.Fatalf("heard %s:%s, want %s", e.Type, e.ID, eventType)
		}
		return e.ID
	case <-time.After(20 * time.Second):
		s.t.Fatalf("never heard %s", eventType)
		return ""
	}
}

// exit waits for the n-th fault that tells an end.
func (s *said) exit(n int) *worker.Exit {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(time.Millisecond) {
		s.mu.Lock()
		seen := 0
		for _, f := range s.faults {
			if e, ok := errors.AsType[*worker.Exit](f.Err); ok && f.Kind == eventtarget.FaultDisconnected {
				if seen++; seen == n {
					s.mu.Unlock()
					return e
				}
			}
		}
		s.mu.Unlock()
	}
	s.t.Fatalf("an end was never told: %v", s.faults)
	return nil
}

func tell(t *testing.T, w *worker.Worker, eventType, id string) {
	t.Helper()
	if err := w.Dispatch(t.Context(), event{Type: eventType, ID: id}); err != nil {
		t.Fatal(err)
	}
}

func TestTalk(t *testing.T) {
	t.Setenv("SECRET", "x")
	t.Setenv("SHARED", "y")
	w, s := start(t, "works", worker.Options{Env: []string{"A=1"}, Inherit: []string{"SHARED", "ABSENT"}})
	for n := range 100 {
		tell(t, w, "echo", strconv.Itoa(n))
	}
	for n := range 100 {
		if got := s.next("echoed"); got != strconv.Itoa(n) {
			t.Fatalf("the echo of %d is %s", n, got)
		}
	}
	tell(t, w, "env", "")
	if got := s.next("env"); got != "SHARED=y A=1" {
		t.Errorf("the child's environment is %q", got)
	}
	tell(t, w, "files", "")
	got := strings.Fields(s.next("files"))
	got = slices.DeleteFunc(got, func(fd string) bool { n, _ := strconv.Atoi(fd); return n > 4 }) // the runtime's own
	if strings.Join(got, " ") != "0 1 2 3 4" {
		t.Errorf("the child has the files %v", got)
	}
	if err := w.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(w.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("behind Shutdown the child is there: %v", err)
	}
}

// TestShutdownTells: what a child says when nobody hears it any more is not lost in
// silence.
func TestShutdownTells(t *testing.T) {
	var log bytes.Buffer
	var mu sync.Mutex
	w, _ := start(t, "works", worker.Options{Log: slog.New(slog.NewTextHandler(&locked{w: &log, mu: &mu}, nil))})
	if err := w.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		tell(t, w, "slow", "")
	}
	if err := w.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(log.String(), "discarded") {
		t.Errorf("the child told %q", log.String())
	}
}

func TestHandshake(t *testing.T) {
	for what, want := range map[string]string{
		"not a worker":           "does not say that it is a worker",
		"prints instead":         "does not say that it is a worker",
		"garbage":                "does not say that it is a worker",
		"exits in the handshake": "I had no time",
	} {
		t.Run(what, func(t *testing.T) {
			w, _ := start(t, what, worker.Options{HandshakeTimeout: 500 * time.Millisecond, Restart: worker.Always})
			err := w.Ready(t.Context())
			if !errors.Is(err, worker.ErrHandshake) || !strings.Contains(err.Error(), want) {
				t.Errorf("Ready: %v", err)
			}
		})
	}
	t.Run("checksum", func(t *testing.T) {
		w, _ := start(t, "works", worker.Options{SHA256: strings.Repeat("0", 64)})
		if err := w.Ready(t.Context()); !errors.Is(err, worker.ErrHandshake) || !strings.Contains(err.Error(), "SHA-256") {
			t.Errorf("Ready: %v", err)
		}
	})
	t.Run("by hand", func(t *testing.T) {
		out, err := exec.Command(os.Args[0], "child", "works").CombinedOutput()
		if err == nil || !strings.Contains(string(out), "this program is a worker") {
			t.Errorf("started by hand it says %s, %v", out, err)
		}
	})
	for name, o := range map[string]worker.Options{"relative": {Path: "x"}, "none": {}, "negative": {Path: "/x", LogRate: -1}, "while down": {Path: "/x", WhileDown: 2}} {
		if _, err := worker.Start(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	w, err := worker.Start(worker.Options{Path: "/none", Options: link.Options{OnFault: func(eventtarget.Fault) {}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("a program that is not there: %v", err)
	}
}

// TestKilled: the end is seen at once, and the next child hears what was dispatched
// meanwhile.
func TestKilled(t *testing.T) {
	w, s := start(t, "works", worker.Options{Restart: worker.OnFailure, Options: link.Options{Backoff: link.Backoff{Min: time.Millisecond, Max: time.Millisecond}}})
	const times = 10
	for n := 1; n <= times; n++ {
		tell(t, w, "echo", strconv.Itoa(n))
		if got := s.next("echoed"); got != strconv.Itoa(n) {
			t.Fatalf("heard %s", got)
		}
		began := time.Now()
		if err := syscall.Kill(w.PID(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		exit := s.exit(n)
		if took := time.Since(began); took > time.Second {
			t.Errorf("seen after %v", took)
		}
		if st := exit.State.Sys().(syscall.WaitStatus); !st.Signaled() || st.Signal() != syscall.SIGKILL {
			t.Errorf("told as %v", exit)
		}
	}
	tell(t, w, "exit", "0")
	s.next("last")
	<-w.Done() // on failure only
}

// TestGrandchild: one that holds every pipe keeps nothing up, and ends too.
func TestGrandchild(t *testing.T) {
	w, s := start(t, "works", worker.Options{})
	tell(t, w, "grandchild", "")
	pid, _ := strconv.Atoi(s.next("grandchild"))
	began := time.Now()
	if err := syscall.Kill(w.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.exit(1)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the end was told after %v", took)
	}
	awaitGone(t, pid)
}

// TestGrandchildApart: one that has left its parent's group is nobody's to end, and does not
// hide how its parent ended.
func TestGrandchildApart(t *testing.T) {
	w, s := start(t, "works", worker.Options{})
	tell(t, w, "grandchild", "apart")
	pid, _ := strconv.Atoi(s.next("grandchild"))
	defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
	if err := syscall.Kill(w.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.exit(1)
}

func awaitGone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; <-time.After(time.Millisecond) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(text, []byte(") Z ")) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d is still there", pid)
		}
	}
}

// TestDeaf: a child that reads nothing is ended, and does not hold up the parent.
func TestDeaf(t *testing.T) {
	w, s := start(t, "hears nothing", worker.Options{Options: link.Options{WriteTimeout: 300 * time.Millisecond}})
	if err := w.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	big := eventtarget.Raw(`"` + strings.Repeat("x", 500_000) + `"`)
	if err := w.Dispatch(t.Context(), event{Type: "a", Payload: big}); err != nil {
		t.Fatal(err)
	}
	<-w.Done()
	awaitGone(t, w.PID())
	if len(s.events) != 0 {
		t.Error("it said something")
	}
}

// TestBadFrame: what is no message ends the child.
func TestBadFrame(t *testing.T) {
	w, s := start(t, "works", worker.Options{})
	tell(t, w, "bad frame", "")
	<-w.Done()
	awaitGone(t, w.PID())
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := errors.AsType[eventtarget.Reason](s.faults[0].Err); !ok || r.Code != eventtarget.CodeTooLarge {
		t.Errorf("told as %v", s.faults[0])
	}
}

// TestStays: a child that does not end by itself is told, and then killed, also if it is not
// in the group that it was started in.
func TestStays(t *testing.T) {
	for _, what := range []string{"stays", "leaves its group"} {
		t.Run(what, func(t *testing.T) {
			w, _ := start(t, what, worker.Options{TermTimeout: 50 * time.Millisecond, KillTimeout: 50 * time.Millisecond})
			if err := w.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := w.Shutdown(ctx); err != nil {
				t.Fatal(err)
			}
			awaitGone(t, w.PID())
		})
	}
}

// TestParentOptions: what is wrong with a child's options is not taken for a parent that does
// not listen.
func TestParentOptions(t *testing.T) {
	t.Setenv("EVENTTARGET_WORKER", "1 cookie")
	_, err := worker.Parent(&link.Options{WriteTimeout: -1})
	if err == nil || errors.Is(err, worker.ErrHandshake) || !strings.Contains(err.Error(), "WriteTimeout is negative") {
		t.Errorf("a negative WriteTimeout: %v", err)
	}
}
