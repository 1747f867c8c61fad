//go:build unix && !linux

package worker

import "syscall"

// attributes make the child the head of a group of its own, so that its children can
// be ended with it. It sees the end of its parent by the end of its pipe.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
