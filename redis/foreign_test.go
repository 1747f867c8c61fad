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
	client rueidis.Client
	prefix string
	heard  chan string
	cancel context.CancelFunc
}

func newForeign(client rueidis.Client, prefix string) *foreign {
	ctx, cancel := context.WithCancel(context.Background())
	f := &foreign{client: client, prefix: prefix, heard: make(chan string, 1024), cancel: cancel}
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
			if origin.MatchString(m.Message) { // not what it has sent itself
				f.heard <- m.Message
			}
		})
	}()
	<-listens
	return f
}

// Send publishes a message on the channel of its type, if it has one that needs no
// encoding.
func (f *foreign) Send(msg []byte) error {
	var e struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(msg, &e)
	if !plain.MatchString(e.Type) {
		e.Type = "malformed"
	}
	return f.client.Do(context.Background(), f.client.B().Publish().Channel(f.prefix+":"+e.Type).Message(string(msg)).Build()).Error()
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
