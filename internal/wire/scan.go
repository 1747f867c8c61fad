package wire

import (
	"errors"
	"fmt"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// scanner reads JSON text strictly, without building anything.
type scanner struct {
	b        []byte
	i        int
	maxDepth int
}

func (s *scanner) fail(what string) error {
	return fmt.Errorf("%s at byte %d", what, s.i)
}

var errEnd = errors.New("the text ends too early")

// only reads one value and nothing but white space around it.
func (s *scanner) only() error {
	s.space()
	if err := s.value(0); err != nil {
		return err
	}
	return s.nothingMore()
}

func (s *scanner) nothingMore() error {
	s.space()
	if s.i < len(s.b) {
		return s.fail("something behind the value")
	}
	return nil
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek returns the next byte that is no space, or 0 at the end, which no value
// begins with.
func (s *scanner) peek() byte {
	if s.i < len(s.b) && s.b[s.i] > ' ' {
		return s.b[s.i]
	}
	s.space()
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// take reads c if it comes next.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.i++
	return true
}

// value reads one value that stands inside depth arrays and objects.
func (s *scanner) value(depth int) error {
	switch c := s.peek(); c {
	case '"':
		_, err := s.str()
		return err
	case '{':
		return s.object(depth + 1)
	case '[':
		return s.array(depth + 1)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	case 0:
		return errEnd
	default:
		if c == '-' || isDigit(c) {
			return s.number()
		}
		return s.fail("no JSON value")
	}
}

func (s *scanner) literal(text string) error {
	if len(s.b)-s.i < len(text) || string(s.b[s.i:s.i+len(text)]) != text {
		return s.fail("no JSON value")
	}
	s.i += len(text)
	return nil
}

func (s *scanner) tooDeep(depth int) error {
	if depth > s.maxDepth {
		return fmt.Errorf("%w: nested deeper than %d", eventtarget.ErrLimit, s.maxDepth)
	}
	return nil
}

func (s *scanner) array(depth int) error {
	if err := s.tooDeep(depth); err != nil {
		return err
	}
	s.i++
	if s.take(']') {
		return nil
	}
	for {
		if err := s.value(depth); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.i++
		case ']':
			s.i++
			return nil
		default:
			return s.fail("no ',' or ']'")
		}
	}
}

func (s *scanner) object(depth int) error {
	if err := s.tooDeep(depth); err != nil {
		return err
	}
	s.i++
	if s.take('}') {
		return nil
	}
	for {
		if _, err := s.name(); err != nil {
			return err
		}
		if err := s.value(depth); err != nil {
			return err
		}
		if end, err := s.memberEnd(); end || err != nil {
			return err
		}
	}
}

// name reads a member's name and the colon.
func (s *scanner) name() (text, error) {
	if s.peek() != '"' {
		return text{}, s.fail("no member name")
	}
	t, err := s.str()
	if err != nil {
		return text{}, err
	}
	if !s.take(':') {
		return text{}, s.fail("no ':'")
	}
	return t, nil
}

// memberEnd reads what stands behind a member's value.
func (s *scanner) memberEnd() (end bool, err error) {
	switch s.peek() {
	case ',':
		s.i++
		return false, nil
	case '}':
		s.i++
		return true, nil
	}
	return false, s.fail("no ',' or '}'")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) digits() error {
	if s.i >= len(s.b) || !isDigit(s.b[s.i]) {
		return s.fail("no digit")
	}
	for s.i < len(s.b) && isDigit(s.b[s.i]) {
		s.i++
	}
	return nil
}

func (s *scanner) is(c byte) bool { return s.i < len(s.b) && s.b[s.i] == c }

func (s *scanner) number() error {
	if s.is('-') {
		s.i++
	}
	if s.is('0') {
		s.i++
	} else if err := s.digits(); err != nil {
		return err
	}
	if s.is('.') {
		s.i++
		if err := s.digits(); err != nil {
			return err
		}
	}
	if s.is('e') || s.is('E') {
		s.i++
		if s.is('+') || s.is('-') {
			s.i++
		}
		return s.digits()
	}
	return nil
}
