package wsserver_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// TestGoneMemory: nothing is left of peers that went without a word, and so were not closed by
// the library.
func TestGoneMemory(t *testing.T) {
	const peers = 500
	gone := make(chan struct{}, peers)
	_, url := newHub(t, wsserver.Options{Options: hub.Options{
		OnDisconnect: func(*hub.Spoke, eventtarget.Reason) { gone <- struct{}{} },
		OnFault:      func(eventtarget.Fault) {}, // which a log would keep
	}})
	comeAndGo := func() {
		for range peers {
			c, err := net.Dial("tcp", strings.TrimPrefix(url, "ws://"))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
			if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
		}
		for range peers {
			await(t, gone)
		}
	}
	comeAndGo()
	before := memory()
	comeAndGo()
	late := time.After(20 * time.Second)
	for {
		each := (memory() - before) / peers
		if each < 500 {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-late:
			t.Fatalf("%d bytes are left of each peer", each)
		}
	}
}
