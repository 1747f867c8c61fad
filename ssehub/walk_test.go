package ssehub_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/ssehub"
)

// walk does at random what can be done to hubs and their clients, and knows who is to hear what.
type walk struct {
	t       *testing.T
	rng     *rand.Rand
	start   func(b *book) *server
	keeps   bool // the last event of each topic is kept
	snaps   bool // that is a snapshot of what was asked for
	asks    bool // who asks for nothing hears nothing
	policy  eventtarget.Overflow
	small   bool // what a client has missed may have gone
	patient bool // a client that does not read is not cut
	plain   bool // the connection stays the server's
	servers []*server

	mu     sync.Mutex
	agents []*agent
	came   int             // agents, ever
	ids    []string        // all that were seen
	first  map[string]bool // those with which a stream began
	trace  []string
	broken bool
}

// book is what hubs have dispatched to all, which one log or several have.
type book struct {
	topics []eventtarget.Topic
	done   int // of them are in the log
}

// server is a hub, as long as it lives.
type server struct {
	*ssehub.Hub
	n     int
	book  *book
	base  int // of the book was before it began
	epoch string
	at    *listener
	http  *http.Server
	dead  bool
	taken map[string]hub.Position // snapshots, by spoke
}

func (w *walk) one(of int) bool { return w.rng.IntN(of) == 0 }

func (w *walk) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noted(format, args...)
}

// noted is note under mu.
func (w *walk) noted(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

// wrong is for what is not as it is to be. Under mu.
func (w *walk) wrong(format string, args ...any) {
	w.broken = true
	w.noted("WRONG: "+format, args...)
	w.t.Errorf(format, args...)
}

func (w *walk) must(err error) {
	if err != nil {
		w.t.Fatal(err)
	}
}

var walkTopics = []eventtarget.Topic{{Type: "a", ID: "1"}, {Type: "a", ID: "2"}, {Type: "b", ID: "1"}, {Type: "b", ID: "2"}}

// ask is some topics to ask for, or none.
func (w *walk) ask() (topics []eventtarget.Topic) {
	all := append([]eventtarget.Topic{{Type: "a", ID: "*"}, {Type: "b", ID: "*"}, {Type: "*", ID: "*"}, {Type: "c", ID: ""}}, walkTopics...)
	for range w.rng.IntN(4) {
		topics = append(topics, all[w.rng.IntN(len(all))])
	}
	return topics
}

// send dispatches one event to all who are at a server: from its process, or by a POST.
func (w *walk) send(s *server, post bool, size int) {
	topic := walkTopics[w.rng.IntN(len(walkTopics))]
	w.mu.Lock()
	n := len(s.book.topics)
	s.book.topics = append(s.book.topics, topic)
	w.noted("server %d dispatches %d: %v of %d bytes", s.n, n, topic, size)
	w.mu.Unlock()
	payload := fmt.Sprintf(`"%d %s"`, n, strings.Repeat("x", size))
	if post {
		w.post(s, fmt.Sprintf("{\"type\":%q,\r\n\t\"id\":%q,\n\"payload\":%s}", topic.Type, topic.ID, payload))
	} else {
		w.must(s.Dispatch(w.t.Context(), event{Type: topic.Type, ID: topic.ID, Payload: eventtarget.Raw(payload)}))
	}
	w.mu.Lock()
	s.book.done++
	w.mu.Unlock()
}

func (w *walk) post(s *server, body string) {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.at.dial(ctx) }, DisableKeepAlives: true}}
	res, err := client.Post("http://hub/dispatch", "application/json", strings.NewReader(body))
	w.must(err)
	res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		w.t.Errorf("a POST is answered with %s", res.Status)
	}
}

// sendOwn dispatches one event to one client alone.
func (w *walk) sendOwn(a *agent) {
	w.mu.Lock()
	c := a.now
	up := c != nil && c.opened && !c.ended && !c.at.dead
	w.mu.Unlock()
	if !up {
		return
	}
	for s := range c.at.Spokes() {
		if s.Header("Walk") != c.name {
			continue
		}
		topic := walkTopics[w.rng.IntN(len(walkTopics))]
		w.mu.Lock()
		n := len(c.own)
		c.own = append(c.own, own{topic, len(c.at.book.topics)})
		w.noted("own %d to %s", n, c.name)
		w.mu.Unlock()
		_ = s.Dispatch(w.t.Context(), event{Type: topic.Type, ID: topic.ID, Payload: eventtarget.Raw(fmt.Sprintf(`"own %d"`, n))}) // it may be gone
	}
}

// snapshot is the last event of each topic that is in the log; of all that a client asks for
// those of one moment.
func (w *walk) snapshot(s *server, spoke *hub.Spoke, t eventtarget.Topic) (events []event, at hub.Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, taken := s.taken[spoke.ID()]
	if !taken {
		at = s.Position()
		s.taken[spoke.ID()] = at
	}
	upto, _ := s.parse(s.FormatPosition(at), nil)
	for _, i := range w.kept(&conn{at: s, topics: []eventtarget.Topic{t}}, upto, upto) {
		events = append(events, event{Type: i.topic.Type, ID: i.topic.ID, Payload: eventtarget.Raw(fmt.Sprintf(`"%d"`, i.n))})
	}
	return events, at
}
