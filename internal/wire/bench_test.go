package wire

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// envelope is what encoding/json makes of an event, for comparison.
type envelope struct {
	Type    string            `json:"type"`
	ID      string            `json:"id"`
	Payload json.RawMessage   `json:"payload,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
}

func benchEvent(size int) eventtarget.Event[raw] {
	filler := strings.Repeat("lorem ipsum ", size/12+1)
	payload := fmt.Sprintf(`{"user":"ada","room":42,"text":"%s"}`, filler[:max(size-37, 0)])
	return eventtarget.Event[raw]{Type: "chat.said", ID: "lobby", Payload: raw(payload)}
}

var sizes = []struct {
	name string
	n    int
}{{"128B", 128}, {"1KiB", 1 << 10}, {"64KiB", 64 << 10}}

func BenchmarkEncode(b *testing.B) {
	for _, size := range sizes {
		e := benchEvent(size.n)
		b.Run("payload="+size.name+"/wire", func(b *testing.B) {
			buf := make([]byte, 0, size.n+100)
			b.ReportAllocs()
			for b.Loop() {
				buf = Append(buf[:0], &e)
			}
		})
		b.Run("payload="+size.name+"/encoding-json", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := json.Marshal(envelope{e.Type, e.ID, e.Payload, e.Headers}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, size := range sizes {
		e := benchEvent(size.n)
		frame := Append(nil, &e)
		b.Run("payload="+size.name+"/wire", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(frame, limits); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("payload="+size.name+"/encoding-json", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var v envelope
				if err := json.Unmarshal(frame, &v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAllocations(t *testing.T) {
	e := benchEvent(128)
	frame := Append(nil, &e)
	buf := make([]byte, 0, 1000)
	if n := testing.AllocsPerRun(100, func() { buf = Append(buf[:0], &e) }); n != 0 {
		t.Errorf("Append allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = Decode(frame, limits) }); n > 1 {
		t.Errorf("Decode allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { _ = Check(&e, limits) }); n != 0 {
		t.Errorf("Check allocates %v times", n)
	}
}
