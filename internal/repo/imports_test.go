package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/eventtarget-go/toolkit/"

var (
	// stdOnly are the folders whose packages import the standard library and
	// this module's own only, all the way down: what every user compiles,
	// whichever adapters they choose.
	stdOnly = []string{"eventtarget", "inprocess", "worker", "conformance"}

	// adapters are the packages that know one transport each.
	adapters = []string{"inprocess", "redis", "wsclient", "wsserver", "ssehub", "worker", "quichub", "quicspoke"}

	// thirdParty are the modules that packages of the root module may import,
	// tests aside. The default answer to another one is no.
	thirdParty = []string{"github.com/coder/websocket", "github.com/redis/rueidis", "github.com/quic-go/quic-go", "github.com/golang-jwt/jwt/v5", "github.com/tmaxmax/go-sse"}
)

type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

// graph is what packages import, tests aside, by import path.
type graph map[string]listed

func load(t *testing.T) graph {
	t.Helper()
	out := output(t, "go", "list", "-deps", "-json=ImportPath,Standard,Imports", "./...")
	g := graph{}
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return g
		case err != nil:
			t.Fatal(err)
		}
		g[p.ImportPath] = p
	}
}

// ours returns the packages of the root module that stand in a folder, by
// their paths in the module.
func (g graph) ours(folders ...string) []string {
	var found []string
	for path := range g {
		if rel, ok := strings.CutPrefix(path, module); ok && (len(folders) == 0 || in(rel, folders)) {
			found = append(found, rel)
		}
	}
	slices.Sort(found)
	return found
}

// in reports whether a path is one of the folders or stands in one.
func in(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// reach returns what a package of ours imports outside the standard library,
// directly or through others of ours, each with the chain that leads there.
func (g graph) reach(path string) map[string]string {
	chains := map[string]string{}
	var walk func(from, chain string)
	walk = func(from, chain string) {
		for _, to := range g[from].Imports {
			if _, seen := chains[to]; !seen && !g[to].Standard {
				chains[to] = chain + " -> " + to
				if strings.HasPrefix(to, module) {
					walk(to, chains[to])
				}
			}
		}
	}
	walk(path, path)
	return chains
}

func TestStandardLibraryOnly(t *testing.T) {
	g := load(t)
	checked := g.ours(stdOnly...)
	if len(checked) < 3 {
		t.Fatalf("only %q were found", checked)
	}
	for _, p := range checked {
		reached := g.reach(module + p)
		for _, to := range slices.Sorted(maps.Keys(reached)) {
			if !strings.HasPrefix(to, module) {
				t.Errorf("%s imports more than the standard library: %s", p, reached[to])
			}
		}
	}
}

func TestAdaptersAreIndependent(t *testing.T) {
	g := load(t)
	for _, p := range g.ours(adapters...) {
		reached := g.reach(module + p)
		for _, other := range adapters {
			if chain, ok := reached[module+other]; ok && !in(p, []string{other}) {
				t.Errorf("an adapter imports another: %s", chain)
			}
		}
	}
}

func TestThirdParty(t *testing.T) {
	g := load(t)
	for _, p := range g.ours() {
		for _, to := range g[module+p].Imports {
			if !g[to].Standard && !strings.HasPrefix(to, module) && !in(to, thirdParty) {
				t.Errorf("%s imports %s, which no adapter ships", p, to)
			}
		}
	}
}

// TestRules proves that the rules above can fail.
func TestRules(t *testing.T) {
	g := graph{
		module + "wsclient":   {ImportPath: module + "wsclient", Imports: []string{module + "wsclient/x"}},
		module + "wsclient/x": {ImportPath: module + "wsclient/x", Imports: []string{"fmt", module + "wsserver"}},
		module + "wsserver":   {ImportPath: module + "wsserver", Imports: []string{"example.com/y"}},
		"example.com/y":       {ImportPath: "example.com/y"},
		"fmt":                 {ImportPath: "fmt", Standard: true, Imports: []string{"io"}},
	}
	want := module + "wsclient -> " + module + "wsclient/x -> " + module + "wsserver -> example.com/y"
	if got := g.reach(module + "wsclient")["example.com/y"]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, ok := g.reach(module + "wsclient")["fmt"]; ok {
		t.Error("the standard library counts as a dependency")
	}
	if in("wsclientx", []string{"wsclient"}) || !in("wsclient/x", []string{"wsclient"}) {
		t.Error("a folder is taken for its prefix")
	}
}
