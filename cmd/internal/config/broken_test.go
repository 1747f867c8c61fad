package config

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// broken are configurations with one mistake each. form tells that the JSON Schema sees it,
// too: an editor marks it.
var broken = []struct {
	name, text string
	want       string // behind the name of the file
	form       bool
}{
	// What is no YAML, or not one document of keys.
	{"an empty file", "", "1:1: the file is empty; write keys, such as http:, or {} for the defaults", false},
	{"only a comment", "# later\n", "1:1: the file is empty; write keys", false},
	{"null", "~", "1:1: the file is empty; write keys", true},
	{"a list", "- relay: true\n", "1:1: this is no configuration; write keys, such as http:", true},
	{"a text", secret, "1:1: this is no configuration; write keys, such as http:", true},
	{"two documents", "relay: true\n---\nrelay: false\n", "2:1: a second document begins here; write everything in one", false},
	{"a tab", "http:\n\taddress: :1\n", "2:1: this is no YAML; indent with spaces", false},
	{"an open quote", "relay: true\norigins: [\"" + secret + "]\n", "2:1: this is no YAML (found unexpected end of stream); look at", false},
	{"an open bracket", "origins: [a\nrelay: true\n", "1:1: this is no YAML; look at the indentation", false},
	{"two colons", "relay: true\nhosts: a: b\n", "2:1: this is no YAML (mapping values are not allowed in this context); look at", false},
	{"a bare star", "retain:\n  - *\n", "2:1: a text that begins with * or & stands in quotes; write \"*\"", false},
	{"a secret that begins with a star", "token-parameter: *" + secret + "\n", "1:1: a text that begins with * or & stands in quotes", false},
	{"a tag", "relay: true\ntoken-parameter: !!int " + secret + "\n", "2:18: token-parameter: a value has no tag here; write it without", false},
	{"an alias in itself", "retain: &a [*a]\n", "1:13: retain[0]: an alias is not read here; write the value out", false},
	{"a merge", "limits:\n  <<: {spokes: 1}\n", "2:3: limits: a key is a name; write one of the known keys", false},
	{"the same key twice", "relay: true\nmisses: 2\nrelay: false\n", "3:1: relay: the same key stands in line 1 already; write it once", false},
	{"a number as a key", "relay: true\n5: x\n", "2:1: a key is a name; write one of the known keys", false},

	// Keys.
	{"a letter left out", "htp:\n  address: :1\n", "1:1: htp: unknown key; did you mean http?", true},
	{"a letter too many", "limits:\n  messages: 3\n", "2:3: limits.messages: unknown key; did you mean message?", true},
	{"an underscore", "write_timeout: 5s\n", "1:1: write_timeout: unknown key; did you mean write-timeout?", true},
	{"letters swapped", "limits: {brust: 3}\n", "1:10: limits.brust: unknown key; did you mean burst?", true},
	{"a capital", "Relay: true\n", "1:1: Relay: unknown key; did you mean relay?", true},
	{"a key of another section", "relay: true\nspokes: 5\n", "2:1: spokes: unknown key here; write it in limits:", true},
	{"a key that nobody knows", "relay: true\nzzzzzz: 5\n", "2:1: there is an unknown key; known here: http, quic, listeners, origins,", true},
	{"a port", "http:\n  port: 8080\n", "2:3: http.port: unknown key; write address: HOST:PORT", true},
	{"listen", "listen: :8080\n", "1:1: listen: unknown key; write http: with address: HOST:PORT in it", true},
	{"tls", "tls:\n  cert: a\n", "1:1: tls: unknown key; write tls-cert: FILE and tls-key: FILE in http:", true},
	{"a token in the file", "tokens:\n  - identity: ann\n    token: " + secret + "\n", "3:5: tokens[0].token: a secret does not stand here; write token-file: FILE or token-env: NAME", true},
	{"a secret in the file", "jwt:\n  secret: " + secret + "\n", "2:3: jwt.secret: a secret does not stand here; write the key of a file", true},
	{"a token as a key", "tokens:\n  - " + secret + ": ann\n", "2:5: tokens[0]: there is an unknown key; known here: identity, token-file, token-env", true},
	{"a path of a worker", "workers:\n  - path: /bin/true\n", "2:5: workers[0].path: unknown key; write program: FILE", true},
	{"nothing behind a key", "relay: true\ntokens:\n", "2:1: tokens: there is nothing behind the key; write a list: each entry on a line of its own, behind a dash, or leave the key out", true},
	{"an empty list", "topics: []\n", "1:1: topics: there is nothing behind the key; write a list", true},
	{"an empty section", "jwt: {}\n", "1:1: jwt: there is nothing behind the key; write keys: methods, key-file,", true},
	{"an empty text", "http:\n  address: ''\n", "2:3: http.address: there is nothing behind the key; write a text, or leave", true},
	{"an empty entry", "origins:\n  - https://a\n  -\n", "3:4: origins[1]: the entry is empty; write a text", true},

	// Values.
	{"a text for a section", "limits: " + secret + "\n", "1:1: limits: this is a single value; write keys: message, depth,", true},
	{"a list for a section", "http: [a]\n", "1:1: http: this is a list; write keys: address, tls-cert,", true},
	{"a text for a list", "tokens: " + secret + "\n", "1:1: tokens: this is a single value; write a list: each entry", true},
	{"keys for a list", "tokens:\n  " + secret + ": ann\n", "1:1: tokens: these are keys; write a list: each entry", true},
	{"keys for a text", "overflow:\n  conflate: true\n", "1:1: overflow: these are keys; write disconnect, drop-oldest, conflate or block", true},
	{"a word for a bool", "relay: yes\n", `1:1: relay: "yes" is neither true nor false; write true or false`, true},
	{"a bool in quotes", "relay: \"true\"\n", `1:1: relay: "true" stands in quotes, and is a text; write true or false`, true},
	{"a number for a bool", "http:\n  live: 1\n", `2:3: http.live: "1" is neither true nor false; write true or false`, true},
	{"a word for a number", "limits:\n  spokes: many\n", `2:3: limits.spokes: "many" is no such number; write a whole number, 0 or more`, true},
	{"a negative number", "limits:\n  spokes: -1\n", `2:3: limits.spokes: "-1" is no such number; write a whole number, 0 or more`, true},
	{"none where one is needed", "misses: 0\n", `1:1: misses: "0" is no such number; write a whole number, 1 or more`, true},
	{"a fraction", "limits:\n  depth: 1.5\n", `2:3: limits.depth: "1.5" is no such number; write a whole number`, true},
	{"a number in quotes", "misses: \"2\"\n", `1:1: misses: "2" stands in quotes, and is a text; write a whole number`, true},
	{"a huge number", "limits:\n  headers: 99999999999\n", `2:3: limits.headers: "99999999999" is no such number`, true},
	{"a rate below zero", "limits:\n  rate: -0.5\n", `2:3: limits.rate: "-0.5" is no such number; write a number, 0 or more`, true},
	{"no number", "limits:\n  rate: .nan\n", `2:3: limits.rate: "NaN" is no such number; write a number`, false},
	{"a strange unit", "limits:\n  message: 1XB\n", `2:3: limits.message: "1XB" is not of that form; write a number of bytes such as 4096, 64KiB or 1MiB`, true},
	{"half a byte", "limits:\n  message: 0.5\n", `2:3: limits.message: "0.5" is not of that form; write a number of bytes`, true},
	{"no bytes", "limits:\n  log-bytes: 0\n", `2:3: limits.log-bytes: "0" is not of that form; write a number of bytes`, true},
	{"a time without unit", "heartbeat: 15\n", `1:1: heartbeat: "15" is not of that form; write a time such as 500ms, 15s or 1m, or off`, true},
	{"no time", "write-timeout: 0s\n", `1:1: write-timeout: "0s" is not of that form; write a time such as 500ms, 15s or 1m`, false},
	{"off where that cannot be", "drain-timeout: off\n", `1:1: drain-timeout: "off" is not of that form; write a time such as 500ms, 15s or 1m`, true},
	{"a wrong choice", "relay: true\noverflow: drop_oldest\n", `2:1: overflow: "drop_oldest" is none of them (did you mean drop-oldest?); write disconnect, drop-oldest, conflate or block`, true},
	{"a wrong choice far off", "duplicates: maybe\n", `1:1: duplicates: "maybe" is none of them; write allow, replace or refuse`, true},
	{"a topic without colon", "retain: [chat]\n", `1:10: retain[0]: "chat" is not of that form; write a topic such as "chat:42", "chat:*" or "*", in quotes`, true},
	{"a reserved topic", "retain: [\"__x:*\"]\n", `1:10: retain[0]: "__x:*" is not of that form; write a topic`, true},
	{"a number for a text", "hosts: [5]\n", "1:9: hosts[0]: this is no text for YAML; put it in quotes; write a text", true},
	{"no network", "trusted-proxies: [10.0.0.0/99]\n", `1:19: trusted-proxies[0]: "10.0.0.0/99" is not of that form; write a network such as 10.0.0.0/8`, false},
	{"no pin", "quic:\n  allow: [" + secret + "]\n", "2:11: quic.allow[0]: this is no pin; write a pin as eventtarget keygen prints it", true},

	// Listeners.
	{"no port", "http:\n  address: localhost\n", `2:3: http.address: "localhost" is no address; write HOST:PORT, such as 127.0.0.1:8080 or :8080`, false},
	{"a port out of range", "http:\n  address: :70000\n", `2:3: http.address: ":70000" is no address; write HOST:PORT`, false},
	{"a named port", "http:\n  address: :http\n", `2:3: http.address: ":http" is no address; write HOST:PORT`, false},
	{"a certificate alone", "http:\n  tls-cert: DIR/hub.crt\n", "1:1: http: tls-cert and tls-key go together; write both", true},
	{"no such certificate", "http:\n  tls-cert: DIR/none\n  tls-key: DIR/hub-tls.key\n", "2:3: http.tls-cert: the file cannot be read: no such file or directory; write the path of a file in PEM", false},
	{"a certificate that is none", "http:\n  tls-cert: DIR/ann.token\n  tls-key: DIR/hub-tls.key\n", "2:3: http.tls-cert: failed to find any PEM data in certificate input; write a certificate and the key", false},
	{"another's key", "http:\n  tls-cert: DIR/hub.crt\n  tls-key: DIR/old-tls.key\n", "2:3: http.tls-cert: private key does not match public key; write a certificate and the key", false},
	{"an old certificate", "http:\n  tls-cert: DIR/old.crt\n  tls-key: DIR/old-tls.key\n", "2:3: http.tls-cert: the certificate was good until ", false},
	{"quic without pins", "relay: true\nquic:\n  address: :1\n  key-file: DIR/hub.key\n", "2:1: quic: address, key-file and allow go together; write all three", false},
	{"no such key", quicWith(":1", "DIR/none"), "3:3: quic.key-file: the file cannot be read: no such file or directory; write the path of one that eventtarget keygen made", false},
	{"a key that is none", quicWith(":1", "DIR/ann.token"), "3:3: quic.key-file: there is no key in it that only its owner can read; write", false},
	{"no address for quic", quicWith("1.2.3.4", "DIR/hub.key"), `2:3: quic.address: "1.2.3.4" is no address; write HOST:PORT`, false},
	{"an origin without scheme", "origins: [app.example.com]\n", `1:11: origins[0]: "app.example.com" is no origin; write it with its scheme: https://`, true},
	{"an origin with a path", "origins: [\"https://a.b/c\"]\n", `1:11: origins[0]: "https://a.b/c" has a path; write https://a.b`, false},
	{"a pattern that is none", "origins: [\"https://[a\"]\n", `1:11: origins[0]: "https://[a" has a [ without its ]; write *`, false},
	{"a host with a port", "hosts:\n  - a\n  - b:80\n", "3:5: hosts[1]: this is more than a name; write a host without scheme and port", true},
}

