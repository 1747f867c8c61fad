package config

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

const (
	document = "../../../docs/configuration.md"
	begin    = "<!-- keys: go test ./internal/config -update writes what follows -->\n"
	end      = "<!-- keys end -->\n"
)

// TestDocument: the page has every key, with what the struct says about it.
func TestDocument(t *testing.T) {
	var keys bytes.Buffer
	fmt.Fprintf(&keys, "\n## All keys\n\n**Live** keys change with SIGHUP; the others wait for a restart. Keys outside of lists can be set by the\nvariable in the last column.\n")
	fmt.Fprintf(&keys, "\n### The first level\n\n")
	rest := table(&keys, reflect.TypeFor[Config](), "", "")
	for _, f := range rest {
		name, section := f.Tag.Get("key"), f.Type
		title, path := "`"+name+"`", name
		if section.Kind() == reflect.Slice {
			title, path, section = "An entry of `"+name+"`", "", section.Elem()
		}
		fmt.Fprintf(&keys, "\n### %s\n\n%s\n\n", title, f.Tag.Get("doc"))
		table(&keys, section, path, f.Tag.Get("live"))
	}
	keys.WriteString("\n")
	page, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	before, after, found := strings.Cut(string(page), begin)
	is, tail, ended := strings.Cut(after, end)
	if !found || !ended {
		t.Fatal("the marks of the keys are gone")
	}
	if *update {
		if err := os.WriteFile(document, []byte(before+begin+keys.String()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if is != keys.String() {
		t.Error("docs/configuration.md does not have the keys of the struct: go test ./internal/config -update")
	}
}

// TestExamples: what the page shows, and what is deployed, are configurations.
func TestExamples(t *testing.T) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	schema := compile(t, text)
	page, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	var examples []string
	for i, part := range strings.Split(string(page), "```") {
		if yaml, shown := strings.CutPrefix(part, "yaml\n"); shown && i%2 == 1 {
			examples = append(examples, yaml)
		}
	}
	deployed, err := os.ReadFile("../../eventtarget/deploy/hub.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(examples) < 2 {
		t.Errorf("the page shows only %d", len(examples))
	}
	for _, example := range append(examples, string(deployed)) {
		if err := schema.Validate(parse(t, example)); err != nil {
			t.Errorf("%v\n%s", err, example)
		}
	}
}

// table writes the keys of a section, which may be live as a whole, and returns those that
// are sections.
func table(w *bytes.Buffer, t reflect.Type, path, allLive string) (sections []reflect.StructField) {
	w.WriteString("| Key | What it says | Default | Live | Variable |\n|---|---|---|---|---|\n")
	for f := range fields(t) {
		key, doc, def, live, variable := f.Tag.Get("key"), f.Tag.Get("doc"), f.Tag.Get("default"), "", ""
		elem := f.Type
		if elem.Kind() == reflect.Slice {
			elem = elem.Elem()
			doc += " A list."
		}
		if isSection(elem) {
			sections = append(sections, f)
			doc = "See [below](#" + anchor(f) + ")."
		} else if t == reflect.TypeFor[Config]() || path != "" {
			variable = "`" + Variable(join(path, key)) + "`"
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			doc += " One of " + oneOf(enum) + "."
		}
		if e := f.Tag.Get("example"); e != "" {
			doc += " Such as `" + e + "`."
		}
		if f.Tag.Get("required") != "" {
			def = "*required*"
		}
		if f.Tag.Get("live")+allLive != "" {
			live = "yes"
		}
		doc = strings.NewReplacer("*", `\*`, "|", `\|`).Replace(doc)
		if e := f.Tag.Get("example"); e != "" { // code needs no escapes
			doc = strings.ReplaceAll(doc, "`"+strings.ReplaceAll(e, "*", `\*`)+"`", "`"+e+"`")
		}
		fmt.Fprintf(w, "| `%s` | %s | %s | %s | %s |\n", key, doc, def, live, variable)
	}
	return sections
}

// anchor is what GitHub makes of the heading of a section.
func anchor(f reflect.StructField) string {
	if f.Type.Kind() == reflect.Slice {
		return "an-entry-of-" + f.Tag.Get("key")
	}
	return f.Tag.Get("key")
}
