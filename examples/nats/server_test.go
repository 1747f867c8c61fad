package natstarget_test

import (
	"encoding/json"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// serve runs a server on a free port of this machine, and returns its URL.
func serve(t testing.TB, users ...*server.User) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true, Users: users,
		MaxPayload: 2 << 20, // above the limit of our messages
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not come up")
	}
	return s.ClientURL()
}

// wire stands between a client and the server, and can be cut.
type wire struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	down  bool
	conns map[net.Conn]struct{}
	wg    sync.WaitGroup
}

func newWire(t testing.TB, rawURL string) *wire {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, server: u.Host, conns: make(map[net.Conn]struct{})}
	w.wg.Go(w.accept)
	t.Cleanup(w.close)
	return w
}

func (w *wire) url() string { return "nats://" + w.listener.Addr().String() }

func (w *wire) accept() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", w.server)
		if err != nil || !w.hold(client, server) {
			client.Close()
			continue
		}
		w.wg.Go(func() { w.carry(client, server) })
		w.wg.Go(func() { w.carry(server, client) })
	}
}

// hold keeps a pair of connections unless the wire is cut.
func (w *wire) hold(client, server net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		server.Close()
		return false
	}
	w.conns[client], w.conns[server] = struct{}{}, struct{}{}
	return true
}

func (w *wire) carry(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, from)
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = true
	for c := range w.conns {
		c.Close()
	}
}

func (w *wire) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = false
}

func (w *wire) close() {
	w.listener.Close()
	w.cut()
	w.wg.Wait()
}

// foreign is another program on a bus, which knows the protocol and not the toolkit.
type foreign struct {
	*nats.Conn
	prefix string
	heard  *nats.Subscription
}

func newForeign(url, prefix string) (link.Conn, error) {
	nc, err := nats.Connect(url, nats.NoEcho())
	if err != nil {
		return nil, err
	}
	heard, err := nc.SubscribeSync(prefix + ".*.*")
	if err == nil {
		err = nc.Flush()
	}
	return &foreign{Conn: nc, prefix: prefix, heard: heard}, err
}

// Send publishes under the subject of the message's topic; the ids and types of the
// laws are plain enough for that, but for their dots.
func (f *foreign) Send(msg []byte) error {
	var m map[string]json.RawMessage
	topic := struct{ Type, ID string }{"a", "x"}
	if json.Unmarshal(msg, &m) == nil {
		_ = json.Unmarshal(m["type"], &topic.Type)
		_ = json.Unmarshal(m["id"], &topic.ID)
	}
	name := func(s string) string {
		if s == "" || s == "*" {
			return "%"
		}
		return strings.ReplaceAll(url.QueryEscape(s), ".", "%2E")
	}
	if err := f.Publish(f.prefix+"."+name(topic.Type)+"."+name(topic.ID), msg); err != nil {
		return err
	}
	return f.Flush()
}

func (f *foreign) Receive() ([]byte, error) {
	m, err := f.heard.NextMsg(10 * time.Second)
	if err != nil {
		return nil, err
	}
	return m.Data, nil
}

func (f *foreign) Close(eventtarget.Reason) error {
	f.Conn.Close()
	return nil
}
