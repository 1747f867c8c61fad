package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// udpBuffer is what quic-go asks for, in each direction.
	udpBuffer = 7 << 20
	// acceptBacklog is how many connections should be able to wait for being accepted.
	acceptBacklog = 4096
)

// buffer looks how large a UDP socket's buffer may be.
func buffer(o Options, name string) Finding {
	what := map[string]string{"rmem_max": "UDP receive buffer", "wmem_max": "UDP send buffer"}[name]
	return setting(o, what, name, udpBuffer, "bytes: QUIC loses packets under load")
}

// backlog looks how many connections may wait when everybody comes back at once.
func backlog(o Options) Finding {
	return setting(o, "TCP backlog", "somaxconn", min(acceptBacklog, max(o.Spokes, 1)), "connections: they are refused when more come at once")
}

// setting reads net.core.name, of which there should be at least so much.
func setting(o Options, subject, name string, least int, otherwise string) Finding {
	f := Finding{Level: OK, Subject: subject}
	text, err := os.ReadFile(filepath.Join(o.Proc, "sys", "net", "core", name))
	if err != nil {
		f.Seen = "not known on this system"
		return f
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		f.Level, f.Seen = Warn, fmt.Sprintf("net.core.%s is %q", name, strings.TrimSpace(string(text)))
		return f
	}
	f.Seen = fmt.Sprintf("net.core.%s is %d", name, n)
	if n < least {
		f.Level, f.Seen = Warn, f.Seen+" "+otherwise
		f.Advice = fmt.Sprintf("sysctl -w net.core.%s=%d, and the same in a file of /etc/sysctl.d", name, least)
	}
	return f
}
