package hub

import (
	"cmp"
	"fmt"
	"runtime"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/option"
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

	// LogBytes and LogEvents bound the log. Default 16 MiB and 262144. With a Store,
	// what is kept in memory for sessions that come back from another process is
	// within the same bounds once more, and so is what waits for the store: see Store.
	LogBytes, LogEvents int
	// SpokeBytes and SpokeEvents bound what waits for one spoke alone. Default 1 MiB
	// and 16384. SpokeBytes, and 256 events, bound what of one spoke waits for a Store, too.
	SpokeBytes, SpokeEvents int
	// InboxBytes bounds what waits in all of that together: over it, a spoke for
	// which something waits already is as if over its own bounds. Default 64 MiB.
	InboxBytes int
	// Overflow is what happens to a spoke that is over its bounds, or whose place
	// has left the log: [eventtarget.Disconnect] (the default) ends it;
	// [eventtarget.DropOldest] drops what has waited longest and tells the spoke a
	// gap; [eventtarget.Conflate] keeps only the last event of each topic as long as
	// they wait, and costs an entry for each event and spoke; [eventtarget.Block]
	// makes Dispatch wait for every spoke, until one takes nothing for WriteTimeout
	// and is ended. See [Spoke.SetOverflow].
	Overflow eventtarget.Overflow
	// Sweepers is how many goroutines write to the spokes. Default: one for each processor, at
	// most 8.
	Sweepers int

	// Relay passes what one spoke dispatches on to all the others.
	Relay bool
	// Echo makes the hub hear its own dispatches, once they are accepted.
	Echo bool

	// Bridged is for a hub that [eventtarget.Bridge] joins with others in more than one
	// way, as in a ring; all of them are to have it. The hub gives what it accepts for all a
	// header, [eventtarget.BridgeHeader], of about 50 bytes. What comes with one it accepts
	// once: a repeat among the last 65536 such events since the hub began is dropped for
	// everybody, and taken for accepted where it came from. Its own listeners hear what a
	// bridge brings as if a spoke had sent it, without Echo too; each dispatcher's events
	// stay in order, unless a listener holds up the hub for longer than WriteTimeout, or
	// what a bridge did not carry for want of room comes another way.
	//
	// An event without room for the header, by Limits, goes without it, and no bridge to
	// a target with the same Limits can carry it. What is for some spokes only has none.
	Bridged bool
	// BridgedBy tells which spokes are the ends of other hubs' bridges, and so may send
	// [eventtarget.BridgeHeader]: what any other sends goes on without it, since whoever makes
	// one up keeps another event from all whom bridges join. It is asked for each message that has
	// the header, and must be quick. Where it panics the answer is no, and that is a
	// [eventtarget.FaultPanic]. nil: every spoke may send it; a hub with bridges and spokes that are
	// not to be trusted so far needs it.
	BridgedBy func(s *Spoke) bool

	// OnlySubscribed makes a spoke hear nothing of what is dispatched to all until
	// it subscribes. By default one that has never subscribed hears everything.
	OnlySubscribed bool
	// Subscriptions is how many topics a spoke may subscribe to. Default 128.
	Subscriptions int
	// Snapshot returns what a spoke that subscribes to t is to hear first, and the
	// position that this belongs to: what [Hub.Position] returned while the state
	// could not change. What is dispatched from there on follows, once; what was before, and
	// is not out yet, the snapshot has, also for whom another topic brings it. It is called
	// on the spoke's reader; what is dispatched meanwhile waits.
	Snapshot func(s *Spoke, t eventtarget.Topic) ([]eventtarget.Event[eventtarget.Raw], Position)
	// Retain tells for which topics the last event is kept, for those who subscribe
	// later. It is called before each event is dispatched, by the goroutines that do, at the
	// same time; it must be quick and must not call the hub. Where it panics nothing is kept,
	// and that is a [eventtarget.FaultPanic]. nil: for none.
	Retain func(t eventtarget.Topic) bool
	// RetainTopics and RetainBytes bound those, and what they take, about 300 bytes each
	// beside the message: the least recently dispatched one gives way, but for the last one.
	// Default 65536 and 64 MiB. Who asks for more of them than SpokeBytes and SpokeEvents allow is
	// told a gap, and gets the last of them.
	RetainTopics, RetainBytes int

	// Authorize is asked for each topic that a spoke subscribes to and for each
	// event that it dispatches; a spoke that may not subscribe to everything hears
	// nothing unasked. The text of its error is told to the peer. It must be quick. Where
	// it panics the answer is no, and that is a [eventtarget.FaultPanic]. nil allows
	// everything.
	Authorize func(s *Spoke, op Op, t eventtarget.Topic) error
	// Duplicates is what a second spoke with an identity that is there does.
	// Default [Allow].
	Duplicates Duplicates
	// Spokes and SpokesPerAddr bound how many there are, in all and from one
	// address (IPv4) or /64 prefix (IPv6). Default 0: any number.
	Spokes, SpokesPerAddr int
	// Rate is how many messages a spoke may send in a second, on average, and Burst
	// how many at once; one that sends more is read more slowly. Default 0: any; with a
	// Rate, Burst defaults to 100.
	Rate  float64
	Burst int
	// FirstMessage ends a spoke that has sent nothing for so long after it
	// connected; not one that can only listen. Default 0: never.
	FirstMessage time.Duration

	// SessionTimeout is how long a session outlives its connection. Until then the
	// spoke is down and what is dispatched to it is kept, within its bounds and the
	// log's. Default 1 min; negative: there are no sessions. See package link.
	SessionTimeout time.Duration
	// Store keeps what sessions need to go on in another process when this one has
	// died; nil: they die with it. With it, what is dispatched to all is accepted when
	// the store has it. If more waits for that than LogBytes and LogEvents, Dispatch waits
	// for room, bounded by its context: the error is [eventtarget.ErrOverflow] then, and
	// the event was not accepted. What spokes send waits likewise, unread.
	Store Store
	// Heartbeat is how often a spoke is asked for a sign of life when it gave
	// none since the last time; an answer is one, so that an idle spoke is asked every
	// other time. Default 15 s; negative: never.
	Heartbeat time.Duration
	// Misses is how many unanswered ones end the connection. Default 2.
	Misses int
	// WriteTimeout disconnects a spoke that does not take one message, or one write of
	// several, in so long while something waits for it: over a slow network it must be
	// longer than 64 KiB, or the largest message, take. Default 5 s.
	WriteTimeout time.Duration

	// OnConnect is called for each spoke before anything that it sends is
	// heard. What it dispatches to the spoke arrives first, then the log from
	// where the spoke joined it, which is before OnConnect, also for one that comes with
	// topics, as Meta.Topics or in the greeting of a session: but [Spoke.Subscriptions] is
	// empty until OnConnect has returned. With Snapshot what is dispatched until then is the
	// snapshot's.
	OnConnect func(s *Spoke)
	// OnDisconnect is called exactly once for each spoke for which OnConnect
	// was, when nothing more will be read from it. The spoke's own listeners are
	// removed afterwards. Events that wait in listeners' queues may still be
	// handled later.
	OnDisconnect func(s *Spoke, reason eventtarget.Reason)
	// OnFault hears the faults; nil logs them.
	OnFault func(eventtarget.Fault)
}

