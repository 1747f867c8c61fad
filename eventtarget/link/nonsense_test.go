package link_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// nonsense is a connection that answers a greeting with nonsense, just when the link has waited
// long enough.
type nonsense struct{ negotiated }

func (n nonsense) Receive() ([]byte, error) {
	<-time.After(time.Second)
	return []byte(`{"type":"__welcome","id":"","payload":[]}`), nil
}

// TestNonsenseLate: a connection that was given up is not taken for a plain one.
func TestNonsenseLate(t *testing.T) {
	for range 2000 {
		synctest.Test(t, func(t *testing.T) {
			dials := 0
			l := start(t, link.Options{DialTimeout: time.Second, Backoff: link.Backoff{Min: time.Hour, Max: time.Hour}, Dial: func(context.Context) (link.Conn, error) {
				if dials++; dials > 1 {
					return nil, errors.New("no hub")
				}
				near, _ := link.Pipe()
				return nonsense{negotiated{near}}, nil
			}})
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if s := l.State(); s != eventtarget.StateDown {
				t.Errorf("it is %v without a connection", s)
			}
		})
	}
}
