package wire

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Check tells whether an event that an application dispatches can be sent: its
// payload is one JSON value, its headers are text, and it is within limits. The
// topic is the registry's to check. The error is [eventtarget.ErrInvalidPayload],
// [eventtarget.ErrTooLarge] or [eventtarget.ErrLimit].
func Check(e *eventtarget.Event[eventtarget.Raw], l eventtarget.Limits) error {
	if n := size(e.Type, e.ID, e.Payload, e.Headers); n > l.Message {
		return fmt.Errorf("%w: %d bytes, more than %d", eventtarget.ErrTooLarge, n, l.Message)
	}
	if e.Payload != nil {
		s := scanner{b: e.Payload, maxDepth: l.Depth}
		if err := s.only(); err != nil {
			return fmt.Errorf("%w: %w", eventtarget.ErrInvalidPayload, err)
		}
	}
	if len(e.Headers) == 0 {
		return nil
	}
	return checkHeaders(e.Headers, l)
}

func size(eventType, id string, payload []byte, headers map[string]string) int {
	n := len(eventType) + len(id) + len(payload)
	if headers == nil { // a loop over it costs more than all the rest
		return n
	}
	for name, value := range headers {
		n += len(name) + len(value)
	}
	return n
}

func checkHeaders(headers map[string]string, l eventtarget.Limits) error {
	if len(headers) > l.Headers {
		return fmt.Errorf("%w: %d headers, more than %d", eventtarget.ErrLimit, len(headers), l.Headers)
	}
	for name, value := range headers {
		if n := len(name) + len(value); n > l.HeaderBytes {
			return fmt.Errorf("%w: a header of %d bytes, more than %d", eventtarget.ErrLimit, n, l.HeaderBytes)
		}
		if name == "" {
			return fmt.Errorf("%w: a header without a name", eventtarget.ErrInvalidPayload)
		}
		if err := errors.Join(checkText(name), checkText(value)); err != nil {
			return fmt.Errorf("%w: header %q: %w", eventtarget.ErrInvalidPayload, name, err)
		}
	}
	return nil
}

// checkText refuses what headers are injected with where they are written as lines.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("not valid UTF-8")
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return errors.New("a control character")
		}
	}
	return nil
}
