package config

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// check looks at what the keys say together, and reads the files that they name.
func (r *reader) check(c *Config) {
	r.address("http.address", c.HTTP.Address)
	c.HTTP.Certificate = r.certificate("http", c.HTTP.TLSCert, c.HTTP.TLSKey)
	r.quic(&c.QUIC)
	r.more(c)
	for i, o := range c.Origins {
		r.origin(entry("origins", i), o)
	}
	for i, h := range c.Hosts {
		if strings.ContainsAny(h, ":/") || h == "" {
			r.bad(entry("hosts", i), "this is more than a name; write a host without scheme and port, such as hub.example.com, or *")
		}
	}
	r.tokens(c)
	r.signed(&c.JWT)
	r.rules(c)
	for key, given := range map[string]bool{"retain-topics": c.RetainTopics > 0, "retain-bytes": c.RetainBytes > 0} {
		if given && len(c.Retain) == 0 {
			r.bad(key, "nothing is retained; write retain: with a list of topics, or leave this out")
		}
	}
	if c.Limits.Burst > 0 && c.Limits.Rate == 0 {
		r.bad("limits.burst", "there is no rate; write rate: with messages in a second, or leave this out")
	}
	if message, log := cmp.Or(c.Limits.Message, eventtarget.DefaultMaxMessage), cmp.Or(c.Limits.LogBytes, hub.DefaultLogBytes); message > log {
		switch {
		case c.Limits.LogBytes == 0:
			r.bad("limits.message", "the log, of 16MiB, cannot hold one message; write log-bytes: with at least as much, too")
		case c.Limits.Message == 0:
			r.bad("limits.log-bytes", "the log cannot hold one message, of 1MiB; write as much, or message: with less, too")
		default:
			r.bad("limits.log-bytes", "the log cannot hold one message; write at least limits.message")
		}
	}
	if c.Metrics != "" {
		r.address("metrics", c.Metrics)
		if c.Metrics == c.HTTP.Address && !anyPort(c.Metrics) {
			r.bad("metrics", "http listens there; write another address")
		}
	}
	if c.Store.Folder == "" && c.Store != (Store{}) {
		r.bad("store.folder", "there is no folder to keep anything in; write folder: PATH, or leave store out")
	}
	if c.Store.Folder != "" && c.SessionTimeout < 0 {
		r.bad("store.folder", "there are no sessions; write session-timeout: with a time, or leave store out")
	}
	if c.Backplane != (Remote{}) {
		r.remote("backplane", &c.Backplane, BackplaneSchemes...)
	}
	if c.Store.Folder != "" && isDurable(c.Backplane.URL) {
		r.bad("store.folder", "a durable backplane keeps what sessions need; leave store out, or write durable=false in its URL")
	}
	r.identities(c, "bridged-by", c.BridgedBy)
	if len(c.BridgedBy) > 0 && !c.Bridged && len(c.Bridges) == 0 {
		r.bad("bridged-by", "there are no bridges; write bridged: true too, or leave this out")
	}
	for i := range c.Bridges {
		at := entry("bridges", i)
		r.remote(at, &c.Bridges[i].Remote, "ws", "wss", "quic", "sse+http", "sse+https", "redis", "rediss", "redis+cluster", "rediss+cluster", "mem")
		r.carried(join(at, "topics"), c.Bridges[i].Topics)
	}
	for i := range c.Workers {
		r.worker(entry("workers", i), &c.Workers[i])
		r.carried(join(entry("workers", i), "topics"), c.Workers[i].Topics)
	}
}

// isDurable tells whether a backplane is to keep what sessions need. What is neither true nor
// false the start tells.
func isDurable(backplane string) bool {
	u, err := url.Parse(backplane)
	if err != nil {
		return false
	}
	durable, err := strconv.ParseBool(u.Query().Get("durable"))
	return err == nil && durable
}

