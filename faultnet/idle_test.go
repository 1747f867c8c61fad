package faultnet

import (
	"net"
	"testing"
	"time"
)

// TestRelayForgets: a client that is silent gives its port back, and gets another one
// when it speaks again.
func TestRelayForgets(t *testing.T) {
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	r, err := newRelay(server.LocalAddr().String(), 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	client, err := net.Dial("udp", r.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for range 2 {
		if _, err := client.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := server.ReadFromUDP(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		end := time.Now().Add(10 * time.Second)
		for tick := time.NewTicker(time.Millisecond); ; <-tick.C {
			if err := r.Rebind(); err != nil { // is no sign of life
				t.Fatal(err)
			}
			r.mu.Lock()
			n := len(r.flows)
			r.mu.Unlock()
			if n == 0 {
				tick.Stop()
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d clients are remembered", n)
			}
		}
	}
}
