package open_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/open"
)

// TestSwap: the same program, run with other URLs, hears the same.
func TestSwap(t *testing.T) {
	both, ws, quic := relay(t), relay(t).ws, relay(t).quic
	redisURL := redistest.Start(t).URL()
	table := map[string][]string{
		"mem":                        {"mem://swap"},
		"ws":                         {relay(t).ws},
		"wss":                        {relay(t).wss},
		"quic":                       {relayQUIC(t)},
		"ws, asked for topics":       {relay(t).ws + "?subscribe=true"},
		"quic, asked for topics":     {relayQUIC(t) + "&subscribe=true"},
		"redis":                      {redisURL + "?prefix=plain"},
		"redis, durable":             {redisURL + "?prefix=durable&durable=true"},
		"rediss":                     {secureRedis(t)},
		"redis cluster":              {redistest.StartCluster(t, 3).URL()},
		"ws and quic, one hub":       {both.ws, both.quic},
		"two hubs, joined by mem":    {joined(t, "mem://swap-backplane"), joined(t, "mem://swap-backplane")},
		"two hubs, joined by redis":  {joined(t, redisURL+"?prefix=bp"), joined(t, redisURL+"?prefix=bp")},
		"two hubs, joined by a hub":  {joined(t, ws), joined(t, ws)},
		"two hubs, joined over quic": {joined(t, quic), joined(t, quic)},
	}
	elsewhere := map[string]string{
		"sse+http": "TestSwapListener", "sse+https": "TestSwapListener", "worker": "one other end, and no relay: package worker",
		"rediss+cluster": "as redis+cluster, behind the TLS of rediss",
	}
	for _, scheme := range open.NewMux(nil).Schemes() {
		used := slices.ContainsFunc(slices.Concat(slices.Collect(maps.Values(table))...), func(url string) bool {
			return strings.HasPrefix(url, scheme+"://")
		})
		if used == (elsewhere[scheme] != "") {
			t.Errorf("%s: in the table is %v, and elsewhere %q", scheme, used, elsewhere[scheme])
		}
	}
	for name, urls := range table {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := program(t, urls)
			if err != nil {
				t.Fatal(err)
			}
			for _, listener := range slices.Sorted(maps.Keys(want)) {
				if !slices.Equal(got[listener], want[listener]) {
					t.Errorf("%s heard\n%q, want\n%q", listener, got[listener], want[listener])
				}
			}
			if len(got) != len(want) {
				t.Errorf("listened: %q", slices.Sorted(maps.Keys(got)))
			}
		})
	}
}

// said is what each participant dispatches, in that order.
var said = []eventtarget.Event[raw]{
	{Type: "said", ID: "1", Payload: raw(`1.10`), Headers: map[string]string{"of": "header"}},
	{Type: "said", ID: "2"},
	{Type: "seen", ID: "1", Payload: raw(`null`)},
	{Type: "seen", Payload: raw(`"<größe>"`)},
	{Type: "said", ID: "1", Payload: raw(`{"b":1,"a":9007199254740993}`)},
}

// shown is what said looks like to those who hear it.
var shown = []string{`said:1 1.10 of=header`, `said:2 `, `seen:1 null`, `seen: "<größe>"`, `said:1 {"b":1,"a":9007199254740993}`}

// want is what each listener hears: the participant's name, what it listens to, and
// from whom. loud and plain hear themselves, silent does not.
var want = func() map[string][]string {
	w := map[string][]string{}
	for _, to := range []string{"loud", "plain", "silent"} {
		for _, from := range []string{"loud", "plain", "silent"} {
			if to == from && to == "silent" {
				continue
			}
			w[to+" exact "+from] = []string{shown[0], shown[4]}
			w[to+" type "+from] = []string{shown[0], shown[1], shown[4]}
			w[to+" everything "+from] = shown
		}
		w[to+" once"] = []string{shown[1]}
		w[to+" until removed"] = []string{"first:1 "}
	}
	return w
}()

// program is the one whose URLs are swapped: three participants talk at the same time
// about the same. They open urls in turn. It returns what their listeners heard.
func program(t *testing.T, urls []string) (map[string][]string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	everyone := map[string]*participant{}
	heard := &transcript{heard: map[string][]string{}}
	for i, p := range []struct{ name, echo string }{{"loud", "echo=true"}, {"plain", ""}, {"silent", "echo=false"}} {
		target, err := open.NewMux(&open.Options{OnFault: func(f eventtarget.Fault) { t.Log(f) }}).Open(ctx, with(urls[i%len(urls)], p.echo))
		if err != nil {
			return nil, err
		}
		defer func() { target.Close(); <-target.Done() }()
		if err := target.Ready(ctx); err != nil {
			return nil, err
		}
		everyone[p.name] = &participant{Endpoint: target, name: p.name, heard: heard, ended: make(chan string, 10), begun: make(chan string, 10)}
	}
	for _, step := range []func(*participant, context.Context) error{
		(*participant).listen, (*participant).begin, (*participant).again, (*participant).talk,
		(*participant).end, (*participant).refused, (*participant).leave,
	} {
		var wg sync.WaitGroup
		failed := make(chan error, len(everyone))
		for _, p := range everyone {
			wg.Go(func() { failed <- step(p, ctx) })
		}
		wg.Wait()
		close(failed)
		for err := range failed {
			if err != nil {
				return nil, err
			}
		}
	}
	return heard.heard, nil
}

