package bench

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-redisstream/pkg/redisstream"
	"github.com/ThreeDotsLabs/watermill/message"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// publishers is how many publish at a time where it is said to be many.
const publishers = 64

// redisPayload is what is published: by the others as it is, by us in an envelope.
var redisPayload = `"` + strings.Repeat("x", payloadSize-2) + `"`

// redisPeer publishes, and calls heard for what it hears on one channel.
type redisPeer struct {
	publish func(ctx context.Context) error
	batch   func(ctx context.Context) error // batchSize of them at once; nil: it has no way to
	listen  func(b *testing.B, heard func())
}

// batchSize is how many messages one goroutine publishes at once.
const batchSize = 128

// batches is how many of those may not be heard yet.
const batches = 8

// namedPeers are in the order of the rows.
type namedPeers []struct {
	name string
	redisPeer
}

func redisPeers(b *testing.B, s *redistest.Server) namedPeers {
	return namedPeers{
		{"toolkit", toolkitPeer(b, s, nil)},
		{"toolkit-batch", toolkitPeer(b, s, &redis.Options{Batch: publishers, Prefix: "batch"})},
		{"toolkit-durable", toolkitPeer(b, s, &redis.Options{Durable: true, Prefix: "durable"})},
		{"toolkit-group", toolkitPeer(b, s, &redis.Options{Durable: true, Prefix: "group", Group: "g"})},
		{"rueidis", rueidisPeer(b, s, false)},
		{"rueidis-domulti", rueidisPeer(b, s, true)},
		{"go-redis", goRedisPeer(b, s)},
		{"watermill", watermillPeer(b, s)},
		{"centrifuge", centrifugePeer(b, s)},
	}
}

func toolkitPeer(b *testing.B, s *redistest.Server, o *redis.Options) redisPeer {
	join := func() *redis.Target {
		t, err := redis.New(s.URL(), o)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { t.Close() })
		if err := t.Ready(b.Context()); err != nil {
			b.Fatal(err)
		}
		return t
	}
	from := join()
	e := eventtarget.Event[eventtarget.Raw]{Type: "bench", ID: "1", Payload: eventtarget.Raw(redisPayload)}
	events := slices.Repeat([]eventtarget.Event[eventtarget.Raw]{e}, batchSize)
	return redisPeer{
		func(ctx context.Context) error { return from.Dispatch(ctx, e) },
		func(ctx context.Context) error { return errors.Join(from.DispatchAll(ctx, events)...) },
		func(b *testing.B, heard func()) {
			_, err := join().Add(b.Context(), e.Topic(), eventtarget.Listener[eventtarget.Raw]{
				Inline: true, Handle: func(context.Context, eventtarget.Event[eventtarget.Raw]) { heard() },
			})
			if err != nil {
				b.Fatal(err)
			}
		},
	}
}

// rueidisPeer publishes each message by itself, or together with those that gather
// meanwhile.
func rueidisPeer(b *testing.B, s *redistest.Server, together bool) redisPeer {
	dial := func() rueidis.Client {
		c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr}, DisableCache: true})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(c.Close)
		return c
	}
	from := dial()
	channel := "rueidis"
	if together { // whose listener must not hear the other
		channel = "gathered"
	}
	command := func() rueidis.Completed {
		return from.B().Publish().Channel(channel).Message(redisPayload).Build()
	}
	publish := func(ctx context.Context) error { return from.Do(ctx, command()).Error() }
	var batch func(context.Context) error
	if together {
		multi := func(ctx context.Context, n int) []rueidis.RedisResult {
			commands := make(rueidis.Commands, n)
			for i := range commands {
				commands[i] = command()
			}
			return from.DoMulti(ctx, commands...)
		}
		publish = gather(b, multi)
		batch = func(ctx context.Context) (failed error) {
			for _, r := range multi(ctx, batchSize) {
				failed = cmp.Or(failed, r.Error())
			}
			return failed
		}
	}
	return redisPeer{
		publish, batch,
		func(b *testing.B, heard func()) {
			c, listens := dial(), make(chan struct{})
			ctx := rueidis.WithOnSubscriptionHook(b.Context(), func(rueidis.PubSubSubscription) { close(listens) })
			go func() {
				_ = c.Receive(ctx, c.B().Subscribe().Channel(channel).Build(), func(rueidis.PubSubMessage) { heard() })
			}()
			<-listens
		},
	}
}

