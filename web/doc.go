// Package web has what a browser needs to be a spoke: eventtarget.js, an EventTarget
// whose other half is a hub, and a page that shows what flows through one.
//
// # Usage
//
//	mux.Handle("/ws", hub) // of package wsserver
//	mux.Handle("/eventtarget.js", web.Module())
//	mux.Handle("/", web.NewLive(hub.Hub))
//
// The module needs nothing but the platform, and is at most 2.5 KB when compressed:
//
//	import { RemoteEventTarget } from "/eventtarget.js";
//	const target = new RemoteEventTarget("/ws");
//	target.addEventListener("chat:42", (event) => console.log(event.detail));
//	target.dispatchEvent(new CustomEvent("chat:42", { detail: { text: "hi" } }));
//
// docs/web.md says more. What is served is made from eventtarget.js in this folder; the
// types beside that are for editors.
//
// # Limits
//
// The live page asks the hub for its spokes once a second and is shown the hundred that
// lag most. Whoever can read it learns the addresses and the identities of spokes: a
// hub that is open to others serves it behind a door of its own.
package web
