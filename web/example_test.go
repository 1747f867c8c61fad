package web_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/eventtarget-go/toolkit/web"
	"github.com/eventtarget-go/toolkit/wsserver"
)

// A page loads the module and has an EventTarget whose other half is the hub:
//
//	import { RemoteEventTarget } from "/eventtarget.js";
//	const target = new RemoteEventTarget("/ws");
func ExampleModule() {
	h, err := wsserver.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/ws", h)
	mux.Handle("/eventtarget.js", web.Module())
	server := httptest.NewServer(mux)
	defer server.Close()
	defer h.Close()

	client := http.Client{Timeout: time.Minute}
	res, err := client.Get(server.URL + "/eventtarget.js")
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	fmt.Println(res.Status, res.Header.Get("Content-Type"))
	// Output:
	// 200 OK text/javascript; charset=utf-8
}

// The live page shows what flows through a hub. It is served beside that, and behind a
// door of its own where others can reach it.
func ExampleNewLive() {
	h, err := wsserver.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/live/ws", h)
	mux.Handle("/live/", http.StripPrefix("/live", web.NewLive(h.Hub)))
	server := httptest.NewServer(mux)
	defer server.Close()
	defer h.Close()

	client := http.Client{Timeout: time.Minute}
	res, err := client.Get(server.URL + "/live/spokes") // what the page asks for
	if err != nil {
		log.Fatal(err)
	}
	defer res.Body.Close()
	spokes, err := io.ReadAll(res.Body)
	fmt.Printf("%s%v\n", spokes, err)
	// Output:
	// {"count":0,"spokes":[]}
	// <nil>
}
