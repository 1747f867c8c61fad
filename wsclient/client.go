package wsclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/coder/websocket"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/httpdial"
	"github.com/eventtarget-go/toolkit/internal/wire"
	"github.com/eventtarget-go/toolkit/internal/wsconn"
)

// Options configures a [Client]: the link's own, and what concerns the dialling.
type Options struct {
	// Options are those of the link. Dial and Adapter are set by New.
	link.Options
	// Header is sent with the request for the upgrade.
	Header http.Header
	// Token returns what is sent as "Authorization: Bearer", anew for each
	// connection. With it an answer of 401 does not end the client: the next token
	// may do. nil sends none.
	Token func(ctx context.Context) (string, error)
	// Plain makes the client offer no session: what is under way when a connection
	// breaks is then lost. A server that knows none is plain by itself.
	Plain bool
	// HTTPClient makes the request for the upgrade. nil: one with the default
	// transport that follows no redirect to another host.
	HTTPClient *http.Client
}

// Client is a [link.Link] over WebSocket.
type Client struct{ *link.Link }

// New returns a client of the server at rawURL, ws:// or wss://, which it begins
// to connect to; wait for Ready where that matters. The error says what is wrong
// with the URL or the options.
func New(rawURL string, opts *Options) (*Client, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, &eventtarget.Error{
			Op: "open", Adapter: adapter, Err: fmt.Errorf("not a ws:// or wss:// URL with a host"),
		}
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	d := &dialer{
		url: u.String(), requests: httpdial.Dial{Header: o.Header, Token: o.Token}, client: httpdial.Client(o.HTTPClient),
		limit: wire.MaxFrame(o.Limits.WithDefaults()),
	}
	if !o.Plain {
		d.offers = []string{wire.Subprotocol}
	}
	o.Options.Adapter = adapter
	o.Options.Dial = d.dial
	l, err := link.New(o.Options)
	if err != nil {
		return nil, err
	}
	return &Client{Link: l}, nil
}

const adapter = "wsclient"

type dialer struct {
	url      string
	requests httpdial.Dial
	client   *http.Client
	limit    int
	offers   []string // subprotocols
}

func (d *dialer) dial(ctx context.Context) (link.Conn, error) {
	header, err := d.requests.Headers(ctx)
	if err != nil {
		return nil, err
	}
	ws, res, err := websocket.Dial(ctx, d.url, &websocket.DialOptions{
		HTTPClient:      d.client,
		HTTPHeader:      header,
		CompressionMode: websocket.CompressionDisabled,
		Subprotocols:    d.offers,
	})
	if err != nil {
		if res != nil {
			if forbidden := d.requests.Forbidden(res); forbidden != nil {
				return nil, forbidden
			}
			if res.StatusCode != http.StatusSwitchingProtocols {
				return nil, fmt.Errorf("the server answered %s in place of a WebSocket", res.Status)
			}
		}
		return nil, httpdial.WithoutURL(err)
	}
	return wsconn.New(ws, d.limit), nil
}
