// Package sseclient is an event target at the end of a stream of Server-Sent Events
// (WHATWG HTML §9.2). It only listens.
//
// # Usage
//
//	c, err := sseclient.New("http://127.0.0.1:8080/sse", &sseclient.Options{Topics: topics})
//	err = c.Ready(ctx)
//
// The client connects by itself, and again when the stream ends, after a pause that
// grows with jitter. Listeners stay through that.
//
// # Delivery
//
// The hub is told the id of the last event that was heard, and goes on behind it; what
// it no longer has it tells as a gap. Dispatch returns [errors.ErrUnsupported].
//
// # Ordering
//
// As package link.
//
// # Slow listeners
//
// Queued listeners never run on the goroutine that reads. One that asked for Block holds
// it up, and with it the hub.
//
// # Errors and faults
//
// An event that is no envelope is dropped and told. A hub that answers 401, 403 or 204 is
// not asked again: the client closes, and Ready tells why.
//
// # Closing
//
// Close and Shutdown end the request.
//
// # Limits
//
// Those of package link. An event over them is dropped and told, as one that is no
// envelope; one that is so large that it is not read ends the request, and then the next one
// begins anew instead of behind it, and a gap is told.
package sseclient
