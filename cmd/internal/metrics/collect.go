package metrics

import (
	"maps"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// totals are the counters of the spokes of a transport.
type totals struct {
	received, sent, lost, conflated, gaps, resumed uint64
}

func (t *totals) add(s hub.SpokeStats) {
	t.received += s.Received
	t.sent += s.Sent
	t.lost += s.Lost
	t.conflated += s.Conflated
	t.gaps += s.Gaps
	t.resumed += s.Resumed
}

// standing is how the spokes of a transport stand now.
type standing struct {
	totals
	up, down      int
	lag, farthest uint64 // of all together, and of the one that is farthest behind
	bytes         int
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("eventtarget_"+name, help, labels, nil)
}

var (
	connections = describe("connections", "Spokes, by the state of their connection: a session that waits for its peer is down.", "transport", "state")
	connects    = describe("connects_total", "Spokes that have connected.", "transport")
	disconnects = describe("disconnects_total", "Spokes that have left, and why.", "transport", "reason")
	resumes     = describe("resumes_total", "How often a spoke went on where it had been, over another connection.", "transport")
	received    = describe("received_total", "Messages from spokes.", "transport")
	deliveries  = describe("deliveries_total", "Messages that connections of spokes took.", "transport")
	drops       = describe("drops_total", "Events that a spoke did not get because it was too far behind.", "transport")
	conflated   = describe("conflated_total", "Events that a later one on their topic took the place of.", "transport")
	gaps        = describe("gaps_total", "How often a spoke was told that events are missing.", "transport")
	lag         = describe("lag_events", "Events that are still to be sent, to all spokes together.", "transport")
	farthest    = describe("lag_events_max", "Events that are still to be sent to the spoke that is farthest behind.", "transport")
	waiting     = describe("waiting_bytes", "Size of what waits for single spokes.", "transport")
	ignored     = describe("ignored_total", "Control messages that the hub does not know.")
	malformed   = describe("malformed_total", "Messages of spokes that were no envelopes.")
	refused     = describe("refused_total", "Events that their spokes were not allowed to dispatch.")
)

// Describe is for Prometheus.
func (m *Metrics) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		connections, connects, disconnects, resumes, received, deliveries, drops, conflated, gaps, lag, farthest, waiting, ignored, malformed, refused,
	} {
		c <- d
	}
}

// Collect is for Prometheus. It looks at every spoke.
func (m *Metrics) Collect(c chan<- prometheus.Metric) {
	m.mu.Lock()
	standings := m.standings()
	connected, left, h := maps.Clone(m.connects), maps.Clone(m.farewells), m.hub
	m.mu.Unlock()
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	for transport, s := range standings {
		gauge(connections, float64(s.up), transport, "up")
		gauge(connections, float64(s.down), transport, "down")
		counter(resumes, s.resumed, transport)
		counter(received, s.received, transport)
		counter(deliveries, s.sent, transport)
		counter(drops, s.lost, transport)
		counter(conflated, s.conflated, transport)
		counter(gaps, s.gaps, transport)
		gauge(lag, float64(s.lag), transport)
		gauge(farthest, float64(s.farthest), transport)
		gauge(waiting, float64(s.bytes), transport)
		counter(connects, connected[transport], transport)
	}
	for f, n := range left {
		counter(disconnects, n, f.transport, f.reason)
	}
	if h != nil {
		st := h.Stats()
		counter(ignored, st.Ignored)
		counter(malformed, st.Malformed)
		counter(refused, st.Refused)
	}
}

// standings adds the spokes that are there to those that have left, so that no counter
// ever falls. Under mu.
func (m *Metrics) standings() map[string]*standing {
	all := make(map[string]*standing)
	of := func(transport string) *standing {
		if all[transport] == nil {
			all[transport] = &standing{}
		}
		return all[transport]
	}
	for transport, t := range m.departed {
		of(transport).totals = *t
	}
	for s := range m.spokes {
		on, st := of(s.Transport()), s.Stats()
		on.add(st)
		if s.State() == eventtarget.StateUp {
			on.up++
		} else {
			on.down++
		}
		on.lag += st.Waiting
		on.farthest = max(on.farthest, st.Waiting)
		on.bytes += st.Bytes
	}
	return all
}
