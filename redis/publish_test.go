package redis

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
)

// answer is what becomes of an attempt to append an event in these tests.
type answer byte

const (
	taken   answer = iota
	refused        // for now: nothing is stored
	lost           // it is stored, and nobody knows
)

// appending returns a member of a durable bus whose attempts to append an event have the
// given answers, and are taken after those, and what another one hears.
func appending(t *testing.T, o Options, answers map[string][]answer) (a *Target, heard <-chan string) {
	t.Helper()
	server := redistest.Start(t)
	o.Durable, o.OnFault = true, func(eventtarget.Fault) {}
	target := func() *Target {
		x, err := New(server.URL(), &o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			x.Close()
			<-x.Done()
		})
		if err := x.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		return x
	}
	a = target()
	b := target()
	ids := make(chan string, 100)
	if _, err := b.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Listener[eventtarget.Raw]{
		Inline: true, Handle: func(_ context.Context, e eventtarget.Event[eventtarget.Raw]) { ids <- e.ID },
	}); err != nil {
		t.Fatal(err)
	}
	p := &a.parts[0].publisher
	command, passing := p.command, p.passing
	p.command = func(b rueidis.Builder, m *message) rueidis.Completed {
		for id, left := range answers {
			if !strings.Contains(string(m.text), `"id":"`+id+`"`) || len(left) == 0 {
				continue
			}
			answers[id] = left[1:]
			switch left[0] {
			case refused:
				return b.Eval().Script("return redis.error_reply('OOM for a while')").Numkeys(0).Build()
			case lost:
				return b.Eval().Script("redis.call('XADD', KEYS[1], '0-*', 'm', ARGV[1]) return redis.error_reply('LOST on its way')").
					Numkeys(1).Key(m.channel).Arg(string(m.text)).Build()
			case taken:
			}
		}
		return command(b, m)
	}
	p.passing = func(err error) bool { return passing(err) || strings.Contains(err.Error(), "LOST") }
	return a, ids
}

// expectIDs expects events to be heard, in any order, and nothing before the last of them.
func expectIDs(t *testing.T, heard <-chan string, want ...string) {
	t.Helper()
	var got []string
	late := time.After(5 * time.Second)
	for range want {
		select {
		case id := <-heard:
			got = append(got, id)
		case <-late:
			t.Fatalf("heard %v of %v", got, want)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("heard %v in place of %v", got, want)
	}
}

// together dispatches events that are sent together.
func together(a *Target, ids ...string) []error {
	p := &a.parts[0].publisher
	start := p.start
	var write func()
	p.start = func(f func()) { write = f }
	all := events(ids...)
	var errs []error
	var sent []sending
	for i := range all {
		sent = append(sent, a.send(context.Background(), &all[i], nil))
	}
	p.start = start
	start(write)
	for i := range sent {
		errs = append(errs, sent[i].settle(context.Background(), &all[i]))
	}
	return errs
}

func events(ids ...string) (all []eventtarget.Event[eventtarget.Raw]) {
	for _, id := range ids {
		all = append(all, eventtarget.Event[eventtarget.Raw]{Type: "n", ID: id})
	}
	return all
}

// TestSentAgain: whichever of the events that are sent together have to be sent again, none
// is taken for the repetition of another.
func TestSentAgain(t *testing.T) {
	for name, answers := range map[string]map[string][]answer{
		"one between two":        {"a": {refused}, "c": {refused}},
		"one before lost ones":   {"a": {refused}, "b": {lost}, "c": {lost}},
		"two before another one": {"a": {refused}, "b": {refused, refused}},
	} {
		t.Run(name, func(t *testing.T) {
			a, heard := appending(t, Options{}, answers)
			if err := errors.Join(together(a, "a", "b", "c")...); err != nil {
				t.Fatal(err)
			}
			if err := a.Dispatch(t.Context(), events("last")[0]); err != nil {
				t.Fatal(err)
			}
			expectIDs(t, heard, "a", "b", "c", "last")
		})
	}
}

// TestStoredAndRefused: what may have been stored has an unknown outcome, whatever the last
// attempt was refused for, and the next event is not taken for its repetition.
func TestStoredAndRefused(t *testing.T) {
	for name, c := range map[string]struct {
		answers map[string][]answer
		ids     []string
	}{
		"until it is too late":  {map[string][]answer{"a": append([]answer{lost}, slices.Repeat([]answer{refused}, 100)...)}, []string{"a"}},
		"when the next one was": {map[string][]answer{"a": {lost, refused}, "b": {refused, taken}}, []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			a, heard := appending(t, Options{RetryFor: 300 * time.Millisecond}, c.answers)
			if errs := together(a, c.ids...); !errors.Is(errs[0], eventtarget.ErrUnknownOutcome) || errors.Join(errs[1:]...) != nil {
				t.Errorf("told %v", errs)
			}
			if err := a.Dispatch(t.Context(), events("last")[0]); err != nil {
				t.Fatal(err)
			}
			expectIDs(t, heard, append(c.ids, "last")...)
		})
	}
}

// TestRetryForBehindAnother: an event that waits behind one that is sent again is not waited
// for longer than RetryFor, all in all.
func TestRetryForBehindAnother(t *testing.T) {
	always := slices.Repeat([]answer{refused}, 1000)
	const retryFor = 600 * time.Millisecond
	a, _ := appending(t, Options{RetryFor: retryFor}, map[string][]answer{"a": always, "b": always})
	p := &a.parts[0].publisher
	tried := make(chan struct{}, 1000)
	passing := p.passing
	p.passing = func(err error) bool {
		tried <- struct{}{}
		return passing(err)
	}
	first := make(chan error, 1)
	go func() { first <- a.Dispatch(context.Background(), events("a")[0]) }()
	<-tried
	began := time.Now()
	if err := a.Dispatch(t.Context(), events("b")[0]); err == nil {
		t.Error("the second is taken")
	}
	if took := time.Since(began); took > retryFor*3/2 {
		t.Errorf("the second took %v, and may take %v", took, retryFor)
	}
	if <-first == nil {
		t.Error("the first is taken")
	}
}
