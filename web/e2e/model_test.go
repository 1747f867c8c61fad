package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/faultnet"
)

// command is what the script is told.
type command struct {
	Do        string    `json:"do"`
	T         int       `json:"t"`
	URL       string    `json:"url,omitempty"`
	SSE       bool      `json:"sse,omitempty"`
	Heartbeat int       `json:"heartbeat,omitempty"`
	Ear       int       `json:"ear,omitempty"`
	Topic     string    `json:"topic,omitempty"`
	Once      bool      `json:"once,omitempty"`
	Then      []command `json:"then,omitempty"`
	Size      int       `json:"size"`
	N         int       `json:"n,omitempty"`
}

// model knows from what was dispatched, and from what the script says, who is to have heard what.
type model struct {
	t        *testing.T
	strict   bool // nothing is lost: there is no gap
	again    bool // the hub's listener may hear something once more after its death
	restarts bool // the hub: then a place in its log is worth nothing
	told     int  // lines
	clock    int
	ponged   int
	ears     int

	targets []*target
	said    map[string][]*saying // by who said it

	began time.Time
	mu    sync.Mutex
	diary []string
	hub   map[string][]int // what it has heard
}

// target is what there is to know of one of the script's.
type target struct {
	n      int
	sse    bool
	beats  bool
	proxy  *faultnet.Proxy
	ready  string // its readyState, when it was last asked
	open   bool
	downs  int
	opens  []int // lines
	gaps   []int // lines
	closes int   // the line
	lost   bool  // it has to tell a gap
	ears   []*ear
	begun  map[string][]*ear // of each event that was heard, who was there to hear it
}

// ear is a listener: in which lines it came and left, and what it heard.
type ear struct {
	n, added, removed int
	topic             eventtarget.Topic
	name              string
	once              bool
	sure              int // since then the hub knows
	heard             map[string][]hearing
}

type hearing struct {
	n, line int
	ordered bool
}

type certainty string

const (
	must  certainty = "must"
	may   certainty = "may"
	never certainty = "never"
)

// saying is an event that was dispatched, when the script had said so many lines.
type saying struct {
	who            string
	n, at, line    int
	topic          eventtarget.Topic
	size           int
	to             map[int]certainty
	by             *target // or nil: the hub
	open, withdrew bool
}

func newModel(t *testing.T) model {
	return model{t: t, began: time.Now(), said: make(map[string][]*saying), hub: make(map[string][]int)}
}

func (m *model) note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.diary = append(m.diary, fmt.Sprintf("%5d ", time.Since(m.began).Milliseconds())+fmt.Sprintf(format, args...))
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.mu.Lock()
	m.t.Log(strings.Join(m.diary, "\n"))
	m.mu.Unlock()
	m.t.Fatalf(format, args...)
}

func (m *model) must(err error) {
	if err != nil {
		m.t.Helper()
		m.fail("%v", err)
	}
}

func (m *model) add(proxy *faultnet.Proxy, sse bool) *target {
	p := &target{n: len(m.targets), sse: sse, proxy: proxy, begun: make(map[string][]*ear)}
	m.targets = append(m.targets, p)
	return p
}

func (m *model) present() (all []*target) {
	for _, p := range m.targets {
		if !p.closed() {
			all = append(all, p)
		}
	}
	return all
}

func (p *target) closed() bool { return p.closes > 0 }

// topics are what the target's listeners want.
func (p *target) topics() (all []string) {
	for _, e := range p.ears {
		if e.removed == 0 && !slices.Contains(all, e.name) {
			all = append(all, e.name)
		}
	}
	slices.Sort(all)
	return all
}

// sure notes that the hub knows what a target's listeners want.
func (m *model) sure(p *target) {
	m.clock++
	for _, e := range p.ears {
		if e.sure == 0 {
			e.sure = m.clock
		}
	}
}

func (m *model) says(who, topic string, size int) *saying {
	m.clock++
	t, id, _ := strings.Cut(topic, ":")
	e := &saying{who: who, n: len(m.said[who]), at: m.clock, line: m.told, topic: eventtarget.T(t, id), size: size, to: make(map[int]certainty)}
	m.said[who] = append(m.said[who], e)
	return e
}

