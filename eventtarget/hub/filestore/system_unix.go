//go:build unix && !solaris && !illumos && !aix

package filestore

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes a file that one process can have at a time; the system gives it back
// when that ends, however it does.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(errors.New("the folder is used by another process"), f.Close())
	}
	return f, nil
}

// syncDir waits until the disk has the names of a folder's files.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
