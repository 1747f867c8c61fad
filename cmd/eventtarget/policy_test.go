package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/cmd/internal/config"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

func TestLike(t *testing.T) {
	for _, c := range []struct {
		text, pattern string
		want          bool
	}{
		{"", "*", true}, {"ann", "*", true}, {"", "?*", false}, {"a", "?*", true}, {"ann", "ann", true}, {"anna", "ann", false},
		{"an", "ann", false}, {"", "", true}, {"svc-a/b", "svc-*", true}, {"svc", "svc-*", false}, {"aXbXc", "a*b*c", true},
		{"aXbX", "a*b*c", false}, {"a*c", "a*c", true}, {"abab", "*ab", true}, {"aba", "*ab", false}, {"ab", "a?", true}, {"a", "a?", false},
	} {
		if got := like(c.text, c.pattern); got != c.want {
			t.Errorf("like(%q, %q) = %v", c.text, c.pattern, got)
		}
	}
}

// TestWithdrawnMeanwhile: a reload that withdraws a token, or says that it is another's, while
// somebody who has shown it is about to become a spoke, ends that one, too.
func TestWithdrawnMeanwhile(t *testing.T) {
	token := func(secret, identity string) config.Token {
		return config.Token{Secret: secret, Identity: identity}
	}
	for name, now := range map[string][]config.Token{
		"withdrawn": {token("other", "bob")}, "another's": {token("secret", "bob")}, "good": {token("secret", "ann")},
	} {
		for _, moment := range []string{"before", "behind"} { // it has become a spoke
			t.Run(name+" "+moment, func(t *testing.T) {
				d := newDaemon(newHub(), config.Source{File: "hub.yaml"}, &config.Config{Tokens: []config.Token{token("secret", "ann")}})
				o := d.options()
				ended := make(chan eventtarget.Reason, 1)
				o.OnDisconnect = func(_ *hub.Spoke, r eventtarget.Reason) { ended <- r }
				o.OnFault = func(eventtarget.Fault) {}
				var h *wsserver.Hub
				reload := func() {
					d.policy.set(&config.Config{Tokens: now})
					d.policy.enforce(h.Hub)
				}
				authenticate := o.Authenticate
				o.Authenticate = func(r *http.Request) (hub.Grant, error) {
					grant, err := authenticate(r)
					if moment == "before" {
						reload()
					}
					return grant, err
				}
				h, err := wsserver.New(o)
				if err != nil {
					t.Fatal(err)
				}
				server := httptest.NewServer(h)
				defer server.Close()
				defer h.Close()
				ws, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), &websocket.DialOptions{
					HTTPHeader: http.Header{"Authorization": {"Bearer secret"}},
				})
				if err != nil {
					t.Fatal(err)
				}
				defer ws.CloseNow()
				if moment == "behind" {
					for h.Len() == 0 {
						<-time.After(time.Millisecond)
					}
					reload()
				}
				if name == "good" {
					if err := ws.Write(t.Context(), websocket.MessageText, []byte(`{"type":"n","id":""}`)); err != nil {
						t.Error(err)
					}
					if err := ws.Close(websocket.StatusNormalClosure, ""); err != nil {
						t.Error(err)
					}
					if r := <-ended; r.Code != eventtarget.CodeNormal {
						t.Errorf("it is ended: %v", r)
					}
					return
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				if _, _, err := ws.Read(ctx); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
					t.Errorf("it goes on: %v", err)
				}
			})
		}
	}
}
