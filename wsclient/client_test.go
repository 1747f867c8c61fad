package wsclient_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
)

type raw = eventtarget.Raw

// quick makes a client dial again at once.
var quick = link.Backoff{Min: time.Millisecond, Max: time.Millisecond}

// start returns a client that is closed, and has ended, with the test.
func start(t *testing.T, url string, o wsclient.Options) *wsclient.Client {
	t.Helper()
	if o.OnFault == nil {
		o.OnFault = func(eventtarget.Fault) {}
	}
	c, err := wsclient.New(url, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); <-c.Done() })
	return c
}

// serve returns the ws:// URL of a handler.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// sockets serves WebSockets, each of which is handed to the test.
func sockets(t *testing.T) (url string, accepted <-chan *websocket.Conn) {
	t.Helper()
	c := make(chan *websocket.Conn, 10)
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("Accept: %v", err)
			return
		}
		c <- ws
	}), c
}

func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("waited for %s", what)
		panic("unreachable")
	}
}

func TestNewRefusesURLs(t *testing.T) {
	for _, url := range []string{
		"", "x", "localhost:80", "http://user:secret@localhost/ws", "ws://", "ws:///path", "ws:localhost", "ws://user:secret@a b", "\x7fws://x",
	} {
		c, err := wsclient.New(url, nil)
		e, ok := errors.AsType[*eventtarget.Error](err)
		if c != nil || !ok || e.Op != "open" || e.Adapter != "wsclient" || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestNewRefusesOptions(t *testing.T) {
	_, err := wsclient.New("ws://127.0.0.1", &wsclient.Options{Options: link.Options{LogEvents: -1}})
	if e, ok := errors.AsType[*eventtarget.Error](err); !ok || e.Adapter != "wsclient" {
		t.Errorf("%v", err)
	}
}

// TestRefused: nobody listens there. The client keeps asking, and says why it is
// down.
func TestRefused(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	causes := make(chan error, 10)
	c := start(t, "ws://user:secret@"+address, wsclient.Options{Options: link.Options{
		Backoff: quick,
		OnState: func(c link.Change) {
			if c.State == eventtarget.StateDown {
				causes <- c.Cause
			}
		},
	}})
	cause := wait(t, "the client to be down", causes)
	if !errors.Is(cause, syscall.ECONNREFUSED) || strings.Contains(cause.Error(), "secret") {
		t.Errorf("it is down because of %v", cause)
	}
	gone := errors.New("tired of waiting")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := c.Ready(ctx); !errors.Is(err, gone) {
		t.Errorf("Ready: %v", err)
	}
	if s := c.State(); s != eventtarget.StateDown {
		t.Errorf("the client is %v", s)
	}
}

// TestStatus: a server that forbids is asked once, any other again.
func TestStatus(t *testing.T) {
	for status, terminal := range map[int]bool{
		http.StatusUnauthorized:       true,
		http.StatusForbidden:          true,
		http.StatusOK:                 false,
		http.StatusNotFound:           false,
		http.StatusServiceUnavailable: false,
	} {
		requests := make(chan struct{}, 10)
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			select {
			case requests <- struct{}{}:
			default: // enough were seen
			}
			w.WriteHeader(status)
		})
		c := start(t, url, wsclient.Options{Options: link.Options{Backoff: quick}})
		wait(t, "a request", requests)
		if !terminal {
			wait(t, "another request", requests)
			if s := c.State(); s == eventtarget.StateClosed {
				t.Errorf("status %d: the client is closed", status)
			}
			continue
		}
		wait(t, "the client to end", c.Done())
		err := c.Ready(t.Context())
		if !errors.Is(err, eventtarget.ErrForbidden) || !errors.Is(err, eventtarget.ErrClosed) || !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("status %d: Ready: %v", status, err)
		}
		if n := len(requests); n != 0 {
			t.Errorf("status %d: %d more requests", status, n)
		}
	}
}

// TestRedirect: a redirect is followed on the same host only, for another must not
// get the header.
func TestRedirect(t *testing.T) {
	var strangers atomic.Int32
	other := serve(t, func(http.ResponseWriter, *http.Request) { strangers.Add(1) })
	tokens := make(chan string, 10)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/away":
			http.Redirect(w, r, "http"+strings.TrimPrefix(other, "ws"), http.StatusTemporaryRedirect)
		case "/here":
			http.Redirect(w, r, "/ws", http.StatusTemporaryRedirect)
		default:
			tokens <- r.Header.Get("Authorization")
			if ws, err := websocket.Accept(w, r, nil); err == nil {
				_, _, _ = ws.Read(r.Context())
			}
		}
	})
	header := http.Header{"Authorization": {"Bearer token"}}
	c := start(t, url+"/here", wsclient.Options{Header: header})
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, "the upgrade", tokens); got != "Bearer token" {
		t.Errorf("the header is %q", got)
	}
	causes := make(chan error, 10)
	start(t, url+"/away", wsclient.Options{Header: header, Options: link.Options{
		OnState: func(c link.Change) { causes <- c.Cause },
	}})
	if cause := wait(t, "the redirect", causes); cause == nil || !strings.Contains(cause.Error(), "307") {
		t.Errorf("a redirect to another host: %v", cause)
	}
	if n := strangers.Load(); n != 0 {
		t.Errorf("the other host was asked %d times", n)
	}
}

