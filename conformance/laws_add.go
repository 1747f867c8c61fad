package conformance

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var addLaws = []Law{
	{"A01", "deliver", Must, "a listener on a topic hears an event on it exactly once, with equal type, id and payload",
		"everything rests on it", lawDeliver},
	{"A02", "add-barrier", Must, "an event dispatched after Add returned is delivered",
		"an Add that returns before it is live loses the first events", lawAddBarrier},
	{"A03", "no-early", Must, "an event that was delivered before Add began is not delivered to that listener",
		"history is taken for news", lawNoEarly},
	{"A04", "topic-isolation", Must, "no event crosses to another type or id: a prefix, the empty id, another case",
		"topics compared as joined or prefixed text leak", everyWay(lawTopicIsolation)},
	{"A05", "topic-injective", Must, "pairs whose joined text would be equal never cross, and ':' in a type is ErrInvalidTopic",
		"\"type:id\" is ambiguous unless the type has no ':'", everyWay(lawTopicInjective)},
	{"A06", "two-adds", Must, "two Adds of one listener are two registrations; removing one leaves the other",
		"functions are not comparable in Go", everyWay(lawTwoAdds)},
}

func lawDeliver(t *T) {
	r := t.rig(3)
	r.cells(func(i, j int) {
		topic := eventtarget.T(t.name(), "id")
		rec := r.listen(j, topic)
		r.dispatch(i, event{Type: topic.Type, ID: topic.ID, Payload: raw(`{"a":[1,"x",null]}`)})
		e := rec.wait(1)[0]
		if e.Topic() != topic || string(e.Payload) != `{"a":[1,"x",null]}` {
			t.Errorf("from %d to %d: heard %v %s", i, j, e.Topic(), e.Payload)
		}
	})
	topic := eventtarget.T(t.name(), "many")
	recs := make([]*record, len(r.Endpoints))
	for j := range recs {
		recs[j] = r.listenInline(j, topic)
	}
	from, _ := r.cell()
	for n := range 300 { // losses and repeats that come once in a while
		r.dispatch(from, event{Type: topic.Type, ID: topic.ID, Payload: raw(strconv.Itoa(n))})
	}
	r.quiesce()
	for j, rec := range recs {
		if !r.Reaches(from, j) {
			continue
		}
		seen := make(map[string]int)
		for _, p := range payloads(rec.all()) {
			seen[p]++
		}
		for n := range 300 {
			if seen[strconv.Itoa(n)] != 1 {
				t.Fatalf("from %d to %d: event %d of 300 was heard %d times", from, j, n, seen[strconv.Itoa(n)])
			}
		}
	}
}

func lawAddBarrier(t *T) {
	r := t.rig(2)
	r.cells(func(i, j int) {
		for range 100 {
			topic := eventtarget.T(t.name(), "")
			rec := r.listen(j, topic)
			r.dispatch(i, event{Type: topic.Type})
			rec.wait(1)
		}
	})
}

func lawNoEarly(t *T) {
	r := t.rig(2)
	r.cells(func(i, j int) {
		topic := eventtarget.T(t.name(), "")
		r.dispatch(i, event{Type: topic.Type, Payload: raw(`"early"`)})
		r.settle(i, j)
		rec := r.listenInline(j, topic)
		r.dispatch(i, event{Type: topic.Type, Payload: raw(`"late"`)})
		r.settle(i, j)
		if got := payloads(rec.all()); fmt.Sprint(got) != `["late"]` {
			t.Errorf("from %d to %d: heard %v", i, j, got)
		}
	})
}

func lawTopicIsolation(t *T, r *rig, i, j int) {
	a := t.name()
	topics := []eventtarget.Topic{
		{Type: a, ID: "1"}, {Type: a, ID: "10"}, {Type: a, ID: ""}, {Type: a, ID: "01"}, {Type: a, ID: "x"}, {Type: a, ID: "X"},
		{Type: a + "0", ID: "1"}, {Type: strings.ToUpper(a), ID: "1"}, {Type: a + ".b", ID: "1"}, {Type: "é" + a, ID: "1"},
		{Type: "e\u0301" + a, ID: "1"}, {Type: a, ID: "1 "}, {Type: a, ID: "?"}, {Type: a, ID: "[1]"}, {Type: a, ID: "1*"},
	}
	recs := make([]*record, len(topics))
	for n, topic := range topics {
		recs[n] = r.listenInline(j, topic)
	}
	ofType, all := r.listenInline(j, eventtarget.T(a, "*")), r.listenInline(j, eventtarget.T("*", "*"))
	want := 0
	for _, topic := range topics {
		if topic.Type == a {
			want++
		}
		r.dispatch(i, event{Type: topic.Type, ID: topic.ID})
	}
	r.settle(i, j)
	for n, rec := range recs {
		if events := rec.all(); len(events) != 1 || events[0].Topic() != topics[n] {
			t.Errorf("a listener on %q heard %d events: %v", topics[n], len(events), events)
		}
	}
	if ofType.len() != want {
		t.Errorf("a listener on every id of the type heard %d events, want %d", ofType.len(), want)
	}
	if n := all.len(); n < len(topics) || n > len(topics)+max(1, len(r.Lanes)) { // the sentinels, if they were added first
		t.Errorf("a listener on everything heard %d events, want %d", n, len(topics))
	}
}

func lawTopicInjective(t *T, r *rig, i, j int) {
	a := t.name()
	for _, topic := range []eventtarget.Topic{{Type: a + ":b", ID: "c"}, {Type: ":", ID: ""}, {Type: a + ":", ID: ""}} {
		if _, err := r.Endpoints[j].Add(t.ctx, topic, eventtarget.Func(func(context.Context, event) {})); !errors.Is(err, eventtarget.ErrInvalidTopic) {
			t.Errorf("Add on type %q: %v", topic.Type, err)
		}
		if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: topic.Type, ID: topic.ID}); !errors.Is(err, eventtarget.ErrInvalidTopic) {
			t.Errorf("Dispatch on type %q: %v", topic.Type, err)
		}
	}
	topics := []eventtarget.Topic{{Type: a, ID: "b:c"}, {Type: a, ID: "b"}, {Type: a + "b", ID: "c"}, {Type: a, ID: ":"}, {Type: a, ID: "::"}}
	var recs []*record
	for _, topic := range topics {
		recs = append(recs, r.listenInline(j, topic))
	}
	for _, topic := range topics {
		r.dispatch(i, event{Type: topic.Type, ID: topic.ID})
	}
	r.settle(i, j)
	for n, rec := range recs {
		if events := rec.all(); len(events) != 1 || events[0].Topic() != topics[n] {
			t.Errorf("a listener on %q heard %v", topics[n], events)
		}
	}
}

func lawTwoAdds(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	rec := &record{t: t}
	l := eventtarget.Listener[raw]{Handle: rec.handle, Inline: true}
	first, second := r.add(j, topic, l), r.add(j, topic, l)
	if first == second {
		t.Fatalf("two Adds returned one registration")
	}
	r.dispatch(i, event{Type: topic.Type, Payload: raw(`1`)})
	r.settle(i, j)
	r.Endpoints[j].Remove(first)
	r.dispatch(i, event{Type: topic.Type, Payload: raw(`2`)})
	r.settle(i, j)
	if got := payloads(rec.all()); fmt.Sprint(got) != `[1 1 2]` {
		t.Errorf("heard %v, want 1 twice and, after one Remove, 2 once", got)
	}
}
