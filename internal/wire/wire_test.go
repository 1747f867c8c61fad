package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

type raw = eventtarget.Raw

var limits = eventtarget.Limits{}.WithDefaults()

// malformed are messages that must be refused, with the error that says so.
var malformed = []struct {
	name, frame string
	want        error
}{
	{"empty", ``, ErrMalformed},
	{"space", ` `, ErrMalformed},
	{"null", `null`, ErrMalformed},
	{"array", `[]`, ErrMalformed},
	{"string", `"x"`, ErrMalformed},
	{"number", `1`, ErrMalformed},
	{"open", `{`, ErrMalformed},
	{"no members", `{}`, ErrMalformed},
	{"no id", `{"type":"a"}`, ErrMalformed},
	{"no type", `{"id":"a"}`, ErrMalformed},
	{"null type", `{"type":null,"id":""}`, ErrMalformed},
	{"null id", `{"type":"a","id":null}`, ErrMalformed},
	{"number type", `{"type":1,"id":""}`, ErrMalformed},
	{"number id", `{"type":"a","id":1}`, ErrMalformed},
	{"array type", `{"type":["a"],"id":""}`, ErrMalformed},
	{"object id", `{"type":"a","id":{}}`, ErrMalformed},
	{"other case of type", `{"Type":"a","id":""}`, ErrMalformed},
	{"other case of id", `{"type":"a","ID":""}`, ErrMalformed},
	{"duplicate type", `{"type":"a","type":"a","id":""}`, ErrMalformed},
	{"duplicate escaped type", `{"type":"a","ty\u0070e":"a","id":""}`, ErrMalformed},
	{"duplicate id", `{"type":"a","id":"","id":""}`, ErrMalformed},
	{"duplicate payload", `{"type":"a","id":"","payload":1,"payload":1}`, ErrMalformed},
	{"duplicate headers", `{"type":"a","id":"","headers":{},"headers":{}}`, ErrMalformed},
	{"duplicate header", `{"type":"a","id":"","headers":{"x":"1","x":"1"}}`, ErrMalformed},
	{"duplicate unknown", `{"type":"a","id":"","x":1,"x":1}`, ErrMalformed},
	{"duplicate escaped unknown", `{"type":"a","id":"","x":1,"\u0078":1}`, ErrMalformed},
	{"trailing byte", `{"type":"a","id":""}x`, ErrMalformed},
	{"two values", `{"type":"a","id":""}{"type":"a","id":""}`, ErrMalformed},
	{"trailing NUL", "{\"type\":\"a\",\"id\":\"\"}\x00", ErrMalformed},
	{"byte order mark", "\ufeff{\"type\":\"a\",\"id\":\"\"}", ErrMalformed},
	{"trailing comma", `{"type":"a","id":"",}`, ErrMalformed},
	{"leading comma", `{,"type":"a","id":""}`, ErrMalformed},
	{"no comma", `{"type":"a""id":""}`, ErrMalformed},
	{"no colon", `{"type""a","id":""}`, ErrMalformed},
	{"single quotes", `{'type':'a','id':''}`, ErrMalformed},
	{"bare name", `{type:"a","id":""}`, ErrMalformed},
	{"comment", `{"type":"a",/**/"id":""}`, ErrMalformed},
	{"truncated name", `{"typ`, ErrMalformed},
	{"truncated string", `{"type":"a`, ErrMalformed},
	{"truncated escape", `{"type":"a\`, ErrMalformed},
	{"truncated unicode escape", `{"type":"a\u00`, ErrMalformed},
	{"truncated member", `{"type":"a","id":""`, ErrMalformed},
	{"truncated payload", `{"type":"a","id":"","payload":`, ErrMalformed},
	{"truncated array", `{"type":"a","id":"","payload":[1,`, ErrMalformed},
	{"truncated object", `{"type":"a","id":"","payload":{"a"`, ErrMalformed},
	{"raw tab in a string", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\t\"}", ErrMalformed},
	{"raw newline in a string", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\n\"}", ErrMalformed},
	{"raw NUL in a string", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\x00\"}", ErrMalformed},
	{"unknown escape", `{"type":"a","id":"","payload":"\x41"}`, ErrMalformed},
	{"bad hex", `{"type":"a","id":"","payload":"\u00g0"}`, ErrMalformed},
	{"byte ff", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\xff\"}", ErrMalformed},
	{"overlong NUL", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\xc0\x80\"}", ErrMalformed},
	{"surrogate in UTF-8", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\xed\xa0\x80\"}", ErrMalformed},
	{"truncated UTF-8", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\xe2\x82\"}", ErrMalformed},
	{"beyond Unicode", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\xf4\x90\x80\x80\"}", ErrMalformed},
	{"invalid UTF-8 in a name", "{\"type\":\"a\",\"id\":\"\",\"\xff\":1}", ErrMalformed},
	{"invalid UTF-8 in the id", "{\"type\":\"a\",\"id\":\"\xff\"}", ErrMalformed},
	{"high surrogate alone", `{"type":"a","id":"","payload":"\ud800"}`, ErrMalformed},
	{"low surrogate alone", `{"type":"a","id":"","payload":"\udc00"}`, ErrMalformed},
	{"two high surrogates", `{"type":"a","id":"","payload":"\ud800\ud800"}`, ErrMalformed},
	{"high surrogate and text", `{"type":"a","id":"","payload":"\ud800x"}`, ErrMalformed},
	{"surrogate in a name", `{"type":"a","id":"","\ud800":1}`, ErrMalformed},
	{"surrogate in the id", `{"type":"a","id":"\ud800"}`, ErrMalformed},
	{"NaN", `{"type":"a","id":"","payload":NaN}`, ErrMalformed},
	{"Infinity", `{"type":"a","id":"","payload":Infinity}`, ErrMalformed},
	{"leading zero", `{"type":"a","id":"","payload":01}`, ErrMalformed},
	{"leading plus", `{"type":"a","id":"","payload":+1}`, ErrMalformed},
	{"bare minus", `{"type":"a","id":"","payload":-}`, ErrMalformed},
	{"bare point", `{"type":"a","id":"","payload":1.}`, ErrMalformed},
	{"leading point", `{"type":"a","id":"","payload":.1}`, ErrMalformed},
	{"bare exponent", `{"type":"a","id":"","payload":1e}`, ErrMalformed},
	{"bare signed exponent", `{"type":"a","id":"","payload":1e+}`, ErrMalformed},
	{"hex number", `{"type":"a","id":"","payload":0x1}`, ErrMalformed},
	{"True", `{"type":"a","id":"","payload":True}`, ErrMalformed},
	{"nul", `{"type":"a","id":"","payload":nul}`, ErrMalformed},
	{"array with a trailing comma", `{"type":"a","id":"","payload":[1,]}`, ErrMalformed},
	{"object with a trailing comma", `{"type":"a","id":"","payload":{"a":1,}}`, ErrMalformed},
	{"object with a number as name", `{"type":"a","id":"","payload":{1:1}}`, ErrMalformed},
	{"mismatched brackets", `{"type":"a","id":"","payload":[1}}`, ErrMalformed},
	{"empty payload", `{"type":"a","id":"","payload":}`, ErrMalformed},
	{"array headers", `{"type":"a","id":"","headers":[]}`, ErrMalformed},
	{"null headers", `{"type":"a","id":"","headers":null}`, ErrMalformed},
	{"number in headers", `{"type":"a","id":"","headers":{"x":1}}`, ErrMalformed},
	{"object in headers", `{"type":"a","id":"","headers":{"x":{}}}`, ErrMalformed},
	{"null in headers", `{"type":"a","id":"","headers":{"x":null}}`, ErrMalformed},
	{"empty header name", `{"type":"a","id":"","headers":{"":"x"}}`, ErrMalformed},
	{"newline in a header", `{"type":"a","id":"","headers":{"x":"\r\n"}}`, ErrMalformed},
	{"malformed unknown member", `{"type":"a","id":"","x":tru}`, ErrMalformed},
	{"empty type", `{"type":"","id":""}`, eventtarget.ErrInvalidTopic},
	{"colon in the type", `{"type":"a:b","id":""}`, eventtarget.ErrInvalidTopic},
	{"star in the type", `{"type":"a*","id":""}`, eventtarget.ErrInvalidTopic},
	{"star as the type", `{"type":"*","id":""}`, eventtarget.ErrInvalidTopic},
	{"star as the id", `{"type":"a","id":"*"}`, eventtarget.ErrInvalidTopic},
	{"newline in the type", `{"type":"a\n","id":""}`, eventtarget.ErrInvalidTopic},
	{"NUL in the id", `{"type":"a","id":"\u0000"}`, eventtarget.ErrInvalidTopic},
	{"carriage return in the id", `{"type":"a","id":"\r"}`, eventtarget.ErrInvalidTopic},
	{"delete in the id", "{\"type\":\"a\",\"id\":\"\x7f\"}", eventtarget.ErrInvalidTopic},
	{"C1 control in the id", `{"type":"a","id":"\u0085"}`, eventtarget.ErrInvalidTopic},
	{"long type", `{"type":"` + strings.Repeat("a", 129) + `","id":""}`, eventtarget.ErrInvalidTopic},
	{"long id", `{"type":"a","id":"` + strings.Repeat("a", 257) + `"}`, eventtarget.ErrInvalidTopic},
	{"long escaped id", `{"type":"a","id":"` + strings.Repeat(`\u0061`, 257) + `"}`, eventtarget.ErrInvalidTopic},
	{"control type with a colon", `{"type":"__a:b","id":""}`, eventtarget.ErrInvalidTopic},
	{"many headers", `{"type":"a","id":"","headers":{` + members(17) + `}}`, eventtarget.ErrLimit},
	{"long header", `{"type":"a","id":"","headers":{"x":"` + strings.Repeat("a", 256) + `"}}`, eventtarget.ErrLimit},
	{"deep array", `{"type":"a","id":"","payload":` + nested("[", "]", 1001) + `}`, ErrMalformed},
	{"deep object", `{"type":"a","id":"","payload":` + nested(`{"a":`, "}", 1001) + `}`, ErrMalformed},
	{"very deep", `{"type":"a","id":"","payload":` + strings.Repeat("[", 1_000_000), ErrMalformed},
	{"deep unknown member", `{"type":"a","id":"","x":` + nested("[", "]", 1001) + `}`, ErrMalformed},
	{"too large", `{"type":"a","id":"","payload":"` + strings.Repeat("a", 1<<20) + `"}`, eventtarget.ErrTooLarge},
}

func members(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"h%d":"x"`, i))
	}
	return strings.Join(all, ",")
}

func nested(open, end string, n int) string {
	inner := "1"
	return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
}

func TestDecodeRefuses(t *testing.T) {
	for _, c := range malformed {
		t.Run(c.name, func(t *testing.T) {
			m, err := Decode([]byte(c.frame), limits)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %+v, %v; want %v", m, err, c.want)
			}
			if len(err.Error()) > 300 {
				t.Errorf("the error repeats the input: %d bytes", len(err.Error()))
			}
		})
	}
}

// wellFormed are messages that must be read, with what stands in them.
var wellFormed = []struct {
	name, frame string
	want        Message
}{
	{"smallest", `{"type":"a","id":""}`, Message{Type: "a"}},
	{"other order", `{"payload":1,"id":"i","type":"a"}`, Message{Type: "a", ID: "i", Payload: raw(`1`)}},
	{"white space", " {\n\t\"type\" : \"a\" ,\r \"id\" : \"i\" , \"payload\" : [ 1 ] } ", Message{Type: "a", ID: "i", Payload: raw(`[ 1 ]`)}},
	{"escaped names", `{"\u0074ype":"a","\u0069d":"i"}`, Message{Type: "a", ID: "i"}},
	{"other case is unknown", `{"type":"a","id":"i","TYPE":"b","Payload":2}`, Message{Type: "a", ID: "i"}},
	{"unknown members", `{"type":"a","id":"","x":{"type":"b"},"y":[null]}`, Message{Type: "a"}},
	{"many unknown members", `{"type":"a","id":"",` + members(100) + `}`, Message{Type: "a"}},
	{"colon in the id", `{"type":"a","id":"b:c"}`, Message{Type: "a", ID: "b:c"}},
	{"star within the id", `{"type":"a","id":"b*"}`, Message{Type: "a", ID: "b*"}},
	{"empty string payload", `{"type":"a","id":"","payload":""}`, Message{Type: "a", ID: "", Payload: raw(`""`)}},
	{"null payload", `{"type":"a","id":"","payload":null}`, Message{Type: "a", ID: "", Payload: raw(`null`)}},
	{"empty object payload", `{"type":"a","id":"","payload":{}}`, Message{Type: "a", ID: "", Payload: raw(`{}`)}},
	{"empty array payload", `{"type":"a","id":"","payload":[]}`, Message{Type: "a", ID: "", Payload: raw(`[]`)}},
	{"2^53+1", `{"type":"a","id":"","payload":9007199254740993}`, Message{Type: "a", ID: "", Payload: raw(`9007199254740993`)}},
	{"1.10", `{"type":"a","id":"","payload":1.10}`, Message{Type: "a", ID: "", Payload: raw(`1.10`)}},
	{"-0", `{"type":"a","id":"","payload":-0}`, Message{Type: "a", ID: "", Payload: raw(`-0`)}},
	{"1E+400", `{"type":"a","id":"","payload":1E+400}`, Message{Type: "a", ID: "", Payload: raw(`1E+400`)}},
	{"duplicate names inside the payload", `{"type":"a","id":"","payload":{"x":1,"x":2}}`, Message{Type: "a", ID: "", Payload: raw(`{"x":1,"x":2}`)}},
	{"surrogate pair", `{"type":"a","id":"\ud83d\ude00"}`, Message{Type: "a", ID: "😀"}},
	{"astral", `{"type":"a","id":"😀"}`, Message{Type: "a", ID: "😀"}},
	{"all escapes", `{"type":"a","id":"\"\\\/","payload":"\b\f\n\r\t\u0000"}`, Message{Type: "a", ID: `"\/`, Payload: raw(`"\b\f\n\r\t\u0000"`)}},
	{"line separators", "{\"type\":\"a\",\"id\":\"\u2028\u2029\"}", Message{Type: "a", ID: "\u2028\u2029"}},
	{"headers", `{"type":"a","id":"","headers":{"x":"1","y":""}}`, Message{Type: "a", ID: "", Headers: map[string]string{"x": "1", "y": ""}}},
	{"no headers", `{"type":"a","id":"","headers":{}}`, Message{Type: "a"}},
	{"control", `{"type":"__subscribe","id":""}`, Message{Type: "__subscribe"}},
	{"1000 deep", `{"type":"a","id":"","payload":` + nested("[", "]", 1000) + `}`, Message{Type: "a", Payload: raw(nested("[", "]", 1000))}},
	{"16 headers", `{"type":"a","id":"","headers":{` + members(16) + `}}`, Message{Type: "a", Headers: headers(16)}},
}

func headers(n int) map[string]string {
	h := make(map[string]string)
	for i := range n {
		h[fmt.Sprintf("h%d", i)] = "x"
	}
	return h
}

func TestDecodeAccepts(t *testing.T) {
	for _, c := range wellFormed {
		t.Run(c.name, func(t *testing.T) {
			m, err := Decode([]byte(c.frame), limits)
			m.headers = 0 // TestAddHeader looks at that
			if err != nil || !reflect.DeepEqual(m, c.want) {
				t.Fatalf("got %+v, %v; want %+v", m, err, c.want)
			}
			if m.Control() != strings.HasPrefix(m.Type, "__") {
				t.Error("control")
			}
		})
	}
}

func TestAddHeader(t *testing.T) {
	limits := limits
	limits.Headers++
	for _, c := range wellFormed {
		t.Run(c.name, func(t *testing.T) {
			m, err := Decode([]byte(c.frame), limits)
			if err != nil {
				t.Fatal(err)
			}
			for _, value := range []string{"1", "2"} { // the second one instead of the first
				frame := AddHeader(nil, []byte(c.frame), &m, "added", value)
				want := c.want
				if want.Headers = maps.Clone(want.Headers); want.Headers == nil {
					want.Headers = make(map[string]string)
				}
				want.Headers["added"] = value
				if m, err = Decode(frame, limits); err != nil {
					t.Fatalf("%s: %v", frame, err)
				}
				got := m
				if got.headers = 0; !reflect.DeepEqual(got, want) {
					t.Fatalf("%s is %+v, want %+v", frame, got, want)
				}
			}
		})
	}
	const frame = `{"unknown":{"type":1},"headers": { "k" : "v" } ,"id":"","type":"a", "after":[2]} `
	m, err := Decode([]byte(frame), limits)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"unknown":{"type":1},"headers": {"added":"\"", "k" : "v" } ,"id":"","type":"a", "after":[2]} `
	if got := string(AddHeader(nil, []byte(frame), &m, "added", `"`)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSizeLimitIsExact(t *testing.T) {
	small := limits
	small.Message = 1000
	for delta, want := range map[int]error{0: nil, 1: eventtarget.ErrTooLarge} {
		e := eventtarget.Event[raw]{Type: "ab", ID: "cd", Headers: map[string]string{"ef": "gh"}}
		e.Payload = raw(`"` + strings.Repeat("x", 1000-8-2+delta) + `"`)
		if err := Check(&e, small); !errors.Is(err, want) {
			t.Errorf("%+d: Check: %v", delta, err)
		}
		if _, err := Decode(Append(nil, &e), small); !errors.Is(err, want) {
			t.Errorf("%+d: Decode: %v", delta, err)
		}
	}
}

func TestMaxFrame(t *testing.T) {
	l := eventtarget.Limits{Message: 10_000}.WithDefaults()
	e := eventtarget.Event[raw]{
		Type: strings.Repeat(`"`, 128), ID: strings.Repeat(`"`, 256), Headers: map[string]string{},
	}
	for i := range 16 {
		e.Headers[fmt.Sprintf("%02d", i)] = strings.Repeat(`\`, 254)
	}
	e.Payload = raw(`"` + strings.Repeat("x", 10_000-128-256-16*256-2) + `"`)
	if err := Check(&e, l); err != nil {
		t.Fatal(err)
	}
	if n := len(Append(nil, &e)); n > MaxFrame(l) {
		t.Errorf("a message within limits has %d bytes, MaxFrame is %d", n, MaxFrame(l))
	}
}

func TestCheckRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		payload string
		headers map[string]string
		want    error
	}{
		"empty":           {payload: "", want: eventtarget.ErrInvalidPayload},
		"space":           {payload: " ", want: eventtarget.ErrInvalidPayload},
		"two values":      {payload: "1 2", want: eventtarget.ErrInvalidPayload},
		"breaks out":      {payload: `1,"type":"evil"`, want: eventtarget.ErrInvalidPayload},
		"closes":          {payload: `1}`, want: eventtarget.ErrInvalidPayload},
		"invalid UTF-8":   {payload: "\"\xff\"", want: eventtarget.ErrInvalidPayload},
		"lone surrogate":  {payload: `"\ud800"`, want: eventtarget.ErrInvalidPayload},
		"too deep":        {payload: nested("[", "]", 1001), want: eventtarget.ErrInvalidPayload},
		"too large":       {payload: `"` + strings.Repeat("x", 1<<20) + `"`, want: eventtarget.ErrTooLarge},
		"many headers":    {payload: "1", headers: headers(17), want: eventtarget.ErrLimit},
		"long header":     {payload: "1", headers: map[string]string{"x": strings.Repeat("x", 256)}, want: eventtarget.ErrLimit},
		"header name":     {payload: "1", headers: map[string]string{"": "x"}, want: eventtarget.ErrInvalidPayload},
		"header newline":  {payload: "1", headers: map[string]string{"x": "\n"}, want: eventtarget.ErrInvalidPayload},
		"header encoding": {payload: "1", headers: map[string]string{"\xff": "x"}, want: eventtarget.ErrInvalidPayload},
	} {
		e := eventtarget.Event[raw]{Type: "a", Payload: raw(c.payload), Headers: c.headers}
		if err := Check(&e, limits); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	e := eventtarget.Event[raw]{Type: "a", Payload: raw(nested("[", "]", 1000)), Headers: headers(16)}
	if err := Check(&e, limits); err != nil {
		t.Error(err)
	}
}

// oracle reads a message with a strict JSON decoder that nobody here wrote. It
// knows nothing of topics and limits.
func oracle(frame []byte) (m Message, ok bool) {
	d := jsontext.NewDecoder(bytes.NewReader(frame), jsontext.AllowDuplicateNames(true))
	if k := d.PeekKind(); k != '{' {
		return m, false
	}
	seen := make(map[string]bool)
	var have struct{ eventType, id bool }
	if _, err := d.ReadToken(); err != nil {
		return m, false
	}
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return m, false
		}
		name := token.String()
		if seen[name] {
			return m, false
		}
		seen[name] = true
		value, err := d.ReadValue()
		if err != nil {
			return m, false
		}
		value = value.Clone()
		switch name {
		case "type", "id":
			if value.Kind() != '"' {
				return m, false
			}
			text, err := jsontext.AppendUnquote(nil, value)
			if err != nil {
				return m, false
			}
			if name == "type" {
				m.Type, have.eventType = string(text), true
			} else {
				m.ID, have.id = string(text), true
			}
		case "payload":
			m.Payload = raw(value)
		case "headers":
			if m.Headers, ok = oracleHeaders(value); !ok {
				return m, false
			}
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return m, false
	}
	if d.PeekKind() != 0 || len(bytes.TrimLeft(frame[d.InputOffset():], " \t\r\n")) > 0 {
		return m, false
	}
	return m, have.eventType && have.id
}

func oracleHeaders(value jsontext.Value) (map[string]string, bool) {
	d := jsontext.NewDecoder(bytes.NewReader(value))
	if t, err := d.ReadToken(); err != nil || t.Kind() != '{' {
		return nil, false
	}
	headers := make(map[string]string)
	for d.PeekKind() != '}' {
		name, err := d.ReadToken()
		if err != nil {
			return nil, false
		}
		n := name.String()
		v, err := d.ReadToken()
		if err != nil || v.Kind() != '"' {
			return nil, false
		}
		headers[n] = v.String()
	}
	return headers, true
}

// FuzzDecode: what the strict oracle refuses is refused, and what it accepts is
// read as it reads it, or refused for its topic or for a limit.
func FuzzDecode(f *testing.F) {
	for _, c := range malformed {
		if len(c.frame) < 10_000 {
			f.Add([]byte(c.frame))
		}
	}
	for _, c := range wellFormed {
		f.Add([]byte(c.frame))
	}
	known := new(Topics)
	f.Fuzz(func(t *testing.T, frame []byte) {
		got, err := Decode(frame, limits)
		for range 2 { // the second time the topic is known
			again, errAgain := known.Decode(frame, limits)
			if !same(got, again) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
				t.Fatalf("%q: read %+v (%v) without what is known of topics, %+v (%v) with it", frame, got, err, again, errAgain)
			}
		}
		want, ok := oracle(frame)
		switch {
		case !ok && err == nil:
			t.Fatalf("accepted %q, which the oracle refuses", frame)
		case !ok || err == nil && same(got, want):
		case err == nil:
			t.Fatalf("%q: read %+v, the oracle reads %+v", frame, got, want)
		case errors.Is(err, eventtarget.ErrInvalidTopic), errors.Is(err, eventtarget.ErrLimit), errors.Is(err, eventtarget.ErrTooLarge):
		case strings.Contains(err.Error(), "header"):
		default:
			t.Fatalf("refused %q, which the oracle accepts: %v", frame, err)
		}
	})
}

// The topics of a conversation come again, and among them what only looks like one: nothing
// at all, one that is the protocol's own, the same text cut elsewhere.
func TestTopicsComeAgain(t *testing.T) {
	known := new(Topics)
	for range 3 {
		for _, frame := range []string{
			`{"type":"","id":""}`, `{"type":"a","id":""}`, `{"type":"a","id":"b"}`, `{"type":"ab","id":""}`, `{"type":"a","id":"\u0062"}`,
			`{"type":"__ack","id":""}`, `{"type":"__","id":""}`, `{"type":"a:","id":""}`, `{"type":"a","id":"bb"}`, `{"type":"a","id":"*"}`,
		} {
			got, err := Decode([]byte(frame), limits)
			if again, errAgain := known.Decode([]byte(frame), limits); !same(got, again) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
				t.Errorf("%s: read %+v (%v) without what is known of topics, %+v (%v) with it", frame, got, err, again, errAgain)
			}
		}
	}
	frame := []byte(`{"type":"chat","id":"lobby","payload":1}`)
	if n := testing.AllocsPerRun(100, func() { _, _ = known.Decode(frame, limits) }); n != 0 {
		t.Errorf("%v allocations for a topic that is known", n)
	}
}

func same(a, b Message) bool {
	return a.Type == b.Type && a.ID == b.ID && (a.Payload == nil) == (b.Payload == nil) &&
		bytes.Equal(a.Payload, b.Payload) && (len(a.Headers) == 0 && len(b.Headers) == 0 || reflect.DeepEqual(a.Headers, b.Headers))
}

// FuzzRoundTrip: what Check lets pass is read back as it was.
func FuzzRoundTrip(f *testing.F) {
	f.Add("chat", "lobby", `"hello"`, "trace", "00-ab")
	f.Add("a", "\"\\\u2028", `[1.10,{"x":null}]`, "", "")
	f.Fuzz(func(t *testing.T, eventType, id, payload, name, value string) {
		e := eventtarget.Event[raw]{Type: eventType, ID: id, Payload: raw(payload)}
		if name != "" {
			e.Headers = map[string]string{name: value}
		}
		if e.Topic().Check() != nil || Check(&e, limits) != nil {
			return
		}
		frame := Append(nil, &e)
		if !json.Valid(frame) {
			t.Fatalf("wrote %q", frame)
		}
		m, err := Decode(frame, limits)
		if err != nil {
			t.Fatalf("%q: %v", frame, err)
		}
		want := strings.Trim(payload, " \t\r\n")
		if m.Type != eventType || m.ID != id || string(m.Payload) != want || !reflect.DeepEqual(m.Headers, e.Headers) {
			t.Fatalf("wrote %+v, read %+v", e, m)
		}
	})
}
