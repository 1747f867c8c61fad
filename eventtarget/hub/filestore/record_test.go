package filestore

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// TestUnreadable: what the disk does not give back is an error, and not where the records
// end: there the file would be cut.
func TestUnreadable(t *testing.T) {
	none := func(hub.Record) bool { return true }
	if _, err := readFile(t.TempDir(), true, none); err == nil { // a folder can be opened, and not read
		t.Error("what cannot be read is taken for an empty file")
	}
	disk := errors.New("input/output error")
	whole := appendRecord(nil, &hub.Record{Kind: hub.RecordEvent, Seq: 1, Message: []byte("{}")})
	for n := range whole {
		in := bufio.NewReader(io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(disk)))
		if _, _, err := readRecord(in); !errors.Is(err, disk) {
			t.Errorf("an error behind %d bytes is %v", n, err)
		}
	}
}
