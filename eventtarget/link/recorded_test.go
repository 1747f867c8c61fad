package link_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestRecordedHubs plays what hubs of other versions of the protocol, or slow ones, have said, and
// compares what they are told, byte for byte, and what is heard.
func TestRecordedHubs(t *testing.T) {
	files, err := filepath.Glob("testdata/hub-*.txt")
	if err != nil || len(files) < 2 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { play(t, file) }) })
	}
}

// sessionConn is a connection both of whose ends know sessions.
type sessionConn struct{ *link.PipeConn }

func (sessionConn) Protocol() int { return 1 }

func play(t *testing.T, file string) {
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ends := make(chan *link.PipeConn, 10)
	told := make(chan string, 100)
	l, err := link.New(link.Options{
		Heartbeat: -1,
		Dial: func(context.Context) (link.Conn, error) {
			near, far := link.Pipe()
			ends <- far
			return sessionConn{near}, nil
		},
		OnFault: func(f eventtarget.Fault) {
			if f.Kind == eventtarget.FaultGap {
				told <- fmt.Sprint("gap ", f.Count)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := l.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Func(func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
		told <- fmt.Sprintf("hears %s:%s %s", e.Type, e.ID, e.Payload)
	})); err != nil {
		t.Fatal(err)
	}
	hub := <-ends
	for lines, n := bufio.NewScanner(f), 1; lines.Scan(); n++ {
		said, text, _ := strings.Cut(lines.Text(), " ")
		synctest.Wait()
		switch said {
		case "#":
		case "cut":
			hub.Cut()
			hub = <-ends
		case "dispatch":
			if err := l.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "n", ID: text, Payload: eventtarget.Raw(text)}); err != nil {
				t.Fatalf("line %d: %v", n, err)
			}
		case ">":
			if err := hub.Send([]byte(text)); err != nil {
				t.Fatalf("line %d: %v", n, err)
			}
		case "<":
			late := time.AfterFunc(time.Second, hub.Cut)
			got, err := hub.Receive()
			if !late.Stop() {
				err = errors.Join(err, errors.New("nothing came"))
			}
			if err != nil || string(got) != text {
				t.Fatalf("line %d: told %s, %v; want %s", n, got, err, text)
			}
		case "hears", "gap":
			select {
			case got := <-told:
				if got != lines.Text() {
					t.Errorf("line %d: %q instead of %q", n, got, lines.Text())
				}
			case <-time.After(time.Second):
				t.Errorf("line %d: nothing for %q", n, lines.Text())
			}
		default:
			t.Fatalf("line %d: %s", n, strconv.Quote(lines.Text()))
		}
	}
}
