package natstarget

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/nats-io/nats.go"
)

// conn is one connection to a server, which to the link is a hub's.
type conn struct {
	nc      *nats.Conn
	prefix  string
	report  func(eventtarget.Fault)
	inbox   chan *nats.Msg
	answers chan []byte // to the link's requests
	slow    chan *nats.Subscription

	once   sync.Once
	closed chan struct{}
	reason error // set before closed is

	// Of the goroutine that sends:
	subs   map[string]*nats.Subscription // by topic
	origin string
	sent   int

	// Of the goroutine that receives:
	latest  map[string]string          // the last message's id, by origin
	dropped map[*nats.Subscription]int // how many were told
}

// dial makes a connection. It gives up when ctx ends, and after two seconds.
func dial(ctx context.Context, rawURL string, o Options, t *Target) (link.Conn, error) {
	c := &conn{
		prefix: o.Prefix, report: t.ReportFault, origin: rand.Text(),
		inbox: make(chan *nats.Msg, o.Inbox), answers: make(chan []byte, 128), slow: make(chan *nats.Subscription),
		closed: make(chan struct{}), subs: make(map[string]*nats.Subscription),
		latest: make(map[string]string), dropped: make(map[*nats.Subscription]int),
	}
	nc, err := nats.Connect(rawURL, append([]nats.Option{
		nats.NoReconnect(), nats.NoEcho(), // both are the link's
		nats.PingInterval(15 * time.Second), nats.FlusherTimeout(time.Second), nats.SetCustomDialer(dialer{ctx}),
		nats.ErrorHandler(c.failed), nats.ClosedHandler(func(nc *nats.Conn) { c.end(nc.LastError()) }),
	}, o.NATS...)...)
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return nil, fmt.Errorf("%w: %w", eventtarget.ErrForbidden, err)
	case err != nil:
		return nil, err
	}
	c.nc = nc
	return c, nil
}

type dialer struct{ ctx context.Context }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(d.ctx, network, address)
}

// read returns the topic and the payload of a message. The link says what is wrong
// with one that is malformed.
func read(msg []byte) (topic eventtarget.Topic, payload []byte) {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(msg, &members)
	_ = json.Unmarshal(members["type"], &topic.Type)
	_ = json.Unmarshal(members["id"], &topic.ID)
	return topic, members["payload"]
}

// originHeader names a message: "origin/number". While one subscription takes the
// place of another, the server sends a message to both, and it must be heard once.
const originHeader = "Eventtarget-Origin"

// Send publishes an event, and does what the link asks of its hub.
func (c *conn) Send(msg []byte) error {
	topic, payload := read(msg)
	var request struct{ Topics []string }
	switch topic.Type {
	case "__subscribe":
		_ = json.Unmarshal(payload, &request)
		return c.subscribe(topic.ID, request.Topics)
	case "__unsubscribe":
		_ = json.Unmarshal(payload, &request)
		return c.unsubscribe(request.Topics)
	}
	c.sent++
	m := nats.NewMsg(subject(c.prefix, topic))
	m.Data = msg
	m.Header.Set(originHeader, fmt.Sprint(c.origin, "/", c.sent))
	err := c.nc.PublishMsg(m)
	if errors.Is(err, nats.ErrMaxPayload) { // nor would the next connection take it
		c.report(eventtarget.Fault{Kind: eventtarget.FaultDispatch, Topic: topic, Count: 1, Err: fmt.Errorf("%w: %w", eventtarget.ErrTooLarge, err)})
		return nil
	}
	return err
}

// subscribe answers once the server has confirmed.
func (c *conn) subscribe(id string, topics []string) error {
	before := c.nc.LastError()
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
	var answer struct {
		Refused map[string]string `json:"refused,omitempty"`
	}
	if last := c.nc.LastError(); last != before && errors.Is(last, nats.ErrPermissionViolation) {
		answer.Refused = make(map[string]string)
		for _, text := range topics {
			if strings.Contains(last.Error(), `"`+c.subs[text].Subject+`"`) {
				answer.Refused[text] = last.Error()
				_ = c.unsubscribe([]string{text})
			}
		}
	}
	payload, _ := json.Marshal(answer)
	select {
	case c.answers <- fmt.Appendf(nil, `{"type":"__subscribed","id":%q,"payload":%s}`, id, payload):
		return nil
	case <-c.closed:
		return c.reason
	}
}

func (c *conn) unsubscribe(topics []string) error {
	for _, text := range topics {
		if err := c.subs[text].Unsubscribe(); err != nil {
			return err
		}
		delete(c.subs, text)
	}
	return nil
}

// Receive returns the next event, or the answer to a request.
func (c *conn) Receive() ([]byte, error) {
	for {
		if len(c.inbox) == 0 {
			c.tellDropped()
		}
		select {
		case m := <-c.inbox:
			if !c.isCopy(m.Header.Get(originHeader)) && c.isEvent(m) {
				return m.Data, nil
			}
		case answer := <-c.answers:
			return answer, nil
		case s := <-c.slow:
			c.dropped[s] += 0 // from now on it is looked after
		case <-c.closed:
			return nil, c.reason
		}
	}
}

// tellDropped tells what the inbox had no room for, behind what was in it.
func (c *conn) tellDropped() {
	count := 0
	for s, told := range c.dropped {
		n, err := s.Dropped()
		if err != nil { // nobody listens any more
			delete(c.dropped, s)
			continue
		}
		count += n - told
		c.dropped[s] = n
	}
	if count > 0 {
		c.report(eventtarget.Fault{Kind: eventtarget.FaultGap, Count: uint64(count), Err: nats.ErrSlowConsumer})
	}
}

// isCopy tells whether a message has come by way of another subscription. The
// copies of one follow each other, among the messages of its origin.
func (c *conn) isCopy(id string) bool {
	origin, _, found := strings.Cut(id, "/")
	if !found || len(id) > 64 { // another program's
		return false
	}
	if c.latest[origin] == id {
		return true
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
	switch {
	case strings.HasPrefix(topic.Type, eventtarget.ReservedPrefix):
		return false
	case topic.Check() == nil && subject(c.prefix, topic) != m.Subject:
		c.report(eventtarget.Fault{Kind: eventtarget.FaultDecode, Topic: topic, Count: 1, Err: errors.New("published under " + m.Subject)})
		return false
	}
	return true
}

// failed hears from the client what none of its calls can return.
func (c *conn) failed(_ *nats.Conn, s *nats.Subscription, err error) {
	switch {
	case errors.Is(err, nats.ErrSlowConsumer):
		select {
		case c.slow <- s:
		case <-c.closed:
		}
	case errors.Is(err, nats.ErrPermissionViolation):
		c.report(eventtarget.Fault{Kind: eventtarget.FaultDispatch, Err: fmt.Errorf("%w: %w", eventtarget.ErrForbidden, err)})
	}
}

// Close ends the connection. The server still gets what was sent, if it takes it
// within a second.
func (c *conn) Close(reason eventtarget.Reason) error {
	if c.end(reason) {
		go func() {
			_ = c.nc.FlushTimeout(time.Second)
			c.nc.Close()
		}()
	}
	return nil
}

// end tells whether it is the first.
func (c *conn) end(reason error) (first bool) {
	c.once.Do(func() {
		c.reason, first = cmp.Or(reason, nats.ErrConnectionClosed), true
		close(c.closed)
	})
	return first
}
