package main

func Example() {
	main()
	// Output:
	// ada hears lobby joined "ada"
	// alan hears attic joined "alan"
	// ada hears lobby joined "grace"
	// grace hears lobby joined "grace"
	// ada hears lobby said "grace: good morning"
	// grace hears lobby said "grace: good morning"
	// alan hears attic said "alan: nobody here"
	// ada hears lobby left "grace"
}
