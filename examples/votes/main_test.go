package main

func Example() {
	main()
	// Output:
	// ada begins with 0
	// ada sees 1
	// grace begins with 1
	// 2 watch
	// ada sees 2
	// grace sees 2
}
