//go:build unix

package doctor

import "syscall"

// maxOpenFiles returns how many files a program may have open.
func maxOpenFiles() (limit uint64, known bool) {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 0, false
	}
	return uint64(r.Max), true //nolint:unconvert // FreeBSD has it signed
}
