package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// record appends a row to a file of data, if dataEnv names where they are: what
// docs/plots is drawn from.
func record(b *testing.B, name, head, format string, row ...any) {
	b.Helper()
	dir := os.Getenv(dataEnv)
	if dir == "" {
		return
	}
	f, err := os.OpenFile(filepath.Join(dir, name+".csv"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() == 0 {
		_, err = fmt.Fprintln(f, head)
	}
	_, failed := fmt.Fprintf(f, format+"\n", row...)
	if err := errors.Join(err, failed, f.Close()); err != nil {
		b.Fatal(err)
	}
}

const dataEnv = "BENCH_DATA"
