package hub_test

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/hublog"
)

// tardy is a way to a log on which a hub reads that a session has begun only when it may.
type tardy struct {
	*sharedStore
	may <-chan struct{}
}

func (s tardy) Follow(ctx context.Context) iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		for r, err := range s.sharedStore.Follow(ctx) {
			if err == nil && r.Kind == hub.RecordOpened {
				select {
				case <-s.may:
				case <-ctx.Done():
					return
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// TestSharedGoesOnAtOneThatIsBehind: a spoke goes on at a hub that has not read yet that its
// session has begun. One whose session is over, or somebody else's, begins anew.
func TestSharedGoesOnAtOneThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, may := hublog.New(), make(chan struct{})
		a := sharing(t, log, hub.Options{})
		b := newHub(t, hub.Options{Store: tardy{log.Open(), may}, Relay: true, Heartbeat: -1})
		p, w := open(t, a, "ada", `,"topics":["n:*"]`)
		count(t, a, 0, 2)
		synctest.Wait()
		p.expect("n:0 0", "n:1 1")
		at := log.Seq()
		p.conn.Cut()
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(may) })
		q, again := open(t, b, "ada", resumeAt(w, 2, at)+`,"topics":["n:*"]`)
		if !again.Resumed {
			t.Errorf("welcomed with %+v at a hub that is behind", again)
		}
		count(t, a, 2, 3)
		q.expect("n:2 2")
		at = log.Seq()
		if _, other := open(t, b, "eve", resumeAt(w, 2, at)); other.Resumed {
			t.Errorf("a stranger was welcomed with %+v", other)
		}
		w.Session = "unheard-of"
		if _, none := open(t, b, "ada", resumeAt(w, 0, at)); none.Resumed {
			t.Errorf("a session that nobody has was welcomed with %+v", none)
		}
	})
}
