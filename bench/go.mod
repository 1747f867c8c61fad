module github.com/eventtarget-go/toolkit/bench

go 1.26

require github.com/eventtarget-go/toolkit v0.0.0

replace github.com/eventtarget-go/toolkit => ../
