package wire

import (
	"bytes"
	"maps"
	"slices"
	"strconv"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Message is an envelope that was read.
type Message struct {
	Type, ID string
	Payload  eventtarget.Raw // a part of the message that was read; nil when absent
	Headers  map[string]string
	// Seq is the number that a hub with a store gave the message, which a peer's
	// position is made of; 0: none.
	Seq     uint64
	stamped bool   // there is such a member, whatever it is
	headers uint32 // where the first header stands, or would, in the message; 0: nowhere
}

// Control tells whether the message is the protocol's own.
func (m *Message) Control() bool {
	return len(m.Type) >= 2 && m.Type[:2] == eventtarget.ReservedPrefix
}

// Stamp appends the message in frame with a number of ours. m is what was read of it; nil:
// it is one of Append's. A number that somebody else has given it is left out, and with it
// the unknown members.
func Stamp(dst, frame []byte, m *Message, seq uint64) []byte {
	if m != nil && m.stamped {
		dst = Append(dst, &eventtarget.Event[eventtarget.Raw]{Type: m.Type, ID: m.ID, Payload: m.Payload, Headers: m.Headers})
	} else {
		dst = append(dst, bytes.TrimRight(frame, " \t\r\n")...)
	}
	dst = append(dst[:len(dst)-1], `,"seq":`...)
	dst = strconv.AppendUint(dst, seq, 10)
	return append(dst, '}')
}

// AddHeader appends the message in frame, of which m was read, with one more header, to
// dst, and keeps the unknown members. If there is one of that name, they are left out.
func AddHeader(dst, frame []byte, m *Message, name, value string) []byte {
	if _, found := m.Headers[name]; found {
		headers := maps.Clone(m.Headers)
		headers[name] = value
		return Append(dst, &eventtarget.Event[eventtarget.Raw]{Type: m.Type, ID: m.ID, Payload: m.Payload, Headers: headers})
	}
	if m.headers == 0 {
		dst = append(dst, bytes.TrimRight(frame, " \t\r\n")...)
		return append(appendHeaders(dst[:len(dst)-1], map[string]string{name: value}), '}')
	}
	dst = append(dst, frame[:m.headers]...)
	dst = appendHeader(dst, name, value)
	if len(m.Headers) > 0 {
		dst = append(dst, ',')
	}
	return append(dst, frame[m.headers:]...)
}

// Append appends e's message to dst, in the order type, id, payload, headers. The
// topic and the payload have been checked. An absent payload has no member.
func Append(dst []byte, e *eventtarget.Event[eventtarget.Raw]) []byte {
	dst = append(dst, `{"type":"`...)
	dst = appendText(dst, e.Type)
	dst = append(dst, `","id":"`...)
	dst = appendText(dst, e.ID)
	if e.Payload == nil {
		dst = append(dst, '"')
	} else {
		dst = append(dst, `","payload":`...)
		dst = append(dst, e.Payload...)
	}
	if len(e.Headers) > 0 {
		dst = appendHeaders(dst, e.Headers)
	}
	return append(dst, '}')
}

func appendHeaders(dst []byte, headers map[string]string) []byte {
	dst = append(dst, `,"headers":{`...)
	for i, name := range slices.Sorted(maps.Keys(headers)) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendHeader(dst, name, headers[name])
	}
	return append(dst, '}')
}

func appendHeader(dst []byte, name, value string) []byte {
	dst = append(dst, '"')
	dst = appendText(dst, name)
	dst = append(dst, `":"`...)
	dst = appendText(dst, value)
	return append(dst, '"')
}

// appendText appends valid UTF-8 as the inside of a JSON string.
func appendText(dst []byte, s string) []byte {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if special(load8(s[i:]))&tops != 0 {
			return appendEscaped(dst, s)
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			return appendEscaped(dst, s)
		}
	}
	return append(dst, s...)
}

func load8(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

func appendEscaped(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// MaxFrame returns the size of the largest message that an event within limits
// becomes: what a transport must be able to read.
func MaxFrame(l eventtarget.Limits) int {
	l = l.WithDefaults()
	const (
		escape  = 6 // a byte of text is at most \u00xx
		members = len(`{"type":"","id":"","payload":,"headers":{}}`)
		header  = len(`"":"",`)
	)
	text := eventtarget.MaxTypeBytes + eventtarget.MaxIDBytes + l.Headers*l.HeaderBytes
	return l.Message + escape*text + members + l.Headers*header
}
