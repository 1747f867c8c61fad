// Package mutants has event targets that are deliberately wrong. Each says which
// laws of package conformance must catch it; the package's test holds them to that
// and prints the kill matrix. A law that no mutant breaks would prove nothing.
package mutants
