package conformance

import (
	"errors"
	"strconv"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var topologyLaws = []Law{
	{"C01", "reach-matrix", Must, "from every endpoint exactly those hear that it reaches, once",
		"the one model of every topology", lawReachMatrix},
	{"C02", "echo", Must, "an endpoint hears itself as declared, and not otherwise, through a shared connection too",
		"events that come back to who sent them", lawEcho},
	{"C19", "config-open", Must, "opening by URL yields a target that works; an unknown scheme or parameter is an error that names it",
		"a typing error that is found in production", lawConfigOpen},
	{"C22", "source", Must, "an inbound event names its source, with an identity if there is one, and what is dispatched to it reaches that peer alone; one's own has none",
		"an answer that goes to everyone", lawSource},
}

func lawReachMatrix(t *T) {
	r := t.rig(4)
	a := t.name()
	recs := make([]*record, len(r.Endpoints))
	for j := range recs {
		recs[j] = r.listenInline(j, eventtarget.T(a, "*"))
	}
	for i := range r.Endpoints {
		r.dispatch(i, event{Type: a, ID: strconv.Itoa(i)})
	}
	r.quiesce()
	for j, rec := range recs {
		heard := make(map[string]int)
		for _, e := range rec.all() {
			heard[e.ID]++
		}
		for i := range r.Endpoints {
			want := 0
			if r.Reaches(i, j) {
				want = 1
			}
			if got := heard[strconv.Itoa(i)]; got != want {
				t.Errorf("from endpoint %d to %d: heard %d times, want %d", i, j, got, want)
			}
		}
	}
}

func lawEcho(t *T) {
	r := t.rig(3)
	a := t.name()
	recs := make([]*record, len(r.Endpoints))
	for j := range recs {
		recs[j] = r.listenInline(j, eventtarget.T(a, "*"))
		r.listenInline(j, eventtarget.T(a, "*")) // a second one on the same connection
	}
	for i := range r.Endpoints {
		for range 3 {
			r.dispatch(i, event{Type: a, ID: strconv.Itoa(i)})
		}
	}
	r.quiesce()
	for i, rec := range recs {
		own := 0
		for _, e := range rec.all() {
			if e.ID == strconv.Itoa(i) {
				own++
			}
		}
		want := 0
		if r.Reaches(i, i) {
			want = 3
		}
		if own != want {
			t.Errorf("endpoint %d hears %d of its own 3 events, want %d", i, own, want)
		}
	}
}

func lawConfigOpen(t *T) {
	open := t.Harness.Open
	t.need(open != nil, "the harness opens nothing by URL")
	e, err := open(t.ctx, t.Harness.URL)
	if err != nil {
		t.Fatalf("open: %v", err) // without the URL, which may have a password
	}
	defer e.Close()
	if err := e.Ready(t.ctx); err != nil {
		t.Fatalf("Ready: %v", err)
	}
	r := &rig{Rig: &Rig{Endpoints: []eventtarget.Endpoint{e}}, t: t}
	rec := r.listen(0, eventtarget.T(t.name(), "x"))
	r.dispatch(0, event{Type: rec.reg.Topic().Type, ID: "x", Payload: raw(`1`)})
	rec.wait(1) // whatever the scheme, what was opened by URL hears itself
	if _, err := open(t.ctx, "no-such-scheme://x"); !errors.Is(err, eventtarget.ErrUnknownScheme) {
		t.Errorf("an unknown scheme: %v", err)
	}
	joint := "?"
	if strings.Contains(t.Harness.URL, "?") {
		joint = "&"
	}
	if _, err := open(t.ctx, t.Harness.URL+joint+"no-such-parameter=1"); !errors.Is(err, eventtarget.ErrUnknownParameter) {
		t.Errorf("an unknown parameter: %v", err)
	}
}

func lawSource(t *T) {
	r := t.rig(3)
	a := t.name()
	r.cells(func(i, j int) {
		topic := eventtarget.T(a, strconv.Itoa(i)+"-"+strconv.Itoa(j))
		rec := r.listen(j, topic)
		r.dispatch(i, event{Type: topic.Type, ID: topic.ID})
		source := rec.wait(1)[0].Source
		if !t.Harness.Caps.Source || i == j {
			if source != nil {
				t.Errorf("from %d to %d: a source where there is none: %v", i, j, source.ID())
			}
			return
		}
		if source == nil || source.ID() == "" {
			t.Errorf("from %d to %d: no source", i, j)
			return
		}
		if proved := source.Identity() != ""; t.Harness.Caps.Topology == Hub && j == 0 && proved != t.Harness.Caps.Identity {
			t.Errorf("from %d to %d: the identity of the source is %q", i, j, source.Identity())
		}
		if r.mute(j) {
			if err := source.Dispatch(t.ctx, event{Type: a}); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("answering where nothing can be sent: %v", err)
			}
			return
		}
		adjacent := i
		if t.Harness.Caps.Topology == Hub && i != 0 && j != 0 {
			adjacent = 0 // a relayed event comes from the hub
		}
		answer := t.name()
		answers := make([]*record, len(r.Endpoints))
		for k := range answers {
			answers[k] = r.listenInline(k, eventtarget.T(answer, ""))
		}
		if err := source.Dispatch(t.ctx, event{Type: answer}); err != nil {
			t.Errorf("answering the source: %v", err)
			return
		}
		answers[adjacent].wait(1)
		r.quiesce()
		for k := range answers {
			want := 0
			if k == adjacent || adjacent == 0 && t.Harness.Caps.Relay && k != j {
				want = 1
			}
			if k == j && t.Harness.Caps.Echo && !(t.Harness.Caps.Topology == Hub && j == 0) {
				want = 1 // the answer is a dispatch of its own; a hub's goes through the spoke
			}
			if got := answers[k].len(); got != want {
				t.Errorf("an answer from %d to the source at %d was heard %d times at %d, want %d", j, adjacent, got, k, want)
			}
		}
	})
}
