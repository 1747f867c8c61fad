package main

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// sample is what was measured once.
type sample struct {
	keys   map[string]string // conns=1000; the part of a benchmark's name without a key is its side
	order  []string          // the keys as they stand in the name
	values map[string]float64
	round  int // how many times the same was measured before
}

// samples are of one file.
type samples struct {
	all     []sample
	commits []string
	load    [2]float64 // the least and the most when a measurement began
}

// side is the key of who was measured.
const side = "side"

// read returns the samples of a file of measurements: the output of benchmarks, or CSV.
func read(file string) (s samples, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	if filepath.Ext(file) == ".csv" {
		err = s.readCSV(text)
	} else {
		err = s.readBenchmarks(text)
	}
	if err == nil && len(s.all) == 0 {
		err = errors.New("no figures")
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

func (s *samples) readBenchmarks(text []byte) error {
	seen := map[string]int{}
	for r := benchfmt.NewReader(bytes.NewReader(text), ""); r.Scan(); {
		switch line := r.Result().(type) {
		case *benchfmt.SyntaxError:
			return line
		case *benchfmt.Result:
			one := sample{keys: map[string]string{}, values: map[string]float64{}}
			base, parts := line.Name.Parts()
			one.keys["benchmark"] = string(base)
			for _, part := range parts {
				text, isName := strings.CutPrefix(string(part), "/")
				if !isName {
					continue // the number of processors
				}
				key, value, hasKey := strings.Cut(text, "=")
				if !hasKey {
					key, value = side, text
				}
				one.keys[key], one.order = value, append(one.order, key)
			}
			for _, v := range line.Values {
				if v.OrigUnit != "" {
					v.Value, v.Unit = v.OrigValue, v.OrigUnit
				}
				one.values[v.Unit] = v.Value
			}
			one.round = seen[string(line.Name)]
			seen[string(line.Name)]++
			if err := s.circumstances(line); err != nil {
				return err
			}
			s.all = append(s.all, one)
		}
	}
	return nil
}

// circumstances notes what stood above a measurement.
func (s *samples) circumstances(line *benchfmt.Result) error {
	if c := line.GetConfig("commit"); c != "" && !slices.Contains(s.commits, c) {
		s.commits = append(s.commits, c)
	}
	load, err := strconv.ParseFloat(line.GetConfig("load"), 64)
	if err != nil {
		return fmt.Errorf("%s stands below no load: %w", line.Name, err)
	}
	if len(s.all) == 0 {
		s.load = [2]float64{load, load}
	}
	s.load = [2]float64{min(s.load[0], load), max(s.load[1], load)}
	return nil
}

func (s *samples) readCSV(text []byte) error {
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil || len(rows) == 0 {
		return err
	}
	for _, row := range rows[1:] {
		one := sample{keys: map[string]string{}, values: map[string]float64{}, order: rows[0]}
		for i, key := range rows[0] {
			one.keys[key] = row[i]
			if v, err := strconv.ParseFloat(row[i], 64); err == nil {
				one.values[key] = v
			}
		}
		s.all = append(s.all, one)
	}
	return nil
}

// of returns the samples whose keys have all these values.
func (s samples) of(keys map[string]string) (found []sample) {
	for _, one := range s.all {
		same := true
		for key, value := range keys {
			same = same && one.keys[key] == value
		}
		if same {
			found = append(found, one)
		}
	}
	return found
}

// number returns the value of a key of a sample as a number, for the axis of a plot.
func (s sample) number(key string) (float64, error) {
	if v, isValue := s.values[key]; isValue {
		return v, nil
	}
	v, err := strconv.ParseFloat(s.keys[key], 64)
	if err != nil {
		return 0, fmt.Errorf("%v has no number %q", slices.Collect(maps.Values(s.keys)), key)
	}
	return v, nil
}

// median returns the middle one of the values, or the one above.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return v[len(v)/2]
}
