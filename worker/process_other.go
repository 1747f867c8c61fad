//go:build !unix

package worker

import (
	"context"
	"errors"
	"os"
)

// Here files cannot be handed to a child under numbers.
const supported = false

func (o Options) start(context.Context, int) (*child, error) { return nil, errors.ErrUnsupported }

func (c *child) signal(bool) {}

func inherited() (in, out *os.File, err error) { return nil, nil, errors.ErrUnsupported }
