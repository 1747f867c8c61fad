package redistest

import "syscall"

// attributes let the system end a server with its test, which may have been ended by force.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
