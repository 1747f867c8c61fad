package wsserver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

type raw = eventtarget.Raw

func event(eventType, id, payload string) eventtarget.Event[raw] {
	return eventtarget.Event[raw]{Type: eventType, ID: id, Payload: raw(payload)}
}

func newHub(t testing.TB, o wsserver.Options) (*wsserver.Hub, string) {
	t.Helper()
	if o.OnFault == nil {
		o.OnFault = func(f eventtarget.Fault) { t.Log(f) }
	}
	h, err := wsserver.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		h.Close()
		await(t, h.Done())
		server.Close()
	})
	return h, "ws" + strings.TrimPrefix(server.URL, "http")
}

func connect(t *testing.T, url string, o wsclient.Options) *wsclient.Client {
	t.Helper()
	if o.OnFault == nil {
		o.OnFault = func(f eventtarget.Fault) { t.Log(f) }
	}
	c, err := wsclient.New(url, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); await(t, c.Done()) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

func await(t testing.TB, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("not done in time")
	}
}

// collect adds a listener and returns a channel that is closed when it has heard n
// events, and what it has heard.
func collect(t *testing.T, target eventtarget.Target, topic eventtarget.Topic, n int) (<-chan struct{}, *[]eventtarget.Event[raw]) {
	t.Helper()
	var all []eventtarget.Event[raw]
	done := make(chan struct{})
	_, err := target.Add(t.Context(), topic, eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) {
		all = append(all, e)
		if len(all) == n {
			close(done)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	return done, &all
}

func TestFanOut(t *testing.T) {
	const spokes, events = 20, 5000
	h, url := newHub(t, wsserver.Options{})
	var done []<-chan struct{}
	var heard []*[]eventtarget.Event[raw]
	for range spokes {
		c := connect(t, url, wsclient.Options{})
		d, all := collect(t, c, eventtarget.T("n", "*"), events)
		done, heard = append(done, d), append(heard, all)
	}
	for i := range events {
		if err := h.Dispatch(t.Context(), event("n", "x", strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range spokes {
		await(t, done[i])
		for n, e := range *heard[i] {
			if string(e.Payload) != strconv.Itoa(n) {
				t.Fatalf("spoke %d: event %d is %s", i, n, e.Payload)
			}
		}
	}
}

func TestSourceAndReply(t *testing.T) {
	h, url := newHub(t, wsserver.Options{})
	_, err := h.Add(t.Context(), eventtarget.T("ask", "*"), eventtarget.Func(func(ctx context.Context, e eventtarget.Event[raw]) {
		if err := eventtarget.Reply(ctx, e, "answer", eventtarget.JSON[string](), "to "+e.ID); err != nil {
			t.Error(err)
		}
	}))
	if err != nil {
		t.Fatal(err)
	}
	a, b := connect(t, url, wsclient.Options{}), connect(t, url, wsclient.Options{})
	done, heard := collect(t, a, eventtarget.T("*", "*"), 1)
	_, other := collect(t, b, eventtarget.T("answer", "*"), 1)
	if err := a.Dispatch(t.Context(), event("ask", "42", `null`)); err != nil {
		t.Fatal(err)
	}
	await(t, done)
	if e := (*heard)[0]; e.Type != "answer" || e.ID != "42" || string(e.Payload) != `"to 42"` || e.Source == nil {
		t.Errorf("heard %+v", e)
	}
	sentinel, _ := collect(t, b, eventtarget.T("end", ""), 1)
	if err := h.Dispatch(t.Context(), event("end", "", "")); err == nil {
		t.Error("an empty payload was accepted")
	}
	if err := h.Dispatch(t.Context(), event("end", "", "1")); err != nil {
		t.Fatal(err)
	}
	await(t, sentinel)
	if len(*other) != 0 {
		t.Error("the answer went to another spoke too")
	}
}

// TestStalledPeer: a peer that never reads costs the others nothing, and is closed.
func TestStalledPeer(t *testing.T) {
	gone := make(chan eventtarget.Reason, 2)
	h, url := newHub(t, wsserver.Options{Options: hub.Options{
		LogBytes: 1 << 20, WriteTimeout: time.Second,
		OnDisconnect: func(_ *hub.Spoke, r eventtarget.Reason) { gone <- r },
	}})
	stalled, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.CloseNow()
	healthy := connect(t, url, wsclient.Options{})
	const events = 20_000
	done, _ := collect(t, healthy, eventtarget.T("n", "*"), events)
	payload := `"` + strings.Repeat("x", 1000) + `"`
	for range events {
		if err := h.Dispatch(t.Context(), event("n", "", payload)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, done)
	select {
	case r := <-gone:
		if r.Code != eventtarget.CodeSlow {
			t.Errorf("reason %v", r)
		}
	case <-time.After(10 * time.Second):
		t.Error("the stalled peer is still there")
	}
}

// TestControlFramesInTheMiddle: pings of the peer are answered while frames are
// being cut by a full socket, and nothing is corrupted.
func TestControlFramesInTheMiddle(t *testing.T) {
	h, url := newHub(t, wsserver.Options{})
	ws, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(1 << 20)
	const events = 300
	payload := `"` + strings.Repeat("x", 100_000) + `"`
	go func() {
		for range events {
			_ = h.Dispatch(context.Background(), event("n", "", payload))
		}
	}()
	var pings sync.WaitGroup
	for range 20 {
		pings.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := ws.Ping(ctx); err != nil {
				t.Error("ping:", err)
			}
		})
	}
	for i := range events {
		_, msg, err := ws.Read(t.Context())
		if err != nil {
			t.Fatal(i, err)
		}
		if want := fmt.Sprintf(`{"type":"n","id":"","payload":%s}`, payload); len(msg) != len(want) {
			t.Fatalf("message %d has %d bytes, want %d", i, len(msg), len(want))
		}
	}
	go func() { _, _, _ = ws.Read(t.Context()) }() // for the pongs that are still to come
	pings.Wait()
}

// TestCloseTowardsDeafPeer: within two seconds also towards a peer that never reads.
func TestCloseTowardsDeafPeer(t *testing.T) {
	h, url := newHub(t, wsserver.Options{Options: hub.Options{LogBytes: 64 << 20}})
	ws, _, err := websocket.Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	payload := `"` + strings.Repeat("x", 1<<19) + `"`
	for range 20 {
		if err := h.Dispatch(t.Context(), event("n", "", payload)); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	h.Close()
	await(t, h.Done())
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestReconnect(t *testing.T) {
	h, url := newHub(t, wsserver.Options{Options: hub.Options{
		OnConnect: func(s *hub.Spoke) { _ = s.Dispatch(t.Context(), event("welcome", "", "1")) },
	}})
	c, err := wsclient.New(url, &wsclient.Options{Options: link.Options{
		Backoff: link.Backoff{Min: time.Millisecond}, OnFault: func(eventtarget.Fault) {},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	done, _ := collect(t, c, eventtarget.T("welcome", "*"), 3) // the first may come before the listener
	for range 3 {
		if err := c.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		for {
			var spoke *hub.Spoke
			for s := range h.Spokes() {
				spoke = s
			}
			if spoke != nil {
				spoke.Disconnect(eventtarget.Reason{Code: eventtarget.CodeRestart})
				await(t, spoke.Done())
				break
			}
		}
	}
	await(t, done)
}

func TestForbiddenIsTerminal(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no", http.StatusForbidden)
	}))
	defer server.Close()
	c, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(t.Context()); !errors.Is(err, eventtarget.ErrForbidden) || !errors.Is(err, eventtarget.ErrClosed) {
		t.Errorf("Ready: %v", err)
	}
	await(t, c.Done())
}

// TestBadOrigin: a pattern that is none would allow nobody, nor would those behind it.
func TestBadOrigin(t *testing.T) {
	_, err := wsserver.New(&wsserver.Options{Origins: []string{"[a", "app.example.com"}})
	if err == nil || !strings.Contains(err.Error(), `eventtarget: wsserver: open: in Origins "[a" is no pattern`) {
		t.Error(err)
	}
}

func TestOrigin(t *testing.T) {
	_, url := newHub(t, wsserver.Options{Origins: []string{"good.example", "https://*.trusted.example"}})
	for origin, allowed := range map[string]bool{
		"":                          true,
		"https://good.example":      true,
		"https://a.trusted.example": true,
		"http://a.trusted.example":  false,
		"https://evil.example":      false,
		"null":                      false,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		ws, res, err := websocket.Dial(t.Context(), url, &websocket.DialOptions{HTTPHeader: header})
		if (err == nil) != allowed {
			t.Errorf("origin %q: %v", origin, err)
		}
		if err == nil {
			ws.CloseNow()
		} else if res.StatusCode != http.StatusForbidden {
			t.Errorf("origin %q: status %d", origin, res.StatusCode)
		}
	}
}

// TestAttachConn: a connection that was upgraded elsewhere is a spoke like others.
func TestAttachConn(t *testing.T) {
	h, _ := newHub(t, wsserver.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		if s, err := h.AttachConn(ws, r); err != nil || s.Path() != "/elsewhere" {
			t.Error(s, err)
		}
	}))
	defer server.Close()
	c := connect(t, "ws"+strings.TrimPrefix(server.URL, "http")+"/elsewhere", wsclient.Options{})
	done, _ := collect(t, c, eventtarget.T("n", "*"), 100)
	back, _ := collect(t, h, eventtarget.T("m", "*"), 1)
	for h.Len() == 0 {
		if err := c.Dispatch(t.Context(), event("m", "", "1")); err != nil {
			t.Fatal(err)
		}
		await(t, back)
	}
	for range 100 {
		if err := h.Dispatch(t.Context(), event("n", "", "1")); err != nil {
			t.Fatal(err)
		}
	}
	await(t, done)
}

// TestAbruptPeer: a peer that vanishes without a close frame leaves no spoke.
func TestAbruptPeer(t *testing.T) {
	gone := make(chan eventtarget.Reason, 1)
	h, url := newHub(t, wsserver.Options{Options: hub.Options{
		OnDisconnect: func(_ *hub.Spoke, r eventtarget.Reason) { gone <- r },
	}})
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	if _, err := nc.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	if r := <-gone; r.Code != eventtarget.CodeLost {
		t.Errorf("reason %v", r)
	}
	if n := h.Len(); n != 0 {
		t.Errorf("%d spokes are left", n)
	}
}

// TestTLS: the same path over wss, where the socket cannot be written beside the
// library's encryption.
func TestTLS(t *testing.T) {
	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{OnFault: func(f eventtarget.Fault) { t.Log(f) }}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(h)
	defer server.Close()
	defer h.Close()
	const events = 5000
	var all []<-chan eventtarget.Event[raw]
	for range 3 {
		c := connect(t, "wss"+strings.TrimPrefix(server.URL, "https"), wsclient.Options{HTTPClient: server.Client()})
		heard := make(chan eventtarget.Event[raw], events)
		if _, err := c.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) { heard <- e })); err != nil {
			t.Fatal(err)
		}
		all = append(all, heard)
	}
	for n := range events {
		if err := h.Dispatch(t.Context(), event("n", "", strconv.Itoa(n))); err != nil {
			t.Fatal(err)
		}
	}
	for i, heard := range all {
		for n := range events {
			select {
			case e := <-heard:
				if string(e.Payload) != strconv.Itoa(n) {
					t.Fatalf("client %d heard %s as event %d", i, e.Payload, n)
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("client %d heard %d events", i, n)
			}
		}
	}
}
