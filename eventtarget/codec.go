package eventtarget

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
)

// Codec turns payloads into JSON text and back. It sees the event's type, so
// that one codec can carry a union of types. A Codec must be safe for concurrent
// use and must not keep what it is given.
type Codec[T any] interface {
	// Append appends the JSON text of v to dst. Appending nothing means that
	// the payload is absent.
	Append(dst []byte, eventType string, v T) ([]byte, error)
	// Decode reads a payload: one valid JSON value, or nothing when it is
	// absent. The bytes are shared and read-only.
	Decode(eventType string, payload []byte) (T, error)
}

// Bytes returns the codec for payloads that are bytes: base64 (RFC 4648 §4, with
// padding) in a JSON string. nil is an absent payload; an empty slice is "".
func Bytes() Codec[[]byte] { return bytesCodec{} }

type bytesCodec struct{}

func (bytesCodec) Append(dst []byte, _ string, v []byte) ([]byte, error) {
	if v == nil {
		return dst, nil
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, v)
	return append(dst, '"'), nil
}

func (bytesCodec) Decode(_ string, payload []byte) ([]byte, error) {
	if len(payload) == 0 {
		return nil, nil
	}
	var v []byte
	if payload[0] != '"' {
		return nil, fmt.Errorf("bytes: the payload is not a JSON string")
	}
	if err := json.Unmarshal(payload, &v); err != nil {
		return nil, fmt.Errorf("bytes: %w", err)
	}
	return v, nil
}

// Union returns the codec for payloads of several types behind one interface T:
// types maps each event type to a function that returns a new value to decode
// into, usually a pointer. The value's JSON is as [JSON] makes it.
//
//	eventtarget.Union(map[string]func() ChatEvent{
//		"said": func() ChatEvent { return new(Said) },
//		"left": func() ChatEvent { return new(Left) },
//	})
//
// An event type that is not in the map is an error that names it, both ways; so
// is a payload whose Go type is not the one that the map has for its event type.
func Union[T any](types map[string]func() T) Codec[T] {
	u := unionCodec[T]{}
	for name, make := range types {
		u[name] = unionMember[T]{make: make, goType: reflect.TypeOf(make())}
	}
	return u
}

type unionMember[T any] struct {
	make   func() T
	goType reflect.Type
}

type unionCodec[T any] map[string]unionMember[T]

func (u unionCodec[T]) Append(dst []byte, eventType string, v T) ([]byte, error) {
	m, ok := u[eventType]
	if !ok {
		return dst, fmt.Errorf("union: event type %q is not in it", clip(eventType))
	}
	if t := reflect.TypeOf(v); t != m.goType {
		return dst, fmt.Errorf("union: event type %q carries %v, not %v", clip(eventType), m.goType, t)
	}
	return appendJSON(dst, v)
}

func (u unionCodec[T]) Decode(eventType string, payload []byte) (T, error) {
	var zero T
	m, ok := u[eventType]
	if !ok {
		return zero, fmt.Errorf("union: event type %q is not in it", clip(eventType))
	}
	v := m.make()
	if len(payload) == 0 {
		return v, nil
	}
	if m.goType.Kind() == reflect.Pointer {
		return v, json.Unmarshal(payload, v)
	}
	p := reflect.New(m.goType)
	if err := json.Unmarshal(payload, p.Interface()); err != nil {
		return zero, err
	}
	return p.Elem().Interface().(T), nil
}
