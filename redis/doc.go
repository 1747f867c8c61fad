// Package redis is an event target on a Redis server: a bus across machines, on
// Pub/Sub or, durable, on a stream.
//
// # Usage
//
//	t, err := redis.New("redis://127.0.0.1:6379", nil)
//	err = t.Ready(ctx)
//
// All targets with the same prefix on the same server are one bus: what one
// dispatches, all hear. A target connects by itself, and again when the connection is
// lost. Listeners stay through that. A redis+cluster:// URL makes a bus on a Redis
// Cluster, by sharded Pub/Sub, that follows its slots. docs/redis.md says which channels there are and
// which rights an ACL user needs.
//
// # Delivery
//
// Dispatch returns when Redis has confirmed that it passed the event on, Add when
// Redis has confirmed that it sends what is asked for. Redis keeps nothing: who is not
// connected does not hear. A target hears itself unless told not to, without the way
// through Redis.
//
// A durable bus ([Options].Durable) is a log. Accepted means that Redis has stored the
// event, and a target that was cut off goes on where it was.
//
// With [Options].Group the targets of that name share the log's events: each event is
// heard by one of them, at least once, and confirmed when its listeners have returned.
// What a member has left that died is given to another, with Redelivered set.
//
// # Ordering
//
// One goroutine's events reach each listener in the order of its Dispatch calls, over
// all topics. Events of different targets have no common order. On a cluster with more
// than one of [Options].Shards that holds for the topics of each type alone. The exception
// of [Target.DispatchAll] is told there.
//
// # Slow listeners
//
// Queued listeners hold up nobody. While an Inline listener, or one with Block, does,
// what arrives waits in a bounded inbox; what finds no room there is told as a gap. On a
// durable bus reading waits instead. A group's member takes more when its listeners, all
// of which are called one after the other, have returned.
//
// # Errors and faults
//
// Dispatch returns [eventtarget.ErrUnknownOutcome] when the connection broke before
// Redis answered; an event is never delivered twice. When the connection for listening
// breaks, the faults are FaultDisconnected, FaultReconnected and, before the next
// event, one FaultGap. Messages are numbered, so that one that is lost without a cut is
// told, too. On a durable bus Dispatch tries again for a while first, and there is a
// gap only when the log no longer has what is missing. What other programs publish and
// is no event is counted, and told as FaultDecode. A server that refuses the first
// login with NOAUTH, WRONGPASS or NOPERM is not asked again: the target closes, and
// Ready tells why.
//
// # Closing
//
// Close cuts both connections. Shutdown first waits for what is being published, and
// lets listeners finish what has arrived; what a group's member had at a Close is
// given to others.
//
// # Limits
//
// Those of [eventtarget.Limits] for a message, and InboxEvents and InboxBytes. Redis 6
// or later; 7 for a durable bus and for a cluster. A durable bus is on no cluster.
package redis
