package redis

import (
	"errors"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// place finds out how far the group is.
func (m *member) place(groups rueidis.RedisMessage) (at entryID, known bool) {
	all, _ := groups.ToArray()
	for _, g := range all {
		about, err := g.AsMap()
		if name := about["name"]; err != nil {
			continue
		} else if s, _ := name.ToString(); s != m.part.target.opts.Group {
			continue
		}
		place := about["last-delivered-id"]
		text, _ := place.ToString()
		at, err = parseID(text)
		return at, err == nil
	}
	return entryID{}, false
}

// tellSkipped tells what is missing between where the group was and what it was given: all that
// is not there, or, where others may have taken some of that, some of what was trimmed.
func (m *member) tellSkipped(conn rueidis.DedicatedClient, given []rueidis.XRangeEntry, alone bool) error {
	if len(given) == 0 {
		return nil
	}
	next, err := parseID(given[0].ID)
	if err != nil {
		return err
	}
	missing, known := m.at.missing(next)
	if !known || missing > 0 && !alone { // see logReader.take
		trimmed, err := m.trimmed(conn)
		if err != nil {
			return err
		}
		known, missing = !trimmed, 0
	}
	if !known || missing > 0 {
		m.part.target.inbox.lost(loss{any: true, count: missing, err: errTrimmed})
	}
	return nil
}

// tellUnanswered tells what may have been skipped by an attempt to take something whose answer
// was lost with the connection.
func (m *member) tellUnanswered(conn rueidis.DedicatedClient) error {
	groups, err := m.do(conn, conn.B().XinfoGroups().Key(m.part.target.names.log()).Build()).ToMessage()
	if err != nil {
		return err
	}
	at, known := m.place(groups)
	if m.asked && at != m.at {
		trimmed, err := m.trimmed(conn)
		if err != nil {
			return err
		}
		if trimmed {
			m.part.target.inbox.lost(loss{any: true, err: errTrimmed})
		}
	}
	if m.asked = false; known {
		m.at = at
	}
	return nil
}

// trimmed tells whether something behind where the group was is not in the log any more.
func (m *member) trimmed(conn rueidis.DedicatedClient) (bool, error) {
	oldest, _, err := first(m.do(conn, oldest(conn.B(), m.part.target.names.log())))
	if err != nil {
		if errors.Is(outcome(err), eventtarget.ErrForbidden) {
			err = nil
		}
		return true, err
	}
	missing, known := m.at.missing(oldest)
	return m.at.before(oldest) && !(known && missing == 0) || oldest == entryID{}, nil
}
