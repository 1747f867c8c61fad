package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSettings: what the kernel allows is read where the kernel says it.
func TestSettings(t *testing.T) {
	proc := t.TempDir()
	core := filepath.Join(proc, "sys", "net", "core")
	if err := os.MkdirAll(core, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"rmem_max": "212992\n", "wmem_max": "7340032\n", "somaxconn": "many\n"} {
		if err := os.WriteFile(filepath.Join(core, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := Options{Proc: proc, Spokes: 10000}
	for _, c := range []struct {
		got  Finding
		want Finding
	}{
		{buffer(o, "rmem_max"), Finding{Warn, "UDP receive buffer", "net.core.rmem_max is 212992 bytes: QUIC loses packets under load", "sysctl -w net.core.rmem_max=7340032, and the same in a file of /etc/sysctl.d"}},
		{buffer(o, "wmem_max"), Finding{OK, "UDP send buffer", "net.core.wmem_max is 7340032", ""}},
		{backlog(o), Finding{Warn, "TCP backlog", `net.core.somaxconn is "many"`, ""}},
		{backlog(Options{Proc: filepath.Join(proc, "none")}), Finding{OK, "TCP backlog", "not known on this system", ""}},
	} {
		if c.got != c.want {
			t.Errorf("found %+v, want %+v", c.got, c.want)
		}
	}
}

func TestClock(t *testing.T) {
	if f := clock(time.Unix(0, 0)); f.Level != Fail || f.Advice == "" {
		t.Errorf("in 1970: %+v", f)
	}
	if f := clock(time.Now()); f.Level == Fail {
		t.Errorf("now: %+v", f)
	}
}

func TestReachable(t *testing.T) {
	refuse := func(context.Context) error { return errors.New("refused") }
	hang := func(ctx context.Context) error { <-ctx.Done(); return context.Cause(ctx) }
	for want, reach := range map[string]func(context.Context) error{"refused": refuse, "deadline": hang} {
		if f := reachable(t.Context(), "bus", reach, 10*time.Millisecond); f.Level != Fail || !strings.Contains(f.Seen, want) {
			t.Errorf("found %+v, want %s", f, want)
		}
	}
	if f := reachable(t.Context(), "bus", func(context.Context) error { return nil }, time.Second); f.Level != OK {
		t.Errorf("found %+v", f)
	}
}
