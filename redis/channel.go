package redis

import (
	"fmt"
	"strconv"
	"strings"
)

// namespace names the channels of one bus: its prefix, a ':' and the encoded type
// of the events that travel there. What an application chooses never reaches Redis
// but encoded, so it can be no pattern, no line and no other bus's channel.
type namespace string

func newNamespace(prefix string) (namespace, error) {
	return namespace(prefix + ":"), checkName("prefix", prefix)
}

// checkName tells whether Redis may be given a name that the user chose.
func checkName(what, name string) error {
	for i := range len(name) {
		if c := name[i]; !plain(c) && c != ':' {
			return fmt.Errorf("%s %q: only letters, digits and \"._-:\" can be used", what, name)
		}
	}
	return nil
}

// everything is the pattern of all channels. It is no channel's name.
func (n namespace) everything() string { return string(n) + "*" }

// log returns the key of a durable bus's stream.
func (n namespace) log() string { return string(n) + "log" }

// shardChannel returns the name of a shard channel of a bus on a cluster. It has no
// braces, so all of it decides on the slot.
func (n namespace) shardChannel(shard int) string { return string(n) + strconv.Itoa(shard) }

// shard tells on which of the shard channels a type's events are.
func (n namespace) shard(eventType string, shards int) int {
	return slotOf(encode("", eventType)) % shards
}

// channel returns the channel of an event type.
func (n namespace) channel(eventType string) string { return encode(string(n), eventType) }

// encode returns an event type without the bytes that could mean something, behind a
// prefix.
func encode(prefix, eventType string) string {
	size := len(prefix)
	for i := range len(eventType) {
		size++
		if !plain(eventType[i]) {
			size += 2
		}
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(size)
	b.WriteString(prefix)
	for i := range len(eventType) {
		c := eventType[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&0xf]})
	}
	return b.String()
}

// contains tells whether a name may be one of ours. A pattern matches also what
// stands on a bus whose prefix begins with ours and a ':'.
func (n namespace) contains(channel string) bool {
	return len(channel) > len(n) && channel[:len(n)] == string(n) && strings.IndexByte(channel[len(n):], ':') < 0
}

func plain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-'
}
