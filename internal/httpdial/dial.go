// Package httpdial makes the requests of clients that ask for a connection, whatever that
// becomes then.
package httpdial

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

// Dial is what an adapter was told about requests: see the options of wsclient.
type Dial struct {
	Header http.Header
	Token  func(ctx context.Context) (string, error)
}

// Headers returns what is sent with one request, which the caller may add to.
func (d Dial) Headers(ctx context.Context) (http.Header, error) {
	header := d.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if d.Token != nil {
		token, err := d.Token(ctx)
		if err != nil {
			return nil, fmt.Errorf("token: %w", err)
		}
		header.Set("Authorization", "Bearer "+token)
	}
	return header, nil
}

// Forbidden returns an [eventtarget.ErrForbidden] if the answer says that asking again does
// not help, and nil if not. Where there is a Token, the next one may do.
func (d Dial) Forbidden(res *http.Response) error {
	if res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusUnauthorized && d.Token == nil {
		return fmt.Errorf("%w: the server answered %s", eventtarget.ErrForbidden, res.Status)
	}
	return nil
}

// Client returns the client that makes the requests: c, or if that is nil one that follows no
// redirect to another host.
func Client(c *http.Client) *http.Client {
	if c == nil {
		return &http.Client{CheckRedirect: sameHost}
	}
	return c
}

// sameHost refuses redirects to another host, which must not get the header.
func sameHost(req *http.Request, via []*http.Request) error {
	if len(via) >= 5 || req.URL.Host != via[0].URL.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// WithoutURL returns the error of a request without its URL, which may have a token in it.
func WithoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
