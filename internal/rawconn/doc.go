// Package rawconn writes to sockets and pipes without waiting, and waits for sockets without a
// goroutine for each.
package rawconn
