// Package soak has the test that runs all adapters at once, for as long as one likes,
// with faults, and looks whether anything is lost silently or anything grows. See
// docs/reliability.md.
package soak
