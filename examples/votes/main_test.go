package main

func Example() {
	main()
	// Output:
	// the page begins with {"type":"votes","id":"lunch","payload":0}
	// ada begins with 0
	// 2 watch
	// ada sees 1
	// the page sees {"type":"votes","id":"lunch","payload":1}
	// grace begins with 1
	// 3 watch
	// grace sees 2
	// the page sees {"type":"votes","id":"lunch","payload":2}
}
