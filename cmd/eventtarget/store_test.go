package main_test

import (
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/wsclient"
)

// TestStore: a hub whose process is killed goes on from its folder, and its spokes with
// it.
func TestStore(t *testing.T) {
	dir := t.TempDir()
	url, process := startHub(t, "--store", dir)
	resumed := make(chan bool, 10)
	c, err := wsclient.New(url, &wsclient.Options{Options: link.Options{OnState: func(c link.Change) {
		if c.State == eventtarget.StateUp {
			resumed <- c.Resumed
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); <-c.Done() })
	heard := hear(t, c, eventtarget.T("chat", "*"))
	if next(t, resumed) {
		t.Error("the first connection was resumed")
	}
	other := connect(t, url)
	dispatch := func(id string) {
		t.Helper()
		if err := other.Dispatch(deadline(t), eventtarget.Event[raw]{Type: "chat", ID: id}); err != nil {
			t.Fatal(err)
		}
	}
	dispatch("1")
	if e := next(t, heard); e.ID != "1" {
		t.Errorf("heard %+v", e)
	}
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait()
	dispatch("2") // it waits
	startHub(t, "--store", dir, "--listen", url[len("ws://"):len(url)-len("/ws")])
	if !next(t, resumed) {
		t.Error("the session was not resumed")
	}
	if e := next(t, heard); e.ID != "2" {
		t.Errorf("heard %+v", e)
	}
	if _, _, err := run(t, "", "hub", "--listen", "127.0.0.1:0", "--store", dir); err == nil {
		t.Error("a second hub takes the same folder")
	}
}
