package main_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/internal/redistest"
)

// TestListenFrom: whoever listens from a position on hears all topics from there, in order.
func TestListenFrom(t *testing.T) {
	url := redistest.Start(t).URL() + "?durable=true"
	var want strings.Builder
	for _, id := range []string{"1", "2", "3"} {
		for _, kind := range []string{"a", "b", "c"} {
			if _, errs, err := run(t, "", "dispatch", url, kind, id); err != nil {
				t.Fatal(err, errs)
			}
			if kind != "b" {
				want.WriteString(`{"type":"` + kind + `","id":"` + id + `"}` + "\n")
			}
		}
	}
	args := []string{"listen", "--count", "6", url + "&from=0-0", "c:*"}
	for n := range 2000 { // so many that the first one would hear something before the last is there
		args = append(args, fmt.Sprintf("x:%d", n))
	}
	out, errs, err := run(t, "", append(args, "a:*")...)
	if err != nil || out != want.String() {
		t.Errorf("%v\n%s\n%s", err, out, errs)
	}
}
