package eventtarget

import (
	"fmt"
	"log/slog"
)

// Fault is something that went wrong and that no call could return. Every
// target hands its faults to one hook, the OnFault of its options; the hook is
// called on the goroutine that met the fault, possibly several at a time, with
// no lock held, and must be quick.
type Fault struct {
	Kind FaultKind
	// Adapter names the kind of target, as in [Error].
	Adapter string
	// Topic is the topic concerned; zero when there is none.
	Topic Topic
	// Peer is the id of the peer concerned; empty when there is none.
	Peer string
	// Count is how many events are concerned; 0 means unknown.
	Count uint64
	// Err is the cause; it may be nil.
	Err error
	// Stack is where a panic happened; nil for other kinds.
	Stack []byte
}

// Error makes a Fault printable, and usable where an error is wanted.
func (f Fault) Error() string {
	s := "eventtarget: "
	if f.Adapter != "" {
		s += f.Adapter + ": "
	}
	s += f.Kind.String()
	if f.Topic != (Topic{}) {
		s += " " + f.Topic.String()
	}
	if f.Peer != "" {
		s += " peer " + f.Peer
	}
	if f.Count != 0 {
		s += fmt.Sprintf(" (%d events)", f.Count)
	}
	if f.Err != nil {
		s += ": " + f.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (f Fault) Unwrap() error { return f.Err }

// LogValue makes a Fault loggable, as a group with the keys kind, adapter, topic, peer,
// count, error and stack. What the fault does not have is absent. The keys are stable.
func (f Fault) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", f.Kind.String())}
	add := func(there bool, a slog.Attr) {
		if there {
			attrs = append(attrs, a)
		}
	}
	add(f.Adapter != "", slog.String("adapter", f.Adapter))
	add(f.Topic != (Topic{}), slog.String("topic", f.Topic.String()))
	add(f.Peer != "", slog.String("peer", f.Peer))
	add(f.Count != 0, slog.Uint64("count", f.Count))
	if f.Err != nil {
		attrs = append(attrs, slog.String("error", f.Err.Error()))
	}
	add(len(f.Stack) > 0, slog.String("stack", string(f.Stack)))
	return slog.GroupValue(attrs...)
}

// FaultKind classifies a [Fault].
type FaultKind uint8

const (
	// FaultPanic: a listener panicked, or ended its goroutine.
	FaultPanic FaultKind = iota + 1
	// FaultDecode: a message or a payload could not be decoded.
	FaultDecode
	// FaultOverflow: a queue is full and events are being dropped. Told once,
	// until its listener has handled all that waited.
	FaultOverflow
	// FaultGap: Count events (0: unknown) were lost before the next one.
	FaultGap
	// FaultDiscarded: Close discarded Count accepted events.
	FaultDiscarded
	// FaultDisconnected: the connection was lost, for the reason in Err.
	FaultDisconnected
	// FaultReconnected: the connection is back.
	FaultReconnected
	// FaultDispatch: an event could not be passed on, by a bridge for example.
	FaultDispatch
)

// String returns the kind in a word.
func (k FaultKind) String() string {
	switch k {
	case FaultPanic:
		return "panic"
	case FaultDecode:
		return "decode"
	case FaultOverflow:
		return "overflow"
	case FaultGap:
		return "gap"
	case FaultDiscarded:
		return "discarded"
	case FaultDisconnected:
		return "disconnected"
	case FaultReconnected:
		return "reconnected"
	case FaultDispatch:
		return "dispatch"
	default:
		return fmt.Sprintf("fault(%d)", uint8(k))
	}
}

// FaultReporter is implemented by targets that accept faults from what is built
// on top of them, such as a [Typed] view whose codec refuses a payload. All
// targets of this toolkit do.
type FaultReporter interface {
	ReportFault(f Fault)
}
