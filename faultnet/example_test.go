package faultnet_test

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/eventtarget-go/toolkit/faultnet"
)

// A client is given the proxy's address in place of its server's, and then the network
// fails.
func ExampleNewProxy() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello")
	}))
	defer server.Close()
	proxy, err := faultnet.NewProxy(server.Listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer proxy.Close()

	client := http.Client{Timeout: time.Minute}
	ask := func() {
		res, err := client.Get("http://" + proxy.Addr)
		if err != nil {
			fmt.Println("no answer")
			return
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		fmt.Printf("%s, %v\n", text, err)
	}
	ask()
	proxy.Cut()
	ask()
	proxy.Heal()
	proxy.Shred(1) // each byte comes alone
	ask()
	// Output:
	// hello, <nil>
	// no answer
	// hello, <nil>
}

// A router that has forgotten its table: the server sees the client come from another port.
func ExampleNewRelay() {
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	relay, err := faultnet.NewRelay(server.LocalAddr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer relay.Close()
	client, err := net.Dial("udp", relay.Addr)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	say := func(text string) (from net.Addr) {
		if _, err := client.Write([]byte(text)); err != nil {
			log.Fatal(err)
		}
		packet := make([]byte, 100)
		_ = server.SetReadDeadline(time.Now().Add(time.Minute))
		n, from, err := server.ReadFrom(packet)
		fmt.Printf("%s, %v\n", packet[:n], err)
		return from
	}
	before := say("hello")
	if err := relay.Rebind(); err != nil {
		log.Fatal(err)
	}
	after := say("hello again")
	fmt.Println("from another port:", before.String() != after.String())
	// Output:
	// hello, <nil>
	// hello again, <nil>
	// from another port: true
}

// Two processes that talk over pipes; here both ends are in one. The client is not heard
// any more, still hears the server, and then both are cut off.
func ExampleNewPipe() {
	pipe, err := faultnet.NewPipe()
	if err != nil {
		log.Fatal(err)
	}
	defer pipe.Close()
	for _, f := range []*os.File{pipe.Client.In, pipe.Server.In} {
		if err := f.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			log.Fatal(err)
		}
	}
	pipe.Stall(faultnet.ToServer)
	if _, err := io.WriteString(pipe.Client.Out, "hello\n"); err != nil {
		log.Fatal(err)
	}
	if _, err := io.WriteString(pipe.Server.Out, "is somebody there?\n"); err != nil {
		log.Fatal(err)
	}
	line, err := bufio.NewReader(pipe.Client.In).ReadString('\n')
	fmt.Printf("the client hears %q, %v\n", line, err)
	pipe.Cut()
	all, err := io.ReadAll(pipe.Server.In)
	fmt.Printf("the server hears %q, %v\n", all, err)
	// Output:
	// the client hears "is somebody there?\n", <nil>
	// the server hears "", <nil>
}
