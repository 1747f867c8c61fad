package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
)

type raw = eventtarget.Raw

// program is the path of the built command.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "eventtarget")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "eventtarget")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// startHub runs `eventtarget hub` as a process and returns its URL; behind a space each,
// those for QUIC and of its metrics, if args ask for them.
func startHub(t *testing.T, args ...string) (url string, process *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(program, append([]string{"hub", "--listen", "127.0.0.1:0"}, args...)...)
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
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the hub says nothing")
	}
	_, url, found := strings.Cut(lines.Text(), "ready at ")
	if !found {
		t.Fatalf("the hub says %q", lines.Text())
	}
	if slices.Contains(args, "--quic") {
		if !lines.Scan() {
			t.Fatal("the hub says nothing of QUIC")
		}
		_, quicURL, _ := strings.Cut(lines.Text(), "ready at ")
		url += " " + quicURL
	}
	if slices.Contains(args, "--metrics") {
		if !lines.Scan() {
			t.Fatal("the hub says nothing of metrics")
		}
		_, metricsURL, _ := strings.Cut(lines.Text(), "metrics at ")
		url += " " + metricsURL
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return url, cmd
}

// connect returns a client that is up.
func connect(t *testing.T, url string) *wsclient.Client {
	t.Helper()
	c, err := wsclient.New(url, &wsclient.Options{Options: link.Options{OnFault: func(f eventtarget.Fault) { t.Log(f) }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); <-c.Done() })
	if err := c.Ready(deadline(t)); err != nil {
		t.Fatal(err)
	}
	return c
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// hear adds a listener and returns a channel of what it hears.
func hear(t *testing.T, target eventtarget.Target, topic eventtarget.Topic) <-chan eventtarget.Event[raw] {
	t.Helper()
	c := make(chan eventtarget.Event[raw], 10_000)
	if _, err := target.Add(t.Context(), topic, eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) { c <- e })); err != nil {
		t.Fatal(err)
	}
	return c
}

func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case e := <-c:
		return e
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was heard")
		panic("unreachable")
	}
}

// awaitListening waits until `eventtarget listen` says that it does.
func awaitListening(t *testing.T, stderr io.Reader) {
	t.Helper()
	if ready := bufio.NewScanner(stderr); !ready.Scan() || ready.Text() != "listening" {
		t.Fatalf("listen says %q", ready.Text())
	}
}

func run(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(deadline(t), program, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// TestDispatchFast: lines that come faster than the hub takes them wait, and those before one
// that is refused are heard.
func TestDispatchFast(t *testing.T) {
	dir := t.TempDir()
	hub := runHub(t, dir, "limits:\n  rate: 60000\n  burst: 5000\n")
	const lines = 100_000 // more than wait at a link
	all := connect(t, hub.urls[0])
	heard := make(chan string, lines+1)
	if _, err := all.Add(t.Context(), eventtarget.T("a", "*"), eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[raw]) {
		heard <- string(e.Payload)
	}}); err != nil {
		t.Fatal(err)
	}
	_, errs, err := run(t, strings.Repeat("1\n", lines)+"no\n", "dispatch", hub.urls[0], "a", "1", "-")
	if err == nil || !strings.Contains(errs, fmt.Sprintf("line %d: ", lines+1)) {
		t.Fatal(err, errs)
	}
	for range lines {
		next(t, heard)
	}
}

// TestDispatchInterrupted: who dispatches line by line ends when told to, not with the next
// line.
func TestDispatchInterrupted(t *testing.T) {
	url, _ := startHub(t)
	heard := hear(t, connect(t, url), eventtarget.T("a", "*"))
	cmd := exec.CommandContext(deadline(t), program, "dispatch", url, "a", "1", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(in, "1\n"); err != nil {
		t.Fatal(err)
	}
	next(t, heard)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() < 0 {
		t.Errorf("it had to be killed: %v", err)
	}
}

// TestDemoGoesOn: the spokes of the demo leave when it is over, also the plain one, which
// would sooner or later hear nothing more.
func TestDemoGoesOn(t *testing.T) {
	cmd := exec.CommandContext(deadline(t), program, "demo")
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
	joined, left := 0, 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "a spoke joined") {
			joined++
		}
		if strings.Contains(lines.Text(), "a spoke left") {
			left++
		}
		if joined > 0 && joined == left {
			return
		}
	}
	t.Errorf("of %d spokes %d have left", joined, left)
}

func TestDemo(t *testing.T) {
	out, errs, err := run(t, "", "demo", "--once")
	if err != nil || !strings.Contains(out, "all 49 expected hearings were heard") {
		t.Errorf("%v\n%s%s", err, out, errs)
	}
}

