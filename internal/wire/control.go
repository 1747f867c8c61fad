package wire

import (
	"encoding/json"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// The types of the control messages of version 1; docs/protocol.md says what each
// means.
const (
	// Subscribe asks for topics, Subscribed answers with the same id, and
	// Unsubscribe needs no answer.
	Subscribe   = "__subscribe"
	Subscribed  = "__subscribed"
	Unsubscribe = "__unsubscribe"
	// Gap tells that events were lost before the next one.
	Gap = "__gap"
	// Refused tells that an event was not accepted.
	Refused = "__refused"
	// Hello opens or resumes a session, Welcome answers it, and Ack tells how much
	// was received.
	Hello   = "__hello"
	Welcome = "__welcome"
	Ack     = "__ack"
)

// Subprotocol is what offers sessions where a connection is made: the subprotocol of
// a WebSocket. SessionVersion is its version.
const (
	Subprotocol    = "eventtarget.v1"
	SessionVersion = 1
)

// Protocol returns the version of sessions that a connection has negotiated, 0 for none: see
// link.Negotiated.
func Protocol(conn any) int {
	if n, ok := conn.(interface{ Protocol() int }); ok {
		return n.Protocol()
	}
	return 0
}

// Counted tells whether a message has a number in a session: events have, and what
// stands in one order with them. What is said anew on each connection has not.
func Counted(messageType string) bool {
	switch messageType {
	case Hello, Welcome, Ack, Subscribe, Unsubscribe:
		return false
	}
	return true
}

// HelloPayload is the payload of Hello.
type HelloPayload struct {
	Version int `json:"version"`
	// Session and Received resume a session: its id, and the number of the last
	// message of it that was received.
	Session  string `json:"session,omitempty"`
	Received uint64 `json:"received,omitempty"`
	// Try counts the peer's attempts to resume it: an older one, which was held up on its
	// way, takes nothing from a newer one. 0: the peer does not count.
	Try uint64 `json:"try,omitempty"`
	// Place is how far the peer is in what a hub with a store has numbered.
	Place *Place `json:"place,omitempty"`
	// Window is how many bytes of messages may be sent and not yet acknowledged.
	Window int `json:"window,omitempty"`
	// Topics are those that are wanted; nil: what is sent unasked.
	Topics *[]string `json:"topics,omitempty"`
}

// WelcomePayload is the payload of Welcome.
type WelcomePayload struct {
	Version int    `json:"version"`
	Session string `json:"session"`
	// Resumed tells that the session goes on, and Received the number of the last
	// message that was received in it; otherwise it is a new one.
	Resumed  bool   `json:"resumed,omitempty"`
	Received uint64 `json:"received,omitempty"`
	// Place is where a new session begins, in what a hub with a store numbers.
	Place *Place `json:"place,omitempty"`
	// Refused are those of the topics that are not live, with reasons.
	Refused map[string]string `json:"refused,omitempty"`
}

// Place is how far somebody is in what a store has numbered.
type Place struct {
	Store string `json:"store"` // its name
	Seq   uint64 `json:"seq"`
}

// AckPayload is the payload of Ack: the number of the last message received.
type AckPayload struct {
	Received uint64 `json:"received"`
}

// TopicsPayload is the payload of Subscribe and Unsubscribe: topics and selectors
// in their text form.
type TopicsPayload struct {
	Topics []string `json:"topics"`
}

// SubscribedPayload is the payload of Subscribed. What is not refused is live.
type SubscribedPayload struct {
	Refused map[string]string `json:"refused,omitempty"` // topic: reason
}

// GapPayload is the payload of Gap. A Count of 0 means unknown.
type GapPayload struct {
	Count uint64 `json:"count"`
}

// RefusedPayload is the payload of Refused.
type RefusedPayload struct {
	Topic  string `json:"topic"`
	Reason string `json:"reason"`
}

// AppendControl appends a control message. The payload is one of the types here, which
// can always be marshalled.
func AppendControl(dst []byte, controlType, id string, payload any) []byte {
	text, _ := json.Marshal(payload)
	return Append(dst, &eventtarget.Event[eventtarget.Raw]{Type: controlType, ID: id, Payload: text})
}
