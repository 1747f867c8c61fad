package repo_test

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/hub/filestore"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/identity"
	"github.com/eventtarget-go/toolkit/inprocess"
	"github.com/eventtarget-go/toolkit/quichub"
	"github.com/eventtarget-go/toolkit/quicspoke"
	"github.com/eventtarget-go/toolkit/redis"
	"github.com/eventtarget-go/toolkit/sseclient"
	"github.com/eventtarget-go/toolkit/ssehub"
	"github.com/eventtarget-go/toolkit/worker"
	"github.com/eventtarget-go/toolkit/wsclient"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// constructor is one with options, of which some may be negative.
type constructor struct {
	name    string
	adapter string // that its errors name
	mayBe   string // the paths of options that may be negative, as a pattern
	fresh   func() any
	open    func(opts any) (io.Closer, error)
}

// of returns a constructor; what it did not make is a nil Closer, not one with nil in it.
func of[O any, C io.Closer](name, adapter, mayBe string, o O, open func(*O) (C, error)) constructor {
	return constructor{name, adapter, mayBe, func() any { return new(o) }, func(opts any) (io.Closer, error) {
		c, err := open(opts.(*O))
		if err != nil {
			return nil, err
		}
		return c, nil
	}}
}

func constructors(t *testing.T) []constructor {
	t.Helper()
	key, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	var (
		who    = identity.Config{Key: key, Insecure: true}
		quiet  = func(eventtarget.Fault) {}
		ofHub  = hub.Options{OnFault: quiet}
		ofLink = link.Options{OnFault: quiet}
		bus    = inprocess.New[eventtarget.Raw](nil)
		dial   = func(context.Context) (link.Conn, error) { return nil, errors.New("nobody is there") }
		child  = worker.Options{Path: filepath.Join(t.TempDir(), "none"), Options: ofLink}
	)
	h, err := hub.New(ofHub)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close(); bus.Close() })
	withDial := ofLink
	withDial.Dial = dial
	return []constructor{
		of("hub", "hub", "Heartbeat|SessionTimeout", ofHub, func(o *hub.Options) (*hub.Hub, error) { return hub.New(*o) }),
		of("hub.Join", "hub", "", hub.JoinOptions{}, func(o *hub.JoinOptions) (*hub.Membership, error) { return h.Join(t.Context(), bus, o) }),
		of("filestore", "", "", filestore.Options{}, func(o *filestore.Options) (*filestore.Store, error) { return filestore.Open(t.TempDir(), o) }),
		of("link", "link", "Heartbeat", withDial, func(o *link.Options) (*link.Link, error) { return link.New(*o) }),
		of("Bridge", "", "Timeout", eventtarget.BridgeOptions{}, func(o *eventtarget.BridgeOptions) (*eventtarget.Bridging, error) {
			return eventtarget.Bridge(t.Context(), bus, bus, o)
		}),
		of("wsserver", "wsserver", "Options.(Heartbeat|SessionTimeout)", wsserver.Options{Options: ofHub}, wsserver.New),
		of("wsclient", "wsclient", "Options.Heartbeat", wsclient.Options{Options: ofLink}, func(o *wsclient.Options) (*wsclient.Client, error) {
			return wsclient.New("ws://127.0.0.1:1", o)
		}),
		of("ssehub", "ssehub", "Options.(Heartbeat|SessionTimeout)", ssehub.Options{Options: ofHub}, ssehub.New),
		of("sseclient", "sseclient", "Options.Heartbeat", sseclient.Options{Options: ofLink}, func(o *sseclient.Options) (*sseclient.Client, error) {
			return sseclient.New("http://127.0.0.1:1", o)
		}),
		of("quichub", "quichub", "Options.(Heartbeat|SessionTimeout)|ListenerOptions.(KeepAlive|RetryAbove)",
			quichub.Options{Options: ofHub, ListenerOptions: quichub.ListenerOptions{Identity: who}},
			func(o *quichub.Options) (*quichub.Hub, error) { return quichub.Listen("127.0.0.1:0", o) }),
		of("quichub.Serve", "quichub", "KeepAlive|RetryAbove", quichub.ListenerOptions{Identity: who}, func(o *quichub.ListenerOptions) (*quichub.Listener, error) {
			socket, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
			if err != nil {
				return nil, err
			}
			return quichub.Serve(h, socket, *o)
		}),
		of("quicspoke", "quicspoke", "Options.Heartbeat|KeepAlive", quicspoke.Options{Options: ofLink, Identity: who}, func(o *quicspoke.Options) (*quicspoke.Spoke, error) {
			return quicspoke.New("127.0.0.1:1", o)
		}),
		// Of a child's link Start sets some, and a pool has only the pause.
		of("worker", "worker", "Options.(Heartbeat|DialTimeout)", child, func(o *worker.Options) (*worker.Worker, error) { return worker.Start(*o) }),
		of("worker.Pool", "worker", "Options.(Heartbeat|SessionTimeout)|Worker.Options.[^B].*", worker.PoolOptions{Worker: child, Options: ofHub},
			func(o *worker.PoolOptions) (*worker.Pool, error) { return worker.StartPool(*o) }),
		of("redis", "redis", "", redis.Options{OnFault: quiet}, func(o *redis.Options) (*redis.Target, error) { return redis.New("redis://127.0.0.1:1", o) }),
	}
}

// TestNegative: whatever number of whatever options is negative, the error names it, once
// the target and never the link or the hub within; but for those that may be.
func TestNegative(t *testing.T) {
	for _, c := range constructors(t) {
		mayBe := regexp.MustCompile("^(" + c.mayBe + ")$")
		for _, path := range numbers(reflect.TypeOf(c.fresh()).Elem(), "") {
			opts := c.fresh()
			set(reflect.ValueOf(opts).Elem(), path)
			made, err := c.open(opts)
			if made != nil {
				_ = made.Close()
			}
			name := path[strings.LastIndex(path, ".")+1:]
			if mayBe.MatchString(path) {
				if err != nil && strings.Contains(err.Error(), "negative") {
					t.Errorf("%s: %s may be negative: %v", c.name, path, err)
				}
				continue
			}
			if err == nil || !strings.Contains(err.Error(), name+" is negative (-1") {
				t.Errorf("%s: %s is negative: %v", c.name, path, err)
				continue
			}
			if e, ok := errors.AsType[*eventtarget.Error](err); ok && (e.Adapter != c.adapter || strings.Count(err.Error(), "eventtarget:") > 1) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// numbers returns the paths of all numbers in a struct that can be negative.
func numbers(s reflect.Type, in string) (paths []string) {
	for f := range s.Fields() {
		switch f.Type.Kind() {
		case reflect.Int, reflect.Int64, reflect.Float64:
			paths = append(paths, in+f.Name)
		case reflect.Struct:
			paths = append(paths, numbers(f.Type, in+f.Name+".")...)
		}
	}
	return paths
}

// set makes the number at a path negative.
func set(v reflect.Value, path string) {
	for name := range strings.SplitSeq(path, ".") {
		v = v.FieldByName(name)
	}
	v.Set(reflect.ValueOf(-1).Convert(v.Type()))
}
