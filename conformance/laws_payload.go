package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

var payloadLaws = []Law{
	{"A35", "payload-ownership", Must, "the caller may reuse its buffer once Dispatch returned, and what a listener does to a payload shows at no other endpoint",
		"it works until the transport is swapped", lawPayloadOwnership},
	{"B01", "unicode", Must, "text of every kind round-trips, and lone surrogates are refused",
		"framing by line, JavaScript peers", lawUnicode},
	{"B02", "invalid-utf8", Must, "bytes survive or Dispatch errors; they never turn into U+FFFD",
		"encoding/json replaces without a word", everyWay(lawInvalidUTF8)},
	{"B05", "empty-null-absent", Must, `"", null, {}, [] and an absent payload are five different things`,
		"others conflate them", lawEmptyNullAbsent},
	{"B06", "numbers", Must, "numbers keep their text, and typed integers their value",
		"numbers that went through float64", lawNumbers},
	{"B07", "no-html-escape-drift", Must, "<, > and & are equal after the round trip",
		"an escape that is a default elsewhere", lawHTML},
	{"B12", "codec-error", Must, "a codec that fails on the way out is an error with nothing sent, and on the way in a fault that keeps no other listener from the event",
		"one bad payload that stops all", everyWay(lawCodecError)},
}

// roundTrip sends payloads over every cell and compares their text.
func (t *T) roundTrip(texts ...string) {
	r := t.rig(2)
	r.cells(func(i, j int) {
		topic := eventtarget.T(t.name(), "")
		rec := r.listen(j, topic)
		for n, text := range texts {
			r.dispatch(i, event{Type: topic.Type, Payload: raw(text)})
			if got := string(rec.wait(n + 1)[n].Payload); got != text {
				t.Errorf("from %d to %d: %q arrived as %q", i, j, text, got)
			}
		}
	})
}

func lawPayloadOwnership(t *T) {
	t.wire()
	r := t.rig(3)
	r.cells(func(i, j int) {
		topic := eventtarget.T(t.name(), "")
		rec := r.listen(j, topic)
		buf := raw(`"first"`)
		headers := map[string]string{"k": "first"}
		r.dispatch(i, event{Type: topic.Type, Payload: buf, Headers: headers})
		copy(buf, `"XXXXX"`)
		headers["k"] = "XXXXX"
		if e := rec.wait(1)[0]; string(e.Payload) != `"first"` || e.Headers["k"] != "first" {
			t.Errorf("from %d to %d: the caller reused its memory and the listener hears %s, header %q", i, j, e.Payload, e.Headers["k"])
		}
	})
	r.cells(func(i, j int) {
		for k := range r.Endpoints {
			if k == j || !r.Reaches(i, k) {
				continue
			}
			topic := eventtarget.T(t.name(), "")
			spoilt := make(chan struct{})
			told := sync.OnceFunc(func() { close(spoilt) })
			r.add(j, topic, eventtarget.Listener[raw]{Inline: true, Handle: func(_ context.Context, e event) {
				if j != i { // one's own echo is heard before others have it
					copy(e.Payload, `"YYYYY"`)
				}
				told()
			}})
			rec := r.listen(k, topic)
			r.dispatch(i, event{Type: topic.Type, Payload: raw(`"first"`)})
			t.await("the listener that spoils its payload", spoilt)
			if e := rec.wait(1)[0]; j != i && string(e.Payload) != `"first"` {
				t.Errorf("what a listener at %d did to its payload shows at %d: %s", j, k, e.Payload)
			}
			return
		}
	})
}

