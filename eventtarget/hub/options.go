package hub

import (
	"errors"
	"runtime"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Options configures a [Hub]. A zero field means its default.
type Options struct {
	// Adapter names the kind of target in errors and faults. Default "hub".
	Adapter string
	// Limits bounds a message.
	Limits eventtarget.Limits
	// Framing appends the header of a message of n bytes, for transports whose
	// connections take framed messages: see [FrameWriter]. nil means none.
	Framing func(dst []byte, n int) []byte

	// LogBytes and LogEvents bound the log. A spoke that falls further behind
	// is disconnected. Default 16 MiB and 262144.
	LogBytes, LogEvents int
	// SpokeBytes and SpokeEvents bound what waits for one spoke alone. A spoke
	// that is over it is disconnected. Default 1 MiB and 16384.
	SpokeBytes, SpokeEvents int
	// Sweepers is how many goroutines write to the spokes. Default: one for
	// each processor, at most 8.
	Sweepers int

	// Relay passes what one spoke dispatches on to all the others.
	Relay bool
	// Echo makes the hub hear its own dispatches, once they are accepted.
	Echo bool

	// Heartbeat is how often a spoke is asked for a sign of life when it gave
	// none. Default 15 s; negative: never.
	Heartbeat time.Duration
	// Misses is how many unanswered ones end the connection. Default 2.
	Misses int
	// WriteTimeout disconnects a spoke that takes nothing for so long while
	// something waits for it. Default 5 s.
	WriteTimeout time.Duration

	// OnConnect is called for each spoke before anything that it sends is
	// heard. What it dispatches to the spoke arrives first, then the log from
	// where the spoke joined it.
	OnConnect func(s *Spoke)
	// OnDisconnect is called exactly once for each spoke for which OnConnect
	// was, when nothing more will be read from it. The spoke's own listeners are
	// removed afterwards. Events that wait in listeners' queues may still be
	// handled later.
	OnDisconnect func(s *Spoke, reason eventtarget.Reason)
	// OnFault hears the faults; nil logs them.
	OnFault func(eventtarget.Fault)
}

func (o Options) withDefaults() (Options, error) {
	for _, n := range []int{o.LogBytes, o.LogEvents, o.SpokeBytes, o.SpokeEvents, o.Sweepers, o.Misses} {
		if n < 0 {
			return o, errors.New("a bound is negative")
		}
	}
	o.Limits = o.Limits.WithDefaults()
	def(&o.Adapter, "hub")
	def(&o.LogBytes, 16<<20)
	def(&o.LogEvents, 1<<18)
	def(&o.SpokeBytes, 1<<20)
	def(&o.SpokeEvents, 1<<14)
	def(&o.Sweepers, min(runtime.GOMAXPROCS(0), 8))
	def(&o.Heartbeat, 15*time.Second)
	def(&o.Misses, 2)
	def(&o.WriteTimeout, 5*time.Second)
	return o, nil
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Meta is what an adapter knows of a connection.
type Meta struct {
	// ID names the spoke; empty: the hub makes one that cannot be guessed. It
	// must not be that of another spoke of the hub.
	ID string
	// Identity is who the peer proved to be, or empty.
	Identity string
	// Addr is the peer's network address, as far as known.
	Addr string
	// Path and Headers are what the adapter keeps of the request.
	Path    string
	Headers map[string]string
	// Since is where in the log the spoke begins: what [Hub.Position] returned
	// before the peer could know that it is connected. Zero: at the head.
	Since Position
}
