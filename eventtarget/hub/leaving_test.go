package hub_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// watched is a connection that tells what was sent over it.
type watched struct {
	negotiated
	sent func(msg []byte)
}

func (w watched) Send(msg []byte) error {
	err := w.negotiated.Send(msg)
	w.sent(msg)
	return err
}

// TestLeaveWhileRepeating: a spoke may leave while its writer goes through what its peer,
// which is back, has not acknowledged.
func TestLeaveWhileRepeating(t *testing.T) {
	for n := range 100 {
		synctest.Test(t, func(t *testing.T) {
			h := sessionHub(t, hub.Options{OnFault: func(eventtarget.Fault) {}})
			p, w := open(t, h, "", "")
			dispatch(t, h, "n", "", "1")
			asked, cancel := context.WithCancel(t.Context())
			cancel()
			for range 1500 { // each leaves a mark behind the event
				_, _ = h.Flush(asked)
			}
			synctest.Wait()
			p.conn.Cut()
			synctest.Wait()
			openOver(t, h, func(c negotiated) link.Conn {
				return watched{c, func(msg []byte) {
					if bytes.Contains(msg, []byte(`"type":"n"`)) {
						go func() {
							for range n % 50 { // once it is among them
								runtime.Gosched()
							}
							p.spoke.Close()
						}()
					}
				}}
			}, "", resume(w, 0))
		})
	}
}

// ending is a connection that ends while the hub writes to it, which takes a while to notice.
type ending struct {
	negotiated
	end *atomic.Pointer[func()]
}

func (e ending) TryWriteFrames([]byte) (int, bool, error) {
	if end := e.end.Swap(nil); end != nil {
		(*end)()
		<-time.After(time.Second) // of the bubble's time
	}
	return 0, true, nil
}

func (e ending) WriteFrames(frames []byte) error {
	if len(frames) == 0 { // what TryWriteFrames left
		return io.ErrUnexpectedEOF
	}
	return e.Send(frames)
}

// TestBlockEnding: nobody waits for a spoke whose connection has ended before its writer
// found that it has to wait.
func TestBlockEnding(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"down": func(p *peer) { p.conn.Cut() },
		"gone": func(p *peer) { p.spoke.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := sessionHub(t, hub.Options{Overflow: eventtarget.Block, LogEvents: 128, SessionTimeout: time.Hour, OnFault: func(eventtarget.Fault) {}})
				var at atomic.Pointer[func()]
				p, _ := openOver(t, h, func(c negotiated) link.Conn { return ending{c, &at} }, "", "")
				at.Store(new(func() { end(p) }))
				dispatch(t, h, "n", "", "0")
				time.Sleep(time.Minute) // of the bubble's time
				done := make(chan struct{})
				go func() {
					defer close(done)
					for n := 0; n < 1000 && h.Dispatch(t.Context(), event("n", "", "1")) == nil; n++ {
					}
				}()
				synctest.Wait()
				select {
				case <-done:
				default:
					t.Error("somebody waits for it")
					h.Close()
					<-done
				}
			})
		})
	}
}

// TestRateOverTwo: the rate of a spoke is that of both its connections while another one
// takes over from the first, which still has something to read. It is for the race detector.
func TestRateOverTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{Rate: 1000, Burst: 1})
		p, w := open(t, h, "", "")
		for range 10 {
			near, far := link.Pipe()
			again := &peer{t: t, conn: near, arrived: make(chan struct{}, 1)}
			again.send(`{"type":"__hello","id":"","payload":{"version":1` + resume(w, 0) + `}}`)
			for range 20 {
				again.send(`{"type":"n","id":"","payload":1}`)
				p.send(`{"type":"n","id":"","payload":1}`)
			}
			if _, err := h.Attach(negotiated{far}, hub.Meta{}); err != nil {
				t.Fatal(err)
			}
			p = again
		}
	})
}

// TestBlockDownSubscribed: nobody waits for a spoke that has no connection, whose events wait
// for it alone.
func TestBlockDownSubscribed(t *testing.T) {
	for name, before := range map[string]bool{"before": true, "meanwhile": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := sessionHub(t, hub.Options{Overflow: eventtarget.Block, SpokeEvents: 100, SessionTimeout: time.Hour, WriteTimeout: time.Hour, OnFault: func(eventtarget.Fault) {}})
				p, _ := open(t, h, "", `,"topics":["n:*"]`)
				if p.conn.Stall(); before {
					p.conn.Cut()
				}
				synctest.Wait()
				done := make(chan struct{})
				go func() {
					defer close(done)
					for n := 0; n < 1000 && h.Dispatch(t.Context(), event("n", "", "1")) == nil; n++ {
					}
				}()
				time.Sleep(time.Minute) // of the bubble's time
				p.conn.Cut()
				synctest.Wait()
				select {
				case <-done:
				default:
					t.Error("somebody waits for it")
					h.Close()
					<-done
				}
			})
		})
	}
}

