package hub

import "github.com/eventtarget-go/toolkit/internal/framelog"

// recent is the last events that the store has, for sessions that come back from another
// process: as many as a spoke may fall behind, in LogEvents and LogBytes. All of it is
// touched inside the log's Update.
type recent struct {
	events []remembered
	size   int
	floor  uint64 // what has a greater number, and is to be remembered, is among them
	over   bool   // there are none any more
}

// remembered is one of them.
type remembered struct {
	seq    uint64
	except []string // sessions that it is not for
	to     address  // zero: everybody
	msg    []byte   // where it stands in the hub's log too, that memory
}

// rememberedSize is about what an event costs here beside its message.
const rememberedSize = 128

func (r *remembered) size() int { return len(r.msg) + rememberedSize }

func (x *recent) add(r *Record, msg []byte, most *Options) {
	if x.over {
		return
	}
	e := remembered{seq: r.Seq, except: r.Except, to: address{Group: r.Group, Identity: r.Identity}, msg: msg}
	x.events = append(x.events, e)
	x.size += e.size()
	for len(x.events) > 1 && (x.size > most.LogBytes || len(x.events) > most.LogEvents) {
		first := &x.events[0]
		x.size -= first.size()
		x.floor = first.seq
		*first = remembered{}
		x.events = x.events[1:]
	}
}

// lost notes that the store has lost what stood before a number.
func (x *recent) lost(before uint64) { *x = recent{floor: before} }

// giveUp forgets all of them, for good: nobody comes back any more.
func (x *recent) giveUp() { *x = recent{over: true} }

// logged returns the message that stands at a place in the log: the log's own memory.
func logged(u framelog.Update, at framelog.Position) (msg []byte) {
	run, _ := u.Read(at, u.Head())
	run.Messages(func(m []byte, _ framelog.Position) bool {
		msg = m
		return false
	})
	return msg
}
