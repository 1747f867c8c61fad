package ssehub_test

import (
	"errors"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/ssehub"
)

// TestPost: one envelope is one event, and anything else is told what is wrong.
func TestPost(t *testing.T) {
	h, url := serve(t, ssehub.Options{Options: hub.Options{Limits: eventtarget.Limits{Message: 100}}})
	s := listen(t, url, "")
	s.block()
	server := httptest.NewServer(ssehub.NewPostHandler(h.Hub, ssehub.PostOptions{}))
	defer server.Close()
	post := func(method, contentType, origin, body string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", contentType)
		if origin != "" {
			req.Header.Set("Origin", origin)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	const good, json = `{"type":"a","id":"1","payload":1.10}`, "application/json"
	for _, c := range []struct {
		method, contentType, origin, body string
		want                              int
	}{
		{"POST", json, "", `{"type":"a"}`, http.StatusBadRequest},
		{"POST", json, "", `{"type":"a","id":"1"}x`, http.StatusBadRequest},
		{"POST", json, "", `{"type":"__gap","id":""}`, http.StatusBadRequest},
		{"POST", json, "", `[]`, http.StatusBadRequest},
		{"POST", json, "", ``, http.StatusBadRequest},
		{"POST", json, "", `{"type":"a","id":"","payload":"` + strings.Repeat("x", 200) + `"}`, http.StatusRequestEntityTooLarge},
		{"POST", json, "", `{"type":"a","id":"","payload":"` + strings.Repeat("x", 20000) + `"}`, http.StatusRequestEntityTooLarge},
		{"POST", "text/plain", "", good, http.StatusUnsupportedMediaType},
		{"POST", "", "", good, http.StatusUnsupportedMediaType},
		{"POST", json, "https://evil.test", good, http.StatusForbidden},
		{"GET", json, "", good, http.StatusMethodNotAllowed},
		{"PUT", json, "", good, http.StatusMethodNotAllowed},
		{"POST", json + "; charset=utf-8", "", good, http.StatusAccepted},
	} {
		if got := post(c.method, c.contentType, c.origin, c.body); got != c.want {
			t.Errorf("%s %s %s %.40s: %d, want %d", c.method, c.contentType, c.origin, c.body, got, c.want)
		}
	}
	if _, rest := s.event(); rest != "event: a|data: "+good {
		t.Errorf("heard %s", rest)
	}
	h.Close()
	if got := post("POST", json, "", good); got != http.StatusServiceUnavailable {
		t.Errorf("behind the hub's end: %d", got)
	}
}

// TestPreflight: the browser of a page that may send JSON, or listen with a token, is told so
// before it does; that of any other page is not.
func TestPreflight(t *testing.T) {
	h, _ := serve(t, ssehub.Options{})
	options := ssehub.HandlerOptions{
		Origins:      []string{"https://good.test"},
		Authenticate: func(*http.Request) (hub.Grant, error) { return hub.Grant{}, errors.New("a preflight has no token") },
	}
	for method, handler := range map[string]http.Handler{"GET": ssehub.NewHandler(h.Hub, options), "POST": ssehub.NewPostHandler(h.Hub, ssehub.PostOptions{HandlerOptions: options})} {
		for origin, allowed := range map[string]bool{"https://good.test": true, "http://good.test": false, "https://evil.test": false, "null": false} {
			ask := httptest.NewRequestWithContext(t.Context(), http.MethodOptions, "http://hub.test/", nil)
			ask.Header.Set("Origin", origin)
			ask.Header.Set("Access-Control-Request-Method", method)
			ask.Header.Set("Access-Control-Request-Headers", "authorization,content-type")
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, ask)
			want := http.Header{}
			if allowed {
				want = http.Header{
					"Access-Control-Allow-Origin": {origin}, "Access-Control-Allow-Credentials": {"true"},
					"Access-Control-Allow-Methods": {method}, "Access-Control-Allow-Headers": {"authorization,content-type"},
				}
			}
			got := answer.Result().Header
			if vary := got.Get("Vary"); vary != "Origin" {
				t.Errorf("%s from %s: Vary is %q", method, origin, vary)
			}
			maps.DeleteFunc(got, func(name string, _ []string) bool { return !strings.HasPrefix(name, "Access-Control") })
			if (answer.Code == http.StatusNoContent) != allowed || !reflect.DeepEqual(got, want) {
				t.Errorf("%s from %s: %d %v", method, origin, answer.Code, got)
			}
		}
	}
}

// TestPostAuthorize: who posts may be told what not to, by name.
func TestPostAuthorize(t *testing.T) {
	h, _ := serve(t, ssehub.Options{})
	server := httptest.NewServer(ssehub.NewPostHandler(h.Hub, ssehub.PostOptions{
		HandlerOptions: ssehub.HandlerOptions{
			Authenticate: func(r *http.Request) (hub.Grant, error) { return hub.Grant{Identity: r.Header.Get("X-Who")}, nil },
		},
		Authorize: func(identity string, topic eventtarget.Topic) error {
			if identity != "ann" || topic != eventtarget.T("chat", "1") {
				return eventtarget.ErrForbidden
			}
			return nil
		},
	}))
	defer server.Close()
	for _, c := range []struct {
		who, body string
		want      int
	}{
		{"ann", `{"type":"chat","id":"1"}`, http.StatusAccepted},
		{"bob", `{"type":"chat","id":"1"}`, http.StatusForbidden},
		{"ann", `{"type":"chat","id":"2"}`, http.StatusForbidden},
		{"ann", `{"type":"admin","id":"1","Type":"chat"}`, http.StatusForbidden},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-Who", c.who)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s posts %s: %d, want %d", c.who, c.body, res.StatusCode, c.want)
		}
	}
}

