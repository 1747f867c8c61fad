package redis

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// TestUnbundle: a message is an envelope, or an array of objects, each of which is one.
func TestUnbundle(t *testing.T) {
	for msg, want := range map[string][]string{
		`[{"type":"a"}]`:                         {`{"type":"a"}`},
		`[{"a":"]}"},{"b":{"c":[{}]}}]`:          {`{"a":"]}"}`, `{"b":{"c":[{}]}}`},
		" [ {}\t,\r\n{} ] ":                      nil, // who begins with a space is none of ours
		"[ {}\t,\r\n{} ] ":                       {`{}`, `{}`},
		`[{"a":"\\"},{"b":"\"}"},{"c":"\\\"}"}]`: {`{"a":"\\"}`, `{"b":"\"}"}`, `{"c":"\\\"}"}`},
		`[`:                                      nil,
		`[]`:                                     nil,
		`[,]`:                                    nil,
		`[{}`:                                    nil,
		`[{},`:                                   nil,
		`[{},]`:                                  nil,
		`[{},1]`:                                 nil,
		`[{}{}]`:                                 nil,
		`[{};{}]`:                                nil,
		`[{}]]`:                                  nil,
		`[{}],{}`:                                nil,
		`[[{}]]`:                                 nil,
		`[{"a":"]`:                               nil,
		`[{"a":"\"}]`:                            nil,
		`[null]`:                                 nil,
		`["{}"]`:                                 nil,
		`{}`:                                     nil,
		`x`:                                      nil,
		strings.Repeat("[", 1e6):                 nil,
	} {
		if want == nil {
			want = []string{msg}
		}
		before := []string{"another's"}
		if got := unbundle(before, msg)[1:]; !slices.Equal(got, want) {
			t.Errorf("%.40q: %.40q", msg, got)
		}
	}
}

// FuzzUnbundle holds it against encoding/json: the objects of an array are those that it
// finds, and what it does not take for an array has something that is refused.
func FuzzUnbundle(f *testing.F) {
	for _, seed := range []string{`[{"a":"\\\"}"},{"b":[{},"["]}]`, `[{}, {"c":1} ]`, `[{},1]`, `[{"a":"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, msg string) {
		got := unbundle(nil, msg)
		var want []json.RawMessage
		if json.Unmarshal([]byte(msg), &want) != nil || msg[0] != '[' || len(want) == 0 ||
			slices.ContainsFunc(want, func(e json.RawMessage) bool { return e[0] != '{' }) {
			isArray := strings.HasPrefix(msg, "[")
			if len(got) != 1 && !slices.ContainsFunc(got, func(e string) bool { return !json.Valid([]byte(e)) }) ||
				!isArray && got[0] != msg {
				t.Fatalf("%q: %q", msg, got)
			}
			return
		}
		if len(got) != len(want) {
			t.Fatalf("%q: %q", msg, got)
		}
		for i, e := range want {
			if got[i] != string(e) {
				t.Fatalf("%q: %q", msg, got)
			}
		}
	})
}
