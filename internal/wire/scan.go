package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"

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

const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// special sets the top bit of every byte of w that is under ' ', a quote or a
// backslash. It may set those of bytes over 0x7f too, and a borrow those of bytes
// behind a special one: the first that it sets in ASCII is right.
func special(w uint64) uint64 {
	return (w - ones*' ') | ((w ^ ones*'"') - ones) | ((w ^ ones*'\\') - ones)
}

// ordinary returns where, at i or behind it, a byte of b stands that is over 0x7f or special,
// or fewer than eight are left. The race detector is told by raceRead.
//
//go:norace
func ordinary(b []byte, i int) int {
	for i+8 <= len(b) {
		w := binary.LittleEndian.Uint64(b[i:])
		if marks := (w | special(w)) & tops; marks != 0 {
			return i + bits.TrailingZeros64(marks)/8
		}
		i += 8
	}
	return i
}

// text is the inside of a JSON string, as it stands.
type text struct {
	raw     []byte
	escaped bool
}

// str reads a string. Most bytes of most messages stand in strings, so plain
// ASCII is read eight bytes at a time.
func (s *scanner) str() (text, error) {
	b := s.b
	i := s.i + 1
	start := i
	escaped := false
	for {
		begin := i
		i = ordinary(b, i)
		raceRead(b[begin:i])
		if i >= len(b) {
			s.i = i
			return text{}, errEnd
		}
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return text{b[start:i], escaped}, nil
		case c == '\\':
			escaped = true
			s.i = i
			if err := s.escape(); err != nil {
				return text{}, err
			}
			i = s.i
		case c < ' ':
			s.i = i
			return text{}, s.fail("a control character in a string")
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				s.i = i
				return text{}, s.fail("invalid UTF-8")
			}
			i += n
		}
	}
}

// escape reads an escape sequence. A surrogate must be half of a pair.
func (s *scanner) escape() error {
	if s.i+1 >= len(s.b) {
		return errEnd
	}
	switch s.b[s.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i += 2
		return nil
	case 'u':
	default:
		return s.fail("an unknown escape")
	}
	r, ok := hex4(s.b[s.i:])
	if !ok {
		return s.fail("a broken \\u escape")
	}
	if utf16.IsSurrogate(r) {
		low, ok := hex4(s.b[s.i+6:])
		if !ok || utf16.DecodeRune(r, low) == utf8.RuneError {
			return s.fail("half a surrogate pair")
		}
		s.i += 6
	}
	s.i += 6
	return nil
}

// hex4 reads the escape \uXXXX at the beginning of b.
func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// is tells whether t stands for s, if it has no escapes.
func (t text) is(s string) bool { return !t.escaped && string(t.raw) == s }

// appendTo appends the string that t stands for. t was read by str, so it is valid.
func (t text) appendTo(dst []byte) []byte {
	if !t.escaped {
		return append(dst, t.raw...)
	}
	for b := t.raw; len(b) > 0; {
		if b[0] != '\\' {
			dst = append(dst, b[0])
			b = b[1:]
			continue
		}
		if b[1] != 'u' {
			dst = append(dst, unescaped[b[1]])
			b = b[2:]
			continue
		}
		r, _ := hex4(b)
		b = b[6:]
		if utf16.IsSurrogate(r) {
			low, _ := hex4(b)
			r = utf16.DecodeRune(r, low)
			b = b[6:]
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

var unescaped = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}
