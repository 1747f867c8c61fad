package repo

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// sleeps are the test files that may call time.Sleep outside a synctest bubble,
// each with the reason. Elsewhere a test waits for what it wants to see.
var sleeps = map[string]string{
	"wsserver/nemesis_test.go":     "the times of the faults are random",
	"wsserver/conformance_test.go": "polls for a plain WebSocket peer, which nothing tells that the hub has it",
}

func TestFileSizes(t *testing.T) {
	limit := func(file string) int {
		switch path.Base(file) {
		case "conformance_test.go":
			return 80 // joining the suite stays cheap: law of the house
		case "export_test.go":
			return 40
		}
		if strings.HasSuffix(file, "_test.go") {
			return 500
		}
		return 400 // look for the second concept
	}
	for _, file := range files(t, ".go") {
		if n := strings.Count(read(t, file), "\n"); n > limit(file) {
			t.Errorf("%s has %d lines, more than %d", file, n, limit(file))
		}
	}
}

func TestPackageComments(t *testing.T) {
	type pkg struct{ dir, name string }
	comments := map[pkg][]string{}
	for _, file := range files(t, ".go") {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f := parse(t, file, read(t, file), parser.PackageClauseOnly|parser.ParseComments)
		p := pkg{path.Dir(file), f.Name.Name}
		if comments[p] == nil {
			comments[p] = []string{}
		}
		if f.Doc != nil {
			comments[p] = append(comments[p], f.Doc.Text())
		}
	}
	for p, found := range comments {
		begin := "Package " + p.name + " "
		if p.name == "main" {
			begin = "Command " + path.Base(p.dir) + " "
		}
		if len(found) != 1 || !strings.HasPrefix(found[0], begin) {
			t.Errorf("%s: want one package comment that begins with %q, got %q", p.dir, begin, found)
		}
	}
}

func TestSleeps(t *testing.T) {
	var found []string
	for _, file := range files(t, "_test.go") {
		text := read(t, file)
		lines := sleepsIn(t, file, text)
		if len(lines) == 0 {
			continue
		}
		found = append(found, file)
		if sleeps[file] == "" {
			t.Errorf("%s sleeps in lines %v; wait for what it wants to see, or use a synctest bubble", file, lines)
		}
	}
	for file := range sleeps {
		if !slices.Contains(found, file) {
			t.Errorf("%s no longer sleeps: take it off the list", file)
		}
	}
}

func TestSleepsIn(t *testing.T) {
	const text = `package p
func a() { time.Sleep(1) }
func b() { synctest.Test(t, func(t *testing.T) { go func() { time.Sleep(1) }() }) }
func c() { d(time.Sleep) }
`
	if got := sleepsIn(t, "p.go", text); !slices.Equal(got, []int{2, 4}) {
		t.Errorf("got lines %v", got)
	}
}

// sleepsIn returns the lines that name time.Sleep outside the arguments of
// synctest.Test, where it costs no time.
func sleepsIn(t *testing.T, file, text string) (lines []int) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			return !selects(n.Fun, "synctest", "Test")
		case *ast.SelectorExpr:
			if selects(n, "time", "Sleep") {
				lines = append(lines, set.Position(n.Pos()).Line)
			}
		}
		return true
	})
	return lines
}

func selects(e ast.Expr, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg
}

func parse(t *testing.T, file, text string, mode parser.Mode) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, text, mode)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