func (m *model) atHub(_ context.Context, e eventtarget.Event[raw]) {
	var by [2]int
	if err := json.Unmarshal(e.Payload, &[]any{&by[0], &by[1]}); err != nil {
		m.note("at the hub: %v", err)
	}
	m.note("the hub hears %d %d", by[0], by[1])
	m.mu.Lock()
	defer m.mu.Unlock()
	who := strconv.Itoa(by[0])
	if !m.again || !slices.Contains(m.hub[who], by[1]) {
		m.hub[who] = append(m.hub[who], by[1])
	}
}

// line takes in what the script says.
func (m *model) line(text string) {
	m.told++
	m.note("%d: %s", m.told, text)
	f := strings.Fields(text)
	n := func(i int) int { v, _ := strconv.Atoi(f[i]); return v }
	if f[0] == "pong" {
		m.ponged = n(1)
		for _, state := range f[2:] {
			t, ready, _ := strings.Cut(state, "=")
			i, _ := strconv.Atoi(t)
			m.targets[i].ready = ready
		}
		return
	}
	p := m.targets[n(1)]
	if p.lost && f[0] != "gap" {
		m.fail("line %d: a gap was not told", m.told)
	}
	switch f[0] {
	case "open":
		p.lost = f[2] == "false" && len(p.opens) > 0
		p.open, p.opens = true, append(p.opens, m.told)
	case "down":
		p.open = false
		p.downs++
	case "gap":
		unknown := p.sse && (m.restarts || p.lost) // where it was
		p.lost = false
		p.gaps = append(p.gaps, m.told)
		if m.strict && !unknown {
			m.fail("line %d: a gap", m.told)
		}
	case "added":
		t, id, _ := strings.Cut(f[3], ":")
		if f[3] == "*" {
			id = "*"
		}
		p.ears = append(p.ears, &ear{n: n(2), added: m.told, topic: eventtarget.T(t, id), name: eventtarget.T(t, id).String(), once: f[4] == "true", heard: make(map[string][]hearing)})
	case "removed":
		p.ear(n(2)).removed = m.told
	case "said":
		e := m.says(f[1], f[3], n(4))
		e.by, e.open = p, p.open
		for _, q := range m.targets {
			e.to[q.n] = must
		}
	case "threw":
		if e := m.said[f[1]][n(2)]; f[3] == "QuotaExceededError" || f[3] == "InvalidStateError" && (p.sse || p.closed()) {
			e.to, e.withdrew = nil, true
		} else {
			m.fail("line %d: %s", m.told, f[3])
		}
	case "closes":
		p.closes = m.told
	case "heard":
		m.heard(p, p.ear(n(2)), f[3], n(4), f[5], n(6))
	default:
		m.fail("line %d: %s", m.told, text)
	}
}

func (p *target) ear(n int) *ear {
	return p.ears[slices.IndexFunc(p.ears, func(e *ear) bool { return e.n == n })]
}

func (m *model) heard(p *target, l *ear, who string, n int, topic string, size int) {
	if n >= len(m.said[who]) {
		m.fail("line %d: nobody has said that", m.told)
	}
	e := m.said[who][n]
	event := fmt.Sprint(who, " ", n)
	there, begun := p.begun[event]
	if !begun {
		for _, other := range p.ears {
			if other.removed == 0 && other.topic.Matches(e.topic) {
				there = append(there, other)
			}
		}
		p.begun[event] = there
	}
	before, ordered := l.heard[who], m.inOrder(p, l, e)
	switch {
	case e.topic.String() != topic || e.size != size || !l.topic.Matches(e.topic):
		m.fail("line %d: it is not what was said: %v, %d bytes", m.told, e.topic, e.size)
	case l.removed > 0:
		m.fail("line %d: it does not listen any more", m.told)
	case p.closed() && !begun:
		m.fail("line %d: it is closed", m.told)
	case e.to[p.n] == never || e.to == nil:
		m.fail("line %d: it was not for this one", m.told)
	case slices.ContainsFunc(before, func(h hearing) bool { return h.n == n || ordered && h.ordered && h.n > n }):
		m.fail("line %d: twice, or behind a later one", m.told)
	}
	l.heard[who] = append(before, hearing{n, m.told, ordered})
	if l.once {
		l.removed = m.told
	}
}
