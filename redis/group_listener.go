package redis

import (
	"context"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// inGroup returns a listener as a group's members have them: they are called one after
// the other, since an event is confirmed when all that hear it have returned.
func (m *member) inGroup(l eventtarget.Listener[eventtarget.Raw]) eventtarget.Listener[eventtarget.Raw] {
	if !l.Inline && l.Queue >= 0 {
		l.Inline, l.Queue, l.Overflow = true, 0, 0
	}
	if handle := l.Handle; handle != nil {
		l.Handle = func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
			m.heard = true
			handle(ctx, e)
		}
	}
	return l
}

// look is what a member knows of its listeners before an event is delivered to them.
type look struct {
	member  *member
	nobody  bool
	removed uint64
}

func (m *member) look() look {
	m.heard = false
	l := look{member: m, removed: m.removed.Load()}
	l.nobody = m.part.target.registry.Len() == 0 // any more
	return l
}

// inVain tells whether an event that was delivered then has to go back: nobody has heard it,
// when there was nobody, or perhaps nobody any more.
func (l look) inVain() bool {
	return !l.member.heard && (l.nobody || l.member.removing.Load() != l.removed)
}
