package redis

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// Store is a log that any number of hubs share, on a Redis server: a [hub.SharedStore]. It
// makes them one hub whose sessions go on at any of them. Each hub has a Store of its own;
// those with the same prefix on the same server are one log.
//
// Its methods are the hub's to call, and Close is the owner's, who calls it when the hub is
// done.
type Store struct {
	target  *Target
	entries chan storeEntry
	began   chan struct{}   // closed when end is known
	end     entryID         // where the log ended when it was opened
	missed  *storeEntry     // the last loss that Restore has come upon
	ctx     context.Context // of Append: ends some time after the hub
	giveUp  context.CancelFunc
}

type storeEntry struct {
	id       entryID
	text     string
	repeated bool

	lost   bool   // it is none: there is nothing
	upto   uint64 // this number
	rolled bool   // nor what was behind it
}

// OpenStore opens the log of a prefix on the server at rawURL; see [New] for both. It
// returns when Redis answers. Of the options those that shape a bus mean nothing here and
// must not be set: Durable, Shards, Batch, Group, NoEcho, RetryFor, Limits and those of the inbox.
// LogEvents is how many records the log keeps: of each event and of each message of a
// session's peer that is no event for others there is one.
//
// While Redis is away a hub with the store accepts nothing; what waits is appended when it
// is back. Nor does it behind an entry of another program that leaves no numbers, one whose
// id is of a time after September 2039: a FaultDispatch says what to do then. How durable the
// log is, is how durable Redis is set to be. When it has lost some of it nevertheless, in a
// failover perhaps, all spokes are told a gap. A hub that begins does not wait for a Redis
// that has gone away since: see [Store.Restore].
func OpenStore(ctx context.Context, rawURL string, opts *Options) (*Store, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	for _, other := range []struct {
		name string
		set  bool
	}{
		{"Durable", o.Durable}, {"Shards", o.Shards != 0}, {"Batch", o.Batch != 0}, {"Group", o.Group != ""}, {"From", o.From != ""}, {"NoEcho", o.NoEcho}, {"RetryFor", o.RetryFor != 0},
		{"Limits", o.Limits != eventtarget.Limits{}}, {"InboxEvents", o.InboxEvents != 0}, {"InboxBytes", o.InboxBytes != 0},
	} {
		if other.set {
			return nil, fail("open", eventtarget.Topic{}, fmt.Errorf("%s is set, which a store does not have", other.name))
		}
	}
	o.Durable = true
	o.RetryFor = forever
	s := &Store{entries: make(chan storeEntry, readAtOnce), began: make(chan struct{})}
	s.ctx, s.giveUp = context.WithCancel(context.Background())
	var err error
	if s.target, err = open(rawURL, o, ":hubs", s); err != nil {
		return nil, err
	}
	if err := s.target.Ready(ctx); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// forever is for how long Append tries: until the hub, or the store, ends.
const forever = 100 * 365 * 24 * time.Hour

// Close ends the store. It returns nil.
func (s *Store) Close() error {
	s.giveUp()
	_ = s.target.Close() // it never has an error
	<-s.target.Done()
	return nil
}

// Restore yields what the log had when it was opened. It ends with an error, which
// [hub.New] returns, when Redis is away and nothing has come for twice as long as
// Options.Timeout and Options.DialTimeout together, by default 5 s; when it is back before
// that it goes on. After an error the store is of no use but to be closed.
func (s *Store) Restore() iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		select {
		case <-s.began:
		case <-s.target.receiving.Done():
			yield(hub.Record{}, eventtarget.ErrClosed)
			return
		}
		patience := 2 * (s.target.opts.Timeout + s.target.opts.DialTimeout)
		late := time.NewTimer(patience)
		defer late.Stop()
		for at := (entryID{}); at.before(s.end); {
			late.Reset(patience)
			e, err := s.next(s.target.receiving, late.C)
			if err != nil {
				yield(hub.Record{}, err)
				return
			}
			if e.lost { // a gap for who is told one, so it is told to who follows
				s.missed = &e
			}
			if e.rolled {
				return
			}
			if e.lost {
				continue
			}
			at = e.id
			if r, ok := s.record(e); ok && !yield(r, nil) {
				return
			}
		}
	}
}

