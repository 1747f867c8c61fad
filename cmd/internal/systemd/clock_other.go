//go:build !linux

package systemd

// monotonic returns 0: where there is no systemd nobody asks.
func monotonic() int64 { return 0 }
