package main

func Example() {
	main()
	// Output:
	// "ada to grace, over two hubs"
	// "grace to ada, and back"
}
