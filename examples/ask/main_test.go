package main

func Example() {
	main()
	// Output:
	// coffee costs 4
	// price failed: there is no milk
	// ada heard 1 answer, grace 0
}