// gather is how a program puts together what its goroutines publish: one of them sends
// whatever waits, and hands the answers out.
func gather(b *testing.B, send func(ctx context.Context, n int) []rueidis.RedisResult) func(context.Context) error {
	waiting := make(chan chan error, 2*publishers)
	ctx, cancel := context.WithCancel(context.Background())
	b.Cleanup(cancel)
	go func() {
		for {
			var batch []chan error
			select {
			case first := <-waiting:
				batch = append(batch, first)
			case <-ctx.Done():
				return
			}
			for len(waiting) > 0 {
				batch = append(batch, <-waiting)
			}
			for i, r := range send(ctx, len(batch)) {
				batch[i] <- r.Error()
			}
		}
	}()
	answers := sync.Pool{New: func() any { return make(chan error, 1) }}
	return func(context.Context) error {
		answer := answers.Get().(chan error)
		defer answers.Put(answer)
		waiting <- answer
		return <-answer
	}
}

func goRedisPeer(b *testing.B, s *redistest.Server) redisPeer {
	dial := func() *goredis.Client {
		c := goredis.NewClient(&goredis.Options{Addr: s.Addr, PoolSize: publishers})
		b.Cleanup(func() { _ = c.Close() })
		return c
	}
	from := dial()
	return redisPeer{
		func(ctx context.Context) error { return from.Publish(ctx, "go-redis", redisPayload).Err() },
		func(ctx context.Context) error {
			_, err := from.Pipelined(ctx, func(p goredis.Pipeliner) error {
				for range batchSize {
					p.Publish(ctx, "go-redis", redisPayload)
				}
				return nil
			})
			return err
		},
		func(b *testing.B, heard func()) {
			sub := dial().Subscribe(b.Context(), "go-redis")
			if _, err := sub.Receive(b.Context()); err != nil {
				b.Fatal(err)
			}
			messages := sub.Channel()
			go func() {
				for range messages {
					heard()
				}
			}()
		},
	}
}

// watermillPeer is Watermill on a Redis stream, which everybody reads.
func watermillPeer(b *testing.B, s *redistest.Server) redisPeer {
	dial := func() *goredis.Client {
		c := goredis.NewClient(&goredis.Options{Addr: s.Addr, PoolSize: publishers})
		b.Cleanup(func() { _ = c.Close() })
		return c
	}
	from, err := redisstream.NewPublisher(redisstream.PublisherConfig{Client: dial()}, watermill.NopLogger{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = from.Close() })
	return redisPeer{
		publish: func(context.Context) error {
			return from.Publish("watermill", message.NewMessage(watermill.NewUUID(), []byte(redisPayload)))
		},
		listen: func(b *testing.B, heard func()) {
			to, err := redisstream.NewSubscriber(redisstream.SubscriberConfig{
				Client:         dial(),
				FanOutOldestId: "0", // what is published before it reads, too
			}, watermill.NopLogger{})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = to.Close() })
			messages, err := to.Subscribe(b.Context(), "watermill")
			if err != nil {
				b.Fatal(err)
			}
			go func() {
				for m := range messages {
					heard()
					m.Ack()
				}
			}()
		},
	}
}

// BenchmarkRedis is the time from publishing to hearing, on two clients, one at a time
// (of=round-trip), the time for each of those that are published together until all are heard
// (of=batch), and that of one confirmed message among many publishers (of=publish).
func BenchmarkRedis(b *testing.B) {
	for _, p := range redisPeers(b, redistest.Start(b)) {
		heard := make(chan struct{}, 1)
		p.listen(b, func() { heard <- struct{}{} })
		b.Run("of=round-trip/"+p.name, func(b *testing.B) {
			for b.Loop() {
				if err := p.publish(b.Context()); err != nil {
					b.Fatal(err)
				}
				<-heard
			}
		})
	}
	for _, p := range redisPeers(b, redistest.Start(b)) {
		if p.batch == nil {
			continue
		}
		var n atomic.Int64
		window := make(chan struct{}, batches)
		p.listen(b, func() {
			if n.Add(1)%batchSize == 0 {
				<-window
			}
		})
		b.Run("of=batch/"+p.name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if i%batchSize > 0 {
					continue // it was one of those
				}
				window <- struct{}{}
				if err := p.batch(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, p := range redisPeers(b, redistest.Start(b)) {
		b.Run("of=publish/"+p.name, func(b *testing.B) {
			b.SetParallelism((publishers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
			var failed atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if p.publish(b.Context()) != nil {
						failed.Add(1)
					}
				}
			})
			if n := failed.Load(); n > 0 {
				b.Fatalf("%d of %d failed", n, b.N)
			}
		})
	}
}
