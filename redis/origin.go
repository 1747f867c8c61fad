package redis

import (
	"cmp"
	"container/list"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Our own messages begin with a member that says which target sent them and which
// one of its messages on that channel it is:
//
//	{"origin":"q8Zk2nYb1x0w.0000010000000007","type":…
//
// It has a fixed length, so that it can be read without parsing and written before
// the number is known. Other programs may leave it out.
const (
	originOpen   = `{"origin":"`
	originClose  = `",`
	originBytes  = 12
	numberDigits = 16
	numberAt     = len(originOpen) + originBytes + 1
	headBytes    = numberAt + numberDigits + len(originClose)
)

// newOrigin returns a name that no other target has.
func newOrigin() string {
	var b [originBytes * 6 / 8]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// appendHead begins a message, with the number still to come.
func appendHead(dst []byte, origin string) []byte {
	dst = append(dst, originOpen...)
	dst = append(dst, origin...)
	dst = append(dst, ".0000000000000000"...)
	return append(dst, originClose...)
}

// appendMessage appends e's message, with a head in front of its members.
func appendMessage(dst []byte, origin string, e *eventtarget.Event[eventtarget.Raw]) []byte {
	dst = appendHead(dst, origin)
	last := len(dst) - 1
	dst = wire.Append(dst[:last], e)
	dst[last] = ',' // instead of the brace that begins an envelope
	return dst
}

// setNumber writes the number into a message that appendHead began.
func setNumber(msg []byte, n uint64) {
	const hex = "0123456789abcdef"
	for i := numberAt + numberDigits - 1; i >= numberAt; i-- {
		msg[i] = hex[n&0xf]
		n >>= 4
	}
}

// head reads what appendHead and setNumber wrote.
func head(msg string) (origin string, number uint64, ok bool) {
	if len(msg) <= headBytes || msg[:len(originOpen)] != originOpen || msg[numberAt-1] != '.' ||
		msg[headBytes-len(originClose):headBytes] != originClose {
		return "", 0, false
	}
	origin = msg[len(originOpen) : numberAt-1]
	for i := range len(origin) {
		if !plain(origin[i]) {
			return "", 0, false
		}
	}
	number, err := strconv.ParseUint(msg[numberAt:numberAt+numberDigits], 16, 64)
	return origin, number, err == nil
}

// envelope returns a copy of msg without its head.
func envelope(msg string) []byte {
	if _, _, ok := head(msg); !ok {
		return []byte(msg)
	}
	b := []byte(msg[headBytes-1:])
	b[0] = '{'
	return b
}

// A number is a run and a position in it. A sender that has forgotten its
// positions begins another run, which is nobody's loss.
const positionBits = 40

// maxNumbered bounds the channels that a sender counts on, and the pairs of sender
// and channel that a receiver follows.
const maxNumbered = 1 << 16

// numbers are those of a sender: the last one on each channel.
type numbers struct {
	run  uint64
	last map[string]uint64
}

// next returns the number of another message on a channel.
func (n *numbers) next(channel string) uint64 {
	last, found := n.last[channel]
	if !found {
		if n.last == nil || len(n.last) >= maxNumbered {
			n.last = make(map[string]uint64)
			n.run++
		}
		last = n.run << positionBits
	}
	n.last[channel] = last + 1
	return last + 1
}

// takeBack forgets a number that has certainly not been sent, if it was the last.
func (n *numbers) takeBack(channel string, number uint64) {
	if n.last[channel] == number {
		n.last[channel]--
	}
}

// follower holds what was received against the numbers that it bears. When there is no
// room for another pair it forgets the one that was heard last the longest ago: whose next
// loss is not seen then, while those of all others are.
type follower struct {
	last  map[string]map[string]*list.Element // by channel and origin
	order list.List                           // of *followed, in the order in which they were last heard
	most  int                                 // 0: maxNumbered
}

// followed is a pair of a sender and a channel.
type followed struct {
	channel, origin string
	last            uint64 // number of what was received
}

// follow tells how many messages are missing before this one, and whether it comes
// too late: behind one that was numbered after it.
func (f *follower) follow(channel, origin string, number uint64) (missing uint64, late bool) {
	at := f.last[channel][origin]
	if at == nil {
		f.begin(channel, origin, number)
		return 0, false
	}
	f.order.MoveToBack(at)
	pair := at.Value.(*followed)
	switch {
	case number <= pair.last:
		return 0, true
	case number>>positionBits == pair.last>>positionBits:
		missing = number - pair.last - 1
	}
	pair.last = number
	return missing, false
}

// begin follows another origin on a channel.
func (f *follower) begin(channel, origin string, number uint64) {
	if f.order.Len() >= cmp.Or(f.most, maxNumbered) {
		oldest := f.order.Remove(f.order.Front()).(*followed)
		delete(f.last[oldest.channel], oldest.origin)
		if len(f.last[oldest.channel]) == 0 {
			delete(f.last, oldest.channel)
		}
	}
	if f.last == nil {
		f.last = make(map[string]map[string]*list.Element)
	}
	if f.last[channel] == nil {
		f.last[channel] = make(map[string]*list.Element)
	}
	origin = strings.Clone(origin) // which is a part of a message that may be large
	f.last[channel][origin] = f.order.PushBack(&followed{channel, origin, number})
}

// forget drops a channel that is not heard any more.
func (f *follower) forget(channel string) {
	for _, at := range f.last[channel] {
		f.order.Remove(at)
	}
	delete(f.last, channel)
}
