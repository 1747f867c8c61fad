// Package bench measures this toolkit side by side with other ways to do the
// same. It is a module of its own, so that users never see what it compares.
package bench
