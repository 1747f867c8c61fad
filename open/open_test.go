package open_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/wsserver"
)

type raw = eventtarget.Raw

// openURL opens a target that is closed, and has ended, with the test.
func openURL(t *testing.T, url string) eventtarget.Endpoint {
	t.Helper()
	target, err := open.NewMux(&open.Options{OnFault: func(eventtarget.Fault) {}}).Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.Close(); <-target.Done() })
	return target
}

// counted returns how many events an inline listener has heard.
func counted(t *testing.T, target eventtarget.Target) *int {
	t.Helper()
	n := new(int)
	_, err := target.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Listener[raw]{
		Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) { *n++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func dispatch(t *testing.T, target eventtarget.Target, payload string) error {
	t.Helper()
	return target.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "t", ID: "1", Payload: raw(payload)})
}

// TestErrors: an error names what is wrong, and never a password.
func TestErrors(t *testing.T) {
	for url, want := range map[string]string{
		"gopher://user:secret@x": `unknown scheme "gopher" (known: mem, quic, redis, redis+cluster, rediss, rediss+cluster, sse+http, sse+https, worker, ws, wss)`,
		"x":                      `unknown scheme ""`,
		"mem://name?ehco=1":      `mem: open: unknown parameter "ehco" (known: echo, max)`,
		"ws://user:secret@127.0.0.1?token=secret":   `ws: open: unknown parameter "token"`,
		"wss://127.0.0.1?echo=true&x=":              `wss: open: unknown parameter "x"`,
		"mem://name?echo=maybe":                     `parameter echo: "maybe" is neither true nor false`,
		"mem://name?echo":                           `parameter echo: "" is neither true nor false`,
		"mem://name?max=0":                          `parameter max: "0" is no positive number of bytes`,
		"mem://name?max=1MB":                        `parameter max: "1MB" is no positive number of bytes`,
		"ws://user:secret@127.0.0.1?max=-1":         `parameter max: "-1" is no positive number of bytes`,
		"mem://":                                    `write mem://NAME`,
		"mem://name/path":                           `write mem://NAME`,
		"ws://127.0.0.1?subscribe=perhaps":          `parameter subscribe: "perhaps" is neither true nor false`,
		"ws://127.0.0.1?token-file=secret":          `parameter token-file: the file cannot be read: no such file`,
		"quic://127.0.0.1?insecure=true&key=secret": `parameter key: the file cannot be read: no such file`,
		"sse+http://127.0.0.1?token-file=secret":    `parameter token-file: the file cannot be read: no such file`,
		"quic://127.0.0.1:1":                        `parameter pin: whose hub it is to be is not said`,
		"quic://127.0.0.1:1?pin=x":                  `parameter pin: this is no pin, which is sha256- and 43 characters`,
		"quic://127.0.0.1:1/path?insecure=true":     `write quic://HOST:PORT`,
		"quic://x?insecure=true":                    `"x" is not host:port`,
		"quic://127.0.0.1:1?insecure=1&key=/none":   `no such file`,
		"redis://user:secret@":                      `eventtarget: redis: open: write redis://USER:PASSWORD@HOST:PORT`,
		"redis://127.0.0.1/3":                       `eventtarget: redis: open: Pub/Sub knows no databases`,
		"redis://127.0.0.1?group=g":                 `parameter group: its members share a log, which takes durable=true`,
		"redis+cluster://127.0.0.1?shards=0":        `parameter shards: "0" is no positive number`,
		"redis://127.0.0.1?batch=-1":                `parameter batch: "-1" is no positive number`,
		"redis://127.0.0.1?batch=1000":              `a Batch of 1000, which can be 512 at most`,
		"redis+cluster://127.0.0.1?batch=x":         `parameter batch: "x" is no positive number`,
		"redis://127.0.0.1?durable=true&batch=2":    `parameter batch: each entry of a log is one event`,
		"redis://127.0.0.1?from=0-0":                `parameter from: it is a position in a log, which takes durable=true`,
		"redis://h?durable=true&group=g&from=0-0":   `parameter from: a group has a place in the log already`,
		"redis://127.0.0.1?durable=true&from=x":     `where From begins: "x" is no entry's id`,
		"redis+cluster://127.0.0.1?durable=true":    `unknown parameter`,
		"redis://127.0.0.1?durable=perhaps":         `parameter durable: "perhaps" is neither true nor false`,
		"sse+http://127.0.0.1?topic=x":              `parameter topic: invalid topic`,
		"sse+http:///path":                          `not a http:// or https:// URL with a host`,
		"worker:///bin/true":                        `only where that is allowed`,
		"mem://name?max=1&max=2":                    `parameter max: it stands there 2 times, and has one value`,
		"ws://127.0.0.1?echo=true&echo=true":        `parameter echo: it stands there 2 times`,
		"redis://127.0.0.1?prefix=secret&prefix=b":  `parameter prefix: it stands there 2 times`,
		"worker:///x?arg=a&arg=b&sha256=&sha256=":   `parameter sha256: it stands there 2 times`,
		"mem://name#secret":                         `a fragment means nothing here`,
		"ws://127.0.0.1/path#secret":                `a fragment means nothing here`,
		"redis://127.0.0.1#secret":                  `a fragment means nothing here`,
		"mem://user:secret@name":                    `mem: knows no user`,
		"quic://user:secret@127.0.0.1?insecure=1":   `quic: knows no user`,
		"worker://user:secret@/bin/true":            `worker: knows no user`,
		"ws://user:secret@127.0.0.1?token-file=x":   `parameter token-file: there is a user before the @ too`,
		"sse+http://u:secret@[::1]?token-file=x":    `parameter token-file: there is a user before the @ too`,
		"ws:///path":                                `not a ws:// or wss:// URL with a host`,
	} {
		target, err := open.Open(t.Context(), url)
		if target != nil || err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %s", url, err, want)
		}
		if e, ok := errors.AsType[*eventtarget.Error](err); !ok || e.Op != "open" || strings.Count(err.Error(), "open: ") > 1 {
			t.Errorf("%s: %#v", url, err)
		}
	}
}

