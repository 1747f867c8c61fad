//go:build !unix

package doctor

// maxOpenFiles returns how many files a program may have open.
func maxOpenFiles() (limit uint64, known bool) { return 0, false }
