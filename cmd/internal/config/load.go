package config

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	yamlparser "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
)

// Prefix of the environment variables that override keys: EVENTTARGET_LIMITS_SPOKES is
// limits.spokes.
const envPrefix = "EVENTTARGET_"

// Source is where a configuration comes from. What stands further down overrides.
type Source struct {
	// File is a YAML file; empty: there is none.
	File string
	// Environ are variables, as [os.Environ] returns them. A list is written with
	// commas. Keys inside of lists have no variable.
	Environ []string
	// Flags are values by key, such as "http.address", and Names what they are called
	// on the command line.
	Flags map[string]any
	Names map[string]string
}

// Load reads and checks a configuration, and the files that it names. unknown are the
// environment variables that look as if they were meant and mean nothing. The error is
// [Problems].
func Load(s Source) (c *Config, unknown []string, err error) {
	r := reader{positions: map[string]Position{}, environ: s.Environ}
	k := koanf.New(".")
	if s.File != "" {
		if !r.file(k, s.File) {
			return nil, nil, r.problems.sorted()
		}
	}
	unknown = r.env(k, s.Environ)
	for key, value := range s.Flags {
		r.override(k, key, Position{Source: s.Names[key]})
		if err := k.Load(confmap.Provider(map[string]any{key: value}, "."), nil); err != nil {
			return nil, unknown, err
		}
	}
	config := defaults()
	r.struct_(reflect.ValueOf(&config).Elem(), k.Raw(), "")
	config.origins = r.positions
	if len(r.problems) == 0 {
		r.check(&config)
	}
	return &config, unknown, r.problems.sorted()
}

// Where tells where a key was given, or else the nearest one around it.
func (c *Config) Where(key string) Position { return where(c.origins, key) }

// Label names a key and where it was given, if it was.
func (c *Config) Label(key string) string { return label(c.Where(key), key) }

func where(positions map[string]Position, key string) Position {
	for {
		if p, ok := positions[key]; ok {
			return p
		}
		cut := strings.LastIndexAny(key, ".[")
		if cut < 0 {
			return positions[""]
		}
		key = key[:cut]
	}
}

// reader collects what a configuration says, where, and what is wrong with it.
type reader struct {
	positions map[string]Position
	environ   []string
	problems  Problems
}

func (r *reader) bad(key, text string) {
	r.problems = append(r.problems, Problem{where(r.positions, key), key, text})
}

// file loads a YAML file.
func (r *reader) file(k *koanf.Koanf, name string) bool {
	r.positions[""] = Position{Source: name, Line: 1, Column: 1}
	text, err := os.ReadFile(name)
	if err != nil {
		r.bad("", unreadable(err))
		return false
	}
	f := file{name: name, positions: r.positions}
	f.read(text)
	r.problems = f.problems
	if len(r.problems) > 0 {
		return false
	}
	if err := k.Load(rawbytes.Provider(text), yamlparser.Parser()); err != nil {
		f.syntax(err)
		r.problems = f.problems
		return false
	}
	return true
}

// env loads the environment, and returns what is in it that means nothing.
func (r *reader) env(k *koanf.Koanf, environ []string) (unknown []string) {
	keys := map[string]string{}
	variables(reflect.TypeFor[Config](), "", keys)
	given := map[string]any{}
	p := env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			key, known := keys[name]
			if !known {
				unknown = append(unknown, name)
				return "", nil
			}
			given[name] = key
			return key, text(value)
		},
	})
	values, err := p.Read()
	if err != nil { // it never has one
		r.bad("", err.Error())
		return unknown
	}
	for name, key := range given {
		r.override(k, key.(string), Position{Source: name})
	}
	if err := k.Load(confmap.Provider(values, ""), nil); err != nil {
		r.bad("", err.Error())
	}
	slices.Sort(unknown)
	return unknown
}

// text is a value from outside of YAML: everything is written as text there.
type text string

// override notes where a key is given now. A URL replaces the file or the variable that
// it would have been taken from.
func (r *reader) override(k *koanf.Koanf, key string, at Position) {
	for path := range r.positions {
		if strings.HasPrefix(path, key+"[") {
			delete(r.positions, path)
		}
	}
	r.positions[key] = at
	if section, name, found := strings.Cut(key, "."); found && section == "backplane" {
		for _, other := range keysOf(reflect.TypeFor[Remote]()) {
			if other != name {
				k.Delete(join(section, other))
			}
		}
	}
}

// variables collects the environment variables of the keys outside of lists.
func variables(t reflect.Type, path string, keys map[string]string) {
	for f := range fields(t) {
		key := join(path, f.Tag.Get("key"))
		if isSection(f.Type) {
			variables(f.Type, key, keys)
		} else if f.Type.Kind() != reflect.Slice || !isSection(f.Type.Elem()) {
			keys[Variable(key)] = key
		}
	}
}

// Variable returns the name of the environment variable of a key outside of lists.
func Variable(key string) string {
	return envPrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

// unreadable says why a file cannot be read, without its name, which may be a secret
// that was written in the wrong place.
func unreadable(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	return "the file cannot be read: " + err.Error()
}
