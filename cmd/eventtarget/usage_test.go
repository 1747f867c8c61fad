package main_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestErrors: whatever is written wrong is named, with what to write instead.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "a.key")
	if _, errs, err := run(t, "", "keygen", key); err != nil {
		t.Fatal(err, errs)
	}
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"no command":            {[]string{"lisen"}, []string{`there is no command "lisen"; did you mean listen? known: bench, `}},
		"no such flag":          {[]string{"hub", "--prot", "1"}, []string{"unknown flag: --prot; eventtarget hub --help lists"}},
		"no arguments":          {[]string{"listen"}, []string{"the number of arguments is 0; write eventtarget listen URL TOPIC..."}},
		"one too many":          {[]string{"hub", "hub.yaml"}, []string{"the number of arguments is 1; write eventtarget hub [flags]"}},
		"a time without unit":   {[]string{"listen", "mem://x", "a:*", "--wait", "2"}, []string{`--wait: "2"`, "write a time such as"}},
		"no time":               {[]string{"listen", "mem://x", "a:*", "--wait", "0s"}, []string{"--wait: ", "write a time such as"}},
		"no truth":              {[]string{"hub", "--live=maybe"}, []string{`--live: "maybe"`, "write true or false"}},
		"no number":             {[]string{"listen", "mem://x", "a:*", "--count", "many"}, []string{`--count: "many"`, "write a whole number"}},
		"a negative number":     {[]string{"listen", "mem://x", "a:*", "--count", "-1"}, []string{"--count: -1", "write 0"}},
		"no scheme":             {[]string{"listen", "127.0.0.1:8080", "a:*"}, []string{"cannot be parsed; write one such as ws://"}},
		"unknown scheme":        {[]string{"dispatch", "http://x", "a", "b"}, []string{`unknown scheme "http" (known: mem, `, "write a URL such as ws://"}},
		"unknown parameter":     {[]string{"dispatch", "mem://x?ehco=1", "a", "b"}, []string{`unknown parameter "ehco" (known: echo, max)`}},
		"no parameters":         {[]string{"dispatch", "mem://x?max=3;token=secret", "a", "b"}, []string{"the parameters of the URL cannot be read; write NAME=VALUE"}},
		"bad topic":             {[]string{"listen", "mem://x", "chat"}, []string{`"chat" has no ':' (write "chat:*" for every id)`}},
		"bad payload":           {[]string{"dispatch", "mem://x", "a", "b", "hello"}, []string{"invalid payload", `write JSON, such as '"hello"'`}},
		"bad type":              {[]string{"dispatch", "mem://x", "a:b", "c"}, []string{"invalid topic"}},
		"no allowed pin":        {[]string{"hub", "--quic", "127.0.0.1:0", "--key", "x"}, []string{"eventtarget: quic: address, key-file and allow go together; write all three"}},
		"no key file":           {[]string{"hub", "--quic", "127.0.0.1:0", "--key", "/none", "--allow", "sha256-" + strings.Repeat("A", 43)}, []string{"no such file"}},
		"no address":            {[]string{"hub", "--listen", "8080"}, []string{`--listen: http.address: "8080" is no address; write HOST:PORT`}},
		"no address to look at": {[]string{"doctor", "--listen", "8080"}, []string{`--listen: "8080" is no address; write HOST:PORT`}},
		"no bus to look at":     {[]string{"doctor", "--backplane", "there"}, []string{"--backplane: a hub would not take this URL; write SCHEME://HOST:PORT with one of redis,"}},
		"a hub as a bus":        {[]string{"doctor", "--backplane", "ws://127.0.0.1:1/ws"}, []string{"--backplane: a hub would not take this URL; write"}},
		"no origin":             {[]string{"hub", "--listen", "127.0.0.1:1", "--quic", "", "--origin="}, []string{"--quic: quic.address: there is nothing behind the key; write", "--origin: origins: there is nothing behind the key; write"}},
		"a log and none":        {[]string{"hub", "--listen", "127.0.0.1:0", "--backplane", "redis://127.0.0.1:1?durable=true&durable=false"}, []string{"parameter durable: it stands there 2 times"}},
		"batches in a log":      {[]string{"hub", "--listen", "127.0.0.1:0", "--backplane", "redis://127.0.0.1:1?durable=true&batch=8"}, []string{"parameter batch: each entry of a log is one event"}},
		"a place in a log":      {[]string{"hub", "--listen", "127.0.0.1:0", "--backplane", "redis://127.0.0.1:1?durable=true&from=0-0"}, []string{"--backplane: backplane.url: from would have the hub hear that log again each time it starts; write the URL without it"}},
		"a key that is there":   {[]string{"keygen", key}, []string{"file exists; write the name of a new file, or --pin"}},
		"a small payload":       {[]string{"bench", "mem://x", "--size", "3"}, []string{"--size: 3 bytes", "at least 48"}},
		"nobody there":          {[]string{"dispatch", "--wait", "500ms", "ws://user:secret@127.0.0.1:1/ws", "a", "b"}, []string{"deadline", "connection refused"}},
		"nobody to check":       {[]string{"conform", "--wait", "500ms", "ws://user:secret@127.0.0.1:1/ws"}, []string{"deadline", "connection refused"}},
		"nobody streams":        {[]string{"listen", "--wait", "500ms", "sse+http://user:secret@127.0.0.1:1/sse", "a:*"}, []string{"connection refused"}},
	} {
		out, errs, err := run(t, "", c.args...)
		for _, want := range c.want {
			if !strings.Contains(errs, want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, errs)
			}
		}
		if err == nil || out != "" || strings.Contains(errs, "secret") || strings.Contains(errs, "eventtarget: eventtarget:") {
			t.Errorf("%s: %v\n%s%s", name, err, out, errs)
		}
	}
}