// transcript is what was heard, by listener.
type transcript struct {
	mu    sync.Mutex
	heard map[string][]string
}

func (h *transcript) add(listener string, e eventtarget.Event[raw]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := e.Topic().String() + " " + string(e.Payload)
	if of := e.Headers["of"]; of != "" {
		text += " of=" + of
	}
	h.heard[listener] = append(h.heard[listener], text)
}

type participant struct {
	eventtarget.Endpoint
	name         string
	heard        *transcript
	removed      *eventtarget.Registration
	begun, ended chan string // by whom
}

// listen adds the listeners. Each notes who dispatched what it hears.
func (p *participant) listen(ctx context.Context) error {
	note := func(listener string) eventtarget.Listener[raw] {
		return eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) {
			switch by := e.Headers["by"]; e.Type {
			case "first": // heard by the one that is removed
			case "last":
				p.ended <- by
			default:
				p.heard.add(p.name+" "+listener+" "+by, e)
			}
		})
	}
	once := eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) { p.heard.add(p.name+" once", e) })
	once.Once = true
	removed := eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) {
		p.heard.add(p.name+" until removed", e)
		p.begun <- e.Headers["by"]
	})
	_, one := p.Add(ctx, eventtarget.T("said", "1"), note("exact"))
	_, two := p.Add(ctx, eventtarget.T("said", "*"), note("type"))
	_, three := p.Add(ctx, eventtarget.T("*", "*"), note("everything"))
	_, four := p.Add(ctx, eventtarget.T("said", "2"), once)
	var five error
	p.removed, five = p.Add(ctx, eventtarget.T("first", "1"), removed)
	return errors.Join(one, two, three, four, five)
}

// begin lets one of them speak first and, when everybody has heard it, removes the
// listener for that.
func (p *participant) begin(ctx context.Context) error {
	if p.name == "loud" {
		if err := p.again(ctx); err != nil {
			return err
		}
	}
	if err := wait(ctx, p.begun, "loud"); err != nil {
		return fmt.Errorf("%s: the first word: %w", p.name, err)
	}
	if !p.Remove(p.removed) || p.Remove(p.removed) {
		return fmt.Errorf("%s: Remove is not true once", p.name)
	}
	return nil
}

// again says the first word. Only the first is heard: the listener is removed.
func (p *participant) again(ctx context.Context) error {
	return p.Dispatch(ctx, eventtarget.Event[raw]{Type: "first", ID: "1", Headers: map[string]string{"by": p.name}})
}

// talk dispatches what is to be said.
func (p *participant) talk(ctx context.Context) error {
	for _, e := range said {
		headers := map[string]string{"by": p.name}
		maps.Copy(headers, e.Headers)
		e.Headers = headers
		if err := p.Dispatch(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// end says the last word and hears those of the others: what they said before has
// been heard then.
func (p *participant) end(ctx context.Context) error {
	if err := p.Dispatch(ctx, eventtarget.Event[raw]{Type: "last", Headers: map[string]string{"by": p.name}}); err != nil {
		return err
	}
	everyone := []string{"loud", "plain", "silent"}
	if p.name == "silent" {
		everyone = everyone[:2]
	}
	if err := wait(ctx, p.ended, everyone...); err != nil {
		return fmt.Errorf("%s: the last words: %w", p.name, err)
	}
	return nil
}

// refused asks for what no target takes.
func (p *participant) refused(ctx context.Context) error {
	for want, e := range map[error]eventtarget.Event[raw]{
		eventtarget.ErrInvalidTopic:   {Type: "a:b", ID: "1"},
		eventtarget.ErrInvalidPayload: {Type: "said", Payload: raw(`{`)},
		eventtarget.ErrTooLarge:       {Type: "said", Payload: raw(`"` + strings.Repeat("x", eventtarget.DefaultMaxMessage) + `"`)},
	} {
		if err := p.Dispatch(ctx, e); !errors.Is(err, want) {
			return fmt.Errorf("%s: Dispatch: %w, want %w", p.name, err, want)
		}
	}
	return nil
}

// leave ends the target, and all that its listeners have to do.
func (p *participant) leave(ctx context.Context) error {
	if err := p.Shutdown(ctx); err != nil {
		return err
	}
	if err := p.Dispatch(ctx, said[1]); !errors.Is(err, eventtarget.ErrClosed) {
		return fmt.Errorf("%s: Dispatch after Shutdown: %w", p.name, err)
	}
	return nil
}
