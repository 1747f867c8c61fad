package identity

import (
	"crypto/tls"
	"errors"
	"fmt"
)

// Check is one of the things that must be right before two ends talk.
type Check uint8

const (
	// CheckCertificate: the peer shows a certificate, and a sound one.
	CheckCertificate Check = iota + 1
	// CheckValidity: the certificate's time has come and is not over.
	CheckValidity
	// CheckPin: the peer's key is pinned, or the function allows it.
	CheckPin
	// CheckAuthority: the certificate is of a known authority, and for the name.
	CheckAuthority
	// CheckProtocol: both ends speak the same protocol and version.
	CheckProtocol
)

// checks are the words of each check and the alert that tells it to the peer (RFC
// 8446 §6.2, RFC 7301 §3.2).
var checks = [...]struct {
	text  string
	alert tls.AlertError
}{
	CheckCertificate: {"certificate", 116}, // certificate_required
	CheckValidity:    {"validity", 45},     // certificate_expired
	CheckPin:         {"pin", 46},          // certificate_unknown
	CheckAuthority:   {"authority", 48},    // unknown_ca
	CheckProtocol:    {"protocol", 120},    // no_application_protocol
}

// String returns the check in a word.
func (c Check) String() string {
	if c == 0 || int(c) >= len(checks) {
		return fmt.Sprintf("check(%d)", uint8(c))
	}
	return checks[c].text
}

// Error says that one end refused the other, and at which check.
type Error struct {
	Check Check
	// Remote tells that the peer refused this end.
	Remote bool
	// Err is the cause, as far as it is known.
	Err error
}

// Error returns which check failed, at which end, and why.
func (e *Error) Error() string {
	who := "refused the peer"
	if e.Remote {
		who = "refused by the peer"
	}
	s := "identity: " + who + ": " + e.Check.String()
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause, and the alert with which crypto/tls tells the peer.
func (e *Error) Unwrap() []error {
	if int(e.Check) >= len(checks) {
		return []error{e.Err}
	}
	return []error{e.Err, checks[e.Check].alert}
}

// Refusal returns the Error behind what a handshake failed with: the one of this
// end's own check, or one made of the alert, a [tls.AlertError] in err's chain, that
// this end sent (remote false) or got (remote true). It returns nil if err is
// about something else.
func Refusal(err error, remote bool) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	alert, ok := errors.AsType[tls.AlertError](err)
	if !ok {
		return nil
	}
	switch alert {
	case 42, 43, 44: // bad_certificate, unsupported_certificate, certificate_revoked
		return &Error{Check: CheckCertificate, Remote: remote, Err: err}
	}
	for c := CheckCertificate; int(c) < len(checks); c++ {
		if checks[c].alert == alert {
			return &Error{Check: c, Remote: remote, Err: err}
		}
	}
	return nil
}
