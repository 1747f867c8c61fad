package wsserver_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/hub/filestore"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// stored is a hub with a store in a folder, and what leads to it.
type stored struct {
	dir     string
	store   *filestore.Store
	hub     *wsserver.Hub
	handler atomic.Pointer[wsserver.Hub]
}

func (s *stored) open(o hub.Options) (err error) {
	if s.store, err = filestore.Open(s.dir, nil); err != nil {
		return err
	}
	o.Store = s.store
	if s.hub, err = wsserver.New(&wsserver.Options{Options: o}); err == nil {
		s.handler.Store(s.hub)
	}
	return err
}

func (s *stored) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.Load().ServeHTTP(w, r) }

// close does not wait: a listener may be in the middle of something, as when a process dies.
func (s *stored) close() {
	h, store := s.hub, s.store
	_ = h.Close()
	go func() {
		<-h.Done()
		_ = store.Close()
	}()
}

// TestAtLeastOnce: law C31 over sockets and a folder: the one that finds what a process had
// kept when it died goes on from that.
func TestAtLeastOnce(t *testing.T) {
	h := conformance.Harness{
		Name: "wsserver with a store",
		Caps: conformance.Capabilities{Topology: conformance.Hub, Wire: true, Source: true, Reconnects: true, Resumes: true, AtLeastOnce: true},
		New: func(ctx context.Context, s conformance.Setup) (*conformance.Rig, error) {
			o := hub.Options{SessionTimeout: s.Session, OnFault: s.FaultsOf(0), OnConnect: func(sp *hub.Spoke) { s.OnConnect(sp) },
				OnDisconnect: func(sp *hub.Spoke, r eventtarget.Reason) { s.OnDisconnect(sp, r) }}
			net := &network{conns: map[int]*crossing{}, severed: map[int]bool{}}
			at := &stored{dir: t.TempDir()}
			if err := at.open(o); err != nil {
				return nil, err
			}
			server := httptest.NewServer(at)
			rig := &conformance.Rig{Endpoints: []eventtarget.Endpoint{at.hub}, Close: func() { server.Close(); at.close() }}
			rig.Crash = func(_ int, listen func(eventtarget.Endpoint) error) error {
				net.set(1, true) // before the hub could say anything
				found := t.TempDir()
				if err := os.CopyFS(found, os.DirFS(at.dir)); err != nil {
					return err
				}
				at.close()
				at.dir = found
				if err := at.open(o); err != nil {
					return err
				}
				rig.Endpoints[0] = at.hub
				err := errors.Join(listen(at.hub), at.hub.Redeliver(ctx))
				net.set(1, false)
				return err
			}
			c, err := wsclient.New("ws"+strings.TrimPrefix(server.URL, "http"), &wsclient.Options{
				HTTPClient: &http.Client{Transport: &http.Transport{DialContext: net.dialer(1)}}, Options: linkOptions(s, 1),
			})
			rig.Endpoints = append(rig.Endpoints, c)
			return rig, errors.Join(err, c.Ready(ctx))
		},
	}
	for _, r := range conformance.Check(t.Context(), h, "C31").Results {
		if r.Outcome != conformance.Passed {
			t.Errorf("%s: %v: %s", r.Law.ID, r.Outcome, r.Detail)
		}
	}
}
