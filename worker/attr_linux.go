package worker

import "syscall"

// attributes make the child the head of a group of its own, so that its children can
// be ended with it, and let the system end it with its parent.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
