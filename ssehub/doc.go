// Package ssehub is a hub for Server-Sent Events (WHATWG HTML §9.2): an [http.Handler]
// that makes a spoke, which only listens, out of every request.
//
// # Usage
//
//	h, err := ssehub.New(nil)
//	http.Handle("/sse", h)
//
// and in a browser
//
//	new EventSource("/sse?topic=chat:42&topic=votes:*").addEventListener("chat", e => JSON.parse(e.data).payload)
//
// The parameter topic says what a spoke hears, and may stand there more than once;
// without it the spoke hears what the hub sends unasked. With event=message events have
// no names of their own, for an EventSource that cannot know their types. An EventSource
// cannot set a header either: its token may stand in a parameter that auth.FromQuery names.
// Every other parameter is refused. [NewHandler] adds Server-Sent
// Events to a hub that has spokes over another transport. The caller owns the HTTP
// server; a WriteTimeout of the server is overruled for each write.
//
// # Delivery
//
// An event is three lines: id, the place in the hub's log; event, its type; data, the
// envelope. What waits for a spoke goes out in one write. An EventSource that lost its
// connection says the id of what it heard last (Last-Event-ID, or the parameter
// lastEventId) and goes on behind it. Beside that parameter new=, in place of topic=, asks
// for a topic that was not asked for there, and for what is retained of it. What is
// dispatched to one spoke alone has no id, and is lost with the connection. Nor has what is
// retained, or a snapshot, with which a stream begins: it comes again to who comes back
// before it heard anything else.
//
// # Ordering
//
// As package hub.
//
// # Slow spokes
//
// A spoke that takes nothing for WriteTimeout is cut; one that falls behind meets the
// hub's Overflow.
//
// # Errors and faults
//
// A request that is not let in is answered with its status and a plain reason. What the
// log no longer has when a spoke comes back is told as an event of the type "__gap", with
// the count, or 0 where that is unknown; what is retained, or a snapshot, follows it.
//
// # Closing
//
// Close and Shutdown end the responses; an EventSource then comes back by itself. Restart
// tells it when.
//
// # Limits
//
// Those of package hub. A page over HTTP/1.1 may have six connections to a host in all:
// ask for many topics in one.
package ssehub
