package hub_test

import (
	"testing"
	"testing/synctest"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// What is dispatched while a spoke's OnConnect runs is brought to it before a Shutdown
// closes it, behind its greeting, and Flush tells of it.
func TestShutdownWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, enter, leave := t.Context(), make(chan struct{}), make(chan struct{})
		h := newHub(t, hub.Options{OnConnect: func(s *hub.Spoke) {
			close(enter)
			<-leave
			if err := s.Dispatch(ctx, event("greeting", "", "0")); err != nil {
				t.Error(err)
			}
		}, OnFault: func(f eventtarget.Fault) { t.Error(f) }})
		near, far := link.Pipe()
		l, err := link.New(link.Options{Conn: near, OnFault: func(eventtarget.Fault) {}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close(); <-l.Done() })
		all := listen(t, l, "*")
		attached := make(chan error, 1)
		go func() {
			_, err := h.Attach(far, hub.Meta{})
			attached <- err
		}()
		<-enter
		if err := h.Dispatch(ctx, event("n", "", "1")); err != nil {
			t.Fatal(err)
		}
		flushed := make(chan []hub.Flushed, 1)
		go func() {
			all, err := h.Flush(ctx)
			if err != nil {
				t.Error(err)
			}
			flushed <- all
		}()
		down := make(chan error, 1)
		synctest.Wait()
		go func() { down <- h.Shutdown(ctx) }()
		synctest.Wait()
		if len(flushed)+len(down) > 0 {
			t.Error("Flush or Shutdown has returned before the spoke heard anything")
		}
		close(leave)
		if err := <-attached; err != nil {
			t.Error(err)
		}
		if err := <-down; err != nil {
			t.Error(err)
		}
		if all := <-flushed; len(all) != 1 || all[0].Outcome != hub.Out {
			t.Errorf("Flush returns %v", all)
		}
		<-l.Done()
		if got := all.payloads(); len(got) != 2 || !isCounting(got) {
			t.Errorf("the spoke heard %v", got)
		}
	})
}

// A Shutdown does not wait for a spoke whose connection is lost meanwhile to come back.
func TestShutdownWhileCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t, hub.Options{OnFault: func(eventtarget.Fault) {}})
		p, _ := open(t, h, "", "")
		p.conn.Stall()
		count(t, h, 0, 2*pipeHolds)
		down := make(chan error, 1)
		go func() { down <- h.Shutdown(t.Context()) }()
		synctest.Wait()
		if len(down) > 0 {
			t.Error("Shutdown has not waited for a spoke that is behind")
		}
		p.conn.Cut()
		synctest.Wait()
		if len(down) == 0 {
			t.Error("Shutdown waits for a spoke that cannot come back")
		}
	})
}
