package ssehub_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/sseclient"
)

// agent is a client: a hand-made EventSource, or an sseclient whose connections are looked into
// (it is the transport of both). All but what is set once is under the walk's mu.
type agent struct {
	*walk
	n         int
	client    *sseclient.Client // nil: it is made by hand
	transport *http.Transport
	stop      context.CancelFunc
	ready     chan struct{} // closed when it may ask
	gone      chan struct{} // closed when the hand-made one has ended

	at      int // the server that it asks next
	topics  []eventtarget.Topic
	unnamed bool
	last    string // the id of what it heard last
	forged  string // what it says instead, once
	retry   time.Duration
	now     *conn
	conns   []*conn // that are not checked to the end
	dialled int
	stalls  bool
	parsed  []item // all that its connections brought
	ears    []*ear // those of an sseclient
}

// ear is a listener of an sseclient.
type ear struct {
	topic eventtarget.Topic
	heard []item
}

func (w *walk) newAgent(byHand bool) *agent {
	ctx, cancel := context.WithCancel(w.t.Context())
	a := &agent{walk: w, stop: cancel, gone: make(chan struct{}), ready: make(chan struct{}), retry: time.Second, unnamed: w.one(3), topics: w.ask(), at: w.rng.IntN(len(w.servers))}
	a.transport = &http.Transport{DisableKeepAlives: true, DialContext: a.dial}
	w.mu.Lock()
	a.n = w.came
	w.came++
	w.agents = append(w.agents, a)
	w.noted("agent %d comes, by hand %t, for %v at %d", a.n, byHand, a.topics, a.at)
	w.mu.Unlock()
	if byHand {
		close(a.ready)
		go a.run(ctx)
		return a
	}
	close(a.gone)
	var err error
	a.client, err = sseclient.New("http://hub/sse", &sseclient.Options{HTTPClient: &http.Client{Transport: a}, Options: link.Options{
		OnFault: a.fault, Backoff: link.Backoff{Min: time.Millisecond, Max: time.Second}, Heartbeat: -1,
	}})
	w.must(err)
	for i, topic := range append([]eventtarget.Topic{{Type: "*", ID: "*"}}, w.ask()...) {
		e := &ear{topic: topic}
		a.ears = append(a.ears, e)
		l := eventtarget.Listener[eventtarget.Raw]{Inline: i == 0, Handle: func(_ context.Context, ev event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			e.heard = append(e.heard, a.decode(ev.Topic(), []byte(ev.Payload)))
		}}
		if i > 0 {
			l.Queue, l.Overflow = 1+w.rng.IntN(4), eventtarget.Block
		}
		_, err := a.client.Add(ctx, topic, l)
		w.must(err)
	}
	close(a.ready) // what it heard before its listeners came nobody would have heard
	return a
}

func (a *agent) fault(f eventtarget.Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch f.Kind {
	case eventtarget.FaultGap:
		if len(a.ears) > 0 {
			a.ears[0].heard = append(a.ears[0].heard, item{gap: true, count: int(f.Count)})
		}
	case eventtarget.FaultDisconnected, eventtarget.FaultReconnected:
	default:
		a.wrong("agent %d: %v", a.n, f)
	}
}

// run is an EventSource (WHATWG HTML §9.2).
func (a *agent) run(ctx context.Context) {
	defer close(a.gone)
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://hub/sse", nil)
		a.must(err)
		a.mu.Lock()
		if a.last != "" {
			req.Header.Set("Last-Event-ID", a.last)
		}
		a.mu.Unlock()
		if res, err := a.RoundTrip(req); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		a.mu.Lock()
		pause := time.NewTimer(a.retry)
		a.mu.Unlock()
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
}

func (a *agent) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	a.mu.Lock()
	c := a.now
	a.mu.Unlock()
	near, err := c.at.at.dial(ctx)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c.pipe, c.stalled = newFaulty(near, a.stalls), a.stalls
	return c.pipe, nil
}

// RoundTrip makes a request, for what the agent wants by now, and looks into the answer.
func (a *agent) RoundTrip(req *http.Request) (*http.Response, error) {
	<-a.ready
	a.mu.Lock()
	if said := req.Header.Get("Last-Event-ID"); said != a.last {
		a.wrong("agent %d says that it was at %q, not at %q", a.n, said, a.last)
	}
	a.dialled++
	c := &conn{agent: a, name: fmt.Sprintf("%d/%d", a.n, a.dialled), at: a.servers[a.at], topics: slices.Clone(a.topics), unnamed: a.unnamed, fields: make(map[string]string)}
	a.now = c
	a.conns = append(a.conns, c)
	req = req.Clone(req.Context())
	req.Header.Set("Walk", c.name)
	query := make(url.Values)
	for _, t := range c.topics {
		query.Add("topic", t.String())
	}
	if c.unnamed {
		query.Set("event", "message")
	}
	id := a.last
	if a.forged != "" {
		id, a.forged = a.forged, ""
		if a.client == nil {
			a.last = id
		}
		req.Header.Set("Last-Event-ID", id)
		if a.n%2 == 0 { // as a page does that was loaded again
			req.Header.Del("Last-Event-ID")
			query.Set("lastEventId", id)
		}
	}
	req.URL.RawQuery = query.Encode()
	c.resumes = id != ""
	c.since, c.first = c.at.parse(id, a.first)
	c.low, _ = c.at.parse(c.at.FormatPosition(c.at.Position()), a.first)
	a.noted("%s to server %d for %v behind %q", c.name, c.at.n, c.topics, id)
	a.mu.Unlock()
	res, err := a.transport.RoundTrip(req)
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil || res.StatusCode != http.StatusOK {
		c.ended, c.checked = true, true
		if err == nil && (res.StatusCode != http.StatusServiceUnavailable || !c.at.dead) {
			a.wrong("%s is answered with %s", c.name, res.Status)
		}
		return res, err
	}
	c.high = len(c.at.book.topics)
	res.Body = &tee{res.Body, c}
	return res, nil
}
