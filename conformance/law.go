package conformance

import "slices"

// Class is how binding a law is.
type Class string

// The classes.
const (
	Must       Class = "M" // on every adapter whose topology has such a cell
	Optional   Class = "O" // when the adapter declares the capability
	Stochastic Class = "S" // failing is real, passing is no proof
)

// Law is one promise.
type Law struct {
	ID        string
	Name      string
	Class     Class
	Statement string // what must hold
	Why       string // what goes wrong without it; printed when it fails

	run func(*T)
}

// Laws returns all laws, in order.
func Laws() []Law {
	return slices.Concat(addLaws, removeLaws, dispatchLaws, failureLaws, closeLaws, leakLaws,
		payloadLaws, limitLaws, foreignLaws, topologyLaws, hubLaws, spokeLaws, lifeLaws, connectionLaws, sessionLaws, gapLaws, loadLaws, slowLaws, busyLaws)
}
