// Package repo holds the rules of this repository as tests: what may import
// what, how large a file grows, what the test command runs, and that what the
// documents show exists and compiles. It has no code of its own.
package repo
