package redis_test

import (
	"context"
	"encoding/json"
	"io"
	"regexp"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// foreign is another program on the bus, which knows Redis and envelopes only.
type foreign struct {
	client  rueidis.Client
	prefix  string
	durable bool
	heard   chan string
	cancel  context.CancelFunc
}

func newForeign(client rueidis.Client, prefix string, durable bool) *foreign {
	ctx, cancel := context.WithCancel(context.Background())
	f := &foreign{client: client, prefix: prefix, durable: durable, heard: make(chan string, 1024), cancel: cancel}
	if durable {
		go f.follow(ctx, f.end())
		return f
	}
	listens := make(chan struct{}, 1)
	go func() {
		defer close(f.heard)
		hooked := rueidis.WithOnSubscriptionHook(ctx, func(rueidis.PubSubSubscription) {
			select {
			case listens <- struct{}{}:
			default: // another's confirmation, on the same connection
			}
		})
		_ = client.Receive(hooked, client.B().Psubscribe().Pattern(prefix+":*").Build(), func(m rueidis.PubSubMessage) {
			f.hear(m.Message)
		})
	}()
	<-listens
	return f
}

// end returns the last id of the log.
func (f *foreign) end() string {
	last, _ := f.client.Do(context.Background(), f.client.B().Xrevrange().Key(f.prefix+":log").End("+").Start("-").Count(1).Build()).AsXRange()
	if len(last) == 0 {
		return "0-0"
	}
	return last[0].ID
}

// follow reads the log behind an id.
func (f *foreign) follow(ctx context.Context, id string) {
	defer close(f.heard)
	for ctx.Err() == nil {
		read, _ := f.client.Do(ctx, f.client.B().Xread().Block(50).Streams().Key(f.prefix+":log").Id(id).Build()).AsXRead()
		for _, e := range read[f.prefix+":log"] {
			id = e.ID
			f.hear(e.FieldValues["m"])
		}
	}
}

// hear takes in what is not its own.
func (f *foreign) hear(msg string) {
	if origin.MatchString(msg) {
		f.heard <- msg
	}
}

// Send publishes a message on the channel of its type, if it has one that needs no
// encoding, or appends it to the log.
func (f *foreign) Send(msg []byte) error {
	b := f.client.B()
	if f.durable {
		return f.client.Do(context.Background(), b.Xadd().Key(f.prefix+":log").Id("0-*").FieldValue().FieldValue("m", string(msg)).Build()).Error()
	}
	var e struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(msg, &e)
	if !plain.MatchString(e.Type) {
		e.Type = "malformed"
	}
	return f.client.Do(context.Background(), b.Publish().Channel(f.prefix+":"+e.Type).Message(string(msg)).Build()).Error()
}

var (
	plain  = regexp.MustCompile(`^[\w.-]+$`)
	origin = regexp.MustCompile(`^\{"origin":"[^"]*",`)
)

// Receive returns the next message without the member that only we read.
func (f *foreign) Receive() ([]byte, error) {
	msg, ok := <-f.heard
	if !ok {
		return nil, io.EOF
	}
	return []byte(origin.ReplaceAllString(msg, "{")), nil
}

// Close ends it.
func (f *foreign) Close(eventtarget.Reason) error {
	f.cancel()
	return nil
}
