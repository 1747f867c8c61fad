package redis

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// maxBatch bounds the messages that are sent together.
const maxBatch = 512

// renumber makes the numbers of messages that are to be sent again fit: readers take what
// comes behind a later number for a repetition. One that Redis may have keeps its number and
// goes first; the others get new ones, so that none has one before what was accepted, or may
// have been, when it was refused.
func (p *publisher) renumber(again []*message) {
	for _, m := range slices.Backward(again) {
		if !m.repeat {
			p.numbers.takeBack(m.channel, m.number)
		}
	}
	slices.SortStableFunc(again, func(a, b *message) int {
		switch {
		case a.repeat == b.repeat:
			return 0
		case a.repeat:
			return -1
		default:
			return 1
		}
	})
	for _, m := range again {
		if !m.repeat {
			m.number = p.numbers.next(m.channel)
			setNumber(m.text, m.number)
		}
	}
}

// unbroken answers for messages of broken trains, and returns the others.
func unbroken(batch []*message) []*message {
	return slices.DeleteFunc(batch, func(m *message) bool {
		if !m.train.isBroken() {
			return false
		}
		m.result <- notSent{errBroken}
		return true
	})
}

// send sends messages once and returns those that are to be sent again.
func (p *publisher) send(batch []*message) (again []*message) {
	p.mu.Lock()
	at, closed := p.node, p.closed
	at.also() // use may come meanwhile
	p.mu.Unlock()
	defer at.release()
	client := at.client
	if p.prepare != nil {
		p.prepare(client)
	}
	commands, sizes := p.bundles(client, batch)
	errs := make([]error, 0, len(batch))
	for i, err := range p.do(client, commands) {
		for range sizes[i] {
			errs = append(errs, err)
		}
	}
	accepted, now := false, time.Now()
	for i, m := range slices.Backward(batch) { // so that numbers can be taken back
		err := outcome(errs[i])
		accepted = accepted || err == nil
		if err != nil && now.Before(m.until) && !closed && p.passing != nil && p.passing(err) {
			m.held = true
			m.repeat = m.repeat || !isNotSent(err)
			if !m.repeat || !accepted { // else its number has become too old, and it cannot get another
				again = append(again, m)
				continue
			}
		}
		if err != nil && m.repeat && !errors.Is(err, eventtarget.ErrUnknownOutcome) {
			err = unknown(err) // that of an attempt before
		}
		if err != nil && !errors.Is(err, eventtarget.ErrUnknownOutcome) {
			p.numbers.takeBack(m.channel, m.number)
		}
		if isNotSent(err) || errors.Is(err, eventtarget.ErrUnknownOutcome) {
			m.train.breakUp()
		}
		m.result <- err
	}
	slices.Reverse(again)
	return again
}

// do has Redis do some commands, and returns the error of each.
func (p *publisher) do(client rueidis.Client, commands rueidis.Commands) []error {
	errs := make([]error, len(commands))
	switch {
	case len(commands) == 1:
		errs[0] = client.Do(context.Background(), commands[0]).Error()
	case p.whole:
		doWhole(client, commands, errs)
	default:
		for i, r := range client.DoMulti(context.Background(), commands...) {
			errs[i] = r.Error()
		}
	}
	return errs
}

// doWhole has Redis do all of some commands, or none. Where it does not allow that, it does each
// by itself.
func doWhole(client rueidis.Client, commands rueidis.Commands, errs []error) {
	all := append(rueidis.Commands{client.B().Multi().Build()}, commands...)
	answers := client.DoMulti(context.Background(), append(all, client.B().Exec().Build())...)
	begun := answers[0].Error() == nil
	done, err := answers[len(answers)-1].ToArray()
	for i := range errs {
		errs[i] = answers[i+1].Error()
		switch {
		case errs[i] != nil || !begun:
		case err != nil:
			errs[i] = err
		case i >= len(done):
			errs[i] = errors.New("EXEC has another answer than asked for")
		default:
			errs[i] = done[i].Error()
		}
	}
}

// take returns what is to be sent next; nil ends the writer.
func (p *publisher) take() []*message {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(len(p.waiting), maxBatch)
	if n == 0 {
		p.writing = false
		return nil
	}
	batch := slices.Clone(p.waiting[:n])
	p.waiting = slices.Delete(p.waiting, 0, n)
	for _, m := range batch {
		m.taken = true
	}
	return unbroken(batch)
}

// probe makes sure that there is a connection to publish on: one that was cut is
// noticed by the first command on it.
func (p *publisher) probe(client rueidis.Client) error {
	var err error
	for range 2 {
		if err = client.Do(context.Background(), client.B().Ping().Build()).NonRedisError(); err == nil {
			return nil
		}
	}
	return err
}
