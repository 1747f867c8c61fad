package wsserver_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/wsclient"
)

// keepBook makes the child's own listener write down what it begins and what it ends,
// each with one write, which survives the process.
func keepBook(h *hub.Hub, path string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = h.Add(context.Background(), eventtarget.T("n", "*"), eventtarget.Listener[eventtarget.Raw]{Handle: func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) {
		_, _ = fmt.Fprintf(f, "begin %s %t\n", e.Payload, e.Redelivered)
		<-time.After(time.Millisecond) // so that some wait
		_, _ = fmt.Fprintf(f, "end %s %t\n", e.Payload, e.Redelivered)
	}})
	if err != nil {
		return err
	}
	return h.Redeliver(context.Background())
}

// book is what the listeners of all the processes have written down.
type book struct {
	begun, ended  map[int]int
	last, repeats int // the highest that was begun, and how often one was that had been
	wrong         []string
}

func readBook(t *testing.T, path string) book {
	b := book{begun: map[int]int{}, ended: map[int]int{}, last: -1}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var what string
		var n int
		var again bool
		if _, err := fmt.Sscanf(lines.Text(), "%s %d %t", &what, &n, &again); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		switch {
		case what == "end":
			b.ended[n]++
			continue
		case b.begun[n] > 0:
			b.repeats++
			if !again {
				b.wrong = append(b.wrong, fmt.Sprintf("event %d is heard again and not marked", n))
			}
		case n < b.last:
			b.wrong = append(b.wrong, fmt.Sprintf("event %d is heard for the first time behind %d", n, b.last))
		}
		b.begun[n]++
		b.last = max(b.last, n)
	}
	return b
}

// TestNemesisKilledListener: the process of a hub is killed again and again while its own
// listeners hear a spoke. They hear every event to the end at least once, what they hear
// again is marked, and the first time is in order.
func TestNemesisKilledListener(t *testing.T) {
	for _, kind := range []string{"relay", "own"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "book")
			t.Setenv(storedHubBook, path)
			t.Setenv(storedHubKind, kind)
			addr, process := startStored(t, "127.0.0.1:0", filepath.Join(dir, "store"))
			c, err := wsclient.New("ws://"+addr, &wsclient.Options{Options: link.Options{
				OnFault: func(f eventtarget.Fault) {
					if f.Kind == eventtarget.FaultGap {
						t.Errorf("%v", f)
					}
				}, Backoff: link.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond},
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			random, kills := nemesis.Rand(t), nemesis.Times(50)
			n := 0
			for range kills {
				if err := c.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
				for range 10 + random.IntN(100) {
					if err := c.Dispatch(t.Context(), eventtarget.Event[eventtarget.Raw]{Type: "n", Payload: eventtarget.Raw(strconv.Itoa(n))}); err != nil {
						t.Fatal(err)
					}
					n++
				}
				pause := time.NewTimer(time.Duration(random.IntN(100)) * time.Millisecond)
				<-pause.C
				if err := process.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = process.Wait()
				_, process = startStored(t, addr, filepath.Join(dir, "store"))
			}
			var b book
			for late := time.Now().Add(30 * time.Second); ; <-time.After(10 * time.Millisecond) {
				if b = readBook(t, path); len(b.ended) == n {
					break
				}
				if time.Now().After(late) {
					t.Fatalf("of %d events %d are heard to the end", n, len(b.ended))
				}
			}
			for _, w := range b.wrong {
				t.Error(w)
			}
			t.Logf("%d kills, %d events, %d heard again", kills, n, b.repeats)
		})
	}
}
