package redis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// pubSub listens on Pub/Sub.
type pubSub struct {
	part   *part
	missed bool // something was listened to when a connection was lost, and this is not told yet
}

func (p *pubSub) listen(client rueidis.Client) error {
	s := &session{target: p.part.target, part: p.part, missed: p.missed, channels: make(map[string]struct{})}
	err := s.run(client)
	p.missed = p.part.interest.disconnected() || p.missed && !s.live.Load()
	return err
}

// session is one connection that listens, from its beginning to its end. Messages
// and confirmations are handled on one goroutine, in the order in which Redis sent
// them; that goroutine never waits.
type session struct {
	target *Target
	part   *part
	missed bool // events may have been lost before this connection
	// live: all that was wanted is subscribed to. What arrives before that is part
	// of what was lost: whoever hears of the loss and looks elsewhere for what
	// it missed must not miss more after that.
	live atomic.Bool

	// Of the goroutine that reads:
	pattern  bool // everything is subscribed to
	channels map[string]struct{}
	follower follower
	texts    []string // of the message at hand
}

// run listens until the connection is lost, and returns why.
func (s *session) run(client rueidis.Client) error {
	conn, release := client.Dedicate()
	lost := conn.SetPubSubHooks(rueidis.PubSubHooks{OnMessage: s.message, OnSubscription: s.confirmed})
	select {
	case err := <-lost:
		release()
		return outcome(err)
	default:
	}
	err := s.work(client, conn, lost)
	conn.Close()
	for range lost { // closed when no hook will be called any more
	}
	return err
}

// work asks for what is wanted until the connection is lost.
func (s *session) work(client rueidis.Client, conn rueidis.DedicatedClient, lost <-chan error) error {
	t := s.target
	if err := s.part.publisher.probe(client); err != nil {
		return outcome(err)
	}
	s.part.interest.connected(s.begin)
	for up := false; ; {
		if s.live.Load() && !up {
			up = true
			t.up(s.part)
		}
		if next := s.part.interest.next(); next.names != nil {
			if err := s.ask(conn, next); err != nil {
				return err
			}
			continue
		}
		select {
		case <-s.part.interest.wake:
		case <-s.part.moved:
			return errMoved
		case err, told := <-lost:
			if !told {
				err = errors.New("connection lost")
			}
			return err
		case <-t.receiving.Done():
			return t.receiving.Err()
		}
	}
}

// begin makes what arrives count.
func (s *session) begin() {
	if s.missed {
		s.target.inbox.lost(loss{any: true, err: errCut})
	}
	s.live.Store(true)
	token(s.part.interest.wake)
}

var errCut = errors.New("the connection was lost for a while")

// ask takes a step; what comes of it is confirmed later. The error is that of the
// connection.
func (s *session) ask(conn rueidis.DedicatedClient, what step) error {
	err := conn.Do(context.Background(), s.command(conn.B(), what)).Error()
	refused, ok := rueidis.IsRedisErr(err)
	switch {
	case err == nil || !ok:
		return err
	case notYet(refused) && s.part.channel != "":
		return fmt.Errorf("%w: %w", errMoved, refused)
	case notYet(refused):
		return notSent{refused}
	case len(what.names) > 1: // one that is not allowed spoils all
		for _, name := range what.names {
			if err := s.ask(conn, step{what.join, what.pattern, []string{name}}); err != nil {
				return err
			}
		}
		return nil
	}
	s.part.interest.refuse(what.names[0], refusal(refused))
	if s.target.State() == eventtarget.StateDown {
		s.target.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultGap, Err: refusal(refused)})
	}
	return nil
}

func (s *session) command(b rueidis.Builder, what step) rueidis.Completed {
	switch {
	case s.part.channel != "" && what.join:
		return b.Ssubscribe().Channel(what.names...).Build()
	case s.part.channel != "":
		return b.Sunsubscribe().Channel(what.names...).Build()
	case what.join && what.pattern:
		return b.Psubscribe().Pattern(what.names...).Build()
	case what.join:
		return b.Subscribe().Channel(what.names...).Build()
	case what.pattern:
		return b.Punsubscribe().Pattern(what.names...).Build()
	default:
		return b.Unsubscribe().Channel(what.names...).Build()
	}
}

// confirmed follows what the connection is subscribed to.
func (s *session) confirmed(c rueidis.PubSubSubscription) {
	state := joined
	switch c.Kind {
	case "sunsubscribe":
		if !s.part.interest.isLeaving(c.Channel) { // the slot was moved
			token(s.part.moved)
			return
		}
		fallthrough
	case "unsubscribe":
		state = absent
		delete(s.channels, c.Channel)
		if !s.pattern {
			s.follower.forget(c.Channel)
		}
	case "subscribe", "ssubscribe":
		s.channels[c.Channel] = struct{}{}
	case "psubscribe":
		s.pattern = true
	case "punsubscribe":
		state = absent
		s.pattern = false
		for channel := range s.follower.last {
			if _, still := s.channels[channel]; !still {
				s.follower.forget(channel)
			}
		}
	}
	s.part.interest.confirm(c.Channel, state)
}

// message takes one in.
func (s *session) message(m rueidis.PubSubMessage) {
	t := s.target
	if (m.Pattern != "") != s.pattern || !s.live.Load() || !t.names.contains(m.Channel) {
		return
	}
	if m.Message == "" || m.Message[0] != '[' {
		s.event(m.Channel, m.Message)
		return
	}
	s.texts = unbundle(s.texts[:0], m.Message)
	for _, text := range s.texts {
		s.event(m.Channel, text)
	}
	clear(s.texts)
}

// event takes in one of a message's events.
func (s *session) event(channel, text string) {
	t := s.target
	var missing uint64
	if origin, number, ok := head(text); ok {
		if origin == t.origin {
			return // heard when it was dispatched
		}
		var late bool
		if missing, late = s.follower.follow(channel, origin, number); late {
			return // told as missing
		}
	}
	t.inbox.put(channel, text, missing)
}
