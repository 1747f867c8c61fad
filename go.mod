module github.com/eventtarget-go/toolkit

go 1.26

require github.com/coder/websocket v1.8.15

require github.com/golang-jwt/jwt/v5 v5.3.1

require (
	github.com/go-json-experiment/json v0.0.0-20260820222146-c27c302e5fc3
	github.com/redis/rueidis v1.0.79
)

require golang.org/x/sys v0.47.0 // indirect
