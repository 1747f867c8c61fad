package hub_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// cutShort is a connection on which a write fails, perhaps within the message, and which does not
// end at once.
type cutShort struct {
	negotiated
	failed, after atomic.Int32
}

func (c *cutShort) Send(msg []byte) error {
	switch {
	case c.failed.Load() > 0:
		c.after.Add(1)
		return nil
	case strings.Contains(string(msg), "break"):
		<-time.After(time.Second)
		c.failed.Add(1)
		return errors.New("deadline exceeded")
	}
	return c.negotiated.Send(msg)
}

func (c *cutShort) Close(eventtarget.Reason) error { return nil }

// framed is a cutShort that takes messages without waiting.
type framed struct{ *cutShort }

func (f framed) TryWriteFrames(frames []byte) (int, bool, error) {
	return len(frames), false, f.WriteFrames(frames)
}
func (f framed) WriteFrames(frames []byte) error { return f.Send(frames) }

// TestNothingFollowsAFailedWrite: the peer might take it for the rest of a message. Nobody waits
// for that connection, and the next one brings what it did not.
func TestNothingFollowsAFailedWrite(t *testing.T) {
	const most = 100
	for name, over := range map[string]func(*cutShort) link.Conn{
		"messages": func(c *cutShort) link.Conn { return c },
		"frames":   func(c *cutShort) link.Conn { return framed{c} },
	} {
		for _, events := range []int{most / 2, 5 * most} {
			t.Run(fmt.Sprint(name, " ", events), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := sessionHub(t, hub.Options{Overflow: eventtarget.Block, LogEvents: most})
					c := &cutShort{}
					_, w := openOver(t, h, func(n negotiated) link.Conn { c.negotiated = n; return over(c) }, "", "")
					dispatch(t, h, "n", "break", "0")
					synctest.Wait()
					count(t, h, 1, 10)
					<-time.After(2 * time.Second)
					began := time.Now()
					count(t, h, 10, events)
					if waited := time.Since(began); waited > 0 {
						t.Errorf("a connection that is of no use was waited for: %v", waited)
					}
					synctest.Wait()
					if c.failed.Load() != 1 || c.after.Load() > 0 {
						t.Errorf("%d writes failed, and behind that there were %d", c.failed.Load(), c.after.Load())
					}
					q, again := open(t, h, "", resume(w, 0))
					if !again.Resumed {
						t.Errorf("resuming was welcomed with %+v", again)
					}
					if events < most {
						q.expect(append([]string{"n:break 0"}, counted(1, events)...)...)
					}
					_ = c.negotiated.Close(eventtarget.Reason{})
				})
			})
		}
	}
}
