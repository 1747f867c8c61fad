package eventtarget

import (
	"cmp"

	"github.com/eventtarget-go/toolkit/internal/option"
)

// Limits bounds one message. A zero field means its default; a negative one is an error
// where there is one to be had, see Check, and its default elsewhere. Both ends check:
// Dispatch refuses what is over the limit, with nothing sent, and a receiver
// refuses a peer that sends it all the same.
type Limits struct {
	// Message bounds type, id, payload and headers together, in bytes as the
	// application gave them, before escaping and framing. Default 1 MiB.
	Message int
	// Depth bounds how deep a payload's arrays and objects nest. Default 1000.
	Depth int
	// Headers bounds the number of headers. Default 16.
	Headers int
	// HeaderBytes bounds the name and value of one header together. Default 256.
	HeaderBytes int
}

// The defaults of [Limits].
const (
	DefaultMaxMessage     = 1 << 20
	DefaultMaxDepth       = 1000
	DefaultMaxHeaders     = 16
	DefaultMaxHeaderBytes = 256
)

// Check tells which of the limits is negative: no message would be within it. It is for
// adapters, before WithDefaults.
func (l Limits) Check() error {
	return cmp.Or(
		option.NotNegative("Limits.Message", l.Message),
		option.NotNegative("Limits.Depth", l.Depth),
		option.NotNegative("Limits.Headers", l.Headers),
		option.NotNegative("Limits.HeaderBytes", l.HeaderBytes),
	)
}

// WithDefaults returns l with the defaults in its fields that are zero or negative.
func (l Limits) WithDefaults() Limits {
	if l.Message <= 0 {
		l.Message = DefaultMaxMessage
	}
	if l.Depth <= 0 {
		l.Depth = DefaultMaxDepth
	}
	if l.Headers <= 0 {
		l.Headers = DefaultMaxHeaders
	}
	if l.HeaderBytes <= 0 {
		l.HeaderBytes = DefaultMaxHeaderBytes
	}
	return l
}
