package wire

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// ErrMalformed is that a message is not an envelope.
var ErrMalformed = errors.New("malformed message")

// Decode reads one message. The payload is a part of frame. The error is
// [ErrMalformed], also [eventtarget.ErrInvalidTopic] or [eventtarget.ErrLimit] where
// that is what is wrong, or [eventtarget.ErrTooLarge].
func Decode(frame []byte, l eventtarget.Limits) (Message, error) {
	return (*Topics)(nil).Decode(frame, l)
}

// Topics are some that messages of one conversation have had. Most conversations are on a few,
// whose texts are not made, and checked, again for each message. It is for one goroutine at a
// time; a nil one knows of none, and keeps none.
type Topics struct {
	known [8]eventtarget.Topic
}

// Decode is the function [Decode] for a message of the conversation.
func (t *Topics) Decode(frame []byte, l eventtarget.Limits) (Message, error) {
	d := decoder{scanner: scanner{b: frame, maxDepth: l.Depth}, limits: l, topics: t}
	m, err := d.decode()
	switch {
	case err == nil:
		return m, nil
	case errors.Is(err, eventtarget.ErrTooLarge):
		return Message{}, err
	default:
		return Message{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
}

type decoder struct {
	scanner
	limits eventtarget.Limits
	topics *Topics
	have   uint8
	others names // of unknown members
}

const (
	haveType = 1 << iota
	haveID
	havePayload
	haveHeaders
	haveSeq
)

func (d *decoder) decode() (m Message, err error) {
	if !d.take('{') {
		return m, d.fail("no JSON object")
	}
	var eventType, id text
	for end := d.take('}'); !end; {
		name, err := d.name()
		if err != nil {
			return m, err
		}
		which := d.member(name)
		if d.have&which != 0 {
			return m, d.fail("a duplicate member")
		}
		d.have |= which
		switch which {
		case haveType:
			eventType, err = d.wantString("type")
		case haveID:
			id, err = d.wantString("id")
		case havePayload:
			d.space()
			from := d.i
			err = d.value(0)
			m.Payload = frameOf(d.b, from, d.i)
		case haveHeaders:
			m.Headers, m.headers, err = d.readHeaders()
		case haveSeq:
			m.stamped = true
			d.space()
			from := d.i
			err = d.value(0)
			m.Seq, _ = strconv.ParseUint(string(d.b[from:d.i]), 10, 64) // anything else is an unknown member
		default:
			if !d.others.add(name) {
				return m, d.fail("a duplicate member")
			}
			err = d.value(0)
		}
		if err != nil {
			return m, err
		}
		if end, err = d.memberEnd(); err != nil {
			return m, err
		}
	}
	if err := d.nothingMore(); err != nil {
		return m, err
	}
	if d.have&(haveType|haveID) != haveType|haveID {
		return m, errors.New("no type or no id")
	}
	known := d.topics.find(eventType, id)
	if known != nil && known.Type != "" && eventType.is(known.Type) && id.is(known.ID) {
		m.Type, m.ID = known.Type, known.ID
		return m, d.check(&m)
	}
	m.Type, m.ID = both(eventType, id)
	if err := checkTopic(&m); err != nil {
		return m, err
	}
	if known != nil && !m.Control() {
		*known = eventtarget.Topic{Type: m.Type, ID: m.ID}
	}
	return m, d.check(&m)
}

// find returns where a topic stands if it is known, or is to be kept; nil: nowhere.
func (t *Topics) find(eventType, id text) *eventtarget.Topic {
	if t == nil {
		return nil
	}
	at := len(eventType.raw) + len(id.raw)
	if n := len(id.raw); n > 0 {
		at += int(id.raw[n-1])
	}
	return &t.known[at%len(t.known)]
}

// frameOf keeps the payload from reaching into what stands behind it.
func frameOf(b []byte, from, to int) eventtarget.Raw { return b[from:to:to] }

// member tells which member has a name; 0 is an unknown one.
func (d *decoder) member(name text) uint8 {
	s := name.raw
	if name.escaped {
		s = name.appendTo(nil)
	}
	switch string(s) {
	case "type":
		return haveType
	case "id":
		return haveID
	case "payload":
		return havePayload
	case "headers":
		return haveHeaders
	case "seq":
		return haveSeq
	}
	return 0
}

func (d *decoder) wantString(member string) (text, error) {
	if d.peek() != '"' {
		return text{}, d.fail("the " + member + " is no string")
	}
	return d.str()
}

// both returns two strings out of one allocation.
func both(a, b text) (string, string) {
	buf := make([]byte, 0, 128)
	if n := len(a.raw) + len(b.raw); n > cap(buf) {
		buf = make([]byte, 0, n)
	}
	buf = a.appendTo(buf)
	n := len(buf)
	s := string(b.appendTo(buf))
	return s[:n], s[n:]
}

// readHeaders reads an object of strings, and tells where they begin.
func (d *decoder) readHeaders() (headers map[string]string, at uint32, err error) {
	if !d.take('{') {
		return nil, 0, d.fail("the headers are no object")
	}
	headers, at = make(map[string]string), uint32(d.i) // no message is so long that it does not fit
	for end := d.take('}'); !end; {
		t, err := d.name()
		if err != nil {
			return nil, 0, err
		}
		name := string(t.appendTo(nil))
		if _, found := headers[name]; found {
			return nil, 0, d.fail("a duplicate header")
		}
		if t, err = d.wantString("header"); err != nil {
			return nil, 0, err
		}
		headers[name] = string(t.appendTo(nil))
		if len(headers) > d.limits.Headers {
			return nil, 0, fmt.Errorf("%w: more than %d headers", eventtarget.ErrLimit, d.limits.Headers)
		}
		if end, err = d.memberEnd(); err != nil {
			return nil, 0, err
		}
	}
	return headers, at, nil
}

// checkTopic holds the topic against its grammar.
func checkTopic(m *Message) error {
	topic := eventtarget.Topic{Type: m.Type, ID: m.ID}
	if m.Control() { // the same grammar, but for the prefix
		topic.Type = "x" + m.Type[len(eventtarget.ReservedPrefix):]
	}
	return topic.Check()
}

// check holds what was read, but for the topic, against the limits.
func (d *decoder) check(m *Message) error {
	if n := size(m.Type, m.ID, m.Payload, m.Headers); n > d.limits.Message {
		return fmt.Errorf("%w: %d bytes, more than %d", eventtarget.ErrTooLarge, n, d.limits.Message)
	}
	if len(m.Headers) == 0 {
		m.Headers = nil
		return nil
	}
	return checkHeaders(m.Headers, d.limits)
}

// names is a set of member names: a short list first, because there are few if
// any, and a map before that would cost the square of their number.
type names struct {
	few  []string
	many map[string]struct{}
}

// add is false when the name was there.
func (n *names) add(t text) bool {
	const short = 8
	name := string(t.appendTo(nil))
	if n.many != nil {
		before := len(n.many)
		n.many[name] = struct{}{}
		return len(n.many) > before
	}
	if slices.Contains(n.few, name) {
		return false
	}
	n.few = append(n.few, name)
	if len(n.few) > short {
		n.many = make(map[string]struct{})
		for _, other := range n.few {
			n.many[other] = struct{}{}
		}
	}
	return true
}
