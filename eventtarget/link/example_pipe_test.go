package link_test

import (
	"fmt"
	"log"

	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// A connection in memory, with the faults that a network has.
func ExamplePipe() {
	near, far := link.Pipe()
	if err := near.Send([]byte("hello")); err != nil {
		log.Fatal(err)
	}
	msg, err := far.Receive()
	fmt.Printf("%s, %v\n", msg, err)

	near.Cut()
	_, err = far.Receive()
	fmt.Println(err)
	// Output:
	// hello, <nil>
	// connection lost: pipe was cut
}
