package mutants

import (
	"encoding/json"
	"strings"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// lenient is a connection with somebody in between who changes messages.
type lenient struct {
	link.Conn
	in, out func(msg []byte) []byte // to the hub, from the hub; nil drops the message
}

func (c lenient) Send(msg []byte) error {
	if c.in != nil {
		if msg = c.in(msg); msg == nil {
			return nil
		}
	}
	return c.Conn.Send(msg)
}

func (c lenient) Receive() ([]byte, error) {
	for {
		msg, err := c.Conn.Receive()
		if err == nil && c.out != nil {
			msg = c.out(msg)
		}
		if msg != nil || err != nil {
			return msg, err
		}
	}
}

// between is a hub whose foreign peers are reached through c.
func between(name string, caught []string, c lenient) Mutant {
	return hubs(name, caught, nil, func(_ *hub.Hub, _ conformance.Setup, r *conformance.Rig) {
		connect := r.Foreign
		r.Foreign = func() (link.Conn, error) {
			conn, err := connect()
			return lenient{conn, c.in, c.out}, err
		}
	})
}

// envelope is read as encoding/json does: whatever the case of the names, the last
// of duplicates, invalid UTF-8 replaced.
type envelope struct {
	Type    string            `json:"type"`
	ID      string            `json:"id"`
	Payload json.RawMessage   `json:"payload,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

// foreignMutants are hubs that read and write messages wrongly.
func foreignMutants() []Mutant {
	reread := func(msg []byte) []byte {
		var e envelope
		if json.Unmarshal(msg, &e) != nil {
			return msg
		}
		msg, _ = json.Marshal(e)
		return msg
	}
	n := 0
	return []Mutant{
		between("reads names in any case, and the last of duplicates", []string{"B09"}, lenient{in: reread}),
		between("refuses members that it does not know", []string{"B08"}, lenient{in: func(msg []byte) []byte {
			d := json.NewDecoder(strings.NewReader(string(msg)))
			d.DisallowUnknownFields()
			if d.Decode(new(envelope)) != nil {
				return nil
			}
			return msg
		}}),
		between("drops what is malformed without a word", []string{"B10"}, lenient{in: func(msg []byte) []byte {
			if !json.Valid(msg) {
				return nil
			}
			return msg
		}}),
		between("escapes what it sends", []string{"B13"}, lenient{out: reread}),
		between("loses in a burst", []string{"B14"}, lenient{in: func(msg []byte) []byte {
			if n++; n%100 == 0 {
				return nil
			}
			return msg
		}}),
	}
}
