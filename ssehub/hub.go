package ssehub

import (
	"cmp"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/httpgate"
	"github.com/eventtarget-go/toolkit/internal/option"
)

// Options configures a [Hub]: the hub's own, and what concerns the requests.
type Options struct {
	// Options are those of the hub. Adapter is set by New.
	hub.Options
	HandlerOptions
}

// HandlerOptions is what concerns the requests.
type HandlerOptions struct {
	// Origins are the hosts, or origins with a scheme, whose pages may listen, as
	// patterns of [path.Match]. The host that was asked itself is always allowed, and so
	// is a request without an Origin.
	Origins []string
	// Authenticate decides about a request. An error that is, or wraps, a [*Refusal] is
	// answered with its status and text, any other with 401 and no text. nil lets
	// everyone in, as nobody.
	Authenticate func(r *http.Request) (hub.Grant, error)
	// Hosts are the names, without port, that a request may ask for, or "*" for any.
	// nil: any, but on a loopback address only this machine's, unless a trusted proxy
	// asks.
	Hosts []string
	// TrustedProxies are the networks whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix
	// KeepHeaders names the headers of the request that a spoke keeps.
	KeepHeaders []string
	// Retry is how long a client is told to wait before it connects again. Default
	// 1 s.
	Retry time.Duration
	// WriteTimeout ends a connection that takes nothing for so long. Default 5 s.
	WriteTimeout time.Duration
}

// Refusal is an answer to a request that is not let in.
type Refusal = httpgate.Refusal

const adapter = "ssehub"

// Hub is a [hub.Hub] and an [http.Handler] whose every request is a spoke that only
// listens.
type Hub struct {
	*hub.Hub
	http.Handler
}

// New returns a hub; nil options are the defaults. The error says what is wrong with
// the options.
func New(opts *Options) (*Hub, error) {
	var o Options
	if opts != nil {
		o = *opts
	}
	o.Adapter = adapter
	if err := o.HandlerOptions.check(); err != nil {
		return nil, &eventtarget.Error{Op: "open", Adapter: adapter, Err: err}
	}
	engine, err := hub.New(o.Options)
	if err != nil {
		return nil, err
	}
	return &Hub{Hub: engine, Handler: NewHandler(engine, o.HandlerOptions)}, nil
}

// check tells what is wrong with the options.
func (o HandlerOptions) check() error {
	return cmp.Or(
		option.NotNegative("HandlerOptions.Retry", o.Retry),
		option.NotNegative("HandlerOptions.WriteTimeout", o.WriteTimeout), // the hub has one, too
		httpgate.CheckOrigins(o.Origins),
	)
}

// NewHandler returns a handler that makes requests spokes of a hub that may have others
// too, over WebSocket for example: they are one hub, with one order and one set of
// groups.
func NewHandler(h *hub.Hub, o HandlerOptions) http.Handler {
	l := newHandler(h, o)
	return l.only(http.MethodGet, l.listen)
}

func newHandler(h *hub.Hub, o HandlerOptions) *handler {
	if o.Retry <= 0 { // NewHandler has no error to tell it
		o.Retry = time.Second
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 5 * time.Second
	}
	return &handler{hub: h, opts: o, gate: httpgate.Gate{
		Hub: h, Transport: "sse", Authenticate: o.Authenticate, Hosts: o.Hosts, TrustedProxies: o.TrustedProxies, KeepHeaders: o.KeepHeaders,
	}}
}

type handler struct {
	hub       *hub.Hub
	opts      HandlerOptions
	authorize func(identity string, t eventtarget.Topic) error // a POST; nil: everything
	gate      httpgate.Gate
}

// only serves one method, to pages of origins that are allowed. Their browsers may ask first
// (Fetch, CORS-preflight request): they do where a page sends JSON or a token.
func (h *handler) only(method string, serve func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h.allowOrigin(w, r)
		switch {
		case err != nil:
		case r.Method == method:
			err = serve(w, r)
		case r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "":
			w.Header().Set("Access-Control-Allow-Methods", method)
			w.Header().Set("Access-Control-Allow-Headers", r.Header.Get("Access-Control-Request-Headers"))
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Allow", method)
			err = &Refusal{Status: http.StatusMethodNotAllowed, Text: "use " + method}
		}
		if err != nil {
			httpgate.Refuse(w, err)
		}
	})
}

