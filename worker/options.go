package worker

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/option"
)

// Restart says when a child that has ended is started again.
type Restart uint8

const (
	// Never leaves it at that: the target closes.
	Never Restart = iota
	// OnFailure starts it again unless it ended with status 0.
	OnFailure
	// Always starts it again.
	Always
)

// WhileDown says what becomes of what is dispatched while there is no child.
type WhileDown uint8

const (
	// Keep accepts it for the next child, in the link's log: LogBytes and LogEvents
	// bound it, and Overflow says what happens when it is full.
	Keep WhileDown = iota
	// Refuse makes Dispatch return [ErrDown], that of an event's Source too. What was accepted before the child ended
	// and had not been sent is sent to the next one nevertheless.
	Refuse
)

// ErrDown is what Dispatch returns while there is no child, if Options.WhileDown is
// [Refuse].
var ErrDown = errors.New("there is no child at the moment")

// Options says which program to start, and how.
type Options struct {
	// Options are those of the link. Dial, Conn, Adapter, Framing, Retry and Down are set by
	// Start, and there are no heartbeats: a child that is there is seen. Nor is there
	// Subscribe, for a child is no hub. Backoff is the pause before the child is started
	// again.
	link.Options
	// Path is the program, absolute. It is required. No shell ever sees it.
	Path string
	// Args are its arguments, without its name.
	Args []string
	// Dir is where it is started. Empty: where the parent is.
	Dir string
	// SHA256 is what the program's file must be, in hexadecimal. Empty: anything.
	SHA256 string
	// Env are variables for the child, "NAME=value"; Inherit are the names of those
	// that it gets from the parent. It gets no others, but those of the handshake.
	Env, Inherit []string
	// Restart says when a child that has ended is started again. Default Never.
	Restart Restart
	// WhileDown says what becomes of what is dispatched before the first child is up,
	// and between two. Default Keep.
	WhileDown WhileDown
	// HandshakeTimeout bounds how long a child may take to say that it is a worker.
	// Default 2 s.
	HandshakeTimeout time.Duration
	// ReadyTimeout bounds how long it may take then to be ready: for its Setup.
	// Default 1 min.
	ReadyTimeout time.Duration
	// TermTimeout is how long a child has to end by itself once it was told to, and
	// KillTimeout how long after a signal. Default 5 s and 2 s.
	TermTimeout, KillTimeout time.Duration
	// Log gets the lines that the child prints on standard output and standard error,
	// of each of the two at most LogRate in a second; what is beyond that is counted.
	// Default slog.Default and 100.
	Log     *slog.Logger
	LogRate int
}

// writeTimeout is how long an end may take nothing.
const writeTimeout = 5 * time.Second

func (o Options) withDefaults() (Options, error) {
	switch {
	case !filepath.IsAbs(o.Path):
		return o, fmt.Errorf("the path %q is not absolute", o.Path)
	case o.Restart > Always:
		return o, fmt.Errorf("restart(%d) is unknown", o.Restart)
	case o.WhileDown > Refuse:
		return o, fmt.Errorf("whileDown(%d) is unknown", o.WhileDown)
	}
	if err := cmp.Or(
		option.NotNegative("HandshakeTimeout", o.HandshakeTimeout),
		option.NotNegative("ReadyTimeout", o.ReadyTimeout),
		option.NotNegative("WriteTimeout", o.WriteTimeout),
		option.NotNegative("TermTimeout", o.TermTimeout),
		option.NotNegative("KillTimeout", o.KillTimeout),
		option.NotNegative("LogRate", o.LogRate),
		o.Backoff.Check(),
	); err != nil {
		return o, err
	}
	def(&o.HandshakeTimeout, 2*time.Second)
	def(&o.ReadyTimeout, time.Minute)
	def(&o.WriteTimeout, writeTimeout)
	def(&o.TermTimeout, 5*time.Second)
	def(&o.KillTimeout, 2*time.Second)
	def(&o.LogRate, 100)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o, nil
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
