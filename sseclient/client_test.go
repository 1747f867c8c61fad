package sseclient_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/sseclient"
)

type event = eventtarget.Event[eventtarget.Raw]

// server answers the n-th request with the n-th body, and with the last one from there on,
// once begin was called: a client hears nothing before it has a listener.
func server(t *testing.T, requests chan<- *http.Request, bodies ...string) (url string, begin func()) {
	t.Helper()
	var answered atomic.Int32 // a request may still be answered when the next one comes
	begun := make(chan struct{})
	begin = sync.OnceFunc(func() { close(begun) })
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case requests <- r:
		default: // enough were seen
		}
		<-begun
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		n := int(answered.Add(1))
		_, _ = io.WriteString(w, bodies[min(n, len(bodies))-1])
		if n >= len(bodies) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(func() { begin(); s.Close() })
	return s.URL, begin
}

func client(t *testing.T, url string, o sseclient.Options) *sseclient.Client {
	t.Helper()
	o.Backoff = link.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond}
	if o.OnFault == nil {
		o.OnFault = func(f eventtarget.Fault) { t.Log(f) }
	}
	c, err := sseclient.New(url, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); <-c.Done() })
	return c
}

func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// TestStreamOfOthers: whatever the standard allows a server to send around an envelope.
func TestStreamOfOthers(t *testing.T) {
	url, begin := server(t, nil, "\ufeff: a comment\n\nretry: 5\n\nid: 1\r\nevent: chat\r\ndata: {\"type\":\"chat\",\rdata: \"id\":\"42\",\"payload\":1}\n\n"+
		":\n\nunknown: field\ndata:{\"type\":\"chat\",\"id\":\"42\",\"payload\":2}\n\ndata: {\"type\":\"__later\",\"id\":\"\"}\n\ndata\n\nid: 3\n\n"+
		"data: {\"type\":\"chat\",\"id\":\"42\",\"payload\":3}\n\ndata: {\"type\":\"chat\",\"id\":\"42\",\"payload\":\"cut")
	c := client(t, url, sseclient.Options{})
	heard := make(chan string, 10)
	if _, err := c.Add(t.Context(), eventtarget.T("chat", "42"), eventtarget.Func(func(_ context.Context, e event) { heard <- string(e.Payload) })); err != nil {
		t.Fatal(err)
	}
	begin()
	for want := 1; want <= 3; want++ {
		if got := next(t, heard); got != fmt.Sprint(want) {
			t.Errorf("heard %s instead of %d", got, want)
		}
	}
	if err := c.Dispatch(t.Context(), event{Type: "chat"}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Dispatch: %v", err)
	}
}

// TestAsks: what a request says, the first time and when it comes back.
func TestAsks(t *testing.T) {
	requests := make(chan *http.Request, 10)
	url, begin := server(t, requests, "id: here.7\n\n", "")
	begin()
	tokens := 0
	client(t, url+"?event=message", sseclient.Options{
		Topics: []eventtarget.Topic{eventtarget.T("chat", "42"), eventtarget.T("a&b", "*")},
		Header: http.Header{"X-Own": {"1"}},
		Token:  func(context.Context) (string, error) { tokens++; return fmt.Sprint("token", tokens), nil },
	})
	for i, last := range []string{"", "here.7"} {
		r := next(t, requests)
		if got := r.URL.Query()["topic"]; fmt.Sprint(got) != "[chat:42 a&b:*]" || r.URL.Query().Get("event") != "message" {
			t.Errorf("asked for %q of %s", got, r.URL)
		}
		if r.Header.Get("Last-Event-ID") != last || r.Header.Get("X-Own") != "1" || r.Header.Get("Accept") != "text/event-stream" ||
			r.Header.Get("Authorization") != fmt.Sprint("Bearer token", i+1) {
			t.Errorf("request %d: %v", i, r.Header)
		}
	}
}

// TestSubscribeHasNoEffect: there is nobody to ask for a topic, so Add does not wait for an
// answer.
func TestSubscribeHasNoEffect(t *testing.T) {
	url, begin := server(t, nil, "data: {\"type\":\"a\",\"id\":\"\"}\n\n")
	c := client(t, url, sseclient.Options{Options: link.Options{Subscribe: true}})
	heard := make(chan event, 9)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := c.Add(ctx, eventtarget.T("a", "*"), eventtarget.Func(func(_ context.Context, e event) { heard <- e })); err != nil {
		t.Fatal(err)
	}
	begin()
	if e := next(t, heard); e.Type != "a" {
		t.Error(e)
	}
}

