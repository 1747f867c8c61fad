package eventtarget

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxTypeBytes is the longest event type, in bytes.
	MaxTypeBytes = 128
	// MaxIDBytes is the longest event id, in bytes.
	MaxIDBytes = 256

	// Wildcard stands for everything in a selector: as the id for every id
	// of a type, as type and id for every event.
	Wildcard = "*"

	// ReservedPrefix begins the types of the protocol's own control events.
	// Applications can neither dispatch nor add them.
	ReservedPrefix = "__"
)

// Topic is what an event is about, or, with wildcards, a selector of topics.
//
// A type is 1 to 128 bytes of UTF-8 without ':', '*' or control characters
// and does not begin with "__". An id is 0 to 256 bytes of UTF-8 without
// control characters and is not "*". Comparison is by bytes: nothing is folded
// or normalised. Everything else is [ErrInvalidTopic] on every adapter (laws
// A05, B11).
type Topic struct{ Type, ID string }

// T returns the topic of a type and an id. T("chat", "42") is one subject,
// T("chat", "*") selects every id of a type and T("*", "*") selects every event.
// T does not check: the target that is given the topic does.
func T(eventType, id string) Topic { return Topic{Type: eventType, ID: id} }

// ParseTopic reads the text form of a topic: "chat:42", "chat:*", "*". The text
// is split at the first ':', so an id may contain one. "chat:" has the empty id;
// "chat" is an error. Every error is [ErrInvalidTopic].
func ParseTopic(s string) (Topic, error) {
	if s == Wildcard {
		return T(Wildcard, Wildcard), nil
	}
	eventType, id, found := strings.Cut(s, ":")
	if !found {
		return Topic{}, fmt.Errorf("%w: %q has no ':' (write %q for every id)", ErrInvalidTopic, clip(s), clip(s)+":*")
	}
	t := T(eventType, id)
	if err := t.CheckSelector(); err != nil {
		return Topic{}, err
	}
	return t, nil
}

// String returns the text form that [ParseTopic] reads.
func (t Topic) String() string {
	if t.Type == Wildcard && t.ID == Wildcard {
		return Wildcard
	}
	return t.Type + ":" + t.ID
}

// Check tells whether an event may be dispatched on t: nil, or [ErrInvalidTopic]
// with what is wrong.
func (t Topic) Check() error {
	if err := checkType(t.Type); err != nil {
		return err
	}
	return checkID(t.ID)
}

// CheckSelector tells whether a listener may be added on t: a topic that passes
// Check, or one with wildcards. The error is [ErrInvalidTopic].
func (t Topic) CheckSelector() error {
	switch {
	case t.Type == Wildcard && t.ID == Wildcard:
		return nil
	case t.Type == Wildcard:
		return fmt.Errorf("%w: type %q needs id %q, not %q", ErrInvalidTopic, Wildcard, Wildcard, clip(t.ID))
	case t.ID == Wildcard:
		return checkType(t.Type)
	}
	return t.Check()
}

// Matches tells whether an event on topic reaches a listener on selector t.
func (t Topic) Matches(topic Topic) bool {
	if t.Type == Wildcard {
		return t.ID == Wildcard
	}
	return t.Type == topic.Type && (t.ID == topic.ID || t.ID == Wildcard)
}

func (t Topic) isWildcard() bool { return t.ID == Wildcard }

func checkType(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("%w: the type is empty", ErrInvalidTopic)
	case len(s) > MaxTypeBytes:
		return fmt.Errorf("%w: the type has %d bytes, more than %d", ErrInvalidTopic, len(s), MaxTypeBytes)
	case strings.HasPrefix(s, ReservedPrefix):
		return fmt.Errorf("%w: type %q begins with the reserved %q", ErrInvalidTopic, clip(s), ReservedPrefix)
	case plain(s):
		return nil
	}
	for i := range len(s) {
		if s[i] == ':' || s[i] == '*' {
			return fmt.Errorf("%w: type %q contains %q", ErrInvalidTopic, clip(s), s[i])
		}
	}
	return checkText("type", s)
}

func checkID(s string) error {
	switch {
	case len(s) > MaxIDBytes:
		return fmt.Errorf("%w: the id has %d bytes, more than %d", ErrInvalidTopic, len(s), MaxIDBytes)
	case s == Wildcard:
		return fmt.Errorf("%w: the id of an event cannot be %q", ErrInvalidTopic, Wildcard)
	case plain(s):
		return nil
	}
	return checkText("id", s)
}

// plain tells whether s has but printable ASCII, and nothing that a type must not contain:
// one look at each byte, for topics are checked with every event.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == ':' || c == '*' {
			return false
		}
	}
	return true
}

// checkText refuses invalid UTF-8 and the control characters of Unicode (category
// Cc), which are what header, log and stream injection is made of.
func checkText(what, s string) error {
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: %s %q is not valid UTF-8", ErrInvalidTopic, what, clip(s))
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return fmt.Errorf("%w: %s %q contains a control character", ErrInvalidTopic, what, clip(s))
		}
	}
	return nil
}

// clip bounds what an error repeats of its input.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}
