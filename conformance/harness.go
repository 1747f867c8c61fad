package conformance

import (
	"context"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// Topology is how the endpoints of a rig are joined.
type Topology string

// The topologies.
const (
	Local Topology = "local" // one endpoint, which hears itself
	Bus   Topology = "bus"   // everyone to everyone
	Link  Topology = "link"  // two ends
	Hub   Topology = "hub"   // endpoint 0 is the hub, the others are its spokes
)

// Capabilities is what an adapter declares of itself. The suite verifies it, both
// ways where that can be seen, and prints it as the adapter's card.
type Capabilities struct {
	Topology Topology
	// Wire tells that payloads are carried as JSON text within limits. Without
	// it the Go value itself is carried: there is nothing to measure, to copy
	// or to be malformed.
	Wire bool
	// Echo tells that an endpoint hears its own dispatches, as a Local one always does.
	Echo bool
	// Relay tells that a hub passes on what a spoke sends to the others.
	Relay bool
	// Source tells that an event names the peer that it came from.
	Source bool
	// Identity tells that a hub's spokes have proved who they are.
	Identity bool
	// Backplane tells that the endpoints of a bus are on several hubs, over
	// which one endpoint's order holds.
	Backplane bool
	// ReceiveOnly tells that the spokes of a hub only listen: their Dispatch is
	// [errors.ErrUnsupported].
	ReceiveOnly bool
	// Reconnects tells that an endpoint connects again by itself.
	Reconnects bool
	// Resumes tells that nothing is lost then: what was dispatched meanwhile at
	// either end is heard once the connection is back. It implies Reconnects.
	Resumes bool
	// Retains tells that a hub keeps the last event of the topics that Setup.Retain
	// names, for those who join.
	Retains bool
	// Replaces tells that a hub's spokes are of one identity where Setup.Replace asks
	// for that, and that a later one replaces the one before.
	Replaces bool
	// AtLeastOnce tells that what an endpoint's listeners had not finished with when its
	// process died is delivered again: that of a hub, and any of a bus.
	AtLeastOnce bool
	// Ordering is what holds beyond each dispatcher's own order, which always
	// does: "total" or nothing.
	Ordering string
	// Delivery is for the card. Default "at most once".
	Delivery string
}

// Harness makes rigs for the laws to run on.
type Harness struct {
	Name string
	Caps Capabilities
	// New makes a fresh rig, connected and ready: what an endpoint dispatches
	// from then on must be heard wherever it reaches.
	New func(ctx context.Context, s Setup) (*Rig, error)
	// Open opens a target by URL, and URL returns one that works, for law C19.
	Open func(ctx context.Context, url string) (eventtarget.Endpoint, error)
	URL  string
	// Timeout is how long one law may take before it counts as hanging. Default
	// [Watchdog].
	Timeout time.Duration
	// Skip names laws that cannot be asked of this harness, with the reason.
	Skip map[string]string
}

func (h Harness) timeout() time.Duration {
	if h.Timeout == 0 {
		return Watchdog
	}
	return h.Timeout
}

// Setup is what a law asks of a rig.
type Setup struct {
	// Endpoints is how many there are. A Local rig has 1 and a Link 2, whatever
	// stands here.
	Endpoints int
	// MaxMessage is the limit of a message; 0 is the default one.
	MaxMessage int
	// Outgoing is how many events a link's way out holds, a spoke's too, and a hub's, for all and
	// for one spoke; Overflow is what Dispatch does when a link's is full. 0 is the
	// default of each.
	Outgoing int
	Overflow eventtarget.Overflow
	// Heartbeat is how often a peer is asked for a sign of life; 0 is the
	// default.
	Heartbeat time.Duration
	// Backoff is the longest pause before a spoke connects again; 0: a short one.
	Backoff time.Duration
	// WriteTimeout is how long a spoke may take nothing while something waits for
	// it; 0 is the default.
	WriteTimeout time.Duration
	// Session is how long a session outlives its connection.
	Session time.Duration
	// Retain tells of which topics a hub keeps the last event; nil: of none.
	Retain func(t eventtarget.Topic) bool
	// Replace makes all spokes one identity, of which a hub has one spoke.
	Replace bool
	// OnFault must be called for each fault of an endpoint.
	OnFault func(endpoint int, f eventtarget.Fault)
	// OnConnect and OnDisconnect must be called by a hub for each spoke.
	OnConnect    func(p eventtarget.Peer)
	OnDisconnect func(p eventtarget.Peer, reason eventtarget.Reason)
}

// Limits returns the limits that the setup asks for.
func (s Setup) Limits() eventtarget.Limits { return eventtarget.Limits{Message: s.MaxMessage} }

// FaultsOf returns the OnFault of one endpoint.
func (s Setup) FaultsOf(endpoint int) func(eventtarget.Fault) {
	return func(f eventtarget.Fault) { s.OnFault(endpoint, f) }
}

// Rig is a set of connected endpoints.
type Rig struct {
	Endpoints []eventtarget.Endpoint
	// Lanes are types of events of which no two have a common order, one for each order
	// that a dispatcher's events have: what was dispatched is known to have arrived when
	// an event behind it, of each lane, has. nil: a dispatcher's events have one order.
	Lanes []string
	// Reaches is the reach matrix. nil: the one of the capabilities.
	Reaches func(from, to int) bool
	// Close takes down what the endpoints' own Close does not.
	Close func()

	// Spokes returns the hub's spokes, and Spoke the one that is an endpoint.
	Spokes func() []eventtarget.Peer
	Spoke  func(endpoint int) eventtarget.Peer
	// Kill breaks the connection of an endpoint without a word, for good.
	Kill func(endpoint int)
	// Sever breaks it and Heal lets it connect again; Heal returns when it has.
	Sever, Heal func(endpoint int)
	// Crash ends an endpoint that delivers at least once as the death of its process
	// does, and begins it anew from what it has kept, in the same place of Endpoints:
	// listen is called with it before anything is delivered.
	Crash func(endpoint int, listen func(eventtarget.Endpoint) error) error
	// Stall makes an endpoint stop reading and Resume makes it read again.
	Stall, Resume func(endpoint int)
	// Shred makes what an endpoint sends and receives cross a byte at a time.
	Shred func(endpoint int)
	// Foreign connects a plain peer to endpoint 0: a connection on which the
	// law itself writes and reads messages. It returns when the endpoint has let it
	// in: what is dispatched from then on must reach it. One that was let in and
	// closed in OnConnect is returned with ErrGone.
	Foreign func() (link.Conn, error)
	// Session is Foreign for a peer that has negotiated sessions, for laws that write
	// its greeting themselves. It returns without waiting for that.
	Session func() (link.Conn, error)
}

// reaches is the matrix that follows from the capabilities.
func (c Capabilities) reaches(from, to int) bool {
	switch {
	case c.ReceiveOnly && from != 0:
		return false
	case from == to:
		return c.Echo || c.Topology == Local
	case c.Topology == Hub && from != 0 && to != 0:
		return c.Relay
	default:
		return true
	}
}

func (c Capabilities) endpoints(asked int) int {
	switch c.Topology {
	case Local:
		return 1
	case Link:
		return 2
	case Hub:
		return max(asked, 2)
	default:
		return max(asked, 1)
	}
}
