package ssehub_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/ssehub"
)

type event = eventtarget.Event[eventtarget.Raw]

func serve(t *testing.T, o ssehub.Options) (*ssehub.Hub, string) {
	t.Helper()
	h, err := ssehub.New(&o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		h.Close()
		server.Close()
	})
	return h, server.URL
}

// source is a response, read block by block.
type source struct {
	t    *testing.T
	body *bufio.Reader
	stop context.CancelFunc
}

func listen(t *testing.T, url, lastID string) *source {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("answered %s, %v", res.Status, res.Header)
	}
	return &source{t: t, body: bufio.NewReader(res.Body), stop: cancel}
}

// block returns the lines up to the next empty one, without comments.
func (s *source) block() (lines []string) {
	s.t.Helper()
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			s.t.Fatalf("behind %q: %v", lines, err)
		}
		switch line = strings.TrimSuffix(line, "\n"); {
		case line == "" && len(lines) > 0:
			return lines
		case line != "" && !strings.HasPrefix(line, ":"):
			lines = append(lines, line)
		}
	}
}

// event returns the id and the rest of the next block.
func (s *source) event() (id, rest string) {
	s.t.Helper()
	lines := s.block()
	if after, ok := strings.CutPrefix(lines[0], "id: "); ok {
		return after, strings.Join(lines[1:], "|")
	}
	return "", strings.Join(lines, "|")
}

func dispatch(t *testing.T, to eventtarget.Target, eventType, id, payload string) {
	t.Helper()
	if err := to.Dispatch(t.Context(), event{Type: eventType, ID: id, Payload: eventtarget.Raw(payload)}); err != nil {
		t.Fatal(err)
	}
}

// TestStream is what a client gets, line by line.
func TestStream(t *testing.T) {
	joined := make(chan *hub.Spoke, 1)
	h, url := serve(t, ssehub.Options{Options: hub.Options{OnConnect: func(s *hub.Spoke) { joined <- s }}, HandlerOptions: ssehub.HandlerOptions{Retry: 1500 * time.Millisecond}})
	s := listen(t, url, "")
	if got := s.block(); len(got) != 2 || got[0] != "retry: 1500" || !strings.HasPrefix(got[1], "id: ") {
		t.Errorf("began with %q", got)
	}
	spoke := <-joined
	dispatch(t, h, "chat", "42", `"a\nb <img>"`)
	dispatch(t, spoke, "chat", "you", "null")
	id, rest := s.event()
	if want := `event: chat|data: {"type":"chat","id":"42","payload":"a\nb <img>"}`; rest != want || !strings.HasSuffix(id, ".1") {
		t.Errorf("id %q, %s; want %s", id, rest, want)
	}
	if id, rest := s.event(); id != "" || rest != `event: chat|data: {"type":"chat","id":"you","payload":null}` {
		t.Errorf("what is for one spoke alone came as id %q, %s", id, rest)
	}
}

// TestFirstMessage: who can only listen is not ended for saying nothing, as another is.
func TestFirstMessage(t *testing.T) {
	h, url := serve(t, ssehub.Options{Options: hub.Options{FirstMessage: 20 * time.Millisecond}})
	s := listen(t, url, "")
	s.block()
	conn, _ := link.Pipe()
	silent, err := h.Attach(conn, hub.Meta{}) // whose time is over behind that of the stream
	if err != nil {
		t.Fatal(err)
	}
	<-silent.Done()
	if n := h.Len(); n != 1 {
		t.Fatalf("%d spokes", n)
	}
	dispatch(t, h, "chat", "42", "1")
	if _, rest := s.event(); rest != `event: chat|data: {"type":"chat","id":"42","payload":1}` {
		t.Errorf("heard %s", rest)
	}
}

