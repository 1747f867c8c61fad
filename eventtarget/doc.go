// Package eventtarget is how a Go program talks to other programs: it adds
// listeners to an event target, removes them, and dispatches events.
//
// The interface is small, [TypedEventTarget], and the same over every transport:
// in memory, WebSocket, and what else the adapters of this module carry. [Target]
// is what an adapter implements, with payloads as JSON text; [Typed] gives it a
// Go type:
//
//	chat := eventtarget.Typed(target, eventtarget.JSON[Message]())
//	chat.Add(ctx, eventtarget.T("chat.said", "lobby"), eventtarget.Func(
//		func(ctx context.Context, e eventtarget.Event[Message]) { … }))
//	chat.Dispatch(ctx, eventtarget.Event[Message]{Type: "chat.said", ID: "lobby", Payload: m})
//
// # Delivery
//
// Dispatch returning nil means accepted. After that every loss that can be known
// is announced: an error, a counted drop, or a [Fault] that tells of a gap.
//
// # Ordering
//
// One goroutine's events arrive at an endpoint in the order of its Dispatch
// calls, over all topics. A queued listener handles one event at a time, in
// order. Two goroutines' events interleave.
//
// # Slow listeners
//
// Every queued listener has its own bounded queue, and Dispatch never waits for a
// listener unless that listener asked for [Block].
//
// # Errors and faults
//
// Calls return an [*Error] around one of a few sentinels. What no call can return
// is a [Fault] and goes to the OnFault hook of the target's options.
//
// # For adapters
//
// [Registry] keeps listeners and delivers to them; packages link and hub make a
// whole adapter out of a message connection; package conformance proves it.
package eventtarget
