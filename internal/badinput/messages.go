// Package badinput has messages that no envelope is, for the tests of those that read
// them from a network.
package badinput

import (
	"fmt"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Case is a message and what becomes of who sends it.
type Case struct {
	Message string
	// Code is that of the reason for which the offender is closed;
	// [eventtarget.CodeNormal]: the message is ignored, and the connection stays.
	Code eventtarget.Code
}

// Messages returns the cases by name, for a hub with default limits.
func Messages() map[string]Case {
	const malformed, tooLarge = eventtarget.CodeMalformed, eventtarget.CodeTooLarge
	cases := map[string]Case{
		"control of tomorrow":   {`{"type":"__tomorrow","id":""}`, eventtarget.CodeNormal},
		"subscribe, no payload": {`{"type":"__subscribe","id":""}`, malformed},
		"subscribe to a number": {`{"type":"__subscribe","id":"","payload":{"topics":[7]}}`, malformed},
		"subscribe, bad topic":  {`{"type":"__subscribe","id":"","payload":{"topics":["a b"]}}`, malformed},
		"unsubscribe, no list":  {`{"type":"__unsubscribe","id":"","payload":{"topics":"a:b"}}`, malformed},
		"unknown control":       {`{"type":"__x","id":"","payload":{}}`, eventtarget.CodeNormal},
		"one byte over":         {Sized(1<<20 + 1), tooLarge},
		"far over":              {Sized(8 << 20), tooLarge},
		"over by unknowns":      {`{"type":"a","id":"","x":"` + strings.Repeat("y", 2<<20) + `"}`, tooLarge},
		"depth 1001":            {`{"type":"a","id":"","payload":` + strings.Repeat("[", 1001) + strings.Repeat("]", 1001) + `}`, malformed},
		"depth 10000":           {`{"type":"a","id":"","payload":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `}`, malformed},
		"depth 10000 open":      {`{"type":"a","id":"","payload":` + strings.Repeat(`{"a":`, 10_000), malformed},
		"depth 100000 unknown":  {`{"type":"a","id":"","x":` + strings.Repeat("[", 100_000), malformed},
		"17 headers":            {`{"type":"a","id":"","headers":{"a":"","b":"","c":"","d":"","e":"","f":"","g":"","h":"","i":"","j":"","k":"","l":"","m":"","n":"","o":"","p":"","q":""}}`, malformed},
		"long header":           {`{"type":"a","id":"","headers":{"x":"` + strings.Repeat("y", 256) + `"}}`, malformed},
		"long type":             {`{"type":"` + strings.Repeat("a", 129) + `","id":""}`, malformed},
		"long id":               {`{"type":"a","id":"` + strings.Repeat("a", 257) + `"}`, malformed},
		"100000 unknown, twice": {`{"type":"a","id":""` + manyMembers(10_000) + `,"m0":1}`, malformed},
	}
	for i, m := range []string{
		``, ` `, `{`, `}`, `[]`, `[`, `null`, `true`, `1`, `"x"`, `{}`, `{"type":"a"}`, `{"id":"a"}`, `{"type":"a","id":"b"`, `{"type":"a","id":"b`,
		`{"type":"a","id":`, `{"type":"a","id"`, `{"type":"a",`, `{"type":`, `{"ty`, `{"type":"a","id":""}}`, `{"type":"a","id":""},`, `{"type":"a","id":""}{}`,
		`{"type":null,"id":""}`, `{"type":1,"id":""}`, `{"type":true,"id":""}`, `{"type":[],"id":""}`, `{"type":{},"id":""}`, `{"type":"a","id":null}`, `{"type":"a","id":1}`,
		`{"type":"a","id":false}`, `{"type":"a","id":[]}`, `{"type":"a","id":{}}`, `{"Type":"a","id":""}`, `{"TYPE":"a","ID":""}`, `{"type":"a","Id":""}`,
		`{"type":"a","type":"b","id":""}`, `{"type":"a","id":"","id":"x"}`, `{"type":"a","id":"","payload":1,"payload":2}`, `{"type":"a","ty\u0070e":"b","id":""}`,
		`{"type":"a","id":"","x":1,"x":2}`, `{"type":"a","id":"","headers":{"x":"1","x":"2"}}`, `{"type":"a","id":"","headers":{},"headers":{}}`,
		`{"type":"a","id":"","headers":[]}`, `{"type":"a","id":"","headers":null}`, `{"type":"a","id":"","headers":"x"}`, `{"type":"a","id":"","headers":{"x":1}}`,
		`{"type":"a","id":"","headers":{"x":null}}`, `{"type":"a","id":"","headers":{"":"x"}}`, `{"type":"a","id":"","headers":{"x":"\n"}}`,
		"\xff", "\xfe\xff", "\x00", "\x00\x01\x02\x03", "{\"type\":\"a\",\"id\":\"\xff\"}", "{\"type\":\"\xc0\x80\",\"id\":\"\"}", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\xed\xa0\x80\"}",
		"{\"type\":\"a\",\"id\":\"\",\"payload\":\"\xf4\x90\x80\x80\"}", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\xe2\x82\"}", "\ufeff{\"type\":\"a\",\"id\":\"\"}",
		`{"type":"a","id":"\ud800"}`, `{"type":"a","id":"","payload":"\ud800"}`, `{"type":"a","id":"","payload":"\udc00\ud800"}`, `{"type":"a","id":"","\ud800":1}`, `{"type":"a","id":"","payload":{"\udfff":1}}`,
		`{"type":"","id":""}`, `{"type":"a:b","id":""}`, `{"type":"*","id":"*"}`, `{"type":"a*","id":""}`, `{"type":"a","id":"*"}`, `{"type":"a\n","id":""}`, `{"type":"a\u0000","id":""}`,
		`{"type":"a","id":"\r\n"}`, `{"type":"a","id":"\u0000"}`, `{"type":"a","id":"\u007f"}`, `{"type":"a","id":"\u0085"}`, `{"type":"__a:b","id":""}`, `{"type":"__a\n","id":""}`,
		`{"type":"a","id":"","payload":}`, `{"type":"a","id":"","payload":undefined}`, `{"type":"a","id":"","payload":NaN}`, `{"type":"a","id":"","payload":-}`, `{"type":"a","id":"","payload":01}`,
		`{"type":"a","id":"","payload":+1}`, `{"type":"a","id":"","payload":1.}`, `{"type":"a","id":"","payload":.5}`, `{"type":"a","id":"","payload":1e}`, `{"type":"a","id":"","payload":0x10}`,
		`{"type":"a","id":"","payload":[1,]}`, `{"type":"a","id":"","payload":[,1]}`, `{"type":"a","id":"","payload":[1 2]}`, `{"type":"a","id":"","payload":{"a":1,}}`, `{"type":"a","id":"","payload":{a:1}}`,
		`{"type":"a","id":"","payload":{"a"}}`, `{"type":"a","id":"","payload":{"a":}}`, `{"type":"a","id":"","payload":[}`, `{"type":"a","id":"","payload":"\x"}`, `{"type":"a","id":"","payload":"\u12"}`,
		"{\"type\":\"a\",\"id\":\"\",\"payload\":\"\n\"}", "{\"type\":\"a\",\"id\":\"\",\"payload\":\"\t\"}", `{'type':'a','id':''}`, `{type:"a",id:""}`, `{"type":"a","id":""/**/}`, `{"type":"a";"id":""}`,
		`<event/>`, `GET / HTTP/1.1`, `type=a&id=b`, `{"type":"a","id":"","payload":tru}`, `{"type":"a","id":"","payload":nulll}`, `{"type":"a","id":"" "payload":1}`,
	} {
		cases[fmt.Sprintf("%d %.40q", i, m)] = Case{m, malformed}
	}
	const whole = `{"type":"a","id":"b","headers":{"c":"d"},"payload":{"e":[1,null]}}`
	for n := range len(whole) {
		cases[fmt.Sprintf("cut at %d", n)] = Case{whole[:n], malformed}
	}
	return cases
}

func manyMembers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":1`, i)
	}
	return b.String()
}

// Sized returns an envelope that counts n bytes.
func Sized(n int) string {
	return `{"type":"a","id":"","payload":"` + strings.Repeat("x", n-3) + `"}`
}
