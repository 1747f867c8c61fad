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
// A spoke with a session (see [link.Negotiated]) outlives its connection: it is down
// then, what is dispatched to it is kept, and a peer that comes back in time goes on
// where it was. What the log no longer has by then is told as one gap with the count. A
// spoke without one is gone with its connection.
//
// With a [Store] the sessions outlive the process too, and after [Hub.Redeliver] the hub's
// own listeners hear what spokes sent at least once.
//
// Hubs are one by a bus or a log that they share ([Hub.Join], [SharedStore]). Those that
// [eventtarget.Bridge] joins in a ring hear an event once with Options.Bridged.
//
// # Ordering
//
// What one goroutine dispatches, to all, to some ([Group], [Audience]) or to one
// spoke, arrives at a spoke in that order, and so do the answer to a subscription, a
// gap and a graceful close. What OnConnect dispatches to its spoke comes first.
//
// # Interest
//
// A spoke is sent everything that is dispatched to all until it subscribes, or
// nothing if the hub is set so; then it is sent its topics, and costs nothing for
// others. Retain and Snapshot give it a state to begin with, followed by every later
// event, once. Authorize says who may have and dispatch what, and [Hub.Revoke] asks
// it again.
//
// # Slow spokes
//
// Dispatch is paced by the spokes that read, for a moment by those that read
// slowly, and never by one that does not read. What happens to a spoke that falls off
// the tail of the log, or whose own list is full, Options.Overflow says: it is
// disconnected with CodeSlow, loses the oldest and is told a gap with the count, or is
// sent only the last event of each topic; or everyone waits for it. [Spoke.Stats] and
// [Hub.Flush] tell how each stands.
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
// spoke with CodeGoingAway behind its last event, once that is acknowledged in a session,
// Restart with CodeRestart and a time
// to come back after. An event that Dispatch accepts while they run is sent; one that
// comes later is refused.
//
// # Limits
//
// Those of [eventtarget.Limits], and in Options: the bounds of the log, of each
// spoke's own list and of all those together; how many spokes there may be, in all and
// from one address; subscriptions; messages in a second.
package hub