// TestRefusedByHub: a request that the hub does not make a spoke is answered as one.
func TestRefusedByHub(t *testing.T) {
	_, closes := serve(t, ssehub.Options{Options: hub.Options{OnConnect: func(s *hub.Spoke) { s.Close() }}})
	_, once := serve(t, ssehub.Options{
		Options:        hub.Options{Duplicates: hub.Refuse},
		HandlerOptions: ssehub.HandlerOptions{Authenticate: func(*http.Request) (hub.Grant, error) { return hub.Grant{Identity: "ada"}, nil }},
	})
	first := listen(t, once, "")
	first.block()
	left := make(chan eventtarget.Code, 2)
	_, rules := serve(t, ssehub.Options{Options: hub.Options{
		Subscriptions: 2,
		Authorize: func(_ *hub.Spoke, _ hub.Op, topic eventtarget.Topic) error {
			if topic.Type == "secret" {
				return errors.New("for others only")
			}
			return nil
		},
		OnDisconnect: func(_ *hub.Spoke, reason eventtarget.Reason) { left <- reason.Code },
	}})
	for url, want := range map[string]string{
		closes: "not allowed\n", once: "not allowed\n",
		rules + "?topic=chat:1&topic=secret:1":         "not allowed: secret:1: for others only\n",
		rules + "?topic=chat:1&topic=a:*&topic=chat:2": "not allowed: 3 topics, more than 2\n",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusForbidden || string(text) != want {
			t.Errorf("answered %s, %q, %v", res.Status, text, err)
		}
		res.Body.Close()
	}
	for range 2 {
		if code := <-left; code != eventtarget.CodePolicy {
			t.Errorf("left the hub as %v", code)
		}
	}
}

// TestUnnamed: a client that cannot know the types asks for events without names.
func TestUnnamed(t *testing.T) {
	h, url := serve(t, ssehub.Options{})
	named, unnamed := listen(t, url+"?topic=*", ""), listen(t, url+"?topic=*&event=message", "")
	named.block()
	unnamed.block()
	dispatch(t, h, "chat", "42", "1")
	const data = `data: {"type":"chat","id":"42","payload":1}`
	id, rest := named.event()
	if rest != "event: chat|"+data {
		t.Errorf("named: %s", rest)
	}
	if same, rest := unnamed.event(); rest != data || same != id {
		t.Errorf("unnamed: %s at %s instead of %s", rest, same, id)
	}
}

// TestChannels: a topic is a channel that is there as long as somebody listens.
func TestChannels(t *testing.T) {
	h, url := serve(t, ssehub.Options{Options: hub.Options{
		Snapshot: func(_ *hub.Spoke, topic eventtarget.Topic) ([]event, hub.Position) {
			return []event{{Type: topic.Type, ID: topic.ID, Payload: eventtarget.Raw(`"first"`)}}, hub.Position{}
		},
	}})
	a := listen(t, url+"?topic=doc:1&topic=doc:2", "")
	a.block()
	for _, id := range []string{"1", "2"} {
		if _, rest := a.event(); rest != fmt.Sprintf(`event: doc|data: {"type":"doc","id":%q,"payload":"first"}`, id) {
			t.Errorf("the initial event is %s", rest)
		}
	}
	b := listen(t, url+"?topic=doc:2", "")
	b.block()
	b.event()
	for topic, want := range map[string]int{"1": 1, "2": 2, "3": 0} {
		if n := h.Interested(eventtarget.T("doc", topic)); n != want {
			t.Errorf("%d listen to doc:%s, want %d", n, topic, want)
		}
	}
	dispatch(t, h, "doc", "3", "0")
	dispatch(t, h, "doc", "2", "1")
	for _, s := range []*source{a, b} {
		if _, rest := s.event(); rest != `event: doc|data: {"type":"doc","id":"2","payload":1}` {
			t.Errorf("heard %s", rest)
		}
	}
	b.stop()
	a.stop()
	for end := time.After(10 * time.Second); h.Len() > 0 || h.Interested(eventtarget.T("doc", "2")) > 0; {
		select {
		case <-end:
			t.Fatal("a channel is left without listeners")
		case <-time.After(time.Millisecond):
		}
	}
}

// TestResume: a client that comes back goes on where it was, filtered or not, and is
// told when that is not possible.
func TestResume(t *testing.T) {
	for _, query := range []string{"", "?topic=n:*"} {
		t.Run(query, func(t *testing.T) {
			h, url := serve(t, ssehub.Options{Options: hub.Options{LogEvents: 80, Retain: func(eventtarget.Topic) bool { return true }}})
			s := listen(t, url+query, "")
			lines := s.block()
			begin := strings.TrimPrefix(lines[len(lines)-1], "id: ")
			var ids []string
			for n := range 5 {
				dispatch(t, h, "n", fmt.Sprint(n), "0")
				id, _ := s.event()
				ids = append(ids, id)
			}
			s.stop()
			dispatch(t, h, "n", "5", "0")
			for last, first := range map[string]int{ids[4]: 5, ids[2]: 3, begin: 0} {
				back := listen(t, url+query, last)
				back.block()
				for n := first; n < 6; n++ {
					if _, rest := back.event(); rest != fmt.Sprintf(`event: n|data: {"type":"n","id":"%d","payload":0}`, n) {
						t.Errorf("back at %s, heard %s instead of event %d", last, rest, n)
					}
				}
				back.stop()
			}
			for n := 6; n < 200; n++ {
				dispatch(t, h, "n", fmt.Sprint(n), "0")
			}
			for last, unknown := range map[string]bool{ids[4]: query != "", "other.17": true, "nonsense": true} {
				back := listen(t, url+query, last)
				back.block()
				_, rest := back.event()
				if !strings.HasPrefix(rest, `event: __gap|data: {"type":"__gap","id":"","payload":{"count":`) || strings.Contains(rest, `{"count":0}`) != unknown {
					t.Errorf("back at %s, which is not there any more, heard %s", last, rest)
				}
				back.stop()
			}
		})
	}
}

