// Package inprocess is an event target in memory: a bus inside one process.
//
// # Usage
//
//	bus := inprocess.New[Order](nil)
//	bus.Add(ctx, eventtarget.T("order.placed", "*"), eventtarget.Func(handle))
//	bus.Dispatch(ctx, eventtarget.Event[Order]{Type: "order.placed", ID: "42", Payload: o})
//
// # Delivery
//
// Every listener on the topic hears the event, the dispatcher's own too. A [Bus]
// has several members, of which each hears itself unless told not to. Without a
// codec the Go value itself is carried and shared. With a codec in the options
// every payload is encoded, checked against the limits and decoded again, as a
// wire would, so that its surprises show up in unit tests.
//
// # Ordering
//
// One goroutine's events reach each listener in the order of its Dispatch calls.
//
// # Slow listeners
//
// Each queued listener has its own bounded queue; see [eventtarget.Listener].
//
// # Errors and faults
//
// Dispatch returns what is wrong with the event. A panic in a listener and a
// payload that the codec cannot read back are told to OnFault.
//
// # Closing
//
// Close discards what waits, Shutdown lets listeners finish it first.
//
// # Limits
//
// With a codec, those of [eventtarget.Limits]. Without one there is no message
// to measure, and only the topic is checked.
package inprocess
