package hub

import (
	"fmt"
	"runtime"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// connected calls OnConnect. One that panics has not accepted the spoke.
func (h *Hub) connected(s *Spoke) {
	if h.opts.OnConnect == nil {
		return
	}
	returned := false
	defer func() {
		if !returned {
			h.hookPanicked(s.ID(), "OnConnect", recover())
			s.end(eventtarget.Reason{Code: eventtarget.CodeInternal})
		}
	}()
	h.opts.OnConnect(s)
	returned = true
}

// disconnected calls OnDisconnect.
func (h *Hub) disconnected(s *Spoke, reason eventtarget.Reason) {
	if h.opts.OnDisconnect == nil {
		return
	}
	returned := false
	defer func() {
		if !returned {
			h.hookPanicked(s.ID(), "OnDisconnect", recover())
		}
	}()
	h.opts.OnDisconnect(s, reason)
	returned = true
}

func (h *Hub) hookPanicked(peer, hook string, cause any) {
	stack := make([]byte, 16<<10)
	h.ReportFault(eventtarget.Fault{
		Kind: eventtarget.FaultPanic, Peer: peer,
		Err:   fmt.Errorf("%s panicked: %v", hook, cause),
		Stack: stack[:runtime.Stack(stack, false)],
	})
}