// TestNegativeLimits: they are an error whatever the scheme.
func TestNegativeLimits(t *testing.T) {
	mux := open.NewMux(&open.Options{Limits: eventtarget.Limits{Message: -1}})
	for _, scheme := range mux.Schemes() {
		if target, err := mux.Open(t.Context(), scheme+"://127.0.0.1:1"); target != nil || err == nil || !strings.Contains(err.Error(), "Limits.Message is negative (-1)") {
			t.Errorf("%s: %v", scheme, err)
		}
	}
}

// TestEcho: whatever the scheme, a target hears itself unless the URL says otherwise.
func TestEcho(t *testing.T) {
	hub := serve(t)
	for url, want := range map[string]int{
		"mem://echo":            1,
		"mem://echo?echo=true":  1,
		"mem://echo?echo=false": 0,
		hub:                     1,
		hub + "?echo=1":         1,
		hub + "?echo=false":     0,
	} {
		target := openURL(t, url)
		heard := counted(t, target)
		if err := dispatch(t, target, `1`); err != nil {
			t.Fatal(err)
		}
		if *heard != want {
			t.Errorf("%s: heard itself %d times, want %d", url, *heard, want)
		}
	}
}

func TestMax(t *testing.T) {
	hub := serve(t)
	for _, url := range []string{"mem://max?max=10", hub + "?max=10"} {
		target := openURL(t, url)
		if err := dispatch(t, target, `"12345"`); err != nil { // and two of topic
			t.Errorf("%s: %v", url, err)
		}
		if err := dispatch(t, target, `"1234567"`); !errors.Is(err, eventtarget.ErrTooLarge) {
			t.Errorf("%s: Dispatch over the limit: %v", url, err)
		}
	}
}

// TestMemoryNames: a name is the same bus whoever opens it.
func TestMemoryNames(t *testing.T) {
	same, other := openURL(t, "mem://name?echo=false"), openURL(t, "mem://other")
	heard, unheard := counted(t, same), counted(t, other)
	if err := dispatch(t, openURL(t, "mem://name"), `1`); err != nil {
		t.Fatal(err)
	}
	if *heard != 1 || *unheard != 0 {
		t.Errorf("heard %d times under the name, %d under another", *heard, *unheard)
	}
}

// serve returns the URL of a hub that refuses what has a query.
func serve(t *testing.T) string {
	t.Helper()
	h, err := wsserver.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			http.Error(w, "query", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { h.Close(); <-h.Done(); server.Close() })
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// TestQueryStaysHere: the parameters are ours, not the server's.
func TestQueryStaysHere(t *testing.T) {
	target := openURL(t, serve(t)+"/ws?echo=true&max=1000")
	if err := target.Ready(t.Context()); err != nil {
		t.Errorf("Ready: %v", err)
	}
}

// TestOverflow: what finds no room on its way to another end that is away is refused, or waits.
func TestOverflow(t *testing.T) {
	for _, url := range []string{"ws://127.0.0.1:1", "wss://127.0.0.1:1", "quic://127.0.0.1:1?insecure=true"} {
		for overflow, want := range map[eventtarget.Overflow]error{
			0: eventtarget.ErrOverflow, eventtarget.Reject: eventtarget.ErrOverflow, eventtarget.Block: context.DeadlineExceeded,
		} {
			t.Run(url+" "+overflow.String(), func(t *testing.T) {
				t.Parallel()
				mux := open.NewMux(&open.Options{OnFault: func(eventtarget.Fault) {}, Overflow: overflow})
				target, err := mux.Open(t.Context(), url)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { target.Close(); <-target.Done() }()
				e := eventtarget.Event[raw]{Type: "n", Payload: raw(`"` + strings.Repeat("x", 1<<19) + `"`)}
				patience := time.Second // of who waits in vain
				if overflow != eventtarget.Block {
					patience = time.Minute
				}
				for err == nil {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					err = target.Dispatch(ctx, e)
					cancel()
				}
				if !errors.Is(err, want) {
					t.Errorf("Dispatch: %v, want %v", err, want)
				}
			})
		}
	}
}