// TestAnswers: who forbids is asked once, any other again, and what is no stream is none.
func TestAnswers(t *testing.T) {
	type answer struct {
		status int
		kind   string
	}
	for a, terminal := range map[answer]bool{
		{http.StatusNoContent, ""}:                            true,
		{http.StatusUnauthorized, ""}:                         true,
		{http.StatusForbidden, ""}:                            true,
		{http.StatusNotFound, ""}:                             false,
		{http.StatusServiceUnavailable, "text/event-stream"}:  false,
		{http.StatusOK, "text/html"}:                          false,
		{http.StatusOK, ""}:                                   false,
		{http.StatusMovedPermanently, "https://example.org/"}: false,
	} {
		requests := make(chan struct{}, 10)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			select {
			case requests <- struct{}{}:
			default:
			}
			w.Header().Set("Content-Type", a.kind)
			if a.status == http.StatusMovedPermanently {
				w.Header().Set("Location", a.kind)
			}
			w.WriteHeader(a.status)
		}))
		t.Cleanup(s.Close)
		c := client(t, s.URL, sseclient.Options{})
		next(t, requests)
		if !terminal {
			next(t, requests)
			if state := c.State(); state == eventtarget.StateClosed {
				t.Errorf("%+v: the client is closed", a)
			}
			continue
		}
		next(t, c.Done())
		if err := c.Ready(t.Context()); !errors.Is(err, eventtarget.ErrForbidden) || !strings.Contains(err.Error(), fmt.Sprint(a.status)) {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

// TestCutBetweenLines: what ends before the empty line behind it was never there (WHATWG HTML
// §9.2.6), so that the hub sends it again: its id does not count, nor its data.
func TestCutBetweenLines(t *testing.T) {
	const first, second = "id: 1\nevent: n\ndata: {\"type\":\"n\",\"id\":\"\",\"payload\":1}\n\n", "id: 2\nevent: n\ndata: {\"type\":\"n\",\"id\":\"\",\"payload\":2}\n"
	for cut := range len(second) + 1 {
		requests, heard := make(chan *http.Request, 10), make(chan string, 10)
		url, begin := server(t, requests, first+second[:cut], second+"\n")
		c := client(t, url, sseclient.Options{Options: link.Options{OnFault: func(eventtarget.Fault) {}}})
		if _, err := c.Add(t.Context(), eventtarget.T("n", ""), eventtarget.Func(func(_ context.Context, e event) { heard <- string(e.Payload) })); err != nil {
			t.Fatal(err)
		}
		begin()
		next(t, requests)
		if last := next(t, requests).Header.Get("Last-Event-ID"); last != "1" {
			t.Errorf("cut behind %q it goes on behind %q", second[:cut], last)
		}
		if a, b := next(t, heard), next(t, heard); a != "1" || b != "2" || len(heard) > 0 {
			t.Errorf("cut behind %q it heard %s, %s and %d more", second[:cut], a, b, len(heard))
		}
		c.Close()
	}
}

// TestTooLarge: an event over the limit ends the connection, and the next one begins anew,
// which is told: behind what came before, the same event would come for ever.
func TestTooLarge(t *testing.T) {
	requests := make(chan *http.Request, 10)
	url, begin := server(t, requests, "id: a\ndata: {\"type\":\"n\",\"id\":\"\",\"payload\":1}\n\nid: b\ndata: "+strings.Repeat("x", 100_000)+"\n\n",
		"id: c\ndata: {\"type\":\"n\",\"id\":\"\",\"payload\":2}\n\n")
	heard, gaps := make(chan string, 10), make(chan eventtarget.Fault, 10)
	c := client(t, url, sseclient.Options{Options: link.Options{Limits: eventtarget.Limits{Message: 1000}, OnFault: func(f eventtarget.Fault) {
		if f.Kind == eventtarget.FaultGap {
			gaps <- f
		}
	}}})
	if _, err := c.Add(t.Context(), eventtarget.T("n", ""), eventtarget.Func(func(_ context.Context, e event) { heard <- string(e.Payload) })); err != nil {
		t.Fatal(err)
	}
	begin()
	if a, b := next(t, heard), next(t, heard); a != "1" || b != "2" {
		t.Errorf("heard %s, %s", a, b)
	}
	next(t, requests)
	if last := next(t, requests).Header.Get("Last-Event-ID"); last != "" {
		t.Errorf("it went on behind %q", last)
	}
	next(t, gaps)
}

func TestBadURLs(t *testing.T) {
	for _, url := range []string{"", "ws://host/", "http://", "host:80", "http://[", "sse+http://host/"} {
		if c, err := sseclient.New(url, nil); err == nil {
			t.Errorf("%q is taken", url)
			c.Close()
		}
	}
	if _, err := sseclient.New("http://host/", &sseclient.Options{Topics: []eventtarget.Topic{{Type: "__gap"}}}); !errors.Is(err, eventtarget.ErrInvalidTopic) {
		t.Errorf("a topic of the protocol's own: %v", err)
	}
}
