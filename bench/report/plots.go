package main

import "path/filepath"

// draw returns the plots by the names of their files.
func draw(docs string) (map[string]string, error) {
	d := &data{directory: filepath.Join(docs, "data")}
	all := map[string]string{
		"fanout-websocket.svg": bars{
			title: "Fan-out to 1000 WebSocket connections",
			unit:  "thousand deliveries per second, 128 B payload; more is better",
			rows:  d.panels("websocket FanOutPeers conns=1000 payload=128"),
		}.svg(),
		"fanout-sse.svg": bars{
			title: "Fan-out to 5000 connections of server-sent events",
			unit:  "thousand deliveries per second, 128 B payload; more is better",
			rows:  d.panels("sse SSE"),
		}.svg(),
		"idle-memory.svg": lines{
			title: "Resident memory of an idle WebSocket connection",
			under: "of the server's process, without the kernel's; less is better",
			x:     axis{"connections", plain, true}, y: axis{"per connection", kilobytes, false},
			curves: d.curves("idle.txt", "Idle", "conns", "rss-B/conn", idleNames, side),
		}.svg(),
		"idle-broadcast.svg": lines{
			title: "One message to all idle WebSocket connections",
			under: "from publishing until the last client has read it; less is better",
			x:     axis{"connections", plain, true}, y: axis{"time of a broadcast", seconds(1e-3), true},
			curves: d.curves("idle.txt", "Idle", "conns", "broadcast-ms", idleNames, side),
		}.svg(),
		"spokes.svg": lines{
			title: "Cost of a dispatch against spokes",
			under: "hub, connections in memory; until the last one who hears it has it",
			x:     axis{"spokes", plain, true}, y: axis{"time of a dispatch", seconds(1e-9), true},
			curves: d.curves("growth.txt", "GrowthSpokes", "spokes", "ns/dispatch", []name{
				{"all,1", "all hear, one at a time", blue}, {"all,200", "all hear, 200 in flight", teal},
				{"10,1", "10 hear, one at a time", orange}, {"10,200", "10 hear, 200 in flight", purple},
			}, "interested", "inflight"),
		}.svg(),
		"topics.svg": lines{
			title: "Cost of a dispatch against topics",
			under: "one hears each; every dispatch is on another topic than the one before",
			x:     axis{"topics", plain, true}, y: axis{"time of a dispatch", seconds(1e-9), true},
			curves: d.curves("growth.txt", "GrowthTopics", "topics", "ns/dispatch", []name{
				{"hub", "hub, 100 topics a spoke", blue}, {"inprocess", "in process, Inline", teal},
			}, side),
		}.svg(),
		"listeners.svg": lines{
			title: "Cost of a dispatch against listeners",
			under: "in process; until all of them have returned",
			x:     axis{"listeners on the topic", plain, true}, y: axis{"time of a dispatch", seconds(1e-9), true},
			curves: d.curves("growth.txt", "GrowthListeners", "listeners", "ns/dispatch", []name{
				{"queued", "queued (the default)", blue}, {"inline", "Inline", teal},
			}, side),
		}.svg(),
		"hubs.svg": lines{
			title: "Cost of an event against hubs on one Redis",
			under: "100 spokes on each hub, all hear; 200 in flight; hubs share two cores, CPU without Redis",
			x:     axis{"hubs", plain, false}, y: axis{"for each event", seconds(1e-9), false},
			curves: append(d.curves("growth.txt", "GrowthHubs", "hubs", "cpu-ns/dispatch", []name{{"", "CPU of all hubs", blue}}),
				d.curves("growth.txt", "GrowthHubs", "hubs", "ns/dispatch", []name{{"", "time", teal}})...),
		}.svg(),
		"soak.svg": lines{
			title: "Memory of all adapters at once, with faults, for 20 minutes",
			under: "one process; after a collection, when nothing is under way",
			x:     axis{"minutes", plain, false}, y: axis{"of the process", megabytes, false},
			curves: d.curves("soak.csv", "", "minutes", "bytes", []name{{"resident", "resident", blue}, {"heap", "of it heap", teal}}, "of"),
		}.svg(),
	}
	return all, d.err
}

// idleNames are the servers that waited, as a reader knows them.
var idleNames = []name{
	{"wsserver", "wsserver", blue}, {"wsserver-sessions", "wsserver, sessions", teal}, {"tcp", "raw TCP (floor)", grey},
	{"gws", "gws", orange}, {"gorilla", "gorilla", purple}, {"melody", "melody", green},
}
