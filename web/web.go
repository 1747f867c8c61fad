package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // what is served
	"encoding/base64"
	"net/http"
	"time"
)

// The module is what esbuild makes of eventtarget.js.
var (
	//go:embed eventtarget.min.js
	module []byte
	//go:embed live/index.html
	livePage []byte
	//go:embed live/live.js
	liveScript []byte
	//go:embed live/live.css
	liveStyle []byte
)

// Module returns a handler that serves the JavaScript module, whatever the path.
// Pages of every origin may load it.
func Module() http.Handler {
	serve := file("eventtarget.js", module)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		serve(w, r)
	})
}

// file returns a handler that serves content as the kind that a name says. A browser asks
// each time whether it has changed.
func file(name string, content []byte) http.HandlerFunc {
	sum := sha256.Sum256(content)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		header := w.Header()
		header.Set("Cache-Control", "no-cache")
		header.Set("ETag", tag)
		header.Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	}
}
