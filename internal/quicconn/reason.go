package quicconn

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/quic-go/quic-go"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/identity"
)

// Reason is the reason behind an error of QUIC.
func Reason(err error) eventtarget.Reason {
	if r, ok := errors.AsType[eventtarget.Reason](err); ok {
		return r
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		r := eventtarget.ReasonOf(codeOf(uint64(e.ErrorCode)), e.ErrorMessage)
		r.Remote = e.Remote
		return r
	}
	r := eventtarget.Reason{Code: eventtarget.CodeLost, Text: err.Error()}
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok {
		r.Code = eventtarget.CodeTimeout
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok && !e.Remote {
		r.Code = eventtarget.CodeProtocol
	}
	return r
}

// codeOf returns the reason of an application error code. One that stands in no
// table is of a later version, and says nothing about the connection.
func codeOf(code uint64) eventtarget.Code {
	for c := eventtarget.CodeNormal; c <= eventtarget.CodeLost; c++ {
		if c.QUIC() == code {
			return c
		}
	}
	return eventtarget.CodeNormal
}

// cryptoError is what an alert of TLS is added to (RFC 9001 §4.8).
const cryptoError = 0x100

// Refusal returns what one end refused the other for, or nil if err is about
// something else.
func Refusal(err error) *identity.Error {
	e, ok := errors.AsType[*quic.TransportError](err)
	if !ok {
		return nil
	}
	if e.Remote && e.ErrorCode.IsCryptoError() {
		err = fmt.Errorf("%w: %w", err, tls.AlertError(e.ErrorCode-cryptoError))
	}
	return identity.Refusal(err, e.Remote)
}
