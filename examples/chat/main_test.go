package main

func Example() {
	main()
	// Output:
	// ada hears room.welcome: hello, ada
	// grace hears room.welcome: hello, grace
	// ada hears room.said: good morning
	// ada hears room.left: grace
}
