package hub_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestRecordedSpokes plays what spokes of other versions of the protocol have said, and
// compares what they are told, byte for byte.
func TestRecordedSpokes(t *testing.T) {
	files, err := filepath.Glob("testdata/spoke-*.txt")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { play(t, file) }) })
	}
}

func play(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, err := hub.New(hub.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var near *link.PipeConn
	connect := func() {
		var far *link.PipeConn
		near, far = link.Pipe()
		go func() { _, _ = h.Attach(negotiated{far}, hub.Meta{}) }()
	}
	connect()
	session := ""
	for lines, n := bufio.NewScanner(f), 1; lines.Scan(); n++ {
		said, text, _ := strings.Cut(lines.Text(), " ")
		synctest.Wait()
		switch said {
		case "#":
		case "cut":
			near.Cut()
			connect()
		case "dispatch":
			dispatch(t, h, "n", text, text)
		case ">":
			if err := near.Send([]byte(strings.ReplaceAll(text, "SESSION", session))); err != nil {
				t.Fatalf("line %d: %v", n, err)
			}
		case "<":
			got, err := receiveSoon(near)
			if err != nil {
				t.Fatalf("line %d: %v, want %s", n, err, text)
			}
			if session == "" {
				var w struct{ Payload welcome }
				if err := json.Unmarshal(got, &w); err != nil {
					t.Fatal(err)
				}
				session = w.Payload.Session
			}
			if want := strings.ReplaceAll(text, "SESSION", session); string(got) != want {
				t.Errorf("line %d: told %s, want %s", n, got, want)
			}
		default:
			t.Fatalf("line %d: %q", n, lines.Text())
		}
	}
	near.Cut()
}

// receiveSoon receives a message that comes within a second, acknowledgements too.
func receiveSoon(c *link.PipeConn) (msg []byte, err error) {
	late := time.AfterFunc(time.Second, c.Cut)
	msg, err = c.Receive()
	if !late.Stop() {
		err = errors.Join(err, errors.New("nothing came"))
	}
	return msg, err
}
