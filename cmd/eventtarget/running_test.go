package main_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
)

// running is `eventtarget hub -c FILE` as a process.
type running struct {
	t       *testing.T
	file    string
	urls    []string // in the order in which they were printed
	process *exec.Cmd

	mu    sync.Mutex
	lines []string      // of standard output and standard error
	more  chan struct{} // closed when there are more
	ended chan error
}

// token is what the tests come with: it stands in no output.
const token = "hunter2hunter2hunter2hunter2"

// runHub starts a hub with a configuration, in which DIR stands for dir, and waits until
// it is ready.
func runHub(t *testing.T, dir, text string, env ...string) *running {
	t.Helper()
	r := &running{t: t, file: filepath.Join(dir, "hub.yaml"), more: make(chan struct{}), ended: make(chan error, 1)}
	r.write(text)
	r.process = exec.Command(program, "hub", "-c", r.file)
	r.process.Env = append(os.Environ(), append(env, "EVENTTARGET_HTTP_ADDRESS=127.0.0.1:0")...)
	out, err := r.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := r.process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.process.Start(); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	for _, from := range []*bufio.Scanner{bufio.NewScanner(out), bufio.NewScanner(errs)} {
		readers.Go(func() {
			for from.Scan() {
				r.mu.Lock()
				r.lines = append(r.lines, from.Text())
				close(r.more)
				r.more = make(chan struct{})
				r.mu.Unlock()
			}
		})
	}
	go func() { readers.Wait(); r.ended <- r.process.Wait(); close(r.ended) }()
	t.Cleanup(func() {
		_ = r.process.Process.Kill()
		<-r.ended
		if strings.Contains(r.output(), "hunter2") {
			t.Errorf("a secret is told:\n%s", r.output())
		}
		if t.Failed() {
			t.Logf("the hub said:\n%s", r.output())
		}
	})
	want := 1
	for _, listener := range []string{"\nquic:", "kind: http", "kind: quic"} {
		want += strings.Count(text, listener)
	}
	for n := range want {
		_, url, _ := strings.Cut(r.said("ready at ", n+1), "ready at ")
		r.urls = append(r.urls, url)
	}
	return r
}

// write writes the configuration anew.
func (r *running) write(text string) {
	r.t.Helper()
	text = strings.ReplaceAll(text, "DIR", filepath.Dir(r.file))
	if err := os.WriteFile(r.file, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) signal(s os.Signal) {
	r.t.Helper()
	if err := r.process.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// reload writes the configuration and makes the hub read it; n is the how manieth time
// that is.
func (r *running) reload(text string, n int) (line string) {
	r.t.Helper()
	r.write(text)
	r.signal(syscall.SIGHUP)
	return r.said("msg=reloaded", n)
}

// said waits for the nth line with a text, from 1, and returns it.
func (r *running) said(text string, n int) string {
	r.t.Helper()
	late := time.After(30 * time.Second)
	for {
		r.mu.Lock()
		more, found := r.more, 0
		for _, line := range r.lines {
			if strings.Contains(line, text) {
				if found++; found == n {
					r.mu.Unlock()
					return line
				}
			}
		}
		r.mu.Unlock()
		select {
		case <-more:
		case <-late:
			r.t.Fatalf("the hub did not say %q %d times:\n%s", text, n, r.output())
		}
	}
}

func (r *running) output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.lines, "\n")
}

// end waits for the end and returns its error.
func (r *running) end() error {
	r.t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(60 * time.Second):
		r.t.Fatal("the hub goes on")
		return nil
	}
}

// put writes a file.
func put(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// come returns a client with a token, or none, that is up, and its faults.
func come(t *testing.T, url, token string) (*wsclient.Client, <-chan eventtarget.Fault) {
	t.Helper()
	faults := make(chan eventtarget.Fault, 100)
	header := http.Header{}
	if token != "" {
		header.Set("Authorization", "Bearer "+token)
	}
	c, err := wsclient.New(url, &wsclient.Options{
		Header:  header,
		Options: link.Options{Subscribe: true, Heartbeat: 2 * time.Minute, WriteTimeout: 2 * time.Minute, OnFault: func(f eventtarget.Fault) { faults <- f }},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); <-c.Done() })
	if err := c.Ready(deadline(t)); err != nil {
		t.Fatal(err)
	}
	return c, faults
}

// knock asks for an upgrade with a token, and returns the answer's status.
func knock(t *testing.T, url, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(deadline(t), http.MethodGet, strings.Replace(url, "ws", "http", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + token, "Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		req.Header.Set(name, value)
	}
	// A transport's goroutines may ask later than the hub waits, where much else is to be done.
	conn, err := (&net.Dialer{}).DialContext(req.Context(), "tcp", req.URL.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(req.Context(), func() { conn.Close() })
	defer stop()
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}
