package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// TestFull: a configuration with every key is read, and every key is in it.
func TestFull(t *testing.T) {
	dir := files(t)
	c, unknown, err := Load(Source{File: write(t, dir, full(t)), Environ: environ()})
	if err != nil || len(unknown) > 0 {
		t.Fatal(err, unknown)
	}
	unset(t, reflect.ValueOf(*c), "")
	if !c.Relay || c.Tokens[0].Secret != "ann-"+secret || c.Tokens[1].Secret != "billing-"+secret ||
		!strings.HasPrefix(c.Backplane.URL, "rediss://") || !strings.HasPrefix(c.Bridges[1].URL, "ws://") ||
		c.HTTP.Certificate == nil || c.QUIC.Key == nil || c.JWT.Authenticate == nil {
		t.Error("what files and variables hold was not read")
	}
	if c.Limits.Message != 64<<10 || c.Limits.Rate != 50.5 || time.Duration(c.SessionTimeout) != 5*time.Minute ||
		time.Duration(c.Heartbeat) != 10*time.Second || c.Retain[0].Topic != eventtarget.T("price", "*") ||
		c.Proxies[1].String() != "192.0.2.1/32" || c.Topics[1].Topic.Topic != eventtarget.T("*", "*") {
		t.Errorf("read %+v", c)
	}
	if p := c.Where("limits.rate"); p.Line == 0 || !strings.Contains(strings.Split(full(t), "\n")[p.Line-1], "rate: 50.5") {
		t.Errorf("limits.rate stands at %s", p)
	}
}

// unset reports the keys that have no value; of the entries of a list one must have it.
func unset(t *testing.T, v reflect.Value, path string) {
	for f := range fields(v.Type()) {
		key, field := join(path, f.Tag.Get("key")), v.FieldByIndex(f.Index)
		switch {
		case isSection(f.Type):
			unset(t, field, key)
		case field.Kind() == reflect.Slice && isSection(f.Type.Elem()):
			for g := range fields(f.Type.Elem()) {
				one := false
				for i := range field.Len() {
					one = one || !field.Index(i).FieldByIndex(g.Index).IsZero()
				}
				if !one {
					t.Errorf("no entry of %s has %s", key, g.Tag.Get("key"))
				}
			}
		case field.IsZero() && key != "backplane.url" && key != "backplane.url-file":
			t.Errorf("%s is not set", key)
		}
	}
}

func TestDefaults(t *testing.T) {
	dir := files(t)
	for name, s := range map[string]Source{"nothing": {}, "{}": {File: write(t, dir, "{}")}} {
		c, _, err := Load(s)
		if err != nil {
			t.Fatal(name, err)
		}
		c.origins = nil
		if want := defaults(); !reflect.DeepEqual(*c, want) {
			t.Errorf("%s: %+v, want %+v", name, *c, want)
		}
	}
}

// TestStoreBesideABus: a backplane that keeps nothing, and says so, leaves room for a store.
func TestStoreBesideABus(t *testing.T) {
	dir := files(t)
	for _, query := range []string{"", "?durable=false", "?durable=0"} {
		file := write(t, dir, "backplane:\n  url: redis://h:1"+query+"\nstore:\n  folder: /var/lib/hub\n")
		if _, _, err := Load(Source{File: file, Environ: environ()}); err != nil {
			t.Errorf("%q: %v", query, err)
		}
	}
}

