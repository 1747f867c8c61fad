package main_test

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TestNoSecretsAnywhere: whatever is written into the wrong place, or is right and meets
// something else that is wrong, no output of any command has it.
func TestNoSecretsAnywhere(t *testing.T) {
	dir := t.TempDir()
	keyFile, pin := newKey(t, dir, "hub.key")
	pemText := readFile(t, keyFile)
	private := strings.Split(pemText, "\n")[1] // the key itself, without the frame of PEM
	put(t, dir, "jwt.secret", "jwt-"+token+token)
	put(t, dir, "short.secret", "hunter2")
	put(t, dir, "two.key", pemText+token)
	secrets := []string{"hunter2", private, private[:24]}
	bus := "redis://hub:" + token + "@127.0.0.1:1"
	quic := "quic:\n  address: 127.0.0.1:0\n  key-file: "
	var all sync.WaitGroup
	for name, c := range map[string]struct {
		config string // of a hub, or
		args   []string
		env    string
		want   string // in what is told
	}{
		"a key for a pin":              {config: quic + "DIR/hub.key\n  allow: [\"" + private + "\"]\n", want: "quic.allow[0]: this is no pin"},
		"a key for its file":           {config: quic + "\"" + private + "\"\n  allow: [" + pin.String() + "]\n", want: "quic.key-file: the file cannot be read"},
		"a token for a key":            {config: quic + "DIR/jwt.secret\n  allow: [" + pin.String() + "]\n", want: "quic.key-file: there is no key in it"},
		"a key in a block":             {config: "quic:\n  key: |\n    " + strings.ReplaceAll(pemText, "\n", "\n    ") + "\n", want: "quic.key: a secret does not stand here; write key-file"},
		"a key as a key of YAML":       {config: "relay: true\n" + private + ": 1\n", want: "there is an unknown key"},
		"a secret for JWT in the file": {config: "jwt:\n  methods: [HS256]\n  key-file: jwt-" + token + token + "\n", want: "jwt.key-file: the file cannot be read"},
		"a short secret for JWT":       {config: "jwt:\n  methods: [HS256]\n  key-file: DIR/short.secret\n", want: "jwt.key-file: a secret of less than 32 bytes"},
		"a secret for a public key":    {config: "jwt:\n  methods: [EdDSA]\n  key-file: DIR/jwt.secret\n", want: "jwt.key-file: there is no public key"},
		"a secret for a method":        {config: "jwt:\n  methods: [" + token + "]\n  key-file: DIR/jwt.secret\n", want: "this is no algorithm"},
		"a password in the file":       {config: "bridges:\n  - url: " + bus + "\n", want: "a password does not stand here"},
		"a bus in the environment":     {config: "{}", env: "EVENTTARGET_BACKPLANE_URL=" + bus, want: "EVENTTARGET_BACKPLANE_URL: the backplane at redis://127.0.0.1:1: "},
		"a bad bus in the environment": {config: "{}", env: "EVENTTARGET_BACKPLANE_URL=redis//hub:" + token, want: "EVENTTARGET_BACKPLANE_URL: backplane.url: this is no URL"},

		"a bus as a flag":           {args: []string{"hub", "--listen", "127.0.0.1:0", "--backplane", bus}, want: "the backplane at redis://127.0.0.1:1: "},
		"a key as a flag":           {args: []string{"hub", "--quic", "127.0.0.1:0", "--key", pemText, "--allow", pin.String()}, want: "--key: quic.key-file: "},
		"a key as a pin":            {args: []string{"hub", "--quic", "127.0.0.1:0", "--key", keyFile, "--allow", private}, want: "--allow: quic.allow[0]: this is no pin"},
		"a bus to look at":          {args: []string{"doctor", "--listen", "127.0.0.1:0", "--wait", "300ms", "--backplane", bus}, want: "redis://127.0.0.1:1: "},
		"a key in a URL":            {args: []string{"listen", "quic://127.0.0.1:1?pin=" + pin.String() + "&key=" + url.QueryEscape(private), "a:*"}, want: "parameter key: the file cannot be read"},
		"a key as a pin in a URL":   {args: []string{"dispatch", "quic://127.0.0.1:1?pin=" + url.QueryEscape(private), "a", "1"}, want: "parameter pin: "},
		"a token in a URL":          {args: []string{"listen", "ws://127.0.0.1:1/ws?token-file=" + token, "a:*"}, want: "parameter token-file: the file cannot be read"},
		"a password in a URL":       {args: []string{"bench", "--wait", "300ms", "ws://hub:" + token + "@127.0.0.1:1/ws"}, want: "connection refused"},
		"a password to check":       {args: []string{"conform", "--wait", "300ms", bus}, want: "refused"},
		"a password in no URL":      {args: []string{"dispatch", "ws://hub:" + token + "@127.0.0.1:x/ws", "a", "1"}, want: "the URL cannot be parsed; write"},
		"a password for a stream":   {args: []string{"listen", "--wait", "300ms", "sse+http://hub:" + token + "@127.0.0.1:1/sse", "a:*"}, want: "connection refused"},
		"a key for another program": {args: []string{"keygen", "--pin", filepath.Join(dir, "jwt.secret")}, want: "holds no PEM block"},
	} {
		args, env := c.args, os.Environ()
		if c.config != "" {
			sub := t.TempDir()
			put(t, sub, "hub.yaml", strings.ReplaceAll(c.config, "DIR", dir))
			args = []string{"hub", "--listen", "127.0.0.1:0", "-c", filepath.Join(sub, "hub.yaml")}
		}
		if c.env != "" {
			env = append(env, c.env)
		}
		for _, more := range [][]string{nil, {"--check"}, {"--log-format", "json"}} {
			starts := strings.Contains(c.want, "the backplane at") // and fails then; a check does not
			if more != nil && args[0] != "hub" || starts && len(more) == 1 {
				continue
			}
			all.Go(func() {
				cmd := exec.CommandContext(deadline(t), program, append(args, more...)...)
				cmd.Env = env
				out, err := cmd.CombinedOutput()
				told := strings.ReplaceAll(string(out), `\u003e`, ">")
				if err == nil || len(more) != 2 && !strings.Contains(told, c.want) {
					t.Errorf("%s, %q: %v, %s, want %s", name, more, err, told, c.want)
				}
				for _, secret := range secrets {
					if strings.Contains(told, secret) {
						t.Errorf("%s, %q: a secret is told: %s", name, more, told)
					}
				}
			})
		}
	}
	all.Wait()

	// A hub that runs: who comes with a token of another key, or of nobody, is told nothing
	// of it, and the log says nothing of theirs.
	hub := runHub(t, dir, "relay: true\njwt:\n  methods: [HS256]\n  key-file: DIR/jwt.secret\nquic:\n  address: 127.0.0.1:0\n  key-file: DIR/hub.key\n  allow: ["+pin.String()+"]\n")
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "ann", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte("another-" + token + token))
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, "jwt.token", signed)
	_, errs, err := run(t, "", "listen", hub.urls[0]+"?token-file="+filepath.Join(dir, "jwt.token"), "--wait", "1s", "a:*")
	if told := errs + hub.output(); err == nil || !strings.Contains(errs, "401 Unauthorized") || strings.Contains(told, signed) || strings.Contains(told, private) {
		t.Errorf("%v, %s", err, told)
	}
}
