package eventtarget_test

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestFaultLog: faults are logged under keys that stay.
func TestFaultLog(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	log.Warn("x", slog.Any("fault", eventtarget.Fault{
		Kind: eventtarget.FaultGap, Adapter: "redis", Topic: eventtarget.T("a", "1"), Peer: "p", Count: 3, Err: errors.New("why"), Stack: []byte("at"),
	}))
	log.Warn("y", slog.Any("fault", eventtarget.Fault{Kind: eventtarget.FaultReconnected}))
	want := `{"level":"WARN","msg":"x","fault":{"kind":"gap","adapter":"redis","topic":"a:1","peer":"p","count":3,"error":"why","stack":"at"}}
{"level":"WARN","msg":"y","fault":{"kind":"reconnected"}}
`
	if b.String() != want {
		t.Errorf("logged\n%s, want\n%s", &b, want)
	}
}

// TestObserverPanics: one that hears faults and panics takes them from nobody else.
func TestObserverPanics(t *testing.T) {
	var told []string
	r := eventtarget.NewRegistry[string](eventtarget.RegistryOptions{OnFault: func(eventtarget.Fault) { told = append(told, "hook") }})
	defer r.Close()
	r.Observe(func(eventtarget.Fault) { panic("no") })
	stop := r.Observe(func(eventtarget.Fault) { told = append(told, "observer") })
	r.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap})
	stop()
	r.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap})
	if want := []string{"observer", "hook", "hook"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
