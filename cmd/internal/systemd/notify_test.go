package systemd_test

import (
	"net"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/cmd/internal/systemd"
)

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := systemd.Notify(systemd.Ready); err != nil {
		t.Errorf("without a service manager: %v", err)
	}
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	if err := manager.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NOTIFY_SOCKET", path)
	for state, want := range map[string]string{
		systemd.Ready:       "^READY=1$",
		systemd.Reloading(): "^RELOADING=1(\nMONOTONIC_USEC=[1-9][0-9]*)?$",
		systemd.Stopping:    "^STOPPING=1$",
	} {
		if err := systemd.Notify(state); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 200)
		n, err := manager.Read(b)
		if err != nil || !regexp.MustCompile(want).Match(b[:n]) {
			t.Errorf("told %q, %v; want %s", b[:n], err, want)
		}
	}
	t.Setenv("NOTIFY_SOCKET", path+".gone")
	if err := systemd.Notify(systemd.Ready); err == nil {
		t.Error("nobody was told, and that is no error")
	}
}
