package redistest

import (
	"testing"

	"github.com/eventtarget-go/toolkit/internal/faultnet"
)

// NewProxy returns a proxy for a server, which ends with the test.
func NewProxy(t testing.TB, server string) *faultnet.Proxy {
	t.Helper()
	p, err := faultnet.NewProxy(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}
