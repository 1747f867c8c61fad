package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// The pause before another attempt to connect doubles from the first to the last,
// with jitter. There is none after a connection that was healthy for so long.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 200 * time.Millisecond
	healthy    = time.Second
)

// part is what one server has of a bus: all of it, or on a cluster one shard channel,
// which moves between the nodes. It has a connection to listen on, which it makes again
// when it is lost.
type part struct {
	target    *Target
	channel   string // the shard channel; empty where the server is the only one
	interest  *interest
	publisher publisher
	from      source
	isUp      bool          // under target.mu
	moved     chan struct{} // has a token when another node may have the channel
	ended     chan struct{} // closed when it does not run any more
	address   string        // of the server; the running goroutine's
}

// source is where messages come from: Pub/Sub, the log or a group's share of it.
type source interface {
	// listen makes one connection and takes in what comes on it, until it is lost
	// or the target stops receiving. It returns why.
	listen(client rueidis.Client) error
}

// newPart returns a part of t, for a shard channel or, where that is empty, the whole.
func newPart(t *Target, channel string) *part {
	p := &part{target: t, channel: channel, interest: newInterest(t.names.everything()), moved: make(chan struct{}, 1), ended: make(chan struct{})}
	p.publisher = publisher{ready: make(chan struct{}), ended: t.ctx.Done(), start: t.wg.Go, command: publish, bundle: t.opts.Batch}
	p.from = &pubSub{part: p}
	switch {
	case channel != "":
		p.publisher.command, p.publisher.retryFor = publishSharded, t.opts.RetryFor
		p.publisher.passing = func(err error) bool {
			if isNotSent(err) {
				token(p.moved)
			}
			return isNotSent(err)
		}
	case t.opts.Durable:
		a := &appender{target: t, most: strconv.Itoa(t.opts.LogEvents)}
		p.publisher.command, p.publisher.retryFor = a.command, t.opts.RetryFor
		p.publisher.prepare, p.publisher.passing = a.prepare, a.passing
		p.publisher.whole = t.sink != nil
		p.from = &logReader{part: p}
		if t.opts.Group != "" {
			t.member = newMember(p)
			p.from = t.member
		}
	}
	return p
}

// run connects, listens until the connection ends, and begins again.
func (p *part) run() {
	defer close(p.ended)
	t := p.target
	avoid := "" // the address at which we did not get anywhere
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		began := time.Now()
		found, err := p.find(avoid)
		if found == nil && t.nodes.fixed {
			t.end(fmt.Errorf("%w: %w", eventtarget.ErrClosed, err))
			return
		}
		if found != nil {
			p.publisher.use(found)
			err = p.from.listen(found.client)
		}
		if t.receiving.Err() != nil {
			return
		}
		wasUp, wasAllUp := t.down(p, err)
		avoid = p.address
		if wasUp && !errors.Is(err, errMoved) {
			avoid = ""
		}
		switch {
		case wasUp:
			if wasAllUp {
				t.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultDisconnected, Err: err})
			}
			pause = firstPause
			if time.Since(began) >= healthy {
				continue
			}
		case errors.Is(err, eventtarget.ErrForbidden) && t.State() == eventtarget.StateConnecting:
			t.end(fmt.Errorf("%w: %w", eventtarget.ErrClosed, err))
			return
		}
		timer := time.NewTimer(pause/2 + rand.N(pause/2))
		select {
		case <-timer.C:
		case <-t.receiving.Done():
			timer.Stop()
			return
		}
	}
}

var errMoved = errors.New("another node has the channel now")

// find returns the server that has the part, with a client, for the publisher to use; on a
// cluster another one than that at avoid, if any says that there is.
func (p *part) find(avoid string) (*node, error) {
	nodes := p.target.nodes
	if nodes.fixed {
		p.address = nodes.option.InitAddress[0]
	} else {
		select {
		case <-p.moved: // that is why we are here
		default:
		}
		address, err := nodes.owner(p.target.receiving, slotOf(p.channel), avoid)
		if err != nil {
			return nil, err
		}
		p.address = address
	}
	found := nodes.use(p.address)
	if client, err := found.open(); client == nil {
		found.release()
		return nil, err
	}
	return found, nil
}

// up notes that everything that was wanted of a part is being heard.
func (t *Target) up(p *part) {
	t.mu.Lock()
	p.isUp = true
	before := t.state
	if slices.ContainsFunc(t.parts, func(p *part) bool { return !p.isUp }) {
		before = eventtarget.StateUp // and it will be told of the last one
	} else {
		t.set(eventtarget.StateUp, nil)
	}
	t.mu.Unlock()
	if before == eventtarget.StateDown {
		t.ReportFault(eventtarget.Fault{Kind: eventtarget.FaultReconnected})
	}
}

// down notes why a part has no connection, and tells whether it had one, and whether
// all parts had.
func (t *Target) down(p *part, cause error) (wasUp, wasAllUp bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	wasUp, p.isUp = p.isUp, false
	before := t.state
	if before != eventtarget.StateConnecting {
		t.set(eventtarget.StateDown, cause)
	} else {
		t.set(before, cause)
	}
	return wasUp, before == eventtarget.StateUp
}

// partOf returns the part that has the events of a type.
func (t *Target) partOf(eventType string) *part {
	if len(t.parts) == 1 {
		return t.parts[0]
	}
	return t.parts[t.names.shard(eventType, len(t.parts))]
}

// channelOf returns the channel of the events of a type.
func (t *Target) channelOf(eventType string) string {
	if t.opts.Durable {
		return t.names.log()
	}
	if p := t.partOf(eventType); p.channel != "" {
		return p.channel
	}
	return t.names.channel(eventType)
}

// wish is something of a part that a listener wants.
type wish struct {
	in   *interest
	name string
}

// wishes returns what to want for a selector: on a cluster everything is every part.
func (t *Target) wishes(topic eventtarget.Topic) (all []wish) {
	switch {
	case topic.Type != eventtarget.Wildcard:
		return []wish{{t.partOf(topic.Type).interest, t.channelOf(topic.Type)}}
	case t.parts[0].channel == "":
		return []wish{{t.parts[0].interest, t.names.everything()}}
	}
	for _, p := range t.parts {
		all = append(all, wish{p.interest, p.channel})
	}
	return all
}

// want wants once more what a selector needs, and waits until Redis has confirmed it.
// If that fails nothing more is wanted than before.
func (t *Target) want(ctx context.Context, topic eventtarget.Topic) error {
	all := t.wishes(topic)
	for i, w := range all {
		if err := w.in.add(ctx, w.name); err != nil {
			for _, w := range all[:i] {
				w.in.release(w.name)
			}
			return err
		}
	}
	return nil
}

// unwant wants it once less.
func (t *Target) unwant(topic eventtarget.Topic) {
	for _, w := range t.wishes(topic) {
		w.in.release(w.name)
	}
}
