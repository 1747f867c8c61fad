package web

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/httpgate"
)

// shownSpokes bounds what the page is told.
const shownSpokes = 100

// policy lets the page load and ask for what its own server has, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// NewLive returns a handler that serves the live page of a hub at / and what belongs to
// it beside: live.js, live.css, eventtarget.js, and spokes, which is JSON. The page
// connects to ws beside it, where the hub is expected to be served. On a loopback
// address it answers only those who ask for this machine by such a name; otherwise it
// decides nothing about who may see it.
func NewLive(h *hub.Hub) http.Handler {
	mux := http.NewServeMux()
	page := file("index.html", livePage)
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		page(w, r)
	})
	mux.HandleFunc("/live.js", file("live.js", liveScript))
	mux.HandleFunc("/live.css", file("live.css", liveStyle))
	mux.Handle("/eventtarget.js", Module())
	mux.HandleFunc("GET /spokes", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_ = json.NewEncoder(w).Encode(spokesOf(h)) // whoever asked has left
	})
	return httpgate.OwnHost(mux)
}

// spokes is what the page is told once a second.
type spokes struct {
	Count  int     `json:"count"`
	Spokes []spoke `json:"spokes"`
}

type spoke struct {
	Addr      string    `json:"addr"`
	Transport string    `json:"transport"`
	Identity  string    `json:"identity"`
	State     string    `json:"state"`
	Topics    []string  `json:"topics"`
	Connected time.Time `json:"connected"`
	Sent      uint64    `json:"sent"`
	Received  uint64    `json:"received"`
	Waiting   uint64    `json:"waiting"`
	Lost      uint64    `json:"lost"`
}

// spokesOf returns those that lag most, and of those that do not the oldest.
func spokesOf(h *hub.Hub) spokes {
	type standing struct {
		*hub.Spoke
		hub.SpokeStats
	}
	var all []standing
	for s := range h.Spokes() {
		all = append(all, standing{s, s.Stats()})
	}
	slices.SortFunc(all, func(a, b standing) int {
		switch {
		case a.Waiting != b.Waiting && a.Waiting > b.Waiting:
			return -1
		case a.Waiting != b.Waiting:
			return 1
		}
		return a.Connected.Compare(b.Connected)
	})
	told := spokes{Count: len(all), Spokes: []spoke{}}
	for _, s := range all[:min(len(all), shownSpokes)] {
		told.Spokes = append(told.Spokes, spoke{
			Addr: s.Addr(), Transport: s.Transport(), Identity: s.Identity(), State: s.State().String(),
			Topics: topics(s.Subscriptions()), Connected: s.Connected,
			Sent: s.Sent, Received: s.Received, Waiting: s.Waiting, Lost: s.Lost,
		})
	}
	return told
}

// topics returns the first few, as text.
func topics(all []eventtarget.Topic) []string {
	const few = 8
	texts := make([]string, 0, min(len(all), few))
	for _, t := range all[:min(len(all), few)] {
		texts = append(texts, t.String())
	}
	if len(all) > few {
		texts = append(texts, "…")
	}
	return texts
}
