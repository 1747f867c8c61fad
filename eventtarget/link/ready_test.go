package link_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// TestReadySaysWhy: who waited in vain learns why the dialling failed.
func TestReadySaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("connection refused")
		l, err := link.New(link.Options{Dial: func(context.Context) (link.Conn, error) { return nil, refused }})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { l.Close(); <-l.Done() }()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Ready(ctx); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, refused) || !strings.Contains(err.Error(), "deadline exceeded (connection refused)") {
			t.Errorf("Ready: %v", err)
		}
	})
}
