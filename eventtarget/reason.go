package eventtarget

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Code is why a connection ended, whatever carried it. The table in this file
// is the only place where it meets the numbers of a protocol.
type Code uint8

const (
	// CodeNormal: the work is done.
	CodeNormal Code = iota
	// CodeGoingAway: the end that closes is shutting down.
	CodeGoingAway
	// CodeRestart: the end that closes will be back.
	CodeRestart
	// CodeProtocol: the peer broke the transport's protocol.
	CodeProtocol
	// CodeMalformed: the peer sent something that is not an envelope.
	CodeMalformed
	// CodePolicy: the peer did, or is, something that is not allowed.
	CodePolicy
	// CodeTooLarge: the peer sent a message over the limit.
	CodeTooLarge
	// CodeInternal: the end that closes failed.
	CodeInternal
	// CodeTryLater: the end that closes is overloaded.
	CodeTryLater
	// CodeSlow: the peer reads too slowly: it fell off the log or stalled.
	CodeSlow
	// CodeTimeout: the peer missed its heartbeats. It can hardly be told.
	CodeTimeout
	// CodeExpired: what the peer proved holds no longer; it may come back with a
	// new proof.
	CodeExpired
	// CodeLost: the connection broke without a word. Never sent.
	CodeLost
)

// codes maps every reason to its number in each protocol: the close codes of
// WebSocket (RFC 6455 §7.4.1 and the IANA registry; 4000 and up are private), the
// application error codes of QUIC (RFC 9000 §20.2: ours to choose), the status
// of HTTP (RFC 9110 §15) and the exit status of a process.
var codes = [...]struct {
	name      string
	webSocket int
	quic      uint64
	http      int
	exit      int
}{
	CodeNormal:    {"normal", 1000, 0x0, 200, 0},
	CodeGoingAway: {"going away", 1001, 0x1, 503, 0},
	CodeRestart:   {"restart", 1012, 0x2, 503, 0},
	CodeProtocol:  {"protocol error", 1002, 0x3, 400, 76},
	CodeMalformed: {"malformed message", 1007, 0x4, 400, 65},
	CodePolicy:    {"not allowed", 1008, 0x5, 403, 77},
	CodeTooLarge:  {"message too large", 1009, 0x6, 413, 65},
	CodeInternal:  {"internal error", 1011, 0x7, 500, 70},
	CodeTryLater:  {"try again later", 1013, 0x8, 503, 75},
	CodeSlow:      {"reads too slowly", 4008, 0x9, 408, 75},
	CodeTimeout:   {"no heartbeat", 4009, 0xa, 408, 75},
	CodeExpired:   {"credentials expired", 4001, 0xc, 401, 77},
	CodeLost:      {"connection lost", 1006, 0xb, 502, 75},
}

// String returns the reason in words.
func (c Code) String() string {
	if int(c) >= len(codes) {
		return fmt.Sprintf("code(%d)", uint8(c))
	}
	return codes[c].name
}

// told is the code that stands for c where protocols have numbers: one that is not in the
// table, which another hub may have sent, is told as CodeInternal.
func (c Code) told() Code {
	if int(c) >= len(codes) {
		return CodeInternal
	}
	return c
}

// WebSocket returns the WebSocket close code. 1006 is never sent.
func (c Code) WebSocket() int { return codes[c.told()].webSocket }

// QUIC returns the QUIC application error code.
func (c Code) QUIC() uint64 { return codes[c.told()].quic }

// HTTP returns the HTTP status.
func (c Code) HTTP() int { return codes[c.told()].http }

// Exit returns the exit status of a process (sysexits.h where it has one).
func (c Code) Exit() int { return codes[c.told()].exit }

// CodeOfWebSocket returns the reason of a WebSocket close code. A code that
// stands in no table is [CodeNormal] when it is 1005 (none was given), otherwise
// [CodeProtocol] below 3000 and [CodeNormal] from there on: an application's
// own code says nothing about the connection.
func CodeOfWebSocket(code int) Code {
	for c := range codes {
		if codes[c].webSocket == code {
			return Code(c)
		}
	}
	switch {
	case code == 1005:
		return CodeNormal
	case code < 3000:
		return CodeProtocol
	default:
		return CodeNormal
	}
}

// Reason is why a connection ended: a code and, if there is one, a text from
// whoever ended it. It is an error so that a cause can be wrapped and found
// again with [errors.AsType].
type Reason struct {
	Code Code
	Text string
	// Remote tells that the peer ended the connection.
	Remote bool
	// Retry is after how long the end that closed wants to see the peer again, to
	// the millisecond. Zero: it does not say.
	Retry time.Duration
}

// Message returns what a protocol that carries a text says: the text, and behind it
// the hint when to retry. [ReasonOf] reads it.
func (r Reason) Message() string {
	if r.Retry <= 0 {
		return r.Text
	}
	return strings.TrimSpace(r.Text + retryMark + strconv.FormatInt(r.Retry.Milliseconds(), 10))
}

const retryMark = " retry-ms="

// ReasonOf returns a peer's reason: a code and a message as [Reason.Message] wrote it,
// or any other text.
func ReasonOf(code Code, message string) Reason {
	r := Reason{Code: code, Text: message, Remote: true}
	if at := strings.LastIndex(" "+message, retryMark); at >= 0 {
		ms, err := strconv.ParseUint(message[at+len(retryMark)-1:], 10, 31)
		if err == nil {
			r.Text = strings.TrimSpace(message[:at])
			r.Retry = time.Duration(ms) * time.Millisecond
		}
	}
	return r
}

// Error returns the code's words and the text.
func (r Reason) Error() string {
	if r.Text == "" {
		return r.Code.String()
	}
	return r.Code.String() + ": " + r.Text
}