// TestAttachGoexit: a hook that ends the goroutine leaves no spoke behind.
func TestAttachGoexit(t *testing.T) {
	goexit := func() { runtime.Goexit() }
	for name, o := range map[string]hub.Options{
		"OnConnect": {OnConnect: func(*hub.Spoke) { goexit() }},
		"Authorize": {Authorize: func(*hub.Spoke, hub.Op, eventtarget.Topic) error { goexit(); return nil }},
		"Snapshot": {Snapshot: func(*hub.Spoke, eventtarget.Topic) ([]eventtarget.Event[raw], hub.Position) {
			goexit()
			return nil, hub.Position{}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o.OnFault = func(eventtarget.Fault) {}
				h := newHub(t, o)
				_, far := link.Pipe()
				go func() { _, _ = h.Attach(far, hub.Meta{Topics: []eventtarget.Topic{eventtarget.T("n", "")}}) }()
				synctest.Wait()
				if n := h.Len(); n != 0 {
					t.Errorf("%d spokes", n)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if err := h.Shutdown(ctx); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestResumeRefused: what a peer that is back is told that it may not hear, it does not hear.
func TestResumeRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var no error
		h := sessionHub(t, hub.Options{Authorize: func(_ *hub.Spoke, op hub.Op, topic eventtarget.Topic) error {
			if topic.Type == "secret" {
				return no
			}
			return nil
		}})
		p, w := open(t, h, "", `,"topics":["n:","secret:"]`)
		p.conn.Cut()
		synctest.Wait()
		no = errors.New("no more")
		q, again := open(t, h, "", resume(w, 0)+`,"topics":["n:","secret:"]`)
		if len(again.Refused) != 1 {
			t.Errorf("it was refused %v", again.Refused)
		}
		dispatch(t, h, "secret", "", "1")
		dispatch(t, h, "n", "", "2")
		q.expect("n: 2")
	})
}

// TestBlockEndingHeldUp: nobody waits for a spoke that is to leave, and cannot because its
// reader is held up.
func TestBlockEndingHeldUp(t *testing.T) {
	h := newHub(t, hub.Options{Overflow: eventtarget.Block, SpokeEvents: 32, WriteTimeout: time.Hour, Heartbeat: -1})
	in, free := make(chan struct{}), make(chan struct{})
	holds := eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) { close(in); <-free }}
	if _, err := h.Add(t.Context(), eventtarget.T("hold", ""), holds); err != nil {
		t.Fatal(err)
	}
	p := attach(t, h, hub.Meta{Topics: []eventtarget.Topic{eventtarget.T("n", "*")}})
	p.send(`{"type":"hold","id":""}`)
	<-in
	p.conn.Stall()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1000 {
			dispatch(t, h, "n", "", "1")
		}
	}()
	for p.spoke.Stats().Waiting < 32 {
		runtime.Gosched()
	}
	p.spoke.Close()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("somebody waits for it")
	}
	close(free)
	<-done
}

// TestBlockEndingUnacknowledged: the same for one whose session has sent as much as it may.
func TestBlockEndingUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := sessionHub(t, hub.Options{Overflow: eventtarget.Block, LogEvents: 128, WriteTimeout: time.Hour})
		free := make(chan struct{})
		holds := eventtarget.Listener[raw]{Inline: true, Handle: func(context.Context, eventtarget.Event[raw]) { <-free }}
		if _, err := h.Add(t.Context(), eventtarget.T("hold", ""), holds); err != nil {
			t.Fatal(err)
		}
		p, _ := open(t, h, "", `,"window":100`)
		p.send(`{"type":"hold","id":""}`)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 1000 {
				dispatch(t, h, "n", "", "1")
			}
		}()
		time.Sleep(time.Minute) // of the bubble's time
		select {
		case <-done:
			t.Error("nobody waited")
		default:
		}
		p.spoke.Close()
		time.Sleep(time.Minute)
		select {
		case <-done:
		default:
			t.Error("somebody waits for it")
		}
		close(free)
		<-done
	})
}
