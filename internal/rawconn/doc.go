// Package rawconn writes to sockets and pipes without waiting.
package rawconn
