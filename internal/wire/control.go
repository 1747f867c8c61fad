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
)

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
