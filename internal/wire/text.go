package wire

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

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
