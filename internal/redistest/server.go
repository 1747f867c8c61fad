// Package redistest runs real Redis servers for tests, and stands between them and
// their clients to break connections.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// startTimeout is how long a server may take to answer.
const startTimeout = 20 * time.Second

// Server is a redis-server on a port of loopback. It keeps nothing on disk unless its
// options say so, and then finds it again when it is restarted.
type Server struct {
	// Addr is its address, the same after a restart.
	Addr string

	t    testing.TB
	dir  string
	args []string
	cmd  *exec.Cmd
	log  bytes.Buffer

	admin rueidis.Client // of ask, once it was needed
}

// Start starts a server that ends with the test; args are further options of
// redis-server. Where there is none the test fails.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s := &Server{Addr: FreeAddr(t), t: t, dir: t.TempDir(), args: args}
	s.Restart()
	t.Cleanup(s.Kill)
	return s
}

// FreeAddr returns an address of loopback that nobody listens on. Its port is below those that
// systems lend to connections (from 32768 on; RFC 6335 §6: from 49152 on), so that none takes it
// before the server is there, or while it is restarted.
func FreeAddr(t testing.TB) string {
	t.Helper()
	const lowest, some = 10_000, 20_000
	var err error
	for range 100 {
		var l net.Listener
		l, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+rand.IntN(some)))) //nolint:gosec // tests need no secret
		if err == nil {
			_ = l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal(err)
	return ""
}

// URL returns the server's URL.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Kill ends the server without a word (SIGKILL).
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd, s.admin = nil, nil
}

// Restart starts a server that was killed and returns when it answers.
func (s *Server) Restart() {
	s.t.Helper()
	_, port, _ := net.SplitHostPort(s.Addr)
	args := append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", s.dir}, s.args...)
	s.cmd = exec.CommandContext(context.Background(), "redis-server", args...)
	s.cmd.Stdout = &s.log
	s.cmd.SysProcAttr = attributes()
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		s.t.Fatalf("redis-server: %v (scripts/deps.sh installs it)", err)
	}
	deadline := time.After(startTimeout)
	for tick := time.NewTicker(5 * time.Millisecond); ; {
		if s.answers() {
			tick.Stop()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			s.Kill() // the log is the process's until it has ended
			s.t.Fatalf("redis-server does not answer:\n%s", s.log.String())
		}
	}
}

// answers tells whether the server takes commands, with or without a password.
func (s *Server) answers() bool {
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", s.Addr)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	b := make([]byte, 1)
	if _, err = c.Write([]byte("PING\r\n")); err == nil {
		_, err = c.Read(b)
	}
	return err == nil
}

// Client returns a client of the server that ends with the test.
func (s *Server) Client() rueidis.Client {
	s.t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

// Do runs one command, as an administrator would.
func (s *Server) Do(args ...string) {
	s.t.Helper()
	c := s.Client()
	if err := c.Do(context.Background(), c.B().Arbitrary(args...).Build()).Error(); err != nil {
		s.t.Fatalf("%q: %v", args, err)
	}
	c.Close()
}

// Subscribers returns how many connections hear a channel, patterns aside.
func (s *Server) Subscribers(c rueidis.Client, channel string) int {
	s.t.Helper()
	counts, err := c.Do(context.Background(), c.B().PubsubNumsub().Channel(channel).Build()).AsIntMap()
	if err != nil {
		s.t.Fatal(fmt.Errorf("PUBSUB NUMSUB %s: %w", strconv.Quote(channel), err))
	}
	return int(counts[channel])
}