// TestCutBeforeFirst: who was cut before anything reached it comes back with the id with which
// its stream began, and gets what is retained or a snapshot, as it would have.
func TestCutBeforeFirst(t *testing.T) {
	snapshot := func(_ *hub.Spoke, topic eventtarget.Topic) ([]event, hub.Position) {
		return []event{{Type: "n", ID: "0", Payload: eventtarget.Raw("0")}}, hub.Position{}
	}
	for name, o := range map[string]hub.Options{"retain": {Retain: func(eventtarget.Topic) bool { return true }}, "snapshot": {Snapshot: snapshot}} {
		for _, query := range []string{"?topic=n:*", "?topic=n:*&event=message"} {
			t.Run(name+query, func(t *testing.T) {
				h, url := serve(t, ssehub.Options{Options: o})
				dispatch(t, h, "n", "0", "0")
				s := listen(t, url+query, "")
				begin, _ := strings.CutPrefix(s.block()[1], "id: ")
				s.stop()
				for range 2 { // it may be cut again
					s = listen(t, url+query, begin)
					s.block()
					if id, rest := s.event(); id != "" || !strings.HasSuffix(rest, `data: {"type":"n","id":"0","payload":0}`) {
						t.Errorf("back at %s, heard %s with the id %q", begin, rest, id)
					}
					s.stop()
				}
				s = listen(t, url+query, begin)
				s.block()
				s.event()
				dispatch(t, h, "n", "1", "0")
				heard, _ := s.event()
				s.stop()
				dispatch(t, h, "n", "2", "0")
				s = listen(t, url+query, heard)
				s.block()
				if _, rest := s.event(); !strings.HasSuffix(rest, `data: {"type":"n","id":"2","payload":0}`) {
					t.Errorf("back at %s, heard %s", heard, rest)
				}
			})
		}
	}
}

// TestAdded: beside the place at which it was, a client says which topics are new, and gets what is
// retained of those. An EventSource that comes back by itself asks as before, and has that.
func TestAdded(t *testing.T) {
	h, url := serve(t, ssehub.Options{Options: hub.Options{Retain: func(eventtarget.Topic) bool { return true }}})
	dispatch(t, h, "n", "0", "0")
	dispatch(t, h, "n", "1", "1")
	s := listen(t, url+"?topic=n:0", "")
	s.block()
	s.event()
	dispatch(t, h, "n", "0", "2")
	id, _ := s.event()
	s.stop()
	expect := func(s *source, want string) {
		t.Helper()
		s.block()
		if _, rest := s.event(); !strings.HasSuffix(rest, want) {
			t.Errorf("heard %s first, want %s", rest, want)
		}
		s.stop()
	}
	expect(listen(t, url+"?topic=n:0&new=n:1&lastEventId="+id, ""), `{"type":"n","id":"1","payload":1}`)
	dispatch(t, h, "n", "0", "3")
	expect(listen(t, url+"?topic=n:0&new=n:1&lastEventId="+id, id), `{"type":"n","id":"0","payload":3}`)
}

