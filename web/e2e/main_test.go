package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
)

type raw = eventtarget.Raw

var (
	program string          // the built command
	browser context.Context // one Chromium for all tests
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "e2e")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "eventtarget")
	build := exec.Command("go", "build", "-C", "../../cmd/eventtarget", "-o", program, ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		panic(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("chromium"), chromedp.UserDataDir(filepath.Join(dir, "chromium")),
		chromedp.NoSandbox) // root may not use it, and the pages are ours
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	var end context.CancelFunc
	browser, end = chromedp.NewContext(allocator)
	defer end()
	if err := chromedp.Do(browser, chromedp.Navigate("about:blank")); err != nil {
		panic(err)
	}
	return m.Run()
}

// startHub runs `eventtarget hub` as a process and returns where it listens.
func startHub(t *testing.T, addr string, args ...string) (at string, process *exec.Cmd) {
	t.Helper()
	cmd := exec.Command(program, append([]string{"hub", "--listen", addr}, args...)...)
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
	go func() { _, _ = io.Copy(io.Discard, out) }()
	_, url, found := strings.Cut(strings.TrimSpace(line), "ready at ws://")
	if !found {
		t.Fatalf("the hub says %q", line)
	}
	return strings.TrimSuffix(url, "/ws"), cmd
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// connect returns a spoke in Go.
func connect(t *testing.T, at string) *wsclient.Client {
	t.Helper()
	c, err := wsclient.New("ws://"+at+"/ws?echo=false", &wsclient.Options{Options: link.Options{OnFault: func(f eventtarget.Fault) { t.Log(f) }}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); <-c.Done() })
	if err := c.Ready(deadline(t)); err != nil {
		t.Fatal(err)
	}
	return c
}

func dispatch(t *testing.T, to eventtarget.Target, eventType, id string, payload any) {
	t.Helper()
	text, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	if err := to.Dispatch(deadline(t), eventtarget.Event[raw]{Type: eventType, ID: id, Payload: text}); err != nil {
		t.Fatal(err)
	}
}

// tab is a page of the hub's in a tab of its own.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// open opens a page, at which there are RemoteEventTarget and some words for the tests.
func open(t *testing.T, url string, actions ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	ctx, closeTab := chromedp.NewContext(browser)
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, append(actions, chromedp.Navigate(url))...); err != nil {
		t.Fatal(err)
	}
	p := &tab{t, ctx}
	p.run(`import("/eventtarget.js").then(m => {
		Object.assign(window, m);
		window.heard = [];
		window.until = async (done) => { while (!(await done())) await new Promise(r => setTimeout(r, 10)); };
		window.opened = (target) => until(() => target.readyState == "open");
	})`)
	return p
}

// run runs a script in the page, and waits for its promise if it returns one.
func (p *tab) run(script string) {
	p.t.Helper()
	eval[chromedp.Void](p, script)
}

// eval is run for a script that returns something.
func eval[T any](p *tab, script string) T {
	p.t.Helper()
	result, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%v\nin %s", err, script)
	}
	return result
}
