package redis_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"sync"

	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/redis"
)

// foreign is another program on the bus, which knows Redis and envelopes only.
type foreign struct {
	client    rueidis.Client
	prefix    string
	durable   bool
	shards    int // on a cluster
	heard     chan string
	listening sync.WaitGroup
	cancel    context.CancelFunc
}

func newForeign(client rueidis.Client, prefix string, o redis.Options) *foreign {
	ctx, cancel := context.WithCancel(context.Background())
	f := &foreign{client: client, prefix: prefix, durable: o.Durable, heard: make(chan string, 1024), cancel: cancel}
	switch {
	case o.Durable:
		end := f.end()
		f.listening.Go(func() { f.follow(ctx, end) })
	case client.Mode() == rueidis.ClientModeCluster:
		f.shards = max(1, o.Shards)
		for n := range f.shards {
			f.listen(ctx, client.B().Ssubscribe().Channel(fmt.Sprintf("%s:%d", prefix, n)).Build())
		}
	default:
		f.listen(ctx, client.B().Psubscribe().Pattern(prefix+":*").Build())
	}
	context.AfterFunc(ctx, func() {
		f.listening.Wait()
		close(f.heard)
	})
	return f
}

// listen subscribes to something and returns when that is confirmed.
func (f *foreign) listen(ctx context.Context, subscribe rueidis.Completed) {
	listens := make(chan struct{}, 1)
	f.listening.Go(func() {
		hooked := rueidis.WithOnSubscriptionHook(ctx, func(rueidis.PubSubSubscription) {
			select {
			case listens <- struct{}{}:
			default: // another's confirmation, on the same connection
			}
		})
		_ = f.client.Receive(hooked, subscribe, func(m rueidis.PubSubMessage) { f.hear(m.Message) })
	})
	<-listens
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
	for ctx.Err() == nil {
		read, _ := f.client.Do(ctx, f.client.B().Xread().Block(50).Streams().Key(f.prefix+":log").Id(id).Build()).AsXRead()
		for _, e := range read[f.prefix+":log"] {
			id = e.ID
			f.hear(e.FieldValues["m"])
		}
	}
}

// hear takes in what is not its own: an envelope, or an array of them.
func (f *foreign) hear(msg string) {
	var several []json.RawMessage
	if json.Unmarshal([]byte(msg), &several) == nil {
		for _, e := range several {
			f.hear(string(e))
		}
		return
	}
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
	if f.shards > 0 {
		slot, err := f.client.Do(context.Background(), b.ClusterKeyslot().Key(e.Type).Build()).AsInt64()
		if err != nil {
			return err
		}
		channel := fmt.Sprintf("%s:%d", f.prefix, slot%int64(f.shards))
		return f.client.Do(context.Background(), b.Spublish().Channel(channel).Message(string(msg)).Build()).Error()
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
