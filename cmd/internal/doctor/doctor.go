// Package doctor looks whether a machine has what a hub needs.
package doctor

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"
)

// Level is how bad a finding is.
type Level string

// The levels.
const (
	OK   Level = "ok"
	Warn Level = "warn" // it runs, but worse than it could
	Fail Level = "FAIL" // it does not run
)

// Finding is what one look found.
type Finding struct {
	Level   Level
	Subject string // what was looked at
	Seen    string // what was found
	Advice  string // what to do; empty if nothing
}

// Options says what the hub is to do.
type Options struct {
	Spokes int    // how many there will be at once
	Listen string // address, TCP
	QUIC   string // address, UDP; empty: none
	// Reach is called for what the hub talks to, by a name without secrets.
	Reach map[string]func(context.Context) error
	// Wait bounds each of those calls.
	Wait time.Duration
	// Proc is where the settings of the system are read. Default "/proc".
	Proc string
}

// Examine looks at everything, in a fixed order.
func Examine(ctx context.Context, o Options) []Finding {
	if o.Proc == "" {
		o.Proc = "/proc"
	}
	found := []Finding{openFiles(o.Spokes), backlog(o)}
	if o.QUIC != "" {
		found = append(found, buffer(o, "rmem_max"), buffer(o, "wmem_max"))
	}
	found = append(found, port("tcp", o.Listen))
	if o.QUIC != "" {
		found = append(found, port("udp", o.QUIC))
	}
	found = append(found, clock(time.Now()))
	for _, name := range slices.Sorted(maps.Keys(o.Reach)) {
		found = append(found, reachable(ctx, name, o.Reach[name], o.Wait))
	}
	return found
}

// reserve is how many files a hub has open besides its spokes' connections.
const reserve = 100

// openFiles compares the limit, up to which a Go program raises its own, with the spokes.
func openFiles(spokes int) Finding {
	f := Finding{Level: OK, Subject: "open files"}
	limit, known := maxOpenFiles()
	if !known {
		f.Seen = "this system has no limit that is known here"
		return f
	}
	f.Seen = fmt.Sprintf("%d, enough for %d spokes", limit, spokes)
	if need := uint64(spokes) + reserve; limit < need {
		f.Level, f.Seen = Fail, fmt.Sprintf("%d, too few for %d spokes", limit, spokes)
		f.Advice = fmt.Sprintf("raise the hard limit to %d or more: LimitNOFILE= of a systemd unit, --ulimit nofile= of a container, or /etc/security/limits.conf", need)
	}
	return f
}

// port opens and closes what the hub will listen at.
func port(network, address string) Finding {
	f := Finding{Level: OK, Subject: network + " " + address, Seen: "free"}
	var err error
	if network == "udp" {
		var c net.PacketConn
		if c, err = (&net.ListenConfig{}).ListenPacket(context.Background(), network, address); err == nil {
			err = c.Close()
		}
	} else {
		var l net.Listener
		if l, err = (&net.ListenConfig{}).Listen(context.Background(), network, address); err == nil {
			err = l.Close()
		}
	}
	if err != nil {
		f.Level, f.Seen = Fail, err.Error()
		f.Advice = "end what listens there (ss -lntup shows it), or choose another address"
	}
	return f
}

// built is a time that has passed: a clock that is before it is wrong.
var built = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// clock asks the system whether its time is kept by a server.
func clock(now time.Time) Finding {
	f := Finding{Level: OK, Subject: "clock", Seen: now.UTC().Format(time.RFC3339)}
	synchronised, known := clockSynchronised()
	switch {
	case now.Before(built):
		f.Level, f.Advice = Fail, "set it: certificates and tokens are checked against it"
	case known && !synchronised:
		f.Level, f.Seen = Warn, f.Seen+", and nothing keeps it"
		f.Advice = "run a time service (chrony, systemd-timesyncd): certificates and tokens are checked against it"
	}
	return f
}

func reachable(ctx context.Context, name string, reach func(context.Context) error, wait time.Duration) Finding {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	begin := time.Now()
	if err := reach(ctx); err != nil {
		return Finding{Level: Fail, Subject: name, Seen: err.Error(), Advice: "start it, and look at its address, password and firewall"}
	}
	return Finding{Level: OK, Subject: name, Seen: fmt.Sprintf("answers in %v", time.Since(begin).Round(100*time.Microsecond))}
}
