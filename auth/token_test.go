package auth_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/auth"
	"github.com/eventtarget-go/toolkit/ssehub"
)

// TestTokenInURL: an EventSource cannot set a header, and auth.FromQuery finds its token
// in the URL, where no other parameter that is unknown is taken, nor that one unasked.
func TestTokenInURL(t *testing.T) {
	static := auth.Static(map[string]string{"secret": "ann"})
	for _, c := range []struct {
		authenticate auth.Authenticator
		query        string
		status       int
		reason       string
	}{
		{auth.FromQuery("token", static), "token=secret&topic=a:1", http.StatusOK, ""},
		{auth.FromQuery("token", static), "token=guess&topic=a:1", http.StatusUnauthorized, "unauthorized"},
		{auth.FromQuery("token", static), "token=secret&topics=a:1", http.StatusBadRequest, "unknown parameter topics (known: topic, new, event, lastEventId, token)"},
		{auth.FromQuery("t", auth.FromQuery("token", static)), "token=secret", http.StatusOK, ""},
		{nil, "token=secret&topic=a:1", http.StatusBadRequest, "unknown parameter token"},
	} {
		h, err := ssehub.New(&ssehub.Options{HandlerOptions: ssehub.HandlerOptions{Authenticate: c.authenticate}})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(h)
		t.Cleanup(func() { h.Close(); server.Close() })
		res, err := http.Get(server.URL + "?" + c.query)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text := ""
		if res.StatusCode != http.StatusOK {
			all, _ := io.ReadAll(res.Body)
			text = string(all)
		}
		if res.StatusCode != c.status || !strings.Contains(text, c.reason) {
			t.Errorf("%s: %d %s, want %d %s", c.query, res.StatusCode, text, c.status, c.reason)
		}
	}
}
