package config

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/eventtarget-go/toolkit/identity"
)

var update = flag.Bool("update", false, "write hub.schema.json and the table of docs/configuration.md anew")

const schemaFile = "../../eventtarget/hub.schema.json"

// forms are the types that are written as a text of some form.
var forms = map[reflect.Type]map[string]any{
	reflect.TypeFor[Topic]():        {"type": "string", "pattern": `^(\*|([^_:*\x00-\x1f\x7f]|_[^_:*\x00-\x1f\x7f])[^:*\x00-\x1f\x7f]{0,127}:[^\x00-\x1f\x7f]{0,256}|_:[^\x00-\x1f\x7f]{0,256})$`},
	reflect.TypeFor[Prefix]():       {"type": "string", "pattern": `^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$`},
	reflect.TypeFor[identity.Pin](): {"type": "string", "pattern": `^sha256-[A-Za-z0-9_-]{43}$`},
	reflect.TypeFor[Duration]():     {"type": "string", "pattern": `^([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h))+$`},
	reflect.TypeFor[Size](): {"anyOf": []any{
		map[string]any{"type": "integer", "minimum": 1},
		map[string]any{"type": "string", "pattern": `^[0-9]*\.?[0-9]+ ?(B|kB|KB|MB|GB|KiB|MiB|GiB)?$`},
	}},
}

// extras are what a section demands of its keys together, and single keys of their text.
var (
	extras = map[reflect.Type]map[string]any{
		reflect.TypeFor[Token]():  {"oneOf": requireEach("token-file", "token-env")},
		reflect.TypeFor[Remote](): {"oneOf": requireEach("url", "url-file", "url-env")},
		reflect.TypeFor[Bridge](): {"oneOf": requireEach("url", "url-file", "url-env")},
		reflect.TypeFor[Rule]():   {"anyOf": requireEach("subscribe", "dispatch")},
		reflect.TypeFor[JWT]():    {"required": []string{"methods", "key-file"}},
		reflect.TypeFor[HTTP]():   {"dependentRequired": map[string]any{"tls-cert": []string{"tls-key"}, "tls-key": []string{"tls-cert"}}},
		reflect.TypeFor[Limits](): {"dependentRequired": map[string]any{"burst": []string{"rate"}}},
		reflect.TypeFor[Config](): {"dependentRequired": map[string]any{"retain-topics": []string{"retain"}, "retain-bytes": []string{"retain"}}},
	}
	texts = map[string]map[string]any{
		"origins":         {"pattern": "^[^:]+://.+"},
		"hosts":           {"pattern": "^[^:/]+$"},
		"sha256":          {"pattern": checksum.String()},
		"env":             {"pattern": "^[^=]+="},
		"inherit":         {"pattern": "^[^=]+$"},
		"methods":         {"enum": methods},
		"tls-cert":        {"minLength": 1},
		"token-parameter": {"minLength": 1},
	}
)

func requireEach(keys ...string) (all []any) {
	for _, key := range keys {
		all = append(all, map[string]any{"required": []string{key}})
	}
	return all
}

// schemaOf describes a type as JSON Schema. The quic section needs all of its keys only
// once the flags are in, so that is not its business.
func schemaOf(t reflect.Type, f reflect.StructTag) map[string]any {
	s := map[string]any{}
	switch {
	case forms[t] != nil && f.Get("off") != "":
		s["anyOf"] = []any{forms[t], map[string]any{"const": "off"}}
	case forms[t] != nil:
		maps.Copy(s, forms[t])
	case isSection(t):
		properties, required := map[string]any{}, []string{}
		for g := range fields(t) {
			properties[g.Tag.Get("key")] = schemaOf(g.Type, g.Tag)
			if g.Tag.Get("required") != "" {
				required = append(required, g.Tag.Get("key"))
			}
		}
		s["type"], s["properties"], s["additionalProperties"], s["minProperties"] = "object", properties, false, 1
		if t == reflect.TypeFor[Config]() {
			delete(s, "minProperties") // {} is a configuration
		}
		if len(required) > 0 {
			s["required"] = required
		}
		maps.Copy(s, extras[t])
	case t.Kind() == reflect.Slice:
		item := schemaOf(t.Elem(), "")
		maps.Copy(item, texts[f.Get("key")])
		s["type"], s["items"], s["minItems"] = "array", item, 1
	case t.Kind() == reflect.Bool:
		s["type"] = "boolean"
	case t.Kind() == reflect.Int:
		s["type"], s["minimum"], s["maximum"] = "integer", 1, 1<<30
		if f.Get("default") == "0" {
			s["minimum"] = 0
		}
	case t.Kind() == reflect.Float64:
		s["type"], s["minimum"], s["maximum"] = "number", 0, 1_000_000_000
	default:
		s["type"], s["minLength"] = "string", 1
		maps.Copy(s, texts[f.Get("key")])
	}
	if enum := f.Get("enum"); enum != "" {
		s["enum"] = strings.Split(enum, ",")
	}
	if doc := f.Get("doc"); doc != "" {
		s["description"] = doc
	}
	if d := f.Get("default"); d != "" {
		s["description"] = f.Get("doc") + " Default: " + d + "."
	}
	if e := f.Get("example"); e != "" {
		s["examples"] = []any{e}
		if t.Kind() == reflect.Slice {
			s["examples"] = []any{[]string{e}}
		}
	}
	return s
}

// TestSchema: the schema that ships is that of the struct, it takes the configuration
// with every key, and it refuses the broken ones whose form is wrong.
func TestSchema(t *testing.T) {
	made := schemaOf(reflect.TypeFor[Config](), "")
	made["$schema"], made["title"] = "https://json-schema.org/draft/2020-12/schema", "The configuration of eventtarget hub"
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(made); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ships, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ships, text.Bytes()) {
		t.Error("hub.schema.json is not that of the struct: go test ./internal/config -update")
	}
	schema := compile(t, ships)
	if err := schema.Validate(parse(t, strings.ReplaceAll(full(t), "DIR", "/etc/hub"))); err != nil {
		t.Errorf("the schema refuses the configuration with every key: %v", err)
	}
	refused := 0
	for _, c := range append(broken, brokenTogether...) {
		var value any
		err := yaml.Unmarshal([]byte(c.text), &value)
		if err == nil {
			err = schema.Validate(value)
		}
		if c.form && err == nil {
			t.Errorf("the schema takes %s: %s", c.name, c.text)
		}
		if c.form {
			refused++
		}
	}
	if refused < 40 {
		t.Errorf("the schema was shown only %d wrong forms", refused)
	}
}

func compile(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("hub.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("hub.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func parse(t *testing.T, text string) any {
	t.Helper()
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	return value
}
