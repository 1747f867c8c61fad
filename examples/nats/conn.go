package natstarget

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/nats-io/nats.go"
)

// conn is one connection to a server. To the link it is a hub's, which sends what it
// is asked for: conn answers in the hub's place.
type conn struct {
	nc             *nats.Conn
	ctx            context.Context // ends with the connection
	cancel         context.CancelCauseFunc
	report         func(eventtarget.Fault)
	prefix, origin string
	inbox          chan *nats.Msg // 65536 may wait to be delivered
	answers        chan []byte
	subs           map[string]*nats.Subscription // by topic; of who sends
	told           map[*nats.Subscription]int    // of the dropped messages; of who receives
	latest         map[string]string             // the last message, by origin; of who receives
}

// dial makes a connection. It gives up when ctx ends, and after two seconds.
func dial(ctx context.Context, rawURL string, o Options, report func(eventtarget.Fault)) (link.Conn, error) {
	c := &conn{report: report, prefix: o.Prefix, origin: rand.Text(), inbox: make(chan *nats.Msg, 1<<16), answers: make(chan []byte, 128),
		subs: make(map[string]*nats.Subscription), told: make(map[*nats.Subscription]int), latest: make(map[string]string)}
	c.ctx, c.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	nc, err := nats.Connect(rawURL, append([]nats.Option{
		nats.NoReconnect(), nats.NoEcho(), nats.PingInterval(15 * time.Second), nats.FlusherTimeout(2 * time.Second), nats.SetCustomDialer(dialer{ctx}),
		nats.ErrorHandler(c.failed), nats.ClosedHandler(func(nc *nats.Conn) { c.cancel(cmp.Or(nc.LastError(), nats.ErrConnectionClosed)) }),
	}, o.NATS...)...)
	if errors.Is(err, nats.ErrAuthorization) { // asking again would not help
		err = fmt.Errorf("%w: %w", eventtarget.ErrForbidden, err)
	}
	c.nc = nc
	return c, err
}

type dialer struct{ ctx context.Context }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(d.ctx, network, address)
}

// Close ends the connection and does not wait. The server gets what was sent before,
// if it takes that within a second.
func (c *conn) Close(reason eventtarget.Reason) error {
	c.cancel(reason)
	go func() {
		_ = c.nc.FlushTimeout(time.Second)
		c.nc.Close()
	}()
	return nil
}

// read returns the topic and the payload of a message. What it makes of one that is
// malformed does not matter: the link drops it, and says why.
func read(msg []byte) (topic eventtarget.Topic, payload []byte) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(msg, &members)
	_ = json.Unmarshal(members["type"], &topic.Type)
	_ = json.Unmarshal(members["id"], &topic.ID)
	return topic, members["payload"]
}

// Send publishes an event, or does what the link asks of its hub.
func (c *conn) Send(msg []byte) error {
	topic, payload := read(msg)
	if strings.HasPrefix(topic.Type, eventtarget.ReservedPrefix) {
		var request struct{ Topics []string }
		_ = json.Unmarshal(payload, &request)
		if topic.Type == "__subscribe" {
			return c.subscribe(topic.ID, request.Topics)
		}
		for _, text := range request.Topics { // "__unsubscribe"
			s := c.subs[text] // on which events may be on their way that a wider one came too late for
			time.AfterFunc(time.Second, func() { _ = s.Unsubscribe() })
			delete(c.subs, text)
		}
		return nil
	}
	err := c.nc.PublishMsg(&nats.Msg{Subject: subject(c.prefix, topic), Data: msg, Header: nats.Header{originHeader: {c.origin + "/" + rand.Text()}}})
	if !errors.Is(err, nats.ErrMaxPayload) {
		return err
	}
	c.report(eventtarget.Fault{Kind: eventtarget.FaultDispatch, Topic: topic, Count: 1, Err: err})
	return nil // the next connection would not take it either
}

// subscribe answers when the server has confirmed.
func (c *conn) subscribe(id string, topics []string) error {
	before, refused := c.nc.LastError(), make(map[string]string)
	for _, text := range topics {
		topic, _ := eventtarget.ParseTopic(text) // the link has checked it
		s, err := c.nc.ChanSubscribe(subject(c.prefix, topic), c.inbox)
		if err != nil {
			return err
		}
		c.subs[text] = s
	}
	if err := c.nc.Flush(); err != nil {
		return err
	}
	last := c.nc.LastError()
	for _, text := range topics { // a refusal comes before the confirmation, and names the subject
		if !errors.Is(last, before) && strings.Contains(fmt.Sprint(last), strconv.Quote(c.subs[text].Subject)) {
			refused[text] = last.Error()
			_ = c.subs[text].Unsubscribe()
		}
	}
	payload, _ := json.Marshal(map[string]any{"refused": refused})
	select {
	case c.answers <- fmt.Appendf(nil, `{"type":"__subscribed","id":%q,"payload":%s}`, id, payload):
		return nil
	case <-c.ctx.Done():
		return context.Cause(c.ctx)
	}
}

// Receive returns the next event or answer.
func (c *conn) Receive() ([]byte, error) {
	for {
		select {
		case m := <-c.inbox:
			switch {
			case m.Subject == "": // failed put it there
				c.tellDropped(m.Sub)
			case !c.isCopy(m.Header.Get(originHeader)) && c.isEvent(m):
				return m.Data, nil
			}
		case answer := <-c.answers:
			return answer, nil
		case <-c.ctx.Done():
			return nil, context.Cause(c.ctx)
		}
	}
}

// originHeader names a message: "origin/name". While one subscription takes the
// place of another, the server sends a message to both, and it must be heard once.
const originHeader = "Eventtarget-Origin"

// isCopy tells whether a message has come by way of another subscription. The
// copies of one follow each other, among the messages of its origin.
func (c *conn) isCopy(id string) bool {
	origin, _, _ := strings.Cut(id, "/")
	copied := id != "" && c.latest[origin] == id
	if copied || len(id) > 64 { // ours are shorter
		return copied
	}
	if len(c.latest) == 1<<16 { // so that nobody fills our memory
		clear(c.latest)
	}
	c.latest[origin] = id
	return false
}

// isEvent keeps from the link what only its hub may say, and what was published
// under another topic than its own.
func (c *conn) isEvent(m *nats.Msg) bool {
	topic, _ := read(m.Data)
	if topic.Check() == nil && subject(c.prefix, topic) != m.Subject {
		c.report(eventtarget.Fault{Kind: eventtarget.FaultDecode, Topic: topic, Count: 1, Err: errors.New("published under " + m.Subject)})
		return false
	}
	return !strings.HasPrefix(topic.Type, eventtarget.ReservedPrefix)
}

// failed hears from the client what none of its calls can return.
func (c *conn) failed(_ *nats.Conn, s *nats.Subscription, err error) {
	switch {
	case errors.Is(err, nats.ErrSlowConsumer):
		select {
		case c.inbox <- &nats.Msg{Sub: s}: // as soon as there is room again
		case <-c.ctx.Done():
		}
	case errors.Is(err, nats.ErrPermissionViolation):
		c.report(eventtarget.Fault{Kind: eventtarget.FaultDispatch, Err: err})
	default: // what was written is lost
		c.cancel(err)
	}
}

// tellDropped tells how many messages on a subscription have found the inbox full.
func (c *conn) tellDropped(s *nats.Subscription) {
	n, _ := s.Dropped()
	if lost := n - c.told[s]; lost > 0 {
		c.told[s] = n
		c.report(eventtarget.Fault{Kind: eventtarget.FaultGap, Count: uint64(lost), Err: nats.ErrSlowConsumer})
	}
}
