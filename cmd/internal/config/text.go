package config

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// units are what a size may be counted in.
var units = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1}, {"", 1},
}

// UnmarshalText reads a number of bytes: 4096, 64KiB, 1.5MiB.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range units {
		number, ok := strings.CutSuffix(string(text), u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if n *= u.bytes; err != nil || n != math.Trunc(n) || n < 1 || n > 1<<(bits.UintSize-2) {
			break
		}
		*s = Size(n)
		return nil
	}
	return errors.New("is no size")
}

// UnmarshalText reads a time above zero: 15s, 1m30s.
func (d *Duration) UnmarshalText(text []byte) error {
	t, err := time.ParseDuration(string(text))
	if err != nil || t <= 0 {
		return errors.New("is no time above zero")
	}
	*d = Duration(t)
	return nil
}

// advice is what to write for a text of a type.
func advice(t reflect.Type, field reflect.StructTag) string {
	switch {
	case t == reflect.TypeFor[Size]():
		return "a number of bytes such as 4096, 64KiB or 1MiB"
	case t == reflect.TypeFor[Duration]() && field.Get("off") != "":
		return "a time such as 500ms, 15s or 1m, or off"
	case t == reflect.TypeFor[Duration]():
		return "a time such as 500ms, 15s or 1m"
	case t == reflect.TypeFor[Topic]():
		return `a topic such as "chat:42", "chat:*" or "*", in quotes`
	case t == reflect.TypeFor[Prefix]():
		return "a network such as 10.0.0.0/8"
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "a pin as eventtarget keygen prints it: sha256- and 43 characters"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		if field.Get("default") != "0" {
			return "a whole number, 1 or more"
		}
		return "a whole number, 0 or more"
	case reflect.Float64:
		return "a number, 0 or more"
	case reflect.Slice:
		return "a list: each entry on a line of its own, behind a dash"
	case reflect.Struct:
		return "keys: " + strings.Join(keysOf(t), ", ")
	}
	if enum := field.Get("enum"); enum != "" {
		return oneOf(enum)
	}
	return "a text"
}

func oneOf(enum string) string {
	names := strings.Split(enum, ",")
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// nearest returns the name that was probably meant, or nothing.
func nearest(name string, names []string) string {
	best, found := len(name)/2+1, ""
	for _, n := range names {
		if d := distance(name, n); d < best {
			best, found = d, n
		}
	}
	return found
}

// distance counts the letters to add, leave out, change or swap between two words.
func distance(a, b string) int {
	a, b = strings.ToLower(strings.ReplaceAll(a, "_", "-")), strings.ToLower(b)
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}

// quote shows what somebody wrote, if it is not long.
func quote(s string) string {
	if len(s) > 64 {
		s = s[:61] + "..."
	}
	return fmt.Sprintf("%q", s)
}
