package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/open"
	"github.com/eventtarget-go/toolkit/redis"
)

const secret = "s3cret-Pa55"

// allow makes a user with the rights that docs/redis.md shows for it, and none beyond,
// and returns the URL for it.
func allow(t *testing.T, server *redistest.Server, user string) string {
	page, err := os.ReadFile("../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "ACL SETUSER "+user+" ")
	rule, _, _ := strings.Cut(rest, "\n")
	rights := strings.Fields(strings.Replace(rule, "PASSWORD", secret, 1))
	server.Do(append([]string{"ACL", "SETUSER", user}, rights...)...)
	return "redis://" + user + ":" + secret + "@" + server.Addr
}

func TestSmallestDurableACL(t *testing.T) {
	url := allow(t, redistest.Start(t), "keeper")
	l := newLedger(t)
	a, b := join(t, url, redis.Options{Durable: true, OnFault: quiet}), join(t, url, redis.Options{Durable: true, OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	if err := a.Dispatch(t.Context(), event{Type: "n", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	l.await("an event", func() bool { return l.heard() == 1 })
	other, err := redis.New(url, &redis.Options{Durable: true, OnFault: quiet, Prefix: "other"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Ready(t.Context()); !errors.Is(err, eventtarget.ErrForbidden) {
		t.Errorf("Ready on a log that is not allowed: %v", err)
	}
}

func TestSmallestClusterACL(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	url := ""
	for _, n := range cluster.Nodes {
		url = strings.Replace(allow(t, n, "shard"), "redis://", "redis+cluster://", 1)
	}
	l := newLedger(t)
	o := redis.Options{Shards: 5, OnFault: l.fault}
	a, b := join(t, url, o), join(t, url, o)
	one, all := listen(t, b, eventtarget.T("n", "*"), l.handle), listen(t, b, eventtarget.T("*", "*"), l.handle)
	if err := a.Dispatch(t.Context(), event{Type: "n", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	l.await("an event, twice", func() bool { return l.heard() == 2 })
	b.Remove(one)
	b.Remove(all)
	listen(t, b, eventtarget.T("n", "*"), l.handle) // behind what the Removes set off

	other := join(t, url, redis.Options{OnFault: quiet, Prefix: "other"})
	if err := other.Dispatch(t.Context(), event{Type: "n"}); !errors.Is(err, eventtarget.ErrForbidden) {
		t.Errorf("Dispatch on a channel that is not allowed: %v", err)
	}
	if _, err := other.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Func(l.handle)); !errors.Is(err, eventtarget.ErrForbidden) {
		t.Errorf("Add, which is not allowed: %v", err)
	}
}

func TestSmallestGroupACL(t *testing.T) {
	server := redistest.Start(t)
	url := allow(t, server, "worker")
	l := newLedger(t)
	o := inGroup(redis.Options{ClaimAfter: 100 * time.Millisecond, OnFault: l.fault})
	b := join(t, url, o)
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	dispatchAll(t, b, 3)
	l.await("the events", func() bool { return l.heard() == 3 })
	// Somebody dies who has one.
	server.Do("XADD", "et:log", "0-*", "m", `{"type":"n","id":"3"}`)
	server.Do("XGROUP", "CREATECONSUMER", "et:log", "g", "dead")
	l.await("another", func() bool { return l.heard() == 4 })
	server.Do("XCLAIM", "et:log", "g", "dead", "0", "0-4", "FORCE", "JUSTID")
	l.await("what was left", func() bool { return l.heard() == 5 })
	if err := b.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := pending(t, server); n != 0 || len(l.all()) != 5 {
		t.Errorf("%d events not confirmed, and %v", n, l.all())
	}
}

func TestSmallestACL(t *testing.T) {
	server := redistest.Start(t)
	url := allow(t, server, "app")
	l := newLedger(t)
	a, b := join(t, url, redis.Options{OnFault: quiet}), join(t, url, redis.Options{OnFault: l.fault})
	one, all := listen(t, b, eventtarget.T("n", "*"), l.handle), listen(t, b, eventtarget.T("*", "*"), l.handle)
	if err := a.Dispatch(t.Context(), event{Type: "n", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	l.await("an event, twice", func() bool { return l.heard() == 2 })
	b.Remove(one)
	b.Remove(all)
	admin := server.Client()
	eventually(t, "no subscriber", func() bool { return server.Subscribers(admin, "et:n") == 0 })

	other := join(t, url, redis.Options{OnFault: quiet, Prefix: "other"})
	if err := other.Dispatch(t.Context(), event{Type: "n"}); !errors.Is(err, eventtarget.ErrForbidden) {
		t.Errorf("Dispatch on a channel that is not allowed: %v", err)
	}
	for _, topic := range []eventtarget.Topic{eventtarget.T("n", "*"), eventtarget.T("*", "*")} {
		if _, err := other.Add(t.Context(), topic, eventtarget.Func(l.handle)); !errors.Is(err, eventtarget.ErrForbidden) {
			t.Errorf("Add on %v, which is not allowed: %v", topic, err)
		}
	}
}

// TestRightsTakenAway ends what was allowed, and allows it again.
func TestRightsTakenAway(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	a, b := join(t, server.URL(), redis.Options{OnFault: quiet}), join(t, allow(t, server, "app"), redis.Options{OnFault: l.fault})
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	listen(t, b, eventtarget.T("m", "*"), l.handle)
	server.Do("ACL", "SETUSER", "app", "resetchannels", "&et:m") // which ends the connection
	l.await("that something will be missing", func() bool {
		for _, f := range l.faults(eventtarget.FaultGap) {
			if errors.Is(f, eventtarget.ErrForbidden) {
				return true
			}
		}
		return false
	})
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	dispatch := func(eventType, id string) {
		if err := a.Dispatch(t.Context(), event{Type: eventType, ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	dispatch("n", "1") // to nobody
	dispatch("m", "2")
	l.await("what is still allowed", func() bool { return l.heard() == 1 })
	server.Do("ACL", "SETUSER", "app", "&et:*")
	listen(t, b, eventtarget.T("n", "none"), l.handle) // asks again
	dispatch("n", "3")
	l.await("what is allowed again", func() bool { return l.heard() == 2 })
}

func TestSecrets(t *testing.T) {
	server := redistest.Start(t, "--requirepass", secret)
	seen := newLedger(t)
	var texts []string
	for _, url := range []string{
		"redis://" + server.Addr, "redis://:wrong-" + secret + "@" + server.Addr, "redis://nobody:" + secret + "@" + server.Addr,
	} {
		target, err := redis.New(url, &redis.Options{OnFault: seen.fault})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err = target.Ready(ctx); !errors.Is(err, eventtarget.ErrForbidden) || !errors.Is(err, eventtarget.ErrClosed) {
			t.Errorf("Ready without the right password: %v", err)
		}
		cancel()
		texts = append(texts, err.Error())
		<-target.Done()
	}
	join(t, "redis://:"+secret+"@"+server.Addr, redis.Options{OnFault: seen.fault})
	for _, url := range []string{
		"redis://u:" + secret + "@%zz", "redis://u:" + secret + "@", "redis://u:" + secret + "@h/3", "redis://u:" + secret + "@h?x=1", "http://u:" + secret + "@h",
		"redis://u:" + secret + "@h/" + secret, "redis://u:" + secret + "@h#x",
	} {
		if _, err := redis.New(url, nil); err == nil {
			t.Errorf("%s was accepted", url)
		} else {
			texts = append(texts, err.Error())
		}
		if _, err := open.Open(t.Context(), url); err != nil {
			texts = append(texts, err.Error())
		}
	}
	for _, f := range seen.all() {
		texts = append(texts, f.fault.Error())
	}
	for _, text := range texts {
		if strings.Contains(text, secret) {
			t.Errorf("the password stands in %q", text)
		}
	}
}

func TestUnreachable(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	target, err := redis.New(server.URL(), &redis.Options{OnFault: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	if err := target.Dispatch(t.Context(), event{Type: "n"}); err == nil || errors.Is(err, eventtarget.ErrUnknownOutcome) {
		t.Errorf("Dispatch without a server: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := target.Add(ctx, eventtarget.T("n", "*"), eventtarget.Func(func(context.Context, event) {})); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Add without a server: %v", err)
	}
	if err := target.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("Ready without a server: %v", err)
	}
	server.Restart()
	if err := target.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := target.Dispatch(t.Context(), event{Type: "n"}); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	certificate, key, roots := newCertificate(t)
	address := redistest.FreeAddr(t)
	_, port, _ := net.SplitHostPort(address)
	server := redistest.Start(t, "--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key,
		"--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
	l := newLedger(t)
	target := join(t, "rediss://"+address, redis.Options{OnFault: l.fault, TLS: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}})
	plain := join(t, server.URL(), redis.Options{OnFault: quiet})
	listen(t, target, eventtarget.T("n", "*"), l.handle)
	for _, from := range []*redis.Target{plain, target} {
		if err := from.Dispatch(t.Context(), event{Type: "n", ID: "1"}); err != nil {
			t.Fatal(err)
		}
	}
	l.await("two events", func() bool { return l.heard() == 2 })
	unknown, err := redis.New("rediss://"+address, &redis.Options{OnFault: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer unknown.Close()
	if err := unknown.Dispatch(t.Context(), event{Type: "n"}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate that nobody vouches for: %v", err)
	}
}

// newCertificate returns the files of a certificate for loopback, and who trusts it.
func newCertificate(t *testing.T) (certificate, key string, roots *x509.CertPool) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	public, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(public)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", public), write("key.pem", "PRIVATE KEY", hidden), roots
}