// fullDisk is a store with room for its name only.
type fullDisk struct{}

func (fullDisk) Restore() iter.Seq2[hub.Record, error] {
	return func(func(hub.Record, error) bool) {}
}

func (fullDisk) Append(records []hub.Record) error {
	if records[0].Kind == hub.RecordName {
		return nil
	}
	return errors.New("/var/lib/hub is full")
}

// TestPostStore: that the hub's store does not work is not the fault of who posts, who is
// not told why either.
func TestPostStore(t *testing.T) {
	h, _ := serve(t, ssehub.Options{Options: hub.Options{Store: fullDisk{}, OnFault: func(eventtarget.Fault) {}}})
	server := httptest.NewServer(ssehub.NewPostHandler(h.Hub, ssehub.PostOptions{}))
	defer server.Close()
	for _, want := range []string{"outcome unknown\n", "not accepted\n"} {
		res, err := http.Post(server.URL, "application/json", strings.NewReader(`{"type":"a","id":"1"}`))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusServiceUnavailable || string(text) != want {
			t.Errorf("%s: %q, %v, want %q", res.Status, text, err, want)
		}
	}
}

// TestPostNeedsNoRoom: who posts is no spoke, and is let in where there is no room for
// another, as who listens already fills it.
func TestPostNeedsNoRoom(t *testing.T) {
	h, url := serve(t, ssehub.Options{Options: hub.Options{SpokesPerAddr: 1}})
	s := listen(t, url, "")
	s.block()
	server := httptest.NewServer(ssehub.NewPostHandler(h.Hub, ssehub.PostOptions{}))
	defer server.Close()
	res, err := http.Post(server.URL, "application/json", strings.NewReader(`{"type":"a","id":"1"}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Errorf("answered %s", res.Status)
	}
}

// TestPostBridge: who posts is no bridge, whatever it says.
func TestPostBridge(t *testing.T) {
	h, url := serve(t, ssehub.Options{})
	s := listen(t, url, "")
	s.block()
	server := httptest.NewServer(ssehub.NewPostHandler(h.Hub, ssehub.PostOptions{}))
	defer server.Close()
	res, err := http.Post(server.URL, "application/json", strings.NewReader(`{"type":"a","id":"","payload":1,"headers":{"bridge":"x/1/1","k":"v"}}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if _, rest := s.event(); rest != `event: a|data: {"type":"a","id":"","payload":1,"headers":{"k":"v"}}` {
		t.Errorf("heard %s", rest)
	}
}