// entry returns the path of an entry of a list.
func entry(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func (r *reader) address(key, address string) {
	_, port, err := net.SplitHostPort(address)
	if n, numeric := strconv.Atoi(port); err != nil || numeric != nil || n < 0 || n > 65535 {
		r.bad(key, quote(address)+" is no address; write HOST:PORT, such as 127.0.0.1:8080 or :8080")
	}
}

// origin wants what a browser sends, or a pattern of it.
func (r *reader) origin(key, origin string) {
	scheme, host, found := strings.Cut(origin, "://")
	_, err := path.Match(origin, "")
	switch {
	case !found || scheme == "" || host == "":
		r.bad(key, quote(origin)+" is no origin; write it with its scheme: https://"+"app.example.com")
	case strings.Contains(host, "/"):
		r.bad(key, quote(origin)+" has a path; write "+scheme+"://"+host[:strings.Index(host, "/")])
	case err != nil:
		r.bad(key, quote(origin)+" has a [ without its ]; write * for anything but a slash")
	}
}

func (r *reader) rules(c *Config) {
	seen := map[Topic]int{}
	for i, rule := range c.Topics {
		key := entry("topics", i)
		if rule.Topic == (Topic{}) {
			r.bad(key, `the topic is missing; write topic: "chat:*"`)
			continue
		}
		if len(rule.Subscribe)+len(rule.Dispatch) == 0 {
			r.bad(key, `the rule allows nothing; write subscribe: ["*"] or dispatch: [ann]`)
		}
		if first, twice := seen[rule.Topic]; twice {
			r.bad(join(key, "topic"), fmt.Sprintf("topics[%d] is about the same topic; write one rule with both lists", first))
		}
		seen[rule.Topic] = i
		for _, list := range []struct {
			name string
			who  []string
		}{{"subscribe", rule.Subscribe}, {"dispatch", rule.Dispatch}} {
			r.identities(c, join(key, list.name), list.who)
		}
	}
}

// identities wants some that there can be.
func (r *reader) identities(c *Config, key string, all []string) {
	known := len(c.Tokens) > 0 || len(c.JWT.Methods) > 0 || c.QUIC.Address != ""
	for i, who := range all {
		if who == "" {
			r.bad(entry(key, i), `the identity is empty; write "*" for everyone`)
		} else if who != "*" && !known {
			r.bad(entry(key, i), `nobody has an identity here; write tokens:, jwt: or quic: too, or "*" for everyone`)
		}
	}
}

// carried wants topics that do not overlap: what two of them select would be carried by
// the one or the other.
func (r *reader) carried(key string, topics []Topic) {
	for i, t := range topics {
		for j := range i {
			if Covers(topics[j].Topic, t.Topic) || Covers(t.Topic, topics[j].Topic) {
				r.bad(entry(key, i), fmt.Sprintf("%s overlaps %s; write the wider one alone", t, topics[j]))
			}
		}
	}
}

// Covers tells whether everything that the topic t selects is selected by wider, too.
func Covers(wider, t eventtarget.Topic) bool {
	return wider.Type == eventtarget.Wildcard ||
		wider.Type == t.Type && (wider.ID == eventtarget.Wildcard || wider.ID == t.ID)
}

// BackplaneSchemes are those of the URLs that a backplane may have.
var BackplaneSchemes = []string{"redis", "rediss", "redis+cluster", "rediss+cluster"}

// remote wants one way to say a URL, and reads it. What stands in the file may have no
// password.
func (r *reader) remote(key string, to *Remote, schemes ...string) {
	if !r.exactlyOne(key, "url", to.URL, "url-file", to.File, "url-env", to.Env) {
		return
	}
	at := join(key, "url")
	inFile := to.URL != "" && where(r.positions, at).Line > 0
	if to.URL == "" {
		var ok bool
		if to.URL, at, ok = r.secret(key, "url-file", to.File, "url-env", to.Env); !ok {
			return
		}
	}
	u, err := url.Parse(to.URL)
	if err != nil || u.Scheme == "" {
		r.bad(at, "this is no URL; write SCHEME://HOST:PORT with one of "+strings.Join(schemes, ", "))
		return
	}
	_, password := u.User.Password()
	_, err = url.ParseQuery(u.RawQuery) // of which a part that is not understood would be left out
	switch {
	case u.Scheme == "worker":
		r.bad(at, "a program is no bridge; write it under workers: with program: FILE")
	case !slices.Contains(schemes, u.Scheme): // a scheme that is not known may be a secret
		r.bad(at, "the scheme cannot be used here; write one of "+strings.Join(schemes, ", "))
	case err != nil:
		r.bad(at, "its parameters cannot be read; write NAME=VALUE with & in between, and what else has a meaning in a URL as %XX")
	case u.Query().Has("from"):
		r.bad(at, "from would have the hub hear that log again each time it starts; write the URL without it")
	case inFile && password:
		r.bad(at, "a password does not stand here; write url-file: FILE or url-env: NAME, and the URL there")
	}
}

func (r *reader) worker(key string, w *Worker) {
	at := join(key, "program")
	stat, err := os.Stat(w.Program)
	switch {
	case w.Program == "":
		r.bad(key, "the program is missing; write program: FILE")
	case !filepath.IsAbs(w.Program):
		r.bad(at, "the path is relative; write it from the root on, as no shell looks for it")
	case err != nil:
		r.bad(at, unreadable(err)+"; write the path of a program")
	case stat.IsDir() || stat.Mode()&0o111 == 0 && os.PathSeparator == '/':
		r.bad(at, "this cannot be run; write the path of a program, and make it executable")
	}
	if stat, err := os.Stat(w.Dir); w.Dir != "" && (err != nil || !stat.IsDir()) {
		r.bad(join(key, "dir"), "there is no such directory; write one, or leave it out")
	}
	if w.SHA256 != "" && !checksum.MatchString(w.SHA256) {
		r.bad(join(key, "sha256"), "this is no checksum; write the 64 digits that sha256sum prints")
	}
	for i, v := range w.Env {
		if name, _, found := strings.Cut(v, "="); !found || name == "" {
			r.bad(entry(join(key, "env"), i), "this sets no variable; write NAME=value, or the name alone under inherit:")
		}
	}
	for i, name := range w.Inherit {
		if strings.Contains(name, "=") || name == "" {
			r.bad(entry(join(key, "inherit"), i), "this is no name; write NAME alone, or NAME=value under env:")
		}
	}
}

var checksum = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
