package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// file finds out where everything stands in a YAML file.
type file struct {
	name      string
	positions map[string]Position
	problems  Problems
}

// read looks at the text of a file. What is no YAML, or says the same key twice, is a
// problem; whether the keys mean anything is not its business.
func (f *file) read(text []byte) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		f.empty()
		return
	} else if err != nil {
		f.syntax(err)
		return
	}
	if err := d.Decode(&second); err == nil {
		f.bad(&second, "", "a second document begins here; write everything in one")
	} else if !errors.Is(err, io.EOF) {
		f.syntax(err)
	}
	root := doc.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		f.empty()
		return
	}
	if root.Kind != yaml.MappingNode {
		f.bad(root, "", "this is no configuration; write keys, such as http:")
		return
	}
	f.walk(root, "")
}

// walk notes where each key stands. Aliases are refused: a few of them can stand for more
// than fits anywhere, and the environment could not override what they bring.
func (f *file) walk(n *yaml.Node, path string) {
	switch {
	case n.Kind == yaml.AliasNode:
		f.bad(n, path, "an alias is not read here; write the value out")
	case n.Kind == yaml.MappingNode:
		f.mapping(n, path)
	case n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			key := path + "[" + strconv.Itoa(i) + "]"
			f.note(item, key)
			f.walk(item, key)
		}
	case n.Tag != "!!str" && n.Style&yaml.TaggedStyle != 0:
		f.bad(n, path, "a value has no tag here; write it without the one that begins with !")
	}
}

func (f *file) mapping(n *yaml.Node, path string) {
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode || name.Tag != "!!str" {
			f.bad(name, path, "a key is a name; write one of the known keys")
			continue
		}
		if line, twice := lines[name.Value]; twice {
			key := path
			if homes[name.Value] != "" || slices.Contains(keysOf(reflect.TypeFor[Config]()), name.Value) {
				key = join(path, name.Value) // otherwise it may be anything, a token too
			}
			f.bad(name, key, fmt.Sprintf("the same key stands in line %d already; write it once", line))
			continue
		}
		lines[name.Value] = name.Line
		key := join(path, name.Value)
		f.note(name, key)
		f.walk(value, key)
	}
}

// empty refuses a file that may just be being written: without tokens everyone is let in.
func (f *file) empty() {
	f.problems = append(f.problems, Problem{Position{f.name, 1, 1}, "", "the file is empty; write keys, such as http:, or {} for the defaults"})
}

func (f *file) note(n *yaml.Node, key string) {
	f.positions[key] = Position{f.name, n.Line, n.Column}
}

func (f *file) bad(n *yaml.Node, key, text string) {
	f.problems = append(f.problems, Problem{Position{f.name, n.Line, n.Column}, key, text})
}

var (
	lineOf = regexp.MustCompile(`\bline (\d+)`)
	// reveals are the library's messages that repeat what stands in the file.
	reveals = regexp.MustCompile("[`'\"!*&]")
)

// syntax tells what is wrong with the YAML, without repeating any of it: it may be a
// secret.
func (f *file) syntax(err error) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	at := Position{Source: f.name, Line: 1, Column: 1}
	if m := lineOf.FindStringSubmatch(text); m != nil {
		at.Line, _ = strconv.Atoi(m[1])
		_, text, _ = strings.Cut(text, m[0]+": ")
	}
	switch {
	case strings.Contains(text, "anchor"), strings.Contains(text, "alphabetic or numeric"):
		text = `a text that begins with * or & stands in quotes; write "*"`
	case strings.Contains(text, "tab"), strings.Contains(text, "cannot start any token"):
		text = "this is no YAML; indent with spaces, and put a text that begins with @, % or a tab in quotes"
	case text == "", reveals.MatchString(text):
		text = "this is no YAML; look at the indentation, colons and quotes of this line and the one before"
	default:
		text = "this is no YAML (" + text + "); look at the indentation, colons and quotes of this line and the one before"
	}
	f.problems = append(f.problems, Problem{at, "", text})
}

// join returns the path of a key in a mapping.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
