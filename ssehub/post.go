package ssehub

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// PostOptions is what concerns the requests of [NewPostHandler].
type PostOptions struct {
	HandlerOptions
	// Authorize is asked for each event, with who sends it; the hub is asked about
	// spokes, and who posts is none. Its error is answered with 403 and its text. nil
	// allows everything.
	Authorize func(identity string, t eventtarget.Topic) error
}

// NewPostHandler returns the way back for those who only listen: a handler that
// dispatches the envelope in a POST to every spoke of the hub. It answers 202 when that
// was accepted, and otherwise with what is wrong, in plain text; with 503 when that is
// not the request, such as a hub that is closed or whose store does not work.
//
// It is a dispatch of the hub's, not of a spoke's: the hub's own listeners hear it only if
// the hub has Echo, without a Source, every spoke also where the hub does not Relay, and not
// the hub's Authorize is asked but that of o. [eventtarget.BridgeHeader] is left out.
//
// Origins, Authenticate, Hosts and TrustedProxies are those of the requests that
// listen. The content type must be application/json, which a page of another origin
// cannot send unasked; its browser's question (CORS preflight) is answered for Origins.
func NewPostHandler(h *hub.Hub, o PostOptions) http.Handler {
	l := newHandler(h, o.HandlerOptions)
	l.authorize = o.Authorize
	return l.only(http.MethodPost, l.post)
}

func (h *handler) post(w http.ResponseWriter, r *http.Request) error {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/json" {
		return &Refusal{Status: http.StatusUnsupportedMediaType, Text: "send application/json"}
	}
	meta := h.gate.Meta(r)
	if err := h.gate.CheckPassing(r, &meta); err != nil {
		return err
	}
	limits := h.hub.Limits()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(wire.MaxFrame(limits))))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return &Refusal{Status: http.StatusRequestEntityTooLarge, Text: "the message is over the limit"}
	} else if err != nil {
		return &Refusal{Status: http.StatusBadRequest, Text: "the message was cut short"}
	}
	m, err := wire.Decode(body, limits)
	if err == nil && m.Control() {
		err = fmt.Errorf("%w: %q is the protocol's own", eventtarget.ErrInvalidTopic, m.Type)
	}
	if err == nil && h.authorize != nil {
		if no := h.authorize(meta.Identity, eventtarget.T(m.Type, m.ID)); no != nil {
			return &Refusal{Status: http.StatusForbidden, Text: no.Error()}
		}
	}
	switch {
	case errors.Is(err, eventtarget.ErrTooLarge):
		return &Refusal{Status: http.StatusRequestEntityTooLarge, Text: err.Error()}
	case err != nil:
		return &Refusal{Status: http.StatusBadRequest, Text: err.Error()}
	}
	delete(m.Headers, eventtarget.BridgeHeader) // nobody bridges two targets so, and it is not to be made up
	err = h.hub.Dispatch(r.Context(), eventtarget.Event[eventtarget.Raw]{Type: m.Type, ID: m.ID, Payload: m.Payload, Headers: m.Headers})
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
		return nil
	case errors.Is(err, eventtarget.ErrClosed):
		return err
	}
	text := "not accepted"
	if errors.Is(err, eventtarget.ErrUnknownOutcome) {
		text = eventtarget.ErrUnknownOutcome.Error()
	}
	return &Refusal{Status: http.StatusServiceUnavailable, Text: text} // why is the hub's to know
}
