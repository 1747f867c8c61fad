package ssehub_test

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// conn is one response.
type conn struct {
	*agent
	name   string
	at     *server
	topics []eventtarget.Topic
	since  int  // of the book it has heard; negative: it says something that is no place
	first  bool // it has not heard what is kept
	low    int  // of the book was in the log before it was connected
	high   int  // of the book was when it was
	pipe   *faulty
	own    []own

	resumes, unnamed       bool
	opened, ended, checked bool
	cut, stalled           bool // by the walk, once
	heard                  []item
	line                   []byte
	fields                 map[string]string
}

// own is what was dispatched to a client alone, and before how many of the book.
type own struct {
	topic  eventtarget.Topic
	before int
}

// parse is what a hub is to make of an id: how much of its book was heard, and whether what is
// kept is still to come.
func (s *server) parse(id string, first map[string]bool) (since int, kept bool) {
	epoch, digits, _ := strings.Cut(id, ".")
	number, err := strconv.ParseUint(strings.TrimSuffix(digits, ".new"), 10, 32)
	seq := int(number)
	if epoch != s.epoch || err != nil || s.base+seq > len(s.book.topics) {
		return -1, true
	}
	return s.base + seq, first[id]
}

// tee is the body of a response that is looked into.
type tee struct {
	io.ReadCloser
	c *conn
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	t.c.feed(p[:n])
	if err != nil && !t.c.ended {
		t.c.ended = true
		if !t.c.cut && !t.c.stalled && !t.c.at.dead && !t.c.small { // with little room its place may go at once
			t.c.wrong("%s has ended: %v", t.c.name, err)
		}
	}
	return n, err
}

// feed takes bytes of the stream: lines, and behind an empty one what they say counts.
func (c *conn) feed(b []byte) {
	for _, x := range b {
		if x != '\n' {
			c.line = append(c.line, x)
			continue
		}
		line := string(c.line)
		c.line = c.line[:0]
		field, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "":
			c.block()
		case line == ":":
		case !slices.Contains([]string{"id", "event", "data", "retry"}, field) || strings.Contains(line, "\r") || c.fields[field] != "":
			c.wrong("%s: the line %q behind %q", c.name, line, c.fields)
		default:
			c.fields[field] = value
		}
	}
}

func (c *conn) block() {
	f := c.fields
	c.fields = make(map[string]string)
	if retry := f["retry"]; retry != "" {
		ms, err := strconv.Atoi(retry)
		if err != nil || !c.opened && (ms != 1000 || (f["id"] == "") != c.resumes) || c.opened && len(f) > 1 {
			c.wrong("%s: began with %q, resumes %t", c.name, f, c.resumes)
		}
		c.retry = time.Duration(ms) * time.Millisecond
	}
	id := f["id"]
	if id != "" {
		c.last = id
		c.ids = append(c.ids, id)
	}
	if !c.opened {
		c.opened = true
		if !c.resumes {
			c.begins(id)
		}
		return
	}
	if f["data"] == "" {
		return
	}
	var m struct {
		Type, ID string
		Payload  json.RawMessage
	}
	if err := json.Unmarshal([]byte(f["data"]), &m); err != nil || m.Type != f["event"] && !c.unnamed || c.unnamed && f["event"] != "" {
		c.wrong("%s: %v in %.200q", c.name, err, f)
		return
	}
	i := c.decode(eventtarget.T(m.Type, m.ID), m.Payload)
	if i.live = id != ""; i.live {
		if want := fmt.Sprint(c.at.epoch, ".", i.n-c.at.base+1); id != want {
			c.wrong("%s: %v has the id %s instead of %s", c.name, i, id, want)
		}
	}
	c.heard = append(c.heard, i)
	c.parsed = append(c.parsed, i)
}

// begins takes the id with which a stream begins of a client that is new.
func (c *conn) begins(id string) {
	epoch, digits, _ := strings.Cut(id, ".")
	seq, err := strconv.Atoi(strings.TrimSuffix(digits, ".new"))
	c.since, c.agent.first[id] = c.at.base+seq, true
	c.first = true
	if err != nil || epoch != c.at.epoch || c.since < c.low || c.since > c.high {
		c.wrong("%s: began at %q in %q of base %d, between %d and %d", c.name, id, c.at.epoch, c.at.base, c.low, c.high)
	}
}

// decode is what a client makes of an event.
func (a *agent) decode(topic eventtarget.Topic, payload []byte) (i item) {
	if topic.Type == "__gap" {
		var p struct{ Count int }
		_ = json.Unmarshal(payload, &p)
		return item{gap: true, count: p.Count}
	}
	words := strings.Fields(strings.Trim(string(payload), `"`))
	if i.own = words[0] == "own"; i.own {
		words = words[1:]
	}
	i.n, _ = strconv.Atoi(words[0])
	i.topic = topic
	return i
}
