// Package worker is an event target at a child process: a program that is started, and
// talked to with Add, Remove and Dispatch.
//
// # Usage
//
// In the parent and in the child:
//
//	w, err := worker.Start(worker.Options{Path: "/usr/lib/app/resizer"})
//	err = w.Ready(ctx)
//
//	p, err := worker.Parent(&link.Options{Setup: func(p *link.Link) {
//		p.Add(ctx, eventtarget.T("resize", "*"), …)
//	}})
//	<-p.Done()
//
// [StartPool] starts many that run one program: a hub whose spokes they are, and
// competing consumers.
//
//	p, err := worker.StartPool(worker.PoolOptions{Size: 4, Worker: worker.Options{Path: "/usr/lib/app/resizer"}})
//	err = p.Consumers().Dispatch(ctx, e) // to one of them, by its topic
//	err = p.Reload(ctx)                  // others take their places
//
// The workers of browsers and of Node are threads of one program; Go has goroutines for
// that, and package inprocess for events between them. A process is for what must not
// take the program down with it, runs as somebody else, or is written in another
// language: it reads messages from file descriptor 3 and writes them to 4, each behind
// its length in four bytes, the most significant first. The first ones that it writes are
//
//	{"type":"__worker","id":"","payload":{"version":1,"cookie":"…"}}
//	{"type":"__ready","id":""}
//
// with the second word of the variable EVENTTARGET_WORKER as the cookie, and the second
// one when it has listeners. A length of zero ends what an end has to say. docs/worker.md
// has the rest.
//
// # Delivery
//
// What a child was sent whole, and has not handled when it ends, is lost, and told: the
// end with how many messages those are at most ([Exit].Unfinished), and a gap. What it was
// not sent goes to the next one, if there is one; so does what is dispatched while there
// is none, unless [Options].WhileDown says otherwise. The last message that a child writes
// is heard before its end is told.
//
// Reload loses nothing: the old child handles what it was sent, and is heard, before the
// new one is sent anything.
//
// # Ordering
//
// As packages link and hub, over all children of a [Worker] or of a place in a [Pool].
// Competing consumers keep it per topic.
//
// # Slow listeners
//
// As packages link and hub. A child that reads nothing for WriteTimeout is ended.
//
// # Errors and faults
//
// A child's end is a fault of the kind [eventtarget.FaultDisconnected] with an [*Exit]:
// status, signal, last lines of standard error, and how much it had not handled. A program
// that does not say that it is a worker in time, or is not the one with the given checksum,
// is [ErrHandshake], and not started again but by a pool.
//
// # Closing
//
// Close and Shutdown end the child's pipe: its listeners finish, and its target closes. A
// child that goes on is told by a signal, and then killed, and its own children with it.
// When the parent dies the child ends too.
//
// # Limits
//
// Those of packages link and hub. Linux, macOS and other Unix systems; Windows cannot hand files
// down under numbers, and Start returns [errors.ErrUnsupported] there.
package worker
