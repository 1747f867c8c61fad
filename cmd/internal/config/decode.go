package config

import (
	"encoding"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/eventtarget-go/toolkit/identity"
)

// fields returns the keys of a section; what is embedded counts as its own.
func fields(t reflect.Type) iter.Seq[reflect.StructField] {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(t) {
			if f.Tag.Get("key") != "" && !yield(f) {
				return
			}
		}
	}
}

func keysOf(t reflect.Type) (names []string) {
	for f := range fields(t) {
		names = append(names, f.Tag.Get("key"))
	}
	return names
}

// isSection tells whether a type is written as keys, and not as a text.
func isSection(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// homes are the sections that keys below the first level stand in, as they are told.
var homes = sections()

func sections() map[string]string {
	homes := map[string]string{}
	t := reflect.TypeFor[Config]()
	for f := range fields(t) {
		section, place := f.Type, f.Tag.Get("key")+":"
		if section.Kind() == reflect.Slice {
			section, place = section.Elem(), "an entry of "+place
		}
		if isSection(section) {
			for _, name := range keysOf(section) {
				if homes[name] == "" {
					homes[name] = place
				}
			}
		}
	}
	return homes
}

// meant are names that are written for another one.
var meant = map[string]string{
	"token":    "a secret does not stand here; write token-file: FILE or token-env: NAME",
	"secret":   "a secret does not stand here; write the key of a file, or of a variable, that it stands in",
	"password": "a secret does not stand here; write the key of a file, or of a variable, that it stands in",
	"key":      "a secret does not stand here; write key-file: and the path of the file that it stands in",
	"port":     "unknown key; write address: HOST:PORT",
	"listen":   "unknown key; write http: with address: HOST:PORT in it",
	"tls":      "unknown key; write tls-cert: FILE and tls-key: FILE in http:",
	"path":     "unknown key; write program: FILE",
}

// struct_ reads a section.
func (r *reader) struct_(v reflect.Value, raw map[string]any, path string) {
	t := v.Type()
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		if slices.Contains(keysOf(t), name) {
			continue
		}
		near := nearest(name, keysOf(t))
		switch said, ok := meant[name]; {
		case ok:
			r.bad(join(path, name), said)
		case homes[name] != "":
			r.bad(join(path, name), "unknown key here; write it in "+homes[name])
		case near != "":
			r.bad(join(path, name), "unknown key; did you mean "+near+"?")
		default: // far from every name it may be anything, a token too
			at := where(r.positions, join(path, name))
			r.problems = append(r.problems, Problem{at, path, "there is an unknown key; known here: " + strings.Join(keysOf(t), ", ")})
		}
	}
	for f := range fields(t) {
		name := f.Tag.Get("key")
		value, given := raw[name]
		if given && empty(value) { // as it would open what was to be closed
			r.bad(join(path, name), "there is nothing behind the key; write "+advice(f.Type, f.Tag)+", or leave the key out")
		} else if given {
			r.value(v.FieldByIndex(f.Index), value, join(path, name), f.Tag)
		}
	}
}

// empty tells whether a key was given and says nothing.
func empty(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case string:
		return value == ""
	case text: // a list has commas
		return strings.Trim(string(value), ", ") == ""
	case []any:
		return len(value) == 0
	case []string: // of a flag
		return len(value) == 0
	case map[string]any:
		return len(value) == 0
	}
	return false
}

// value reads one value into v, or says what to write instead.
func (r *reader) value(v reflect.Value, raw any, path string, tag reflect.StructTag) {
	section := isSection(v.Type())
	list := v.Kind() == reflect.Slice
	switch raw := raw.(type) {
	case map[string]any:
		if section {
			r.struct_(v, raw, path)
			return
		}
		r.bad(path, "these are keys; write "+advice(v.Type(), tag))
		return
	case []any:
		if list {
			r.list(v, raw, path)
			return
		}
		r.bad(path, "this is a list; write "+advice(v.Type(), tag))
		return
	case []string: // from a flag
		all := make([]any, len(raw))
		for i, one := range raw {
			all[i] = text(one)
		}
		r.list(v, all, path)
		return
	case text:
		if list {
			var all []any
			for one := range strings.SplitSeq(string(raw), ",") {
				if one = strings.TrimSpace(one); one != "" {
					all = append(all, text(one))
				}
			}
			r.list(v, all, path)
			return
		}
	}
	if section || list {
		r.bad(path, "this is a single value; write "+advice(v.Type(), tag))
		return
	}
	if wrong := scalar(v, raw, tag); wrong != "" {
		r.bad(path, wrong+"; write "+advice(v.Type(), tag))
	}
}

