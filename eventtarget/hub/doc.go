// Package hub is one end of many conversations: the engine of every adapter that
// talks to a set of spokes.
//
// # Usage
//
//	h, err := hub.New(hub.Options{OnConnect: func(s *hub.Spoke) { … }})
//	s, err := h.Attach(conn, hub.Meta{Addr: "…"}) // for each connection
//
// gives a fan-out target out of any number of [link.Conn]: Dispatch goes to every
// spoke, a listener on the hub hears every spoke, and each [Spoke] is a target of
// its own. An adapter adds only how a connection comes about.
//
// # Delivery
//
// A hub is a log and a spoke is a cursor. Dispatch encodes and frames an event
// once and appends it to one bounded log; a few sweepers bring each spoke what
// lies between its cursor and the head, in as few writes as the transport allows.
// What is meant for one spoke alone waits in a list of that spoke, with its place
// in the log, so that there is one order for everything.
//
// # Ordering
//
// What one goroutine dispatches, to all or to one spoke, arrives at a spoke in
// that order.
//
// # Slow spokes
//
// Dispatch is paced by the spokes that read, for a moment by those that read
// slowly, and never by one that does not read. A spoke that falls off the tail of
// the log, or whose own list is full, is disconnected with CodeSlow.
//
// # Errors and faults
//
// A spoke that sends something that is no envelope is disconnected with
// CodeMalformed or CodeTooLarge and nobody else loses anything. Disconnections and
// gaps are told to OnFault.
//
// # Closing
//
// Close discards what is not yet out; Shutdown sends it first and closes every
// spoke with CodeGoingAway behind its last event.
//
// # Limits
//
// Those of [eventtarget.Limits], and the log's and the spokes' bounds in Options.
package hub