// TestBadOptions: what would refuse every request, or end it at its first byte, is told
// before there is one.
func TestBadOptions(t *testing.T) {
	for name, o := range map[string]ssehub.HandlerOptions{
		"pattern": {Origins: []string{"https://a.example", "[a"}}, "retry": {Retry: -1}, "timeout": {WriteTimeout: -1},
	} {
		if _, err := ssehub.New(&ssehub.Options{HandlerOptions: o}); err == nil || !strings.HasPrefix(err.Error(), "eventtarget: ssehub: open: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestBadRequests: the right status, a plain reason, and the others go on.
func TestBadRequests(t *testing.T) {
	h, base := serve(t, ssehub.Options{HandlerOptions: ssehub.HandlerOptions{
		Origins: []string{"https://*.example.org"},
		Authenticate: func(r *http.Request) (hub.Grant, error) {
			if r.Header.Get("Authorization") == "Bearer bad" {
				return hub.Grant{}, &ssehub.Refusal{Status: http.StatusTeapot, Text: "short and stout"}
			}
			return hub.Grant{}, nil
		},
	}})
	witness := listen(t, base, "")
	witness.block()
	request := func(method, query string, header ...string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, base+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		if req.Header.Get("Host") != "" {
			req.Host = req.Header.Get("Host")
		}
		res, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return res.StatusCode, ""
		}
		text, _ := io.ReadAll(res.Body)
		return res.StatusCode, strings.TrimSpace(string(text))
	}
	tried := 0
	expect := func(status int, reason, method, query string, header ...string) {
		t.Helper()
		tried++
		if got, text := request(method, query, header...); got != status || !strings.Contains(text, reason) {
			t.Errorf("%s %q %q: %d %s, want %d %s", method, query, header, got, text, status, reason)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"} {
		reason := "use GET"
		if method == "HEAD" {
			reason = ""
		}
		expect(http.StatusMethodNotAllowed, reason, method, "")
	}
	for _, accept := range []string{"text/html", "application/json", "image/png;q=0.8, text/plain"} {
		expect(http.StatusNotAcceptable, "text/event-stream", "GET", "", "Accept", accept)
	}
	for _, origin := range []string{"https://evil.test", "null", "https://example.org", "http://a.example.org", "https://example.org.evil.test", "x", "https://", "http://127.0.0.1", "http://localhost:1"} {
		expect(http.StatusForbidden, "origin", "GET", "", "Origin", origin)
	}
	for _, host := range []string{"evil.test", "evil.test:80", "10.0.0.1", "[2001:db8::1]:80", "127.0.0.1.evil.test"} {
		expect(http.StatusForbidden, "host", "GET", "", "Host", host)
	}
	for _, topic := range []string{
		"", "chat", ":", ":x", "*:1", "__gap:1", "__x:*", "a*:1", strings.Repeat("a", 129) + ":1", "a:" + strings.Repeat("b", 257),
		"a\r:1", "a\n:1", "a\x00:1", "a:\r", "a:\n", "a:\x00", "a:\x7f", "\xff:1", "a:\xff", "a:\u0085", "\ta:1", "a\u2028\n:1",
	} {
		expect(http.StatusBadRequest, "topic", "GET", "?topic="+url.QueryEscape(topic))
		expect(http.StatusBadRequest, "topic", "GET", "?topic=ok:1&topic="+url.QueryEscape(topic))
	}
	for _, query := range []string{"?topics=a:1", "?Topic=a:1", "?x=", "?topic=a:1&y=2", "?last-event-id=1", "?id=1", "?token=x", "?=x", "?topics=a", "?retry=1", "?Event=message", "?events=message"} {
		expect(http.StatusBadRequest, "unknown parameter", "GET", query)
	}
	for _, event := range []string{"", "chat", "Message", "message,chat", "message%0d", "*", "__gap", "0"} {
		expect(http.StatusBadRequest, "event can only be message", "GET", "?topic=a:1&event="+event)
	}
	for _, id := range []string{"?lastEventId=%", "?topic=a:1&lastEventId=%zz", "?lastEventId=1&lastEventID=2", "?lasteventid=1"} {
		expect(http.StatusBadRequest, "", "GET", id)
	}
	for _, query := range []string{"?event=message&topic=x", "?event=message&event=x", "?topic=__x:1&event=message", "?topic=a%00b:1"} {
		expect(http.StatusBadRequest, "", "GET", query)
	}
	for _, query := range []string{"?topic=%", "?topic=%zz", "?%", "?a;b", "?topic=a:1;b"} {
		expect(http.StatusBadRequest, "query", "GET", query)
	}
	expect(http.StatusTeapot, "short and stout", "GET", "", "Authorization", "Bearer bad")
	t.Logf("%d bad requests", tried)
	dispatch(t, h, "a", "", "1")
	if _, rest := witness.event(); rest != `event: a|data: {"type":"a","id":"","payload":1}` {
		t.Errorf("a witness heard %s", rest)
	}
}
