package main_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEndTogether: a request that does not end and a hub that has gone, to which something
// still has to be brought, hold up the end for drain-timeout together, and not for that each.
func TestEndTogether(t *testing.T) {
	const drain = 3 * time.Second
	far := runHub(t, t.TempDir(), "relay: true\n")
	near := runHub(t, t.TempDir(), fmt.Sprintf("drain-timeout: %v\nbridges:\n  - url: %s\n", drain, far.urls[0]))
	if err := far.process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = far.end() // killed
	dispatch := beside(near.urls[0], "/dispatch")
	if status := post(t, dispatch, "", `{"type":"n","id":"","payload":1}`); status != http.StatusAccepted {
		t.Fatalf("the hub answers %d", status)
	}
	u, err := url.Parse(dispatch)
	if err != nil {
		t.Fatal(err)
	}
	endless, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer endless.Close()
	_, err = fmt.Fprintf(endless, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n", u.Path, u.Host)
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(endless).ReadString('\n'); err != nil || !strings.Contains(line, "100") { // it reads
		t.Fatalf("the hub answers %q, %v", line, err)
	}
	begin := time.Now()
	near.signal(syscall.SIGTERM)
	if near.end() == nil {
		t.Error("the hub does not tell what it could not bring")
	}
	if took := time.Since(begin); took < drain || took >= 2*drain {
		t.Errorf("the end took %v", took)
	}
}
