package repo

import (
	"go/ast"
	"go/parser"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// makes matches the names of methods that make something, and of functions that make
// what another package has a type for.
var makes = regexp.MustCompile(`^(New|Open|Start|Dial|Listen)([A-Z]|$)|^(Serve|Parent|Join|Module)$`)

// outputs matches the comment that makes go test run an example.
var outputs = regexp.MustCompile(`(?i)^(unordered )?output:`)

// without are those that have no example, each with the reason.
var without = map[string]string{
	"conformance.ExampleRun": "only go test has the *testing.T that it takes",
}

// private are the folders whose packages nobody else imports, or that are examples.
var private = []string{"internal", "cmd", "bench", "examples", "web/e2e", "tools", "conformance/mutants"}

// TestExamples: every exported function and method that makes something has an example
// that runs, and stands where it is looked for.
func TestExamples(t *testing.T) {
	sources, wanted, run := map[string][]*ast.File{}, map[string]bool{}, map[string]bool{}
	for _, file := range files(t, ".go") {
		dir := path.Dir(file)
		if in(dir, private) {
			continue
		}
		f := parse(t, file, read(t, file), parser.ParseComments|parser.SkipObjectResolution)
		if !strings.HasSuffix(file, "_test.go") {
			sources[dir] = append(sources[dir], f)
			continue
		}
		for name, runs := range examples(f) {
			run[dir+"."+name] = runs
			if base := path.Base(file); base != "example_test.go" && !strings.HasPrefix(base, "example_") {
				t.Errorf("%s has %s: examples stand in example_test.go, or example_NAME_test.go", file, name)
			}
			if !runs && without[dir+"."+name] == "" {
				t.Errorf("%s: %s has no output, so that it never runs", file, name)
			}
		}
	}
	for dir, pkg := range sources {
		for _, name := range made(pkg) {
			wanted[dir+".Example"+name] = true
		}
	}
	if len(wanted) < 50 {
		t.Errorf("only %q were found", slices.Sorted(maps.Keys(wanted)))
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if !run[name] && without[name] == "" {
			t.Errorf("there is no %s that runs", name)
		}
	}
	for name := range without {
		if run[name] {
			t.Errorf("%s runs: take it off the list", name)
		}
	}
}

func TestMadeAndExamples(t *testing.T) {
	const text = `package p
type T struct{}
type U[X any] interface{}
type Kind string
type private struct{}
func T1() T { return T{} }
func (t *T) Join() U[int] { return nil }
func Make() (*T, error) { return nil, nil }
func Generic() U[string] { return nil }
func NewHandler() http.Handler { return nil }
func NewMux() *other.Mux { return nil }
func Handler() http.Handler { return nil }
func NewName() string { return "" }
func Open() error { return nil }
func open() T { return T{} }
func (t *T) Close() T { return T{} }
func (t *T) Serve() {}
func (t *T) Join2() bool { return true }
func (p private) Join() T { return T{} }
func (u U[X]) Serve() (*link.Link, error) { return nil, nil }
`
	got := made([]*ast.File{parse(t, "p.go", text, parser.SkipObjectResolution)})
	if want := []string{"Generic", "Make", "NewHandler", "NewMux", "T1", "T_Join", "U_Serve"}; !slices.Equal(got, want) {
		t.Errorf("made: %q, want %q", got, want)
	}
	const tests = `package p
func ExampleNew() {
	// Output:
	// x
}
func ExampleT_Join() {
	// Unordered output:
	// x
}
func ExampleNewMux() {
	// it has none
}
func Test(t *testing.T) {}
`
	run := examples(parse(t, "p_test.go", tests, parser.ParseComments|parser.SkipObjectResolution))
	if want := map[string]bool{"ExampleNew": true, "ExampleT_Join": true, "ExampleNewMux": false}; !maps.Equal(run, want) {
		t.Errorf("examples: %v, want %v", run, want)
	}
}

// made returns the constructors of a package: the exported functions that return a type
// of its own, which are what go doc shows below that, and those whose name says that they
// make something. Methods are called "Type_Method", as their examples are.
func made(pkg []*ast.File) (names []string) {
	own := map[string]bool{}
	for _, f := range pkg {
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok && s.Name.IsExported() {
				own[s.Name.Name] = true
			}
			_, isFunc := n.(*ast.FuncDecl)
			return !isFunc
		})
	}
	for _, f := range pkg {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || !fn.Name.IsExported() || fn.Type.Results == nil {
				continue
			}
			name := fn.Name.Name
			says := makes.MatchString(name)
			result, foreign := typeName(fn.Type.Results.List[0].Type)
			if fn.Recv == nil {
				if !foreign && own[result] || foreign && says {
					names = append(names, name)
				}
				continue
			}
			if of, _ := typeName(fn.Recv.List[0].Type); own[of] && says && (foreign || own[result]) {
				names = append(names, of+"_"+name)
			}
		}
	}
	slices.Sort(names)
	return names
}

// typeName returns the name of a type, without its star and type parameters, and whether
// it is another package's. A type that has no name has none here.
func typeName(e ast.Expr) (name string, foreign bool) {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.IndexListExpr:
		return typeName(e.X)
	case *ast.SelectorExpr:
		return e.Sel.Name, true
	case *ast.Ident:
		return e.Name, false
	}
	return "", false
}

// examples returns the example functions of a file, and whether go test runs them.
func examples(f *ast.File) map[string]bool {
	found := map[string]bool{}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Example") {
			continue
		}
		found[fn.Name.Name] = slices.ContainsFunc(f.Comments, func(c *ast.CommentGroup) bool {
			return fn.Body.Pos() < c.Pos() && c.End() < fn.Body.End() && outputs.MatchString(c.Text())
		})
	}
	return found
}