func quicWith(address, key string) string {
	return "quic:\n  address: " + address + "\n  key-file: " + key + "\n  allow: [sha256-" + strings.Repeat("A", 43) + "]\n"
}

// advises is what each message has: what to write instead.
var advises = regexp.MustCompile(`write |did you mean |known here: |put it in quotes|look at |indent with `)

func TestBroken(t *testing.T) {
	dir := files(t)
	names := map[string]bool{}
	for _, c := range append(broken, brokenTogether...) {
		if names[c.name] {
			t.Errorf("two cases are called %q", c.name)
		}
		names[c.name] = true
		file := write(t, dir, c.text)
		_, _, err := Load(Source{File: file, Environ: environ()})
		problems, ok := errors.AsType[Problems](err)
		if !ok || len(problems) != 1 {
			t.Errorf("%s: %v, want one problem", c.name, err)
			continue
		}
		got := err.Error()
		if !strings.HasPrefix(got, file+":"+c.want) {
			t.Errorf("%s:\ngot  %s\nwant hub.yaml:%s", c.name, strings.TrimPrefix(got, dir+string(os.PathSeparator)), c.want)
		}
		if !advises.MatchString(got) {
			t.Errorf("%s: %s does not say what to write instead", c.name, got)
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("%s: a secret is told: %s", c.name, got)
		}
	}
	if len(names) < 60 {
		t.Errorf("only %d cases", len(names))
	}
}

// TestAllAtOnce: one run tells every mistake, in the order of the file.
func TestAllAtOnce(t *testing.T) {
	file := write(t, t.TempDir(), "htp: {}\nhosts: [5]\nlimits:\n  mesage: 1\n  spokes: x\n")
	_, _, err := Load(Source{File: file})
	var lines []int
	problems, _ := errors.AsType[Problems](err)
	for _, p := range problems {
		lines = append(lines, p.Line)
	}
	if len(lines) != 4 || lines[0] != 1 || lines[1] != 2 || lines[2] != 4 || lines[3] != 5 {
		t.Errorf("mistakes in lines %v: %v", lines, err)
	}
}

func TestNoFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none.yaml")
	if _, _, err := Load(Source{File: file}); err == nil || !strings.Contains(err.Error(), "none.yaml:1:1: the file cannot be read") {
		t.Error(err)
	}
}
