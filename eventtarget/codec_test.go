package eventtarget_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/quick"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/inprocess"
)

func TestJSONRefusesInvalidUTF8(t *testing.T) {
	type inner struct {
		S []string
		M map[string]any
		P *string
	}
	bad := "a\xffb"
	for name, v := range map[string]any{
		"string":  bad,
		"slice":   []string{"ok", bad},
		"key":     map[string]int{bad: 1},
		"value":   map[string]any{"k": []any{bad}},
		"struct":  inner{S: []string{bad}},
		"nested":  struct{ I inner }{inner{M: map[string]any{"x": bad}}},
		"pointer": &inner{P: &bad},
		"text":    texts(bad),
		"texts":   map[string]any{"k": []fmt.Stringer{texts(bad)}},
		"numbers": map[number]int{1: 1},
	} {
		if out, err := eventtarget.JSON[any]().Append(nil, "t", v); err == nil {
			t.Errorf("%s: encoded as %s", name, out)
		}
	}
	// The escape stands rightly in text that was given, and for U+FFFD itself.
	for _, v := range []any{
		json.RawMessage(`"\ufffd"`), map[string]any{"k": json.RawMessage(`"\ufffd"`), "s": "\ufffd"},
		map[string]any{"k": json.RawMessage(`"\ufffd"`), "text": texts("ok"), "none": (*texts)(nil), "keys": map[texts]int{"ok": 1}},
	} {
		if _, err := eventtarget.JSON[any]().Append(nil, "t", v); err != nil {
			t.Errorf("%v: %v", v, err)
		}
	}
}

// texts and number write text of their own, as a value and as the key of a map.
type (
	texts  string
	number int
)

func (t texts) MarshalText() ([]byte, error) { return []byte(t), nil }
func (t texts) String() string               { return string(t) }
func (number) MarshalText() ([]byte, error)  { return []byte("\xff"), nil }

type (
	chat interface{ chat() }
	said struct{ Text string }
	left struct{ Why string }
)

func (*said) chat() {}
func (left) chat()  {}

func TestUnion(t *testing.T) {
	c := eventtarget.Union(map[string]func() chat{
		"said": func() chat { return new(said) },
		"left": func() chat { return left{} },
	})
	for eventType, v := range map[string]chat{"said": &said{"hi"}, "left": left{"tired"}} {
		p, err := c.Append(nil, eventType, v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Decode(eventType, p)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(got)
		if string(a) != string(p) {
			t.Errorf("%s: %s came back as %s", eventType, p, a)
		}
	}
	if _, err := c.Append(nil, "gone", left{}); err == nil || !strings.Contains(err.Error(), `"gone"`) {
		t.Errorf("an unknown type: %v", err)
	}
	if _, err := c.Decode("gone", []byte("{}")); err == nil || !strings.Contains(err.Error(), `"gone"`) {
		t.Errorf("an unknown type: %v", err)
	}
	if _, err := c.Append(nil, "said", left{}); err == nil {
		t.Error("a type that carries another Go type")
	}
}

// TestOnceRefused: a listener with Once whose first event its codec refuses has had it.
func TestOnceRefused(t *testing.T) {
	var told []eventtarget.FaultKind
	target := inprocess.New[raw](&inprocess.Options[raw]{OnFault: func(f eventtarget.Fault) { told = append(told, f.Kind) }})
	defer target.Close()
	reg, err := eventtarget.Typed(target, eventtarget.JSON[int]()).Add(t.Context(), eventtarget.T("n", ""), eventtarget.Listener[int]{
		Inline: true, Once: true, Handle: func(_ context.Context, e eventtarget.Event[int]) { t.Errorf("heard %v", e) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{`"x"`, `1`} {
		if err := target.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "n", Payload: raw(payload)}); err != nil {
			t.Fatal(err)
		}
	}
	<-reg.Done()
	if !slices.Equal(told, []eventtarget.FaultKind{eventtarget.FaultDecode}) {
		t.Errorf("told %v", told)
	}
}

func TestTopicTextIsABijection(t *testing.T) {
	if err := quick.Check(func(eventType, id string) bool {
		topic := eventtarget.T(eventType, id)
		if topic.CheckSelector() != nil {
			_, err := eventtarget.ParseTopic(topic.String())
			// The text of an invalid topic may be that of a valid one only when
			// the type has a ':', which moves it into the id.
			return err != nil || strings.Contains(eventType, ":")
		}
		got, err := eventtarget.ParseTopic(topic.String())
		return err == nil && got == topic
	}, &quick.Config{MaxCount: 20_000}); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]eventtarget.Topic{
		"*": {Type: "*", ID: "*"}, "chat:*": {Type: "chat", ID: "*"}, "chat:": {Type: "chat"}, "chat:a:b": {Type: "chat", ID: "a:b"},
	} {
		if got, err := eventtarget.ParseTopic(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "chat", ":x", "__x:y", "a*:b", "*:x", "a:\n"} {
		if _, err := eventtarget.ParseTopic(text); !errors.Is(err, eventtarget.ErrInvalidTopic) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMux(t *testing.T) {
	var m eventtarget.Mux
	m.Handle("Mine", func(_ context.Context, u *url.URL) (eventtarget.Endpoint, error) {
		return nil, eventtarget.CheckParameters(u, "a", "b")
	})
	if _, err := m.Open(t.Context(), "mine://x?a=1"); err != nil {
		t.Error(err)
	}
	for rawURL, want := range map[string]error{
		"yours://user:secret@x":     eventtarget.ErrUnknownScheme,
		"mine://user:secret@x?c=1":  eventtarget.ErrUnknownParameter,
		"mine://user:secret@x:y:z":  nil,
		"mine://x?a=1;b=secret":     nil,
		"mine://x?a=%secret":        nil,
		"\x7f://user:secret@x":      nil,
		"user:secret@mine://x?c=%%": nil,
	} {
		_, err := m.Open(t.Context(), rawURL)
		if err == nil || want != nil && !errors.Is(err, want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", rawURL, err)
		}
	}
}
