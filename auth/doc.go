// Package auth has ready-made answers to who a peer is, for the Authenticate of packages
// wsserver and ssehub: bearer tokens that are known beforehand, and signed ones (JWT).
//
//	h, err := wsserver.New(&wsserver.Options{Authenticate: auth.Static(map[string]string{token: "ann"})})
//
// A token is taken from the Authorization header (RFC 6750 §2.1). A browser cannot set
// one on a WebSocket: it sends a cookie, or, with [FromQuery], a parameter of the URL,
// which stands in the logs of everything on the way and should live for seconds only.
package auth
