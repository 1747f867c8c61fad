package conformance

import (
	"errors"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var limitLaws = []Law{
	{"B03", "sizes", Must, "messages of every size up to the limit arrive whole",
		"the steps of frame headers and of libraries' buffers", everyWay(lawSizes)},
	{"B04", "too-large", Must, "a message over the limit is ErrTooLarge at the sender; nobody is disconnected",
		"one large message that takes a connection down", lawTooLarge},
}

// sized returns an event that is a message of exactly n bytes.
func sized(eventType string, n int) event {
	return event{Type: eventType, Payload: raw(`"` + strings.Repeat("x", n-len(eventType)-2) + `"`)}
}

func lawSizes(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	rec := r.listen(j, topic)
	sizes := []int{64, 124, 125, 126, 127, 128, 4092, 4096, 4100, 32767, 32768, 32769, 65535, 65536, 65537, 1 << 20}
	for n, size := range sizes {
		e := sized(topic.Type, size)
		r.dispatch(i, e)
		if got := rec.wait(n + 1)[n].Payload; string(got) != string(e.Payload) {
			t.Errorf("a message of %d bytes arrived with a payload of %d instead of %d", size, len(got), len(e.Payload))
		}
	}
}

func lawTooLarge(t *T) {
	t.wire()
	const limit = 2000
	r := t.rigWith(Setup{Endpoints: 2, MaxMessage: limit})
	r.cells(func(i, j int) {
		topic := eventtarget.T(t.name(), "")
		rec := r.listenInline(j, topic)
		if err := r.Endpoints[i].Dispatch(t.ctx, sized(topic.Type, limit+1)); !errors.Is(err, eventtarget.ErrTooLarge) {
			t.Errorf("Dispatch of a message one byte over the limit: %v", err)
		}
		r.dispatch(i, sized(topic.Type, limit))
		r.settle(i, j)
		if rec.len() != 1 {
			t.Errorf("from %d to %d: heard %d messages, want the one at the limit", i, j, rec.len())
		}
	})
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.faults {
		if s.fault.Kind == eventtarget.FaultDisconnected {
			t.failures = append(t.failures, "somebody was disconnected: "+s.fault.Error())
		}
	}
}
