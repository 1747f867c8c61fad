package open_test

import (
	"go/ast"
	"go/token"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/conformance"
	"github.com/eventtarget-go/toolkit/open"
)

// promises are the requirements that capabilities keep. Order is not among those that
// an adapter may lack.
func promises(c conformance.Capabilities) (rs []open.Requirement) {
	for r, kept := range map[open.Requirement]bool{
		open.Ordered: true, open.Bidirectional: !c.ReceiveOnly, open.Relay: c.Topology == conformance.Bus || c.Relay,
		open.Source: c.Source, open.Identity: c.Identity, open.Reconnects: c.Reconnects, open.Resumes: c.Resumes,
	} {
		if kept {
			rs = append(rs, r)
		}
	}
	return rs
}

// declared returns the capabilities that a test declares for the harness of a name: in
// the function where the name stands, or in one that is called with it.
func declared(t *testing.T, f *ast.File, name string) conformance.Capabilities {
	t.Helper()
	funcs := map[string]*ast.FuncDecl{}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
			funcs[fn.Name.Name] = fn
		}
	}
	var here *ast.CompositeLit // where the name stands without such a call
	for _, fn := range funcs {
		args, call, found := mentions(fn, name)
		callee := funcs[call]
		switch {
		case !found:
		case callee != nil && capabilities(callee) != nil:
			return evaluate(t, capabilities(callee), bind(callee, args))
		case capabilities(fn) != nil:
			here = capabilities(fn)
		}
	}
	if here != nil {
		return evaluate(t, here, nil)
	}
	t.Fatalf("no harness is named %q", name)
	panic("unreachable")
}

// mentions tells whether a name stands in a function, and in what call.
func mentions(fn *ast.FuncDecl, name string) (args []ast.Expr, callee string, found bool) {
	is := func(e ast.Node) bool {
		lit, ok := e.(*ast.BasicLit)
		return ok && lit.Kind == token.STRING && lit.Value == strconv.Quote(name)
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		found = found || is(n)
		if call, ok := n.(*ast.CallExpr); ok {
			for _, arg := range call.Args {
				if fun, ok := call.Fun.(*ast.Ident); ok && is(arg) {
					args, callee = call.Args, fun.Name
				}
			}
		}
		return true
	})
	return args, callee, found
}

// bind gives the parameters of a function their arguments.
func bind(fn *ast.FuncDecl, args []ast.Expr) map[string]ast.Expr {
	known := map[string]ast.Expr{}
	for _, field := range fn.Type.Params.List {
		for _, name := range field.Names {
			if len(known) < len(args) {
				known[name.Name] = args[len(known)]
			}
		}
	}
	return known
}

// capabilities returns the literal in a function.
func capabilities(fn *ast.FuncDecl) (caps *ast.CompositeLit) {
	ast.Inspect(fn, func(n ast.Node) bool {
		if lit, ok := n.(*ast.CompositeLit); ok {
			if s, ok := lit.Type.(*ast.SelectorExpr); ok && s.Sel.Name == "Capabilities" {
				caps = lit
			}
		}
		return caps == nil
	})
	return caps
}

func evaluate(t *testing.T, caps *ast.CompositeLit, known map[string]ast.Expr) (c conformance.Capabilities) {
	t.Helper()
	fields := reflect.ValueOf(&c).Elem()
	for name, value := range fieldsOf(caps) {
		field := fields.FieldByName(name)
		switch s, ok := value.(*ast.SelectorExpr); {
		case name == "Topology" && ok:
			field.SetString(strings.ToLower(s.Sel.Name)) // conformance.Bus is "bus"
		case field.Kind() == reflect.Bool:
			field.SetBool(truth(t, value, known))
		default:
			t.Fatalf("the capability %s cannot be read", name)
		}
	}
	return c
}

// truth evaluates true, false, !x, a parameter, and a field of one that is a literal.
func truth(t *testing.T, e ast.Expr, known map[string]ast.Expr) bool {
	t.Helper()
	switch e := e.(type) {
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			return !truth(t, e.X, known)
		}
	case *ast.Ident:
		switch arg, ok := known[e.Name]; {
		case ok:
			return truth(t, arg, nil)
		case e.Name == "true" || e.Name == "false":
			return e.Name == "true"
		}
	case *ast.SelectorExpr:
		if of, ok := e.X.(*ast.Ident); ok {
			if lit, ok := known[of.Name].(*ast.CompositeLit); ok {
				value, given := fieldsOf(lit)[e.Sel.Name]
				return given && truth(t, value, nil)
			}
		}
	}
	t.Fatalf("%T cannot be evaluated", e)
	panic("unreachable")
}

func fieldsOf(lit *ast.CompositeLit) map[string]ast.Expr {
	fields := map[string]ast.Expr{}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok {
				fields[key.Name] = kv.Value
			}
		}
	}
	return fields
}
