// Package link is one conversation over a message connection: the engine of every
// adapter that talks to one other end.
//
// # Usage
//
//	l, err := link.New(link.Options{Dial: func(ctx context.Context) (link.Conn, error) { … }})
//
// gives a whole target out of a [Conn]; an adapter adds only how to dial. A [Link]
// connects by itself, again whenever the connection is lost, and keeps its
// listeners through that. [Pipe] is a connection in memory, for tests.
//
// # Delivery
//
// An event that Dispatch accepted waits in a bounded log until the connection
// takes it; it waits there too while the link is down. Where a connection can write
// without waiting (see [TryFrameSender]), a Dispatch that comes alone writes by itself.
//
// In a session (see [Negotiated]) it stays there until the other end has acknowledged
// it, and what was on its way in either direction when a connection was lost is sent
// again over the next one: each event is heard once and in order. When the session is
// over, or the other end is plain, what was on its way is lost, and the link tells one
// gap once it is back.
//
// # Ordering
//
// Events arrive at the other end in the order in which they were accepted, and
// what arrives is delivered in the order in which the other end sent it.
//
// # Slow listeners
//
// Queued listeners never run on the goroutine that delivers. One that asked for Block
// holds that goroutine up while its queue is full, and with it the other end, which
// sends no more than a window. In a session that goroutine is not the one that reads,
// and signs of life go on.
//
// # Errors and faults
//
// A full log makes Dispatch return ErrOverflow, or wait, as Overflow says. A
// message that is no envelope is dropped and told as a decode fault; so are lost
// and remade connections. Options.OnState tells whether one was resumed.
//
// # Closing
//
// Close discards what is not yet out. Shutdown sends it first, and in a session waits
// until it is acknowledged, over another connection if need be.
//
// # Limits
//
// Those of [eventtarget.Limits], and Options.LogBytes and LogEvents.
package link
