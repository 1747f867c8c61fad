module github.com/eventtarget-go/toolkit/bench

go 1.26.0

replace github.com/eventtarget-go/toolkit => ../

require (
	github.com/coder/websocket v1.8.15
	github.com/eventtarget-go/toolkit v0.0.0-00010101000000-000000000000
)
