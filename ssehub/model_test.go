package ssehub_test

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// item is something that a client heard, or is to hear.
type item struct {
	n     int
	own   bool // it was for this client alone, and is the n-th of those
	live  bool // it has an id
	gap   bool // so many are missing
	count int
	topic eventtarget.Topic
}

func (i item) String() string {
	switch {
	case i.gap:
		return fmt.Sprint("gap ", i.count)
	case i.own:
		return fmt.Sprint("own ", i.n)
	case i.live:
		return fmt.Sprint(i.n)
	}
	return fmt.Sprint("kept ", i.n)
}

// wants tells whether who asks for topics hears an event.
func (w *walk) wants(asked []eventtarget.Topic, topic eventtarget.Topic) bool {
	return len(asked) == 0 && !w.asks || slices.ContainsFunc(asked, func(t eventtarget.Topic) bool { return t.Matches(topic) })
}

// expected is what a connection is to hear that begins at a place, when so many are in the log:
// what is kept, if it is to get that, then all that was dispatched behind the place.
func (w *walk) expected(c *conn, from, upto int) (all []item) {
	if (w.keeps || w.snaps && len(c.topics) > 0) && upto >= from {
		all = w.kept(c, from, upto)
	}
	o := 0
	for n := from; n <= len(c.at.book.topics); n++ {
		for ; o < len(c.own) && c.own[o].before <= n; o++ {
			all = append(all, item{n: o, own: true, topic: c.own[o].topic})
		}
		if n < len(c.at.book.topics) && w.wants(c.topics, c.at.book.topics[n]) {
			all = append(all, item{n: n, live: true, topic: c.at.book.topics[n]})
		}
	}
	return all
}

// kept is the last event of each topic, if that was before a place: by what was asked for, the
// oldest first.
func (w *walk) kept(c *conn, before, upto int) (all []item) {
	asked := c.topics
	if len(asked) == 0 && !w.asks {
		asked = []eventtarget.Topic{{Type: "*", ID: "*"}}
	}
	last := make(map[eventtarget.Topic]int)
	for n := c.at.base; n < upto; n++ {
		last[c.at.book.topics[n]] = n
	}
	for i, t := range asked {
		if slices.Contains(asked[:i], t) {
			continue
		}
		from := len(all)
		for topic, n := range last {
			if t.Matches(topic) && n < before {
				all = append(all, item{n: n, topic: topic})
			}
		}
		slices.SortFunc(all[from:], func(a, b item) int { return a.n - b.n })
	}
	if w.policy == eventtarget.Conflate { // of those that fit several the last one
		var last []item
		for n, i := range all {
			if !slices.Contains(all[n+1:], i) {
				last = append(last, i)
			}
		}
		all = last
	}
	return all
}

// check compares what a connection heard with what it is to hear; of one that has ended that
// is the beginning.
func (w *walk) check(c *conn, complete bool) {
	if c.checked || !c.opened {
		return
	}
	var why []string
	try := func(from, upto int, heard []item) bool {
		err := w.match(heard, w.expected(c, from, upto), complete)
		if err != nil {
			why = append(why, fmt.Sprintf("from %d (%d) on, %v", from, upto, err))
		}
		return err == nil
	}
	anew := func(from int, heard []item) bool { // as one that is new begins there
		for upto := max(from, c.low); upto <= c.high; upto++ {
			if w.snaps && len(c.topics) > 0 { // which has what came until then
				from = upto
			}
			if try(from, upto, heard) {
				return true
			}
			if w.small && w.more(c, from, upto, heard, complete) {
				return true
			}
		}
		return false
	}
	gap := len(c.heard) > 0 && c.heard[0].gap
	drops := w.policy == eventtarget.DropOldest || w.policy == eventtarget.Conflate // while it is connected, too
	ok := c.since < 0 && len(c.heard) == 0 && !complete ||                          // cut before it was told
		c.since >= 0 && c.first && anew(c.since, c.heard) ||
		c.since >= 0 && !c.first && !(gap && !drops) && try(c.since, -1, c.heard)
	switch {
	case ok:
	case c.since < 0 && gap && c.heard[0].count == 0:
		for n := c.low; n <= c.high && !ok; n++ {
			ok = anew(n, c.heard[1:])
		}
	case c.since >= 0 && gap && w.small:
		for n := c.since + 1; n <= c.high && !ok; n++ {
			switch c.heard[0].count {
			case w.between(c, c.since, n):
				ok = anew(n, c.heard[1:])
			case 0: // there may not be room for all that is kept
				ok = anew(n, c.heard[1:]) || anew(n, c.heard)
			}
		}
	}
	if !ok {
		w.wrong("%s to server %d for %v since %d (first %t, %d to %d), complete %t, heard %v: %s",
			c.name, c.at.n, c.topics, c.since, c.first, c.low, c.high, complete, c.heard, strings.Join(why[:min(len(why), 5)], "; "))
	}
	c.checked = !complete || !ok
}

// more is match for who begins anew where there is no room for all that came since: behind what is
// kept there is a gap, and what was kept meanwhile.
func (w *walk) more(c *conn, from, upto int, heard []item, complete bool) bool {
	kept := []item{}
	if w.keeps {
		kept = w.kept(c, from, upto)
	}
	if len(heard) <= len(kept) || !heard[len(kept)].gap || !slices.Equal(heard[:len(kept)], kept) {
		return false
	}
	gap, rest := heard[len(kept)].count, heard[len(kept)+1:]
	for n := from + 1; n <= upto; n++ {
		if gap != 0 && gap != w.between(c, from, n) {
			continue
		}
		want := slices.DeleteFunc(w.expected(c, n, upto), func(i item) bool { return !i.live && !i.own && i.n < from })
		if gap == 0 {
			rest = heard[len(kept):]
		}
		if w.match(rest, want, complete) == nil {
			return true
		}
	}
	return false
}

// between counts what a connection is to hear of what was dispatched between two places.
func (w *walk) between(c *conn, from, to int) (n int) {
	for _, topic := range c.at.book.topics[from:to] {
		if w.wants(c.topics, topic) {
			n++
		}
	}
	return n
}

// match compares what was heard with what is to be: in order, and what is missing was told, or
// was superseded.
func (w *walk) match(heard, want []item, complete bool) error {
	next, missing, told, any := 0, 0, 0, false
	lost := func(upto int) (n int) { // superseded is not lost
		for i := next; i < upto; i++ {
			if w.policy != eventtarget.Conflate || !slices.ContainsFunc(want[i+1:], func(later item) bool { return later.topic == want[i].topic }) {
				n++
			}
		}
		return n
	}
	for _, h := range heard {
		if h.gap {
			told += h.count
			any = any || h.count == 0
			continue
		}
		at := slices.IndexFunc(want[next:], func(i item) bool { return i.n == h.n && i.own == h.own && i.live == h.live })
		if at < 0 {
			return fmt.Errorf("%v was not to come any more, behind %d of %v", h, next, want)
		}
		if missing += lost(next + at); missing > told && !any {
			return fmt.Errorf("%d are missing before %v, and %d were told, of %v", missing, h, told, want)
		}
		next += at + 1
	}
	if !complete {
		return nil
	}
	missing += lost(len(want))
	if missing > told && !any || missing < told && !any && w.policy != eventtarget.Conflate {
		return fmt.Errorf("%d are missing, and %d were told, of %v", missing, told, want)
	}
	return nil
}