// listen makes the request a spoke and returns when that has left.
func (h *handler) listen(w http.ResponseWriter, r *http.Request) error {
	if accept := r.Header.Get("Accept"); accept != "" && !strings.Contains(accept, "text/event-stream") && !strings.Contains(accept, "*/*") {
		return &Refusal{Status: http.StatusNotAcceptable, Text: "there is only text/event-stream"}
	}
	meta := h.gate.Meta(r)
	var err error
	if meta.Topics, meta.Added, err = topics(r); err != nil {
		return err
	}
	r, read := httpgate.NoteParameters(r)
	if err := h.gate.Check(r, &meta); err != nil {
		return err
	}
	if err := checkParameters(r, *read); err != nil {
		return err
	}
	begin := h.hub.Position()
	meta.Since, meta.ReceiveOnly = begin, true
	if id := lastEventID(r); id != "" {
		id, meta.HeardNothing = strings.CutSuffix(id, heardNothing)
		meta.Since, meta.Resumes = h.hub.ParsePosition(id), true
	}
	if r.Header.Get(lastEventHeader) != "" { // it comes back by itself, and asks as it did before
		meta.Added = nil
	}
	c := newStream(h, r.URL.Query().Get("event") == unnamedEvents)
	if _, err := h.hub.Attach(c, meta); err != nil {
		return notAttached(err)
	}
	c.answer(w, r, begin, meta.Resumes)
	c.wait()
	return nil
}

// notAttached is the answer to a request that the hub did not make a spoke.
func notAttached(err error) error {
	reason, ended := errors.AsType[eventtarget.Reason](err)
	switch {
	case ended && reason.Code.HTTP() >= http.StatusBadRequest:
		return &Refusal{Status: reason.Code.HTTP(), Text: reason.Error()}
	case ended || errors.Is(err, eventtarget.ErrForbidden):
		return &Refusal{Status: http.StatusForbidden, Text: "not allowed"}
	}
	return err
}

// allowOrigin refuses pages of other origins.
func (h *handler) allowOrigin(w http.ResponseWriter, r *http.Request) error {
	w.Header().Add("Vary", "Origin")
	if httpgate.OwnOrigin(r) {
		return nil
	}
	if !httpgate.AllowedOrigin(r, h.opts.Origins) {
		return &Refusal{Status: http.StatusForbidden, Text: "origin not allowed"}
	}
	w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	w.Header().Set("Access-Control-Allow-Credentials", "true")
	return nil
}

// topics reads what the request asks for, and what of that its client had not asked for when it had
// the id that it says.
func topics(r *http.Request) (all, added []eventtarget.Topic, err error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, nil, &Refusal{Status: http.StatusBadRequest, Text: "the query cannot be read: " + err.Error()}
	}
	for _, event := range query["event"] {
		if event != unnamedEvents {
			return nil, nil, &Refusal{Status: http.StatusBadRequest, Text: "event can only be " + unnamedEvents}
		}
	}
	for _, p := range []struct {
		name   string
		topics *[]eventtarget.Topic
	}{{"topic", &all}, {"new", &added}} {
		for _, text := range query[p.name] {
			t, err := eventtarget.ParseTopic(text)
			if err != nil {
				return nil, nil, &Refusal{Status: http.StatusBadRequest, Text: err.Error()}
			}
			*p.topics = append(*p.topics, t)
		}
	}
	return append(all, added...), added, nil
}

// checkParameters refuses a parameter that is not ours and was not read by who let the
// request in: a topic that was misspelt would be everything.
func checkParameters(r *http.Request, read []string) error {
	known := append([]string{"topic", "new", "event", "lastEventId"}, read...)
	for name := range r.URL.Query() {
		if !slices.Contains(known, name) {
			return &Refusal{Status: http.StatusBadRequest, Text: "unknown parameter " + name + " (known: " + strings.Join(known, ", ") + ")"}
		}
	}
	return nil
}

// unnamedEvents is the name that a client gives an event without one.
const unnamedEvents = "message"

// heardNothing stands behind the id with which a stream begins. What is retained, or a snapshot,
// has no id: who comes back with this one may not have got it.
const heardNothing = ".new"

const lastEventHeader = "Last-Event-ID"

// lastEventID is where the client was: what its EventSource sends by itself, or the
// parameter for one that is made anew.
func lastEventID(r *http.Request) string {
	if id := r.Header.Get(lastEventHeader); id != "" {
		return id
	}
	return r.URL.Query().Get("lastEventId")
}