// TestReconnect: when the connection breaks, the listeners stay, what is dispatched
// meanwhile is sent, and the gap is told.
func TestReconnect(t *testing.T) {
	url, accepted := sockets(t)
	faults := make(chan eventtarget.Fault, 10)
	c := start(t, url, wsclient.Options{Options: link.Options{
		Backoff: quick, OnFault: func(f eventtarget.Fault) { faults <- f },
	}})
	heard := make(chan string, 10)
	if _, err := c.Add(t.Context(), eventtarget.T("t", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) {
		heard <- e.ID
	})); err != nil {
		t.Fatal(err)
	}
	for n := range 3 {
		ws := wait(t, "a connection", accepted)
		message := fmt.Sprintf(`{"type":"t","id":"%d"}`, n)
		if err := ws.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, "the message", heard); got != fmt.Sprint(n) {
			t.Errorf("heard %q, want %d", got, n)
		}
		if n > 0 {
			if _, got, err := ws.Read(t.Context()); err != nil || string(got) != fmt.Sprintf(`{"type":"t","id":"while down %d"}`, n-1) {
				t.Errorf("received %s, %v", got, err)
			}
			for _, kind := range []eventtarget.FaultKind{eventtarget.FaultReconnected, eventtarget.FaultGap} {
				if f := wait(t, "a fault", faults); f.Kind != kind || f.Adapter != "wsclient" {
					t.Errorf("told %v, want %v", f, kind)
				}
			}
		}
		if n == 2 {
			_ = ws.CloseNow()
			break
		}
		_ = ws.CloseNow() // without a word
		if f := wait(t, "a fault", faults); f.Kind != eventtarget.FaultDisconnected {
			t.Errorf("told %v", f)
		} else if r, ok := errors.AsType[eventtarget.Reason](f.Err); !ok || r.Code != eventtarget.CodeLost || r.Remote {
			t.Errorf("disconnected: %v", f.Err)
		}
		if err := c.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "t", ID: fmt.Sprint("while down ", n)}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestClosedByServer: what the server says is the cause, and after 1008 it is not
// asked again.
func TestClosedByServer(t *testing.T) {
	for status, want := range map[websocket.StatusCode]struct {
		code     eventtarget.Code
		terminal bool
	}{
		websocket.StatusGoingAway:       {eventtarget.CodeGoingAway, false},
		websocket.StatusServiceRestart:  {eventtarget.CodeRestart, false},
		websocket.StatusPolicyViolation: {eventtarget.CodePolicy, true},
	} {
		url, accepted := sockets(t)
		down := make(chan error, 100)
		c := start(t, url, wsclient.Options{Options: link.Options{
			Backoff: quick,
			OnState: func(c link.Change) {
				if c.State == eventtarget.StateDown {
					down <- c.Cause
				}
			},
		}})
		_ = wait(t, "a connection", accepted).Close(status, "because")
		cause := wait(t, "the client to be down", down)
		if r, ok := errors.AsType[eventtarget.Reason](cause); !ok || r != (eventtarget.Reason{Code: want.code, Text: "because", Remote: true}) {
			t.Errorf("%v: down because of %v", status, cause)
		}
		if !want.terminal {
			_ = wait(t, "another connection", accepted).CloseNow()
			continue
		}
		wait(t, "the client to end", c.Done())
		if n := len(accepted); n != 0 {
			t.Errorf("%v: %d more connections", status, n)
		}
	}
}

// TestCloseTellsServer: Close closes with 1000, after what was dispatched.
func TestCloseTellsServer(t *testing.T) {
	url, accepted := sockets(t)
	c := start(t, url, wsclient.Options{})
	ws := wait(t, "a connection", accepted)
	if err := c.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "t", ID: "last"}); err != nil {
		t.Fatal(err)
	}
	down := make(chan error, 1)
	go func() { down <- c.Shutdown(t.Context()) }()
	if _, got, err := ws.Read(t.Context()); err != nil || string(got) != `{"type":"t","id":"last"}` {
		t.Errorf("received %s, %v", got, err)
	}
	if _, _, err := ws.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("the server is told %v", err)
	}
	if err := wait(t, "Shutdown", down); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
