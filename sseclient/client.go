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
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// Options configures a [Client]: the link's own, and what concerns the requests.
type Options struct {
	// Options are those of the link. Dial and Adapter are set by New, and what
	// concerns sending has no effect.
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
	d := &dialer{url: u.String(), header: o.Header, token: o.Token, client: o.HTTPClient, limit: wire.MaxFrame(o.Limits.WithDefaults())}
	if d.client == nil {
		d.client = &http.Client{CheckRedirect: sameHost}
	}
	o.Adapter, o.Dial, o.Echo, o.ReceiveOnly = adapter, d.dial, false, true
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
	url    string
	header http.Header
	token  func(ctx context.Context) (string, error)
	client *http.Client
	limit  int
	last   atomic.Pointer[string] // id of what was received last
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
	if d.header != nil {
		req.Header = d.header.Clone()
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Cache-Control", "no-store")
	if last := d.last.Load(); last != nil {
		req.Header.Set("Last-Event-ID", *last)
	}
	if d.token != nil {
		token, err := d.token(ctx)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := d.client.Do(req)
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // without the URL, which may have a token in it
	}
	if err != nil {
		return nil, err
	}
	if err := d.check(res); err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	return res, nil
}

// check tells whether an answer is a stream (WHATWG HTML §9.2.3).
func (d *dialer) check(res *http.Response) error {
	mediaType, _, _ := strings.Cut(res.Header.Get("Content-Type"), ";")
	switch {
	case res.StatusCode == http.StatusNoContent,
		res.StatusCode == http.StatusForbidden, res.StatusCode == http.StatusUnauthorized && d.token == nil:
		return fmt.Errorf("%w: the server answered %s", eventtarget.ErrForbidden, res.Status)
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("the server answered %s", res.Status)
	case !strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream"):
		return fmt.Errorf("the server answered with %q, not with a stream of events", mediaType)
	}
	return nil
}

// sameHost refuses redirects to another host, which must not get the header.
func sameHost(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 || req.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}