// TestLayers: the environment overrides the file, flags override both, and the message
// about a value names the one that it came from.
func TestLayers(t *testing.T) {
	dir := files(t)
	file := write(t, dir, "http:\n  address: :1\nlimits:\n  spokes: 1\n  rate: 1\norigins: [\"https://a\", \"https://b\", c]\nbackplane:\n  url-file: DIR/none\n")
	s := Source{
		File: file,
		Environ: []string{
			"EVENTTARGET_LIMITS_SPOKES=2", "EVENTTARGET_HTTP_ADDRESS=:2", "EVENTTARGET_ORIGINS=https://c, https://d",
			"EVENTTARGET_BACKPLANE_URL=redis://:" + secret + "@127.0.0.1:1", "EVENTTARGET_RELAY=false", "EVENTTARGET_SESSION_TIMEOUT=off",
			"EVENTTARGET_LIMIT_SPOKES=3", "EVENTTARGET_TOPICS=x", "OTHER=1", "EVENTTARGET_RETAIN=a:*,b:*",
		},
		Flags: map[string]any{"http.address": ":3", "http.live": true},
		Names: map[string]string{"http.address": "--listen", "http.live": "--live"},
	}
	c, unknown, err := Load(s)
	if err != nil {
		t.Fatal(err)
	}
	if c.HTTP.Address != ":3" || !c.HTTP.Live || c.Limits.Spokes != 2 || c.Limits.Rate != 1 || c.Relay || c.SessionTimeout >= 0 ||
		!slices.Equal(c.Origins, []string{"https://c", "https://d"}) || len(c.Retain) != 2 ||
		c.Backplane.URL == "" || c.Backplane.File != "" {
		t.Errorf("read %+v", c)
	}
	if !slices.Equal(unknown, []string{"EVENTTARGET_LIMIT_SPOKES", "EVENTTARGET_TOPICS"}) {
		t.Errorf("unknown are %q", unknown)
	}
	for key, want := range map[string]string{
		"http.address": "--listen", "limits.spokes": "EVENTTARGET_LIMITS_SPOKES", "limits.rate": file + ":5:3", "origins[1]": "EVENTTARGET_ORIGINS",
	} {
		if got := c.Where(key).String(); got != want {
			t.Errorf("%s comes from %s, want %s", key, got, want)
		}
	}
	for variable, want := range map[string]string{
		"EVENTTARGET_LIMITS_SPOKES=many":          `EVENTTARGET_LIMITS_SPOKES: limits.spokes: "many" is no such number; write a whole number, 0 or more`,
		"EVENTTARGET_RELAY=yes":                   `EVENTTARGET_RELAY: relay: "yes" is neither true nor false; write true or false`,
		"EVENTTARGET_LIMITS_RATE=NaN":             `EVENTTARGET_LIMITS_RATE: limits.rate: "NaN" is no such number; write a number, 0 or more`,
		"EVENTTARGET_ORIGINS=a":                   `EVENTTARGET_ORIGINS: origins[0]: "a" is no origin; write it with its scheme: https://app.example.com`,
		"EVENTTARGET_BACKPLANE_URL=x://" + secret: "EVENTTARGET_BACKPLANE_URL: backplane.url: the scheme cannot be used here; write one of redis, rediss, redis+cluster, rediss+cluster",
		"EVENTTARGET_JWT_METHODS=":                "EVENTTARGET_JWT_METHODS: jwt.methods: there is nothing behind the key; write a list: each entry on a line of its own, behind a dash, or leave the key out",
		"EVENTTARGET_ORIGINS=,":                   "EVENTTARGET_ORIGINS: origins: there is nothing behind the key; write a list: each entry on a line of its own, behind a dash, or leave the key out",
	} {
		if _, _, err := Load(Source{Environ: []string{variable}}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", variable, err, want)
		}
	}
}

// TestEmptied: variables that are set and empty, as those of a deployment easily are, do not
// open a hub.
func TestEmptied(t *testing.T) {
	dir := files(t)
	s := Source{
		File:    write(t, dir, "jwt:\n  methods: [HS256]\n  key-file: DIR/hmac.key\n"),
		Environ: []string{"EVENTTARGET_JWT_METHODS=", "EVENTTARGET_JWT_KEY_FILE="},
	}
	if c, _, err := Load(s); err == nil {
		t.Errorf("nobody needs a signed token any more: %+v", c.JWT)
	}
}

// TestChanges: what a running hub cannot take over is named.
func TestChanges(t *testing.T) {
	dir := files(t)
	load := func(text string) *Config {
		c, _, err := Load(Source{File: write(t, dir, text), Environ: environ()})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	was := load(full(t))
	now := load(strings.NewReplacer("127.0.0.1:8443", "127.0.0.1:1", "spokes: 10000", "spokes: 5", "spoke-events: 1000", "spoke-events: 7",
		"token-env: BILLING_TOKEN", "token-file: DIR/hmac.key", "url: wss://other", "url: wss://another", "https://*.example.com", "https://b.c",
		"dispatch: [\"svc-*\", ann]", "", "retain: [\"price:*\", ", "retain: [").Replace(full(t)))
	if got := Changes(was, now); !slices.Equal(got, []string{"http.address", "limits.spoke-events", "bridges"}) {
		t.Errorf("changes of %q wait", got)
	}
	plain := load(strings.NewReplacer("\n  tls-cert: DIR/hub.crt", "", "\n  tls-key: DIR/hub-tls.key", "").Replace(full(t)))
	if got := Changes(was, plain); !slices.Equal(got, []string{"http.tls-cert"}) {
		t.Errorf("changes of %q wait", got)
	}
	for want, changed := range map[string]string{
		"127.0.0.1:8446\n    key-file": "127.0.0.1:8445\n    key-file", "kind: http\n    address: :3": "kind: metrics\n    address: \"[::1]:9090\"",
		"127.0.0.1:8445\n    live": "127.0.0.1:8445\n    tls-cert: DIR/hub.crt\n    tls-key: DIR/hub-tls.key\n    live",
	} {
		if got := Changes(was, load(strings.Replace(full(t), changed, want, 1))); !slices.Equal(got, []string{"listeners"}) {
			t.Errorf("changes of %q wait", got)
		}
	}
	if got := Changes(was, load(full(t))); len(got) > 0 {
		t.Errorf("nothing has changed, and %q waits", got)
	}
}
