package quichub_test

import (
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/internal/nemesis"
	"github.com/eventtarget-go/toolkit/internal/netwalk"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
)

// TestRandom: whatever is done to a hub, its spokes and the network between them: in a session
// everything is heard, once and in order, or told to be missing; outside of one the same between
// two connections; and nothing is left when all is closed.
func TestRandom(t *testing.T) {
	for _, kind := range []string{netwalk.Roomy, netwalk.Small, netwalk.Store} {
		t.Run(kind, func(t *testing.T) {
			nemesis.Walk(t, 1, func(t *testing.T, seed uint64) { netwalk.Run(t, kind, seed, overPackets(t)) })
		})
	}
}

// overPackets is the transport. A spoke is known by its key.
func overPackets(t *testing.T) netwalk.Transport {
	var keys [4]*identity.Key
	var pins []identity.Pin
	who := make(map[string]int)
	for n := range keys {
		key, err := identity.New()
		if err != nil {
			t.Fatal(err)
		}
		keys[n], pins = key, append(pins, key.Pin())
		who[key.Pin().String()] = n
	}
	const walkIdle = time.Second
	return netwalk.Transport{
		Listen: func(address string, o hub.Options) (*netwalk.Server, error) {
			if address == "" {
				address = "127.0.0.1:0"
			}
			h, err := quichub.Listen(address, &quichub.Options{Options: o, ListenerOptions: quichub.ListenerOptions{
				Identity: identity.Config{Key: hubKey(), Pins: pins}, IdleTimeout: walkIdle, KeepAlive: walkIdle / 5,
			}})
			if err != nil {
				return nil, err
			}
			return &netwalk.Server{Hub: h.Hub, End: h, Address: h.Addr().String(), Stop: func() {}}, nil
		},
		Dial: func(n int, address string, plain bool, o link.Options) (*link.Link, netwalk.Net, error) {
			r, err := faultnet.NewRelay(address)
			if err != nil {
				return nil, nil, err
			}
			s, err := quicspoke.New(r.Addr, &quicspoke.Options{
				Options: o, Plain: plain, IdleTimeout: walkIdle, KeepAlive: walkIdle / 5,
				Identity: identity.Config{Key: keys[n], Pins: []identity.Pin{hubKey().Pin()}},
			})
			if err != nil {
				return nil, nil, err
			}
			return s.Link, packets{r}, nil
		},
		Who: func(s *hub.Spoke) int { return who[s.Identity()] },
	}
}

// packets is a network that has no connections.
type packets struct{ relay *faultnet.Relay }

func (p packets) Break()  { p.relay.Stall() }
func (p packets) Away()   { p.relay.Stall() }
func (p packets) Strand() { _ = p.relay.Rebind() }
func (p packets) Heal()   { p.relay.Heal() }
func (p packets) Close()  { p.relay.Close() }

func (p packets) Hang(way int) {
	if way == 2 {
		p.relay.Stall()
	} else {
		p.relay.Stall(faultnet.Direction(way))
	}
}

func (p packets) Worsen(by int) {
	switch percent := 1 + by/3%20; by % 3 {
	case 0:
		p.relay.Lose(percent)
	case 1:
		p.relay.Duplicate(percent)
	default:
		p.relay.Reorder(percent)
	}
}