func lawUnicode(t *T) {
	t.roundTrip(
		`"plain"`, `"größe"`, `"e\u0301 é"`, `"עברית العربية"`, `"漢字"`, `"😀👩‍👩‍👧"`, `"\ud83d\ude00"`, `"\u0000"`,
		"\"\u2028\u2029\"", `"\u2028"`, `"\b\f\n\r\t\/\\\""`, "\"\u200b\ufeff\ufffd\"", `{"ключ":"значение"}`, "\"\U0010ffff\"",
	)
	r := t.rig(2)
	i, j := r.cell()
	for _, id := range []string{"größe", "😀", "עברית", "a\u2028b", "e\u0301", "\ufeff", " ", `"`, `\`, "{}[]*?:", "%0a"} {
		topic := eventtarget.T(t.name()+".ü", id)
		rec := r.listen(j, topic)
		r.dispatch(i, event{Type: topic.Type, ID: id})
		if got := rec.wait(1)[0].Topic(); got != topic {
			t.Errorf("topic %q arrived as %q", topic, got)
		}
	}
	if !t.Harness.Caps.Wire {
		return
	}
	for _, text := range []string{`"\ud800"`, `"\udc00"`, `"\ud800x"`, `{"\ud800":1}`} {
		if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: "lone", Payload: raw(text)}); err == nil {
			t.Errorf("a lone surrogate was accepted: %s", text)
		}
	}
}

func lawInvalidUTF8(t *T, r *rig, i, j int) {
	bad := []string{"\xff", "\xc0\x80", "\xed\xa0\x80", "a\xe2\x82"}
	if t.Harness.Caps.Wire {
		for _, s := range bad {
			if err := r.Endpoints[i].Dispatch(t.ctx, event{Type: "bad", Payload: raw(`"` + s + `"`)}); err == nil {
				t.Errorf("a payload with the bytes %x was accepted", s)
			}
			text := eventtarget.Typed(r.Endpoints[i], eventtarget.JSON[map[string]string]())
			if err := text.Dispatch(t.ctx, eventtarget.Event[map[string]string]{Type: "bad", Payload: map[string]string{"k": s}}); err == nil {
				t.Errorf("a Go string with the bytes %x was accepted", s)
			}
		}
	}
	topic := eventtarget.T(t.name(), "")
	heard := make(chan []byte, len(bad))
	from := eventtarget.Typed(r.Endpoints[i], eventtarget.Bytes())
	to := eventtarget.Typed(r.Endpoints[j], eventtarget.Bytes())
	if _, err := to.Add(t.ctx, topic, eventtarget.Func(func(_ context.Context, e eventtarget.Event[[]byte]) { heard <- e.Payload })); err != nil {
		t.Fatalf("Add: %v", err)
	}
	for _, s := range bad {
		if err := from.Dispatch(t.ctx, eventtarget.Event[[]byte]{Type: topic.Type, Payload: []byte(s)}); err != nil {
			t.Fatalf("Dispatch of bytes: %v", err)
		}
		select {
		case got := <-heard:
			if !bytes.Equal(got, []byte(s)) {
				t.Errorf("bytes %x arrived as %x", s, got)
			}
		case <-t.ctx.Done():
			t.Fatalf("bytes %x never arrived", s)
		}
	}
}

func lawEmptyNullAbsent(t *T) {
	r := t.rig(2)
	r.cells(func(i, j int) {
		topic := eventtarget.T(t.name(), "")
		rec := r.listen(j, topic)
		for n, p := range []raw{raw(`""`), raw(`null`), raw(`{}`), raw(`[]`), nil} {
			r.dispatch(i, event{Type: topic.Type, Payload: p})
			got := rec.wait(n + 1)[n].Payload
			if string(got) != string(p) || (got == nil) != (p == nil) {
				t.Errorf("from %d to %d: %q (absent: %v) arrived as %q (absent: %v)", i, j, p, p == nil, got, got == nil)
			}
		}
	})
}

func lawNumbers(t *T) {
	t.roundTrip("9007199254740993", "-9223372036854775808", "9223372036854775807", "18446744073709551615",
		"1e308", "1E+400", "-0", "1.10", "0.1000000000000000055511151231257827", "[1.0,10]")
	type numbers struct {
		I int64
		U uint64
	}
	r := t.rig(2)
	i, j := r.cell()
	topic := eventtarget.T(t.name(), "")
	heard := make(chan numbers, 1)
	codec := eventtarget.JSON[numbers]()
	to := eventtarget.Typed(r.Endpoints[j], codec)
	if _, err := to.Add(t.ctx, topic, eventtarget.Func(func(_ context.Context, e eventtarget.Event[numbers]) { heard <- e.Payload })); err != nil {
		t.Fatalf("Add: %v", err)
	}
	want := numbers{-1<<63 + 1, 1<<64 - 1}
	from := eventtarget.Typed(r.Endpoints[i], codec)
	if err := from.Dispatch(t.ctx, eventtarget.Event[numbers]{Type: topic.Type, Payload: want}); err != nil {
		t.Fatalf("Dispatch: %v", err)
	}
	select {
	case got := <-heard:
		if got != want {
			t.Errorf("%+v arrived as %+v", want, got)
		}
	case <-t.ctx.Done():
		t.Fatalf("the numbers never arrived")
	}
}

func lawHTML(t *T) { t.roundTrip(`"<script>&amp;</script>"`, `"\u003c\u003e\u0026"`, `{"<&>":1}`) }

// failing is a codec that fails when it is told to.
type failing struct{}

var errCodec = errors.New("the codec refuses")

func (failing) Append(dst []byte, _ string, v string) ([]byte, error) {
	if v == "unsendable" {
		return dst, errCodec
	}
	return append(dst, `"`+v+`"`...), nil
}

func (failing) Decode(_ string, p []byte) (string, error) {
	s := strings.Trim(string(p), `"`)
	if s == "unreadable" {
		return "", errCodec
	}
	return s, nil
}

func lawCodecError(t *T, r *rig, i, j int) {
	topic := eventtarget.T(t.name(), "")
	from := eventtarget.Typed(r.Endpoints[i], eventtarget.Codec[string](failing{}))
	to := eventtarget.Typed(r.Endpoints[j], eventtarget.Codec[string](failing{}))
	plain := r.listenInline(j, topic)
	var typed []string
	if _, err := to.Add(t.ctx, topic, eventtarget.Listener[string]{Inline: true, Handle: func(_ context.Context, e eventtarget.Event[string]) {
		typed = append(typed, e.Payload)
	}}); err != nil {
		t.Fatalf("Add: %v", err)
	}
	after := r.listenInline(j, topic)
	if err := from.Dispatch(t.ctx, eventtarget.Event[string]{Type: topic.Type, Payload: "unsendable"}); !errors.Is(err, errCodec) {
		t.Errorf("Dispatch with a codec that fails: %v", err)
	}
	for _, v := range []string{"unreadable", "good"} {
		if err := from.Dispatch(t.ctx, eventtarget.Event[string]{Type: topic.Type, Payload: v}); err != nil {
			t.Fatalf("Dispatch: %v", err)
		}
	}
	r.settle(i, j)
	if fmt.Sprint(typed) != "[good]" || plain.len() != 2 || after.len() != 2 {
		t.Errorf("the typed listener heard %v, the others %d and %d of 2", typed, plain.len(), after.len())
	}
	t.awaitFault("a payload that could not be decoded", j, func(f eventtarget.Fault) bool {
		return f.Kind == eventtarget.FaultDecode && f.Topic == topic && errors.Is(f.Err, errCodec)
	})
}