// Follow yields what comes behind that.
func (s *Store) Follow(ctx context.Context) iter.Seq2[hub.Record, error] {
	context.AfterFunc(ctx, func() { // what the hub has to say at its end it may still say
		time.AfterFunc(s.target.opts.Timeout, s.giveUp)
	})
	return func(yield func(hub.Record, error) bool) {
		if e := s.missed; e != nil {
			s.missed = nil
			if !e.rolled {
				e.upto = max(e.upto, s.end.number()) // what was restored has a hole
			}
			if r, _ := s.record(*e); !yield(r, nil) {
				return
			}
		}
		for {
			e, err := s.next(ctx, nil)
			if err != nil {
				if ctx.Err() == nil {
					yield(hub.Record{}, err)
				}
				return
			}
			if r, ok := s.record(e); ok && !yield(r, nil) {
				return
			}
		}
	}
}

// next returns what comes next, unless the store or ctx ends first, or it is late.
func (s *Store) next(ctx context.Context, late <-chan time.Time) (storeEntry, error) {
	select {
	case e := <-s.entries:
		return e, nil
	case <-late:
		return storeEntry{}, fail("restore", eventtarget.Topic{}, s.target.because(context.DeadlineExceeded))
	case <-ctx.Done():
	case <-s.target.receiving.Done():
	}
	return storeEntry{}, eventtarget.ErrClosed
}

// Append appends records, and returns when Redis has them all. It tries for as long as the
// hub follows the log.
func (s *Store) Append(records []hub.Record) error {
	p := &s.target.parts[0].publisher
	sent := make([]*message, 0, len(records))
	for i := range records {
		m := p.message()
		m.channel = s.target.names.log()
		var err error
		if m.text, err = appendRecord(appendHead(m.text, s.target.origin), &records[i]); err != nil {
			return fail("append", eventtarget.Topic{}, err)
		}
		if err := p.hand(s.ctx, m); err != nil {
			return fail("append", eventtarget.Topic{}, err)
		}
		sent = append(sent, m)
	}
	var failed error
	for _, m := range sent {
		if err := p.confirmed(s.ctx, m); err != nil && failed == nil {
			failed = fail("append", eventtarget.Topic{}, err)
		}
	}
	return failed
}

// appendRecord appends the members of a record behind a head, and closes the object. The
// message stands in it as it is.
func appendRecord(dst []byte, r *hub.Record) ([]byte, error) {
	meta := *r
	meta.Message = nil
	text, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	dst = append(dst, text[1:]...)
	if r.Message == nil {
		return dst, nil
	}
	dst = append(dst[:len(dst)-1], `,"message":`...)
	dst = append(dst, bytes.TrimSpace(r.Message)...)
	return append(dst, '}'), nil
}

// record returns the record of an entry. What is none, somebody else has written: it is
// counted, and told.
func (s *Store) record(e storeEntry) (hub.Record, bool) {
	if e.lost {
		return hub.Record{Kind: hub.RecordLost, Seq: e.upto}, true
	}
	if e.repeated {
		return hub.Record{}, false
	}
	var stored struct {
		hub.Record
		Message json.RawMessage `json:"message"`
	}
	err := json.Unmarshal(envelope(e.text), &stored)
	if err == nil && (stored.Kind == 0 || stored.Kind >= hub.RecordLost || stored.Hub == "" || e.id.ms > lastMilli) {
		err = errors.New("no record of a hub")
	}
	if err != nil {
		s.target.malformed.Add(1)
		s.target.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDecode, Count: 1, Err: fmt.Errorf("entry %v: %w", e.id, err)})
		return hub.Record{}, false
	}
	stored.Record.Message, stored.Record.Seq = stored.Message, e.id.number()
	return stored.Record, true
}

func (s *Store) begin(end entryID) {
	s.end = end
	close(s.began)
}

func (s *Store) entry(ctx context.Context, id entryID, text string, repeated bool) {
	s.put(ctx, storeEntry{id: id, text: text, repeated: repeated})
}

func (s *Store) lost(ctx context.Context, upto uint64, rolled bool) {
	s.put(ctx, storeEntry{lost: true, upto: upto, rolled: rolled})
}

func (s *Store) put(ctx context.Context, e storeEntry) {
	select {
	case s.entries <- e:
	case <-ctx.Done():
	}
}

var _ hub.SharedStore = (*Store)(nil)
