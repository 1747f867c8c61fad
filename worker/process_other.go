//go:build !unix

package worker

import (
	"context"
	"errors"
	"os"
	"os/exec"

	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// Here files cannot be handed to a child under numbers.
const supported = false

type child struct {
	link.Conn
	cmd  *exec.Cmd
	gone chan struct{}
}

func (o Options) start(context.Context, int) (*child, error) { return nil, errors.ErrUnsupported }

func inherited() (in, out *os.File, err error) { return nil, nil, errors.ErrUnsupported }
