package config

import "reflect"

// Changes returns the keys that differ between two configurations and that a running hub
// does not take over: what it was started with stays.
func Changes(running, now *Config) (kept []string) {
	kept = changes(reflect.ValueOf(running).Elem(), reflect.ValueOf(now).Elem(), "")
	if (running.HTTP.Certificate == nil) != (now.HTTP.Certificate == nil) {
		kept = append(kept, "http.tls-cert") // a certificate changes, TLS does not come or go
	}
	return kept
}

func changes(a, b reflect.Value, path string) (kept []string) {
	for f := range fields(a.Type()) {
		if f.Tag.Get("live") != "" {
			continue
		}
		key := join(path, f.Tag.Get("key"))
		was, is := a.FieldByIndex(f.Index), b.FieldByIndex(f.Index)
		if isSection(f.Type) {
			kept = append(kept, changes(was, is, key)...)
		} else if l, ok := reflect.TypeAssert[[]Listener](was); ok {
			if now, _ := reflect.TypeAssert[[]Listener](is); !sameListeners(l, now) {
				kept = append(kept, key)
			}
		} else if !reflect.DeepEqual(was.Interface(), is.Interface()) {
			kept = append(kept, key)
		}
	}
	return kept
}