// DefaultLogBytes is the default of Options.LogBytes.
const DefaultLogBytes = 16 << 20

func (o Options) withDefaults() (Options, error) {
	def(&o.Adapter, "hub") // which the error names
	if err := cmp.Or(
		o.Limits.Check(),
		option.NotNegative("LogBytes", o.LogBytes),
		option.NotNegative("LogEvents", o.LogEvents),
		option.NotNegative("SpokeBytes", o.SpokeBytes),
		option.NotNegative("SpokeEvents", o.SpokeEvents),
		option.NotNegative("InboxBytes", o.InboxBytes),
		option.NotNegative("Sweepers", o.Sweepers),
		option.NotNegative("Subscriptions", o.Subscriptions),
		option.NotNegative("RetainTopics", o.RetainTopics),
		option.NotNegative("RetainBytes", o.RetainBytes),
		option.NotNegative("Spokes", o.Spokes),
		option.NotNegative("SpokesPerAddr", o.SpokesPerAddr),
		option.NotNegative("Rate", o.Rate),
		option.NotNegative("Burst", o.Burst),
		option.NotNegative("FirstMessage", o.FirstMessage),
		option.NotNegative("Misses", o.Misses),
		option.NotNegative("WriteTimeout", o.WriteTimeout),
	); err != nil {
		return o, err
	}
	switch o.Overflow {
	case eventtarget.DropNewest: // the zero Overflow
		o.Overflow = eventtarget.Disconnect
	case eventtarget.Disconnect, eventtarget.DropOldest, eventtarget.Conflate, eventtarget.Block:
	default:
		return o, fmt.Errorf("a hub cannot have Overflow %v", o.Overflow)
	}
	if o.Duplicates > Refuse {
		return o, fmt.Errorf("duplicates(%d) is unknown", o.Duplicates)
	}
	o.Limits = o.Limits.WithDefaults()
	def(&o.LogBytes, DefaultLogBytes)
	def(&o.LogEvents, 1<<18)
	def(&o.SpokeBytes, 1<<20)
	def(&o.SpokeEvents, 1<<14)
	def(&o.InboxBytes, 64<<20)
	def(&o.Subscriptions, 128)
	def(&o.RetainTopics, 65536)
	def(&o.RetainBytes, 64<<20)
	def(&o.Burst, 100)
	def(&o.Sweepers, min(runtime.GOMAXPROCS(0), 8))
	def(&o.SessionTimeout, time.Minute)
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
	// Values are the first of those that [Spoke.Value] returns. A connection that resumes
	// a session brings its own, in place of those of the one before.
	Values map[any]any
	// Expires is when what the peer proved holds no longer: its connection is ended then,
	// with CodeExpired, and the spoke with it unless it has a session, which waits for a new
	// proof as for any that is cut. Zero: never. Of a session's connections the last one's
	// counts: what OnConnect made of the first one stays, such as groups, but with one for which
	// Authorize does not allow all that the session hears its peer begins anew.
	Expires time.Time
	// Transport is what the connection is made of, such as "websocket".
	Transport string
	// Addr is the peer's network address, as far as known.
	Addr string
	// Path and Headers are what the adapter keeps of the request.
	Path    string
	Headers map[string]string
	// Since is where in the log the spoke begins: what [Hub.Position] returned
	// before the peer could know that it is connected. Zero: at the head.
	Since Position
	// ReceiveOnly tells that nothing can come from the peer: FirstMessage does not end it.
	ReceiveOnly bool
	// Resumes tells that the peer has been connected before and has everything up to
	// Since: it gets what came after that and no snapshot, or a gap, and behind it what one
	// that is new gets.
	Resumes bool
	// HeardNothing tells, with Resumes, that nothing has reached the peer over the connection
	// that began at Since: it gets what one that is new gets there, before what came after that.
	HeardNothing bool
	// Added are, with Resumes, those of Topics that the peer did not ask for at Since: of them it
	// gets what one that is new gets there, before what came after that.
	Added []eventtarget.Topic
	// Topics are what the spoke hears, of what is dispatched to all, as if it had
	// subscribed; one that it may not hear ends it. nil: what the hub sends unasked.
	Topics []eventtarget.Topic
}
