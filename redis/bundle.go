package redis

import (
	"strings"

	"github.com/redis/rueidis"
)

// bundleBytes bounds a message of several events. One that has as much alone goes alone.
const bundleBytes = 64 << 10

// bundles makes the commands for messages that are sent together, and tells for each command
// how many of them it has: as many that follow each other on one channel as may share a
// message. Those of two channels are never put past each other.
func (p *publisher) bundles(client rueidis.Client, batch []*message) (commands rueidis.Commands, sizes []int) {
	commands = make(rueidis.Commands, 0, len(batch))
	for len(batch) > 0 {
		n, bytes := 1, len(batch[0].text)
		for n < min(p.bundle, len(batch)) && batch[n].channel == batch[0].channel && bytes+len(batch[n].text) <= bundleBytes {
			bytes += len(batch[n].text)
			n++
		}
		m := batch[0]
		if n > 1 {
			m = &message{channel: m.channel, text: bundle(batch[:n], bytes)}
		}
		commands, sizes = append(commands, p.command(client.B(), m)), append(sizes, n)
		batch = batch[n:]
	}
	return commands, sizes
}

// bundle returns the text of a message that has the texts of others, of so many bytes.
func bundle(messages []*message, bytes int) []byte {
	text := make([]byte, 0, bytes+len(messages)+1)
	for i, m := range messages {
		text = append(text, "[,"[min(i, 1)])
		text = append(text, m.text...)
	}
	return append(text, ']')
}

// unbundle appends the texts of the events that a message has. One that is no array of
// objects, or an empty one, is a text by itself, for others to refuse.
func unbundle(texts []string, msg string) []string {
	before := len(texts)
	for rest, open := msg, byte('['); rest != "" && rest[0] == open; open = ',' {
		rest = skipSpace(rest[1:])
		end := objectEnd(rest)
		texts = append(texts, rest[:end])
		rest = skipSpace(rest[end:])
		if end == 0 || rest == "" {
			break
		}
		if rest[0] == ']' && skipSpace(rest[1:]) == "" {
			return texts
		}
	}
	return append(texts[:before], msg)
}

// skipSpace returns a text without what JSON has for space at its beginning.
func skipSpace(text string) string {
	for text != "" && (text[0] == ' ' || text[0] == '\t' || text[0] == '\r' || text[0] == '\n') {
		text = text[1:]
	}
	return text
}

// objectEnd returns where the object ends that a text begins with; 0 if it has none, or no
// end. What is between its braces is for others to check.
func objectEnd(text string) int {
	if text == "" || text[0] != '{' {
		return 0
	}
	depth := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			n := stringEnd(text[i+1:])
			if n == 0 {
				return 0
			}
			i += n
		}
	}
	return 0
}

// stringEnd returns how many bytes there are up to the quote, with it, that ends a string
// whose first one was before; 0 if there is none.
func stringEnd(text string) int {
	for i := 0; ; {
		n := strings.IndexByte(text[i:], '"')
		if n < 0 {
			return 0
		}
		i += n + 1
		escapes := 0
		for escapes < n && text[i-2-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return i
		}
	}
}