// TestHints: who is not let in, or may not, is told how to, and the exit status says so.
func TestHints(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "ann.token", "ann-"+token)
	hub := runHub(t, dir, "tokens:\n  - identity: ann\n    token-file: DIR/ann.token\ntopics:\n  - topic: \"chat:*\"\n    subscribe: [ann]\n    dispatch: [ann]\n")
	ws := hub.urls[0]
	sse := "sse+" + beside(ws, "/sse")
	ann := "?token-file=" + filepath.Join(dir, "ann.token")
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no token":             {[]string{"listen", ws, "chat:*"}, "401 Unauthorized; write token-file=FILE in the URL"},
		"no token for events":  {[]string{"listen", sse, "chat:*"}, "401 Unauthorized; write token-file=FILE in the URL"},
		"no path":              {[]string{"listen", "--wait", "1s", strings.TrimSuffix(ws, "/ws") + "/w" + ann, "chat:*"}, "the server answered 404 Not Found in place of a WebSocket"},
		"another topic":        {[]string{"listen", ws + ann, "news:*"}, "add news:*: forbidden: no rule lets you subscribe news:*"},
		"another topic to say": {[]string{"dispatch", ws + ann, "news", "1"}, "no rule lets you dispatch news:1"},
	} {
		if out, errs, err := run(t, "", c.args...); err == nil || !strings.Contains(errs, c.want) {
			t.Errorf("%s: %v, %s%s, want %s", name, err, out, errs, c.want)
		}
	}
	// The hub is asked for what is listened to, without a word about that in the URL.
	speaker, _ := come(t, ws, "ann-"+token)
	for _, url := range []string{ws + ann, sse + ann} {
		listen := exec.CommandContext(deadline(t), program, "listen", "--count", "1", url, "chat:*")
		errs, err := listen.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		listen.Stdout = &out
		if err := listen.Start(); err != nil {
			t.Fatal(err)
		}
		awaitListening(t, errs)
		if err := speaker.Dispatch(t.Context(), eventtarget.Event[raw]{Type: "chat", ID: "1"}); err != nil {
			t.Fatal(err)
		}
		if err := listen.Wait(); err != nil || out.String() != `{"type":"chat","id":"1"}`+"\n" {
			t.Errorf("%s: heard %q, %v", url, &out, err)
		}
	}
}

// TestPin: the pin of a key can be had again.
func TestPin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hub.key")
	made, errs, err := run(t, "", "keygen", file)
	if err != nil {
		t.Fatal(err, errs)
	}
	if shown, errs, err := run(t, "", "keygen", "--pin", file); err != nil || shown != made {
		t.Errorf("%v, %s%s, want %s", err, shown, errs, made)
	}
	if _, errs, err := run(t, "", "keygen", "--pin", file+".none"); err == nil || !strings.Contains(errs, "no such file") {
		t.Errorf("%v, %s", err, errs)
	}
}
