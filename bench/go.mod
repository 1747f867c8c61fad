module github.com/eventtarget-go/toolkit/bench

go 1.26

replace github.com/eventtarget-go/toolkit => ../
