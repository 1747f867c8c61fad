package wire

// Stopgap until the real codec lands; to be deleted by its author.

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

type Message struct {
	Type, ID string
	Payload  eventtarget.Raw
	Headers  map[string]string
}

func (m *Message) Control() bool { return strings.HasPrefix(m.Type, "__") }

var ErrMalformed = errors.New("malformed envelope")

func MaxFrame(l eventtarget.Limits) int { return l.Message + 64<<10 }

func Append(dst []byte, e *eventtarget.Event[eventtarget.Raw]) []byte {
	m := map[string]any{"type": e.Type, "id": e.ID}
	if e.Payload != nil {
		m["payload"] = e.Payload
	}
	if e.Headers != nil {
		m["headers"] = e.Headers
	}
	b, _ := json.Marshal(m)
	return append(dst, b...)
}

func Check(e *eventtarget.Event[eventtarget.Raw], l eventtarget.Limits) error {
	if err := e.Topic().Check(); err != nil {
		return err
	}
	if len(e.Payload)+len(e.Type)+len(e.ID) > l.Message {
		return eventtarget.ErrTooLarge
	}
	if e.Payload != nil && (!json.Valid(e.Payload) || !utf8.Valid(e.Payload)) {
		return eventtarget.ErrInvalidPayload
	}
	return nil
}

func Decode(b []byte, l eventtarget.Limits) (Message, error) {
	var m struct {
		Type, ID *string
		Payload  eventtarget.Raw
		Headers  map[string]string
	}
	if err := json.Unmarshal(b, &m); err != nil || m.Type == nil || m.ID == nil {
		return Message{}, fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if len(b) > l.Message+1000 {
		return Message{}, eventtarget.ErrTooLarge
	}
	return Message{*m.Type, *m.ID, m.Payload, m.Headers}, nil
}
