package hub

import (
	"context"
	"maps"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// renew takes over what another connection of the peer came with: what the one before did
// says nothing any more. Under mu.
func (s *Spoke) renew(meta Meta) {
	for key := range s.granted {
		delete(s.values, key)
	}
	if s.granted = meta.Values; s.values == nil {
		s.values = make(map[any]any)
	}
	maps.Copy(s.values, meta.Values)
	s.expireAt(meta.Expires)
}

// expireAt has the spoke end at a time, in place of the one that was set before. Zero:
// never. Under mu.
func (s *Spoke) expireAt(at time.Time) {
	if s.keep != nil {
		s.keep()
	}
	s.expires, s.keep = 0, nil
	if at.IsZero() {
		return
	}
	s.expires = at.UnixMilli()
	expiry := time.AfterFunc(time.Until(at), s.expire)
	release := context.AfterFunc(s.ctx, func() { expiry.Stop() })
	s.keep = func() {
		expiry.Stop()
		release()
	}
}

// expire ends the connection of a peer that is no longer who it was. A session waits for a
// new proof.
func (s *Spoke) expire() {
	s.mu.Lock()
	a, expired := s.att, s.expires != 0 && s.expires <= time.Now().UnixMilli() // or it was renewed just now
	s.mu.Unlock()
	if a != nil && expired {
		a.expired.Store(true)
		s.lost(a, eventtarget.Reason{Code: eventtarget.CodeExpired})
	}
}

// expectFirst ends a spoke that has not said anything yet.
func (s *Spoke) expectFirst() {
	if s.received.Load() == 0 {
		s.end(eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "sent nothing in time"})
	}
}
