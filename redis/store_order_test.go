package redis_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// split is a connection that writes the first of the entries that come together by itself, once,
// and calls fn before and behind that.
type split struct {
	net.Conn
	once           *sync.Once
	before, behind func()
}

func (c split) Write(b []byte) (n int, err error) {
	name := []byte("XADD\r\n")
	_, more, _ := bytes.Cut(b, name)
	if at := bytes.Index(more, name); at >= 0 {
		c.once.Do(func() {
			at = bytes.LastIndex(b[:len(b)-len(more)+at], []byte("\r\n*")) + 2
			c.before()
			n, _ = c.Conn.Write(b[:at])
			c.behind()
		})
	}
	rest, err := c.Conn.Write(b[n:])
	return n + rest, err
}

// TestStoreOrder: records of which the server refuses the first for now, while it has room for
// those behind it, stand in the log in their order nevertheless. They do without the right to
// MULTI, too, as long as nothing is refused.
func TestStoreOrder(t *testing.T) {
	server := redistest.Start(t)
	client := server.Client()
	refused := false
	behind := func() {
		eventually(t, "that there is no memory", func() bool {
			stats, _ := client.Do(t.Context(), client.B().Info().Section("errorstats").Build()).ToString()
			refused = strings.Contains(stats, "OOM")
			return refused
		})
		server.Do("CONFIG", "SET", "maxmemory", "0")
	}
	var once sync.Once
	s, err := redis.OpenStore(t.Context(), server.URL(), &redis.Options{OnFault: quiet, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return split{conn, &once, func() { server.Do("CONFIG", "SET", "maxmemory", "1") }, behind}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, err := range s.Restore() {
		t.Fatal(err)
	}
	refs := followed(t, s)
	appendRefs(t, s, 1, 100)
	expectRefs(t, refs, 1, 100)
	if !refused {
		t.Fatal("the server refused nothing")
	}
	server.Do("ACL", "SETUSER", "default", "-multi", "-exec")
	appendRefs(t, s, 100, 200)
	expectRefs(t, refs, 100, 200)
}
