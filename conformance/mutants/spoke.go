package mutants

import (
	"time"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
)

// spokeMutants are hubs that are wrong about how a spoke comes and goes.
func spokeMutants() []Mutant {
	both := hubs("lets two spokes of an identity be", []string{"C15"}, nil, nil)
	both.Harness.Caps.Replaces = true
	return []Mutant{
		both,
		joining("keeps a spoke that OnConnect failed for", []string{"C23"}, func(s *conformance.Setup) {
			told := s.OnConnect
			s.OnConnect = func(p eventtarget.Peer) {
				defer func() { _ = recover() }()
				told(p)
			}
		}),
		joining("does not tell that a refused spoke left", []string{"C23", "C24"}, func(s *conformance.Setup) {
			told := s.OnDisconnect
			s.OnDisconnect = func(p eventtarget.Peer, reason eventtarget.Reason) {
				if reason.Code == eventtarget.CodeNormal || reason.Code == eventtarget.CodeGoingAway {
					told(p, reason)
				}
			}
		}),
		joining("tells of leaving twice", []string{"C24"}, func(s *conformance.Setup) {
			told := s.OnDisconnect
			s.OnDisconnect = func(p eventtarget.Peer, reason eventtarget.Reason) {
				told(p, reason)
				told(p, reason)
			}
		}),
		joining("forgets why a spoke left", []string{"C24"}, func(s *conformance.Setup) {
			told := s.OnDisconnect
			s.OnDisconnect = func(p eventtarget.Peer, _ eventtarget.Reason) { told(p, eventtarget.Reason{}) }
		}),
		joining("sends before it tells of joining", []string{"C25"}, func(s *conformance.Setup) {
			told := s.OnConnect
			s.OnConnect = func(p eventtarget.Peer) { time.AfterFunc(20*time.Millisecond, func() { told(p) }) }
		}),
	}
}
