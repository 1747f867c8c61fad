package eventtarget

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"reflect"
	"unicode/utf8"
)

// JSON returns the codec of [encoding/json]. An absent payload decodes to the
// zero T. A string that is not valid UTF-8 is an error, where encoding/json would
// quietly replace what it cannot carry (law B02). JSON[Raw] carries JSON text as
// it stands.
func JSON[T any]() Codec[T] { return jsonCodec[T]{} }

type jsonCodec[T any] struct{}

func (jsonCodec[T]) Append(dst []byte, _ string, v T) ([]byte, error) {
	if raw, ok := any(v).(Raw); ok {
		if raw != nil && len(raw) == 0 { // not to be taken for an absent one
			return dst, errors.New("an empty payload is no JSON value")
		}
		return append(dst, raw...), nil
	}
	return appendJSON(dst, v)
}

func (jsonCodec[T]) Decode(_ string, payload []byte) (T, error) {
	var v T
	if raw, ok := any(&v).(*Raw); ok {
		*raw = payload
		return v, nil
	}
	if len(payload) == 0 {
		return v, nil
	}
	err := json.Unmarshal(payload, &v)
	return v, err
}

func appendJSON(dst []byte, v any) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, err
	}
	out := bytes.TrimSuffix(b.Bytes(), []byte{'\n'})
	// encoding/json writes this escape for a byte that is not UTF-8. It may also
	// stand in what a json.Marshaler returned, where it is right.
	if bytes.Contains(out[len(dst):], []byte(`\ufffd`)) && !validStrings(reflect.ValueOf(v)) {
		return dst, errors.New("a string in the payload is not valid UTF-8")
	}
	return out, nil
}

// validStrings tells whether all strings that encoding/json would read from v are
// valid UTF-8. Encoding has succeeded, so v has no cycles.
func validStrings(v reflect.Value) bool {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() {
		return true
	}
	if own, valid := marshals(v); own {
		return valid
	}
	switch v.Kind() {
	case reflect.String:
		return utf8.ValidString(v.String())
	case reflect.Pointer:
		return validStrings(v.Elem())
	case reflect.Struct:
		for f, field := range v.Fields() {
			if (f.IsExported() || f.Anonymous) && !validStrings(field) {
				return false
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if !validStrings(v.Index(i)) {
				return false
			}
		}
	case reflect.Map:
		for m := v.MapRange(); m.Next(); {
			key := m.Key()
			valid := key.Kind() == reflect.String && utf8.ValidString(key.String()) || // whatever it marshals to
				key.Kind() != reflect.String && validStrings(key)
			if !valid || !validStrings(m.Value()) {
				return false
			}
		}
	}
	return true
}

// marshals tells whether v's type writes its own text, and whether that is valid UTF-8: what
// a json.Marshaler writes stands as it is, but the text of another one is a string to
// encoding/json, and its faults are replaced like those of any.
func marshals(v reflect.Value) (own, valid bool) {
	if !v.CanInterface() {
		return false, false
	}
	switch m := v.Interface().(type) {
	case json.Marshaler:
		return true, true
	case encoding.TextMarshaler:
		if v.Kind() == reflect.Pointer && v.IsNil() { // null
			return true, true
		}
		text, err := m.MarshalText()
		return true, err == nil && utf8.Valid(text)
	}
	return false, false
}