func TestListenAndDispatch(t *testing.T) {
	url, hub := startHub(t)
	listen := exec.CommandContext(deadline(t), program, "listen", "--count", "3", url, "chat:*")
	errs, err := listen.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	listen.Stdout = &out
	if err := listen.Start(); err != nil {
		t.Fatal(err)
	}
	awaitListening(t, errs)
	// A plain client is not told when the hub has taken it in: ask until it hears.
	probe := connect(t, url)
	heard := hear(t, probe, eventtarget.T("chat", "*"))
	for _, args := range [][]string{
		{"dispatch", url, "chat", "1", `{"text":"<hi>"}`},
		{"dispatch", url, "chat", "2", "-"},
	} {
		if _, errs, err := run(t, "1.10\nnull\n", args...); err != nil {
			t.Fatal(err, errs)
		}
	}
	for range 3 {
		next(t, heard)
	}
	if err := listen.Wait(); err != nil {
		t.Fatal(err)
	}
	want := `{"type":"chat","id":"1","payload":{"text":"<hi>"}}` + "\n" +
		`{"type":"chat","id":"2","payload":1.10}` + "\n" + `{"type":"chat","id":"2","payload":null}` + "\n"
	if out.String() != want {
		t.Errorf("listen printed\n%s, want\n%s", &out, want)
	}
	if err := hub.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := hub.Wait(); err != nil {
		t.Errorf("the hub ended with %v", err)
	}
}

// TestListenToMany: what is heard on several topics, of which some are others' too, is printed
// once and in order.
func TestListenToMany(t *testing.T) {
	const events = 300
	url, _ := startHub(t)
	listen := exec.CommandContext(deadline(t), program, "listen", "--count", strconv.Itoa(events), url, "b:1", "a:*", "b:*", "a:1", "c:1", "c:1")
	errs, err := listen.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	listen.Stdout = &out
	if err := listen.Start(); err != nil {
		t.Fatal(err)
	}
	awaitListening(t, errs)
	c := connect(t, url)
	var want strings.Builder
	for n := range events {
		e := eventtarget.Event[raw]{Type: string(rune('a' + n%3)), ID: "1", Payload: raw(strconv.Itoa(n))}
		if err := c.Dispatch(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&want, `{"type":%q,"id":"1","payload":%d}`+"\n", e.Type, n)
	}
	if err := listen.Wait(); err != nil {
		t.Fatal(err)
	}
	if out.String() != want.String() {
		t.Errorf("listen printed\n%s, want\n%s", &out, want.String())
	}
}

func TestConform(t *testing.T) {
	dir := t.TempDir()
	hubKey, _ := newKey(t, dir, "hub.key")
	spokeKey, pin := newKey(t, dir, "spoke.key")
	urls, _ := startHub(t, "--quic", "127.0.0.1:0", "--key", hubKey, "--allow", pin.String())
	web, quic, _ := strings.Cut(urls, " ")
	for _, u := range []string{web, quic + "&key=" + spokeKey, "mem://conform?echo=true"} {
		out, errs, err := run(t, "", "conform", u)
		name, _, _ := strings.Cut(u, "?")
		card := "### " + name + "\n\n| topology | ordering | delivery | echo | relay |"
		if err != nil || !strings.HasPrefix(out, card) || !strings.Contains(out, "| A01 | deliver | M | pass |") || !strings.Contains(out, "| B04 | too-large | M | pass |") {
			t.Errorf("%s: %v\n%s\n%s", u, err, out, errs)
		}
	}
}

// TestConformSilent: that a hub does not relay is told once, before any law.
func TestConformSilent(t *testing.T) {
	hub := runHub(t, t.TempDir(), "relay: false\n")
	if out, errs, err := run(t, "", "conform", "--wait", "5s", hub.urls[0]); err == nil || out != "" || !strings.Contains(errs, "does the hub relay?") {
		t.Errorf("%v, %s%s", err, out, errs)
	}
}

func TestConformJSON(t *testing.T) {
	out, errs, err := run(t, "", "conform", "--json", "mem://conform-json")
	if err != nil {
		t.Fatal(err, errs)
	}
	var report struct {
		Name                    string
		Passed, Failed, Skipped int
		Laws                    []struct{ ID, Verdict string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if report.Name != "mem://conform-json" || report.Failed != 0 || report.Passed == 0 ||
		report.Passed+report.Skipped != len(report.Laws) || report.Laws[0].ID != "A01" || report.Laws[0].Verdict != "pass" {
		t.Errorf("reported %+v", report)
	}
}

// TestForeignClient: a WebSocket client that nobody here wrote is a full spoke.
func TestForeignClient(t *testing.T) {
	url, _ := startHub(t)
	c := connect(t, url)
	ready, answers := hear(t, c, eventtarget.T("spoke.ready", "*")), hear(t, c, eventtarget.T("spoke.answer", "*"))
	// The client's own start may be faster than the hub's view of ours.
	spoke := exec.CommandContext(deadline(t), "node", "spoke.js", url)
	spoke.Dir = "testdata/ws-client"
	var out, errs bytes.Buffer
	spoke.Stdout, spoke.Stderr = &out, &errs
	if err := spoke.Start(); err != nil {
		t.Fatal("is Node.js installed? make test does it: ", err)
	}
	next(t, ready)
	for _, payload := range []string{`"größe 😀"`, `{"n":1.5}`, `null`} {
		if err := c.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "spoke.ask", ID: "q", Payload: raw(payload)}); err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{"text", "binary"} {
			want := `{"isBinary":false,"payload":` + payload + `}`
			if e := next(t, answers); e.ID != "q" || string(e.Payload) != want {
				t.Errorf("as %s: answered %s, want %s", kind, e.Payload, want)
			}
		}
	}
	if err := c.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "spoke.end"}); err != nil {
		t.Fatal(err)
	}
	if err := spoke.Wait(); err != nil || strings.TrimSpace(out.String()) != "closed 1000 done" {
		t.Errorf("%v\n%s%s", err, &out, &errs)
	}
}
