package sseclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/httpdial"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Options configures a [Client]: the link's own, and what concerns the requests.
type Options struct {
	// Options are those of the link. Dial and Adapter are set by New, and what
	// concerns sending, Subscribe among it, has no effect: see Topics. Nor can the
	// server be asked for a sign of life: one that gives none by itself within Misses and
	// one more Heartbeat is given up. Make that longer than its pauses, or negative for
	// one that is silent when it has nothing to say.
	link.Options
	// Topics are what the hub is asked for. nil: what it sends unasked.
	Topics []eventtarget.Topic
	// Header is sent with each request.
	Header http.Header
	// Token returns what is sent as "Authorization: Bearer", anew for each request.
	// With it an answer of 401 does not end the client. nil sends none.
	Token func(ctx context.Context) (string, error)
	// HTTPClient makes the requests; it must have no Timeout. nil: one with the default
	// transport that follows no redirect to another host.
	HTTPClient *http.Client
}

const adapter = "sseclient"

// Client is a [link.Link] that only listens: Dispatch returns [errors.ErrUnsupported].
type Client struct{ *link.Link }

// New returns a client of the stream at rawURL, http:// or https://, which it begins to
// connect to; wait for Ready where that matters. The error says what is wrong with the
// URL or the options.
func New(rawURL string, opts *Options) (*Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fail("open", errors.New("not a http:// or https:// URL with a host"))
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	q := u.Query()
	for _, t := range o.Topics {
		if err := t.CheckSelector(); err != nil {
			return nil, fail("open", err)
		}
		q.Add("topic", t.String())
	}
	u.RawQuery = q.Encode()
	d := &dialer{
		url: u.String(), requests: httpdial.Dial{Header: o.Header, Token: o.Token}, client: httpdial.Client(o.HTTPClient),
		limit: wire.MaxFrame(o.Limits.WithDefaults()),
	}
	o.Adapter, o.Dial, o.Echo, o.ReceiveOnly = adapter, d.dial, false, true
	o.Subscribe = false // there is no way to ask: Add would wait for an answer for ever
	l, err := link.New(o.Options)
	if err != nil {
		return nil, err
	}
	return &Client{Link: l}, nil
}

func fail(op string, err error) error {
	return &eventtarget.Error{Op: op, Adapter: adapter, Err: err}
}

type dialer struct {
	url      string
	requests httpdial.Dial
	client   *http.Client
	limit    int
	last     atomic.Pointer[string] // id of what was received last
}

func (d *dialer) dial(ctx context.Context) (link.Conn, error) {
	own, cancel := context.WithCancelCause(context.Background())
	stop := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	res, err := d.request(own)
	if err == nil && !stop() {
		_ = res.Body.Close()
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel(err)
		return nil, err
	}
	return newStream(res.Body, func() { cancel(context.Canceled) }, d), nil
}

func (d *dialer) request(ctx context.Context) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return nil, err
	}
	if req.Header, err = d.requests.Headers(ctx); err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Cache-Control", "no-store")
	if last := d.last.Load(); last != nil {
		req.Header.Set("Last-Event-ID", *last)
	}
	res, err := d.client.Do(req)
	if err != nil {
		return nil, httpdial.WithoutURL(err)
	}
	if err := d.check(res); err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	return res, nil
}

// check tells whether an answer is a stream (WHATWG HTML §9.2.3).
func (d *dialer) check(res *http.Response) error {
	if err := d.requests.Forbidden(res); err != nil {
		return err
	}
	mediaType, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	switch {
	case res.StatusCode == http.StatusNoContent:
		return fmt.Errorf("%w: the server answered %s", eventtarget.ErrForbidden, res.Status)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("the server answered %s", res.Status)
	case !strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream"):
		return fmt.Errorf("the server answered with %q, not with a stream of events", mediaType)
	}
	return nil
}