func (r *reader) list(v reflect.Value, raw []any, path string) {
	all := reflect.MakeSlice(v.Type(), len(raw), len(raw))
	for i, one := range raw {
		item := path + "[" + strconv.Itoa(i) + "]"
		if one == nil {
			r.bad(item, "the entry is empty; write "+advice(v.Type().Elem(), ""))
			continue
		}
		r.value(all.Index(i), one, item, "")
	}
	v.Set(all)
}

// inQuotes is what is wrong with a value that would be right without its quotes.
const inQuotes = " stands in quotes, and is a text"

func isString(raw any) bool { _, ok := raw.(string); return ok }

// scalar reads a single value and returns what is wrong with it. Texts are never
// repeated, unless they are of a kind that no secret is.
func scalar(v reflect.Value, raw any, tag reflect.StructTag) (wrong string) {
	outside, fromText := raw.(text)
	if fromText {
		raw = string(outside)
	}
	if d, ok := reflect.TypeAssert[*Duration](v.Addr()); ok && raw == "off" && tag.Get("off") != "" {
		*d = -1
		return ""
	}
	if u, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr()); ok {
		return unmarshal(u, raw)
	}
	least := 1 // a zero field would mean its default
	if tag.Get("default") == "0" {
		least = 0
	}
	written := fmt.Sprint(raw)
	var err error
	switch v.Kind() {
	case reflect.Bool:
		b, ok := raw.(bool)
		if fromText {
			b, err = strconv.ParseBool(written)
			ok = err == nil
		}
		if _, err := strconv.ParseBool(written); !ok && err == nil && isString(raw) {
			return quote(written) + inQuotes
		}
		if !ok {
			return quote(written) + " is neither true nor false"
		}
		v.SetBool(b)
	case reflect.Int:
		n, ok := raw.(int)
		if fromText {
			n, err = strconv.Atoi(written)
			ok = err == nil
		}
		if _, err := strconv.Atoi(written); !ok && err == nil && isString(raw) {
			return quote(written) + inQuotes
		}
		if !ok || n < least || n > 1<<30 {
			return quote(written) + " is no such number"
		}
		v.SetInt(int64(n))
	case reflect.Float64:
		n, err := strconv.ParseFloat(written, 64)
		if _, quoted := raw.(string); err != nil || quoted && !fromText || !(n >= 0 && n <= 1e9) {
			return quote(written) + " is no such number"
		}
		v.SetFloat(n)
	default:
		s, ok := raw.(string)
		if !ok {
			return "this is no text for YAML; put it in quotes"
		}
		if enum := tag.Get("enum"); enum != "" && !slices.Contains(strings.Split(enum, ","), s) {
			return quote(s) + " is none of them" + meantOf(s, enum)
		}
		v.SetString(s)
	}
	return ""
}

func meantOf(s, enum string) string {
	if near := nearest(s, strings.Split(enum, ",")); near != "" {
		return " (did you mean " + near + "?)"
	}
	return ""
}

// unmarshal reads a value that has a form of its own.
func unmarshal(u encoding.TextUnmarshaler, raw any) (wrong string) {
	s, ok := raw.(string)
	if n, number := raw.(int); number {
		_, ok = u.(*Size)
		s = strconv.Itoa(n)
	}
	if !ok {
		return quote(fmt.Sprint(raw)) + " is not of that form"
	}
	err := u.UnmarshalText([]byte(s))
	if _, pin := u.(*identity.Pin); pin && err != nil {
		return "this is no pin" // but maybe a key
	}
	if err != nil {
		return quote(s) + " is not of that form"
	}
	return ""
}
