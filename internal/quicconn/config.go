package quicconn

import (
	"cmp"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/internal/option"
)

// What both ends must speak (RFC 7301): plain envelopes, or sessions too.
const (
	PlainProtocol   = "eventtarget/1"
	SessionProtocol = "eventtarget-session/1"
)

// Protocols returns what an end offers, what it wants most first.
func Protocols(sessions bool) []string {
	if sessions {
		return []string{SessionProtocol, PlainProtocol}
	}
	return []string{PlainProtocol}
}

const (
	firstWindow = 64 << 10
	maxWindow   = 512 << 10
)

// Times are how long things may take; zero is the default. Both ends have them as options,
// HandshakeTimeout, IdleTimeout and KeepAlive.
type Times struct {
	Handshake time.Duration // 5 s
	Idle      time.Duration // 10 s
	KeepAlive time.Duration // 3 s; negative: none
}

// WithDefaults returns the times with the defaults, or what is wrong with them.
func (t Times) WithDefaults() (Times, error) {
	if err := cmp.Or(option.NotNegative("HandshakeTimeout", t.Handshake), option.NotNegative("IdleTimeout", t.Idle)); err != nil {
		return t, err
	}
	def(&t.Handshake, 5*time.Second)
	def(&t.Idle, 10*time.Second)
	def(&t.KeepAlive, 3*time.Second)
	return t, nil
}

func def(field *time.Duration, value time.Duration) {
	if *field == 0 {
		*field = value
	}
}

// Config returns the configuration of one end, at which the other may open so many
// streams (negative: none). There are no datagrams, no streams of one direction and
// no 0-RTT, which could be replayed.
func Config(t Times, streams int64) *quic.Config {
	return &quic.Config{
		// A handshake is given up after twice this time, or without a packet for
		// once.
		HandshakeIdleTimeout:           t.Handshake / 2,
		MaxIdleTimeout:                 t.Idle,
		KeepAlivePeriod:                max(t.KeepAlive, 0),
		InitialStreamReceiveWindow:     firstWindow,
		MaxStreamReceiveWindow:         maxWindow,
		InitialConnectionReceiveWindow: firstWindow,
		MaxConnectionReceiveWindow:     maxWindow,
		MaxIncomingStreams:             streams,
		MaxIncomingUniStreams:          -1,
		RequireStreamCreditRelease:     true, // the only stream is not followed by another
	}
}
