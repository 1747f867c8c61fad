module github.com/eventtarget-go/toolkit/cmd

go 1.26

require github.com/eventtarget-go/toolkit v0.0.0

replace github.com/eventtarget-go/toolkit => ../
