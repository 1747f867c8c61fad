package bench

import (
	"crypto/tls"
	"net"
	"runtime/debug"
	"strings"
	"testing"
)

// BenchmarkFanOutTLS: the hub and a loop over the library's Write, each over TCP and
// over TLS, with 200 messages in flight and with one. With the build tag
// eventtarget_portable the hub writes to no socket without waiting, as where that is not
// possible.
func BenchmarkFanOutTLS(b *testing.B) {
	for _, inFlight := range []struct {
		name                  string
		burst, bursts, sweeps int
	}{{"inflight=200", 200, 3, 20}, {"inflight=1", 1, 100, 100}} {
		for _, over := range []string{"ws", "wss"} {
			for _, s := range []struct {
				name   string
				begin  opening
				bursts int
			}{{"wsserver" + portable, ourWebSockets, inFlight.sweeps}, {"coder", coderLoop, inFlight.bursts}} {
				b.Run("over="+over+"/"+inFlight.name+"/"+s.name, func(b *testing.B) {
					for b.Loop() {
						race(b, s.begin(connections, b.Fatal), "/"+over, connections, few(s.bursts), inFlight.burst)
					}
				})
			}
		}
	}
}

// portable is behind the name of who runs as on a system without writes that do not wait.
var portable = func() string {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, s := range build.Settings {
			if s.Key == "-tags" && s.Value == "eventtarget_portable" {
				return "-portable"
			}
		}
	}
	return ""
}()

// isSecure tells whether a path is asked for over TLS.
func isSecure(path string) bool { return strings.HasPrefix(path, "/wss") }

// listen returns a listener, of TLS if that is wanted.
func listen(b *testing.B, secure bool) net.Listener {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	if !secure {
		return l
	}
	config, err := anybody().Server("http/1.1")
	if err != nil {
		b.Fatal(err)
	}
	return tls.NewListener(l, config)
}

// dial is the other end of listen.
func dial(addr string, secure bool) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil || !secure {
		return c, err
	}
	config, err := anybody().Client("http/1.1")
	if err != nil {
		return nil, err
	}
	return tls.Client(c, config), nil
}
