// Package e2e tests what a browser is given, end to end: the program's hub, real
// Chromium, Node, and clients that nobody here wrote. It is a module of its own, so
// that nobody else needs what it needs. It has no code besides its tests.
package e2e
