package e2e_test

import (
	"fmt"
	"testing"
)

// TestOtherOrigin: a page of another origin dispatches by POST where that is allowed, and
// only there.
func TestOtherOrigin(t *testing.T) {
	home, _ := startHub(t, "127.0.0.1:0")
	page := open(t, "http://"+home+"/healthz")
	for origin, want := range map[string]string{"http://" + home: "202", "http://elsewhere.test": "TypeError"} {
		at, _ := startHub(t, "127.0.0.1:0", "--origin", origin)
		got := eval[string](page, fmt.Sprintf(`fetch("http://%s/dispatch", {
			method: "POST", headers: {"Content-Type": "application/json"}, body: '{"type":"chat","id":"1"}',
		}).then(answer => "" + answer.status, error => error.name)`, at))
		if got != want {
			t.Errorf("where %s is allowed: %s, want %s", origin, got, want)
		}
	}
}
