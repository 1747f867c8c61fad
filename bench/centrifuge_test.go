package bench

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge"

	"github.com/eventtarget-go/toolkit/internal/redistest"
)

// centrifugePath is where connections of centrifuge are asked for: they have to speak first.
const centrifugePath = "/ws/centrifuge"

const centrifugeConnect = `{"id":1,"connect":{}}`

// centrifugeNode is a node of centrifuge that keeps everything in memory, and whose
// connections it subscribes itself. They speak JSON, and are not pinged.
func centrifugeNode(n int, fail func(...any)) side {
	node, err := centrifuge.New(centrifuge.Config{})
	if err != nil {
		fail(err)
	}
	r := newRoom[*centrifuge.Client](n)
	node.OnConnecting(func(context.Context, centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		return centrifuge.ConnectReply{
			Credentials:    &centrifuge.Credentials{},
			Subscriptions:  map[string]centrifuge.SubscribeOptions{"bench": {}},
			PingPongConfig: &centrifuge.PingPongConfig{PingInterval: -1},
		}, nil
	})
	node.OnConnect(r.enter)
	if err := node.Run(); err != nil {
		fail(err)
	}
	handler := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		CheckOrigin: func(*http.Request) bool { return true }, WriteTimeout: time.Minute,
	})
	data := []byte(payload())
	return side{handler, r.joined, func(n int) {
		for range n {
			if _, err := node.Publish("bench", data); err != nil {
				fail(err)
			}
		}
	}, func() { _ = node.Shutdown(context.Background()) }}
}

// centrifugePeer is centrifuge's broker on Redis.
func centrifugePeer(b *testing.B, s *redistest.Server) redisPeer {
	const channel = "centrifuge"
	broker := func(to centrifuge.BrokerEventHandler) *centrifuge.RedisBroker {
		node, err := centrifuge.New(centrifuge.Config{})
		if err != nil {
			b.Fatal(err)
		}
		shard, err := centrifuge.NewRedisShard(node, centrifuge.RedisShardConfig{Address: s.Addr})
		if err != nil {
			b.Fatal(err)
		}
		broker, err := centrifuge.NewRedisBroker(node, centrifuge.RedisBrokerConfig{Shards: []*centrifuge.RedisShard{shard}})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = broker.Close(context.Background()) })
		if err := broker.RegisterBrokerEventHandler(to); err != nil {
			b.Fatal(err)
		}
		return broker
	}
	from := broker(centrifugeEar(func() {}))
	data := []byte(redisPayload)
	return redisPeer{
		publish: func(context.Context) error {
			_, _, err := from.Publish(channel, data, centrifuge.PublishOptions{})
			return err
		},
		listen: func(b *testing.B, heard func()) {
			if err := broker(centrifugeEar(heard)).Subscribe(channel); err != nil {
				b.Fatal(err)
			}
		},
	}
}

// centrifugeEar hears what a broker brings.
type centrifugeEar func()

func (e centrifugeEar) HandlePublication(string, *centrifuge.Publication, centrifuge.StreamPosition, bool, *centrifuge.Publication) error {
	e()
	return nil
}
func (centrifugeEar) HandleJoin(string, *centrifuge.ClientInfo) error  { return nil }
func (centrifugeEar) HandleLeave(string, *centrifuge.ClientInfo) error { return nil }
