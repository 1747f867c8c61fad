package hub

import (
	"context"
	"iter"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Store keeps what a hub needs to go on with its sessions when its process has died: the
// events that were dispatched to all, which sessions there are, and how much their peers'
// messages were taken in. What is acknowledged to a peer, and what Dispatch has accepted,
// the store has. Package filestore has one.
//
// What is dispatched to single spokes, groups and other audiences is not kept, nor what is
// retained, nor a snapshot: a spoke that was sent something of its own is told a gap of
// unknown size when it comes back to another process, and so is one that hears events
// conflated, or that may have been of a group, or another audience, to which something was
// dispatched before it was back. Listeners in the hub's own process die with it, and with them what they had
// not heard, unless [Hub.Redeliver] was called.
type Store interface {
	// Restore yields what is kept, the oldest first. The hub calls it once, before
	// anything else. New waits for its end and returns its error: a store that may be out
	// of reach bounds how long it waits for it.
	Restore() iter.Seq2[Record, error]
	// Append keeps records: all of them, or as many of the first ones as it can before
	// it returns an error. After an error, which is one of an unknown outcome for who
	// waits, the hub accepts nothing more. The hub calls it
	// from one goroutine, with as many records as have come together meanwhile.
	Append(records []Record) error
}

// SharedStore is a Store that several hubs have at once, which makes them one hub: a log.
// What any of them appends, all apply, in the one order in which it stands there; accepted
// means that the log has it and that the hub has applied it. So a session goes on at any of
// them, also while the hub that it was at lives, with nothing lost: whoever a peer comes back
// to says so in the log, and from there on nothing counts that the other one says. What is
// dispatched to a group or an identity is kept, too.
//
// It is for hubs that relay: what a spoke sends to the listeners of one that does not, those
// of others do not hear. If one of them is Bridged all are to be: of what bridges bring to more
// than one the log has every copy, the hubs apply the first one, and their own listeners hear
// it without a Source. A hub that begins when the log has lost the first one applies another,
// as long as bridges bring them. See [Hub.Join] for joining hubs without waiting for a log, and for
// counting over all of them.
type SharedStore interface {
	Store
	// Follow yields what the hubs have appended, this one's included, behind what Restore
	// has yielded, each with its number in Seq, which grow. Where the log has lost some it
	// yields a RecordLost. It ends with ctx; an error ends it, too, and the hub accepts
	// nothing more. A record that was appended twice, because the outcome of the first
	// attempt was not known, it yields once. Append tries again by itself as long as that
	// may be of use.
	Follow(ctx context.Context) iter.Seq2[Record, error]
}

// Record is one thing that a [Store] keeps.
type Record struct {
	Kind RecordKind `json:"kind"`
	// Hub is the hub that appended it, and Ref its own number for it, in a [SharedStore].
	Hub string `json:"hub,omitempty"`
	Ref uint64 `json:"ref,omitempty"`
	// Own tells that an event was dispatched by a hub's own process, in a SharedStore.
	Own bool `json:"own,omitempty"`
	// Group or Identity is whom a RecordAddressed is for, and Close what it is instead of
	// a message.
	Group    string              `json:"group,omitempty"`
	Identity string              `json:"identity,omitempty"`
	Close    *eventtarget.Reason `json:"close,omitempty"`
	// Session is the session that the record is about; for an event that of the spoke
	// that dispatched it, or empty.
	Session string `json:"session,omitempty"`
	// Try is which of its peer's attempts to resume the session this is of; 0: not known.
	Try uint64 `json:"try,omitempty"`
	// Received is how many messages of the session's peer are taken in, with this one.
	Received uint64 `json:"received,omitempty"`
	// Name is the store's name, or the identity that opened a session.
	Name string `json:"name,omitempty"`
	// Seq is the number of an event, which grow by one; with the name, that of the last
	// event before. In a SharedStore, which gives it, it is that of any record.
	Seq uint64 `json:"seq,omitempty"`
	// Except are the sessions that an event is not for.
	Except []string `json:"except,omitempty"`
	// Message is an event's envelope. One that a store yields is the hub's, whose listeners
	// may change it.
	Message []byte `json:"message,omitempty"`
	// Local is the number of an event that the hub's own listeners are to have handled,
	// which grow by one, in a record of any kind; in a RecordHandled, up to where they
	// have, and Seq is the last number then.
	Local uint64 `json:"local,omitempty"`
}

// RecordKind is what a [Record] is.
type RecordKind uint8

// The kinds of records.
const (
	RecordName     RecordKind = iota + 1 // the store's name: the first record
	RecordEvent                          // an event that was dispatched to all
	RecordReceived                       // a message that was taken in, and is no such event
	RecordOpened                         // a session begins
	RecordOwn                            // a session is sent something of its own
	RecordEnded                          // a session is over
	RecordHandled                        // the hub's own listeners are done with events

	// In a SharedStore only:

	RecordMoved     // a session goes on at the hub that says so
	RecordAddressed // an event for a group or an identity, or that those are to go
	RecordAlive     // a sign of life
	RecordLost      // not appended: what stood before this number is lost
)
