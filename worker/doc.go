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
// The workers of browsers and of Node are threads of one program; Go has goroutines for
// that, and package inprocess for events between them. A process is for what must not
// take the program down with it, runs as somebody else, or is written in another
// language: it reads messages from file descriptor 3 and writes them to 4, each behind
// its length in four bytes, the most significant first. The first one that it writes is
//
//	{"type":"__worker","id":"","payload":{"version":1,"cookie":"…"}}
//
// with the second word of the variable EVENTTARGET_WORKER as the cookie. A
// length of zero ends the conversation.
//
// # Delivery
//
// As package link: what is dispatched while there is no child goes to the next one, if
// there is one. What was under way when a child ended is lost, and told as a gap. The last
// message that a child writes is heard before its end is told.
//
// # Ordering
//
// As package link.
//
// # Slow listeners
//
// As package link. A child that reads nothing for WriteTimeout is ended.
//
// # Errors and faults
//
// A child's end is a fault of the kind [eventtarget.FaultDisconnected] with an [*Exit]:
// status, signal, last lines of standard error. A program that does not say that it is a
// worker in time, or is not the one with the given checksum, is [ErrHandshake], and not
// started again.
//
// # Closing
//
// Close and Shutdown end the child's pipe: the child's target closes. A child that goes
// on is told by a signal, and then killed, and its own children with it. When the parent
// dies the child ends too.
//
// # Limits
//
// Those of package link. Linux, macOS and other Unix systems; Windows cannot hand files
// down under numbers, and Start returns [errors.ErrUnsupported] there.
package worker
