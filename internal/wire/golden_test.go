package wire

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// golden are the events behind the frames in testdata/golden, version 1 of the
// wire (law B13). The files are never written by a test: they are the promise.
var golden = map[string]eventtarget.Event[raw]{
	"minimal":        {Type: "tick", ID: ""},
	"chat":           {Type: "chat.said", ID: "lobby", Payload: raw(`{"user":"ada","text":"hi"}`)},
	"null-payload":   {Type: "a", ID: "b", Payload: raw(`null`)},
	"empty-string":   {Type: "a", ID: "b", Payload: raw(`""`)},
	"exact-numbers":  {Type: "n", ID: "1", Payload: raw(`[9007199254740993,1.10,-0,1E+400]`)},
	"unicode":        {Type: "größe", ID: "😀 \u2028 עברית é", Payload: raw(`"\ud83d\ude00 \u0000 é"`)},
	"quotes":         {Type: `say"it"`, ID: `back\slash`, Payload: raw(`"<&>"`)},
	"colon-in-id":    {Type: "a", ID: "b:c*d", Payload: raw(`1`)},
	"headers":        {Type: "a", ID: "", Payload: raw(`1`), Headers: map[string]string{"traceparent": "00-1-2-01", "b": `"x"`}},
	"headers-absent": {Type: "a", ID: "", Headers: map[string]string{"k": ""}},
}

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.json")
	if err != nil || len(files) != len(golden) {
		t.Fatalf("%d files for %d events, %v", len(files), len(golden), err)
	}
	for _, file := range files {
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		e, ok := golden[strings.TrimSuffix(filepath.Base(file), ".json")]
		if !ok {
			t.Fatalf("%s stands for no event", file)
		}
		if got := Append(nil, &e); !bytes.Equal(got, want) {
			t.Errorf("%s: wrote\n%s, want\n%s", file, got, want)
		}
		m, err := Decode(want, limits)
		if err != nil || m.Type != e.Type || m.ID != e.ID || !bytes.Equal(m.Payload, e.Payload) ||
			(m.Payload == nil) != (e.Payload == nil) || !reflect.DeepEqual(m.Headers, e.Headers) {
			t.Errorf("%s: read %+v, %v; want %+v", file, m, err, e)
		}
	}
}
