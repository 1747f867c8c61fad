package filestore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/eventtarget/hub/filestore"
)

func open(t *testing.T, dir string, o *filestore.Options) *filestore.Store {
	t.Helper()
	s, err := filestore.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// restore returns what is kept, in short.
func restore(t *testing.T, s *filestore.Store) (all []string) {
	t.Helper()
	for r, err := range s.Restore() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, short(r))
	}
	return all
}

func short(r hub.Record) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s%s %d %d %v %s", r.Kind, r.Session, r.Name, r.Received, r.Seq, r.Except, r.Message))
}

func add(t *testing.T, s *filestore.Store, records ...hub.Record) (added []string) {
	t.Helper()
	if err := s.Append(records); err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		added = append(added, short(r))
	}
	return added
}

func event(seq uint64, message string) hub.Record {
	return hub.Record{Kind: hub.RecordEvent, Seq: seq, Session: "s", Received: seq, Except: []string{"s", "t"}, Message: []byte(message)}
}

func TestReopen(t *testing.T) {
	for name, o := range map[string]*filestore.Options{"default": nil, "synced": {Sync: true}} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "made")
			s := open(t, dir, o)
			if got := restore(t, s); got != nil {
				t.Errorf("a new store has %q", got)
			}
			want := add(t, s, hub.Record{Kind: hub.RecordName, Name: "x"}, hub.Record{Kind: hub.RecordOpened, Session: "s", Name: "ada"})
			want = append(want, add(t, s, event(1, `{"a":"\u0000"}`), event(2, strings.Repeat("x", 200_000)))...)
			for range 2 {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = open(t, dir, o)
				if got := restore(t, s); !slices.Equal(got, want) {
					t.Fatalf("restored %q, want %q", got, want)
				}
				want = append(want, add(t, s, event(3, "y"))...)
			}
		})
	}
}

// TestCutShort: whatever part of the last record is missing, what stands before it is
// there, and what comes next follows that.
func TestCutShort(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, nil)
	want := add(t, s, event(1, "one"))
	file := filepath.Join(dir, "00000001.log")
	before, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	add(t, s, event(2, "two"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for size := int(before.Size()); size < len(whole); size++ {
		for _, damaged := range [][]byte{whole[:size], append(slices.Clone(whole[:size]), make([]byte, len(whole)-size)...)} {
			if err := os.WriteFile(file, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir, nil)
			if got := restore(t, s); !slices.Equal(got, want) {
				t.Fatalf("%d bytes: restored %q", size, got)
			}
			third := add(t, s, event(3, "three"))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir, nil)
			if got := restore(t, s); !slices.Equal(got, append(slices.Clone(want), third...)) {
				t.Fatalf("%d bytes, and one more record: restored %q", size, got)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestRotatesHandled: how far the hub's own listeners are outlives the file that it was
// told in.
func TestRotatesHandled(t *testing.T) {
	dir := t.TempDir()
	o := &filestore.Options{Bytes: 4000}
	s := open(t, dir, o)
	restore(t, s)
	add(t, s, hub.Record{Kind: hub.RecordName, Name: "x"}, hub.Record{Kind: hub.RecordReceived, Local: 7, Message: []byte("m")},
		hub.Record{Kind: hub.RecordHandled, Local: 5, Seq: 7})
	for n := range uint64(20) {
		add(t, s, event(n+1, strings.Repeat("x", 1000)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, o)
	handled := hub.Record{Seq: 1}
	for r, err := range s.Restore() {
		if err != nil {
			t.Fatal(err)
		}
		if r.Local == 7 {
			t.Error("the file that it was told in is still there")
		}
		if r.Kind == hub.RecordHandled {
			handled = r
		}
	}
	if handled.Local != 5 || handled.Seq != 7 {
		t.Errorf("the files begin with %+v", handled)
	}
}

// TestRotates: the files stay within the bound, and what is known of sessions outlives
// the file that it was told in.
func TestRotates(t *testing.T) {
	dir := t.TempDir()
	o := &filestore.Options{Bytes: 100_000}
	s := open(t, dir, o)
	restore(t, s)
	add(t, s, hub.Record{Kind: hub.RecordName, Name: "x"}, hub.Record{Kind: hub.RecordOpened, Session: "s", Name: "ada"},
		hub.Record{Kind: hub.RecordOpened, Session: "gone"}, hub.Record{Kind: hub.RecordOwn, Session: "s"}, hub.Record{Kind: hub.RecordEnded, Session: "gone"})
	const events = 1000
	for n := range uint64(events) {
		add(t, s, event(n+1, strings.Repeat("x", 1000)))
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var size int64
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size < o.Bytes || size > 2*o.Bytes {
		t.Errorf("%d bytes are kept in %d files", size, len(files))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got := restore(t, open(t, dir, o))
	var first uint64
	if _, err := fmt.Sscanf(got[0], "1 x 0 %d", &first); err != nil || first == 0 || first >= events {
		t.Fatalf("the oldest file begins with %q", got[0])
	}
	if got[1] != fmt.Sprintf("%d sada %d 0 []", hub.RecordOpened, first) {
		t.Errorf("the session is %q", got[1])
	}
	if got[2] != fmt.Sprintf("%d s 0 0 []", hub.RecordOwn) {
		t.Errorf("behind it stands %q", got[2])
	}
	if last := got[len(got)-1]; !strings.HasPrefix(last, fmt.Sprintf("%d s %d %d ", hub.RecordEvent, events, events)) {
		t.Errorf("the last record is %.40q", last)
	}
}

// TestManySessions: sessions that need more than a file's share of the bound leave room for
// events, before and behind the end of the process: not every Append begins another file.
func TestManySessions(t *testing.T) {
	dir := t.TempDir()
	o := &filestore.Options{Bytes: 20_000}
	s := open(t, dir, o)
	restore(t, s)
	for n := range 200 {
		add(t, s, hub.Record{Kind: hub.RecordOpened, Session: fmt.Sprint("session", n), Name: "ada"})
	}
	for n := range uint64(100) {
		if n == 50 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir, o)
			restore(t, s)
		}
		add(t, s, event(n+1, strings.Repeat("x", 100)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	events := 0
	for r, err := range open(t, dir, o).Restore() {
		if err != nil {
			t.Fatal(err)
		}
		if r.Kind == hub.RecordEvent {
			events++
		}
	}
	if events < 80 { // of some 220 bytes each
		t.Errorf("%d of 100 events are kept", events)
	}
}

// TestRemovedByHand: an old file that is not there any more keeps nothing from being kept.
func TestRemovedByHand(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, &filestore.Options{Bytes: 4000})
	restore(t, s)
	for n := range uint64(40) {
		add(t, s, event(n+1, strings.Repeat("x", 500)))
		if n == 3 {
			if err := os.Remove(filepath.Join(dir, "00000001.log")); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestUnfinished: a file that a process left when it died before that was whole goes away,
// and nothing else does.
func TestUnfinished(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"new1.tmp", "news"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, dir, nil)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	for i, name := range names {
		names[i] = filepath.Base(name)
	}
	if want := []string{"00000001.log", "lock", "news"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("%q, %v, want %q", names, err, want)
	}
}

// TestOptions: a bound that is none is refused before there is a folder.
func TestOptions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	if _, err := filestore.Open(dir, &filestore.Options{Bytes: -1}); err == nil || err.Error() != "filestore: open: Bytes is negative (-1)" {
		t.Errorf("a negative bound: %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, &filestore.Options{Bytes: 4000})
	if _, err := filestore.Open(dir, nil); err == nil || !strings.HasPrefix(err.Error(), "filestore: open: ") || !strings.Contains(err.Error(), "used by another") {
		t.Errorf("a second Open: %v", err)
	}
	for n := range uint64(20) {
		add(t, s, event(n+1, strings.Repeat("x", 500)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append([]hub.Record{event(1, "")}); !errors.Is(err, os.ErrClosed) || !strings.HasPrefix(err.Error(), "filestore: append: ") {
		t.Errorf("Append when closed: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(files) < 3 {
		t.Fatalf("%q, %v", files, err)
	}
	text, err := os.ReadFile(files[1])
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(files[1], text, 0o600); err != nil {
		t.Fatal(err)
	}
	var failed error
	for _, err := range open(t, dir, nil).Restore() {
		failed = errors.Join(failed, err)
	}
	if failed == nil || !strings.HasPrefix(failed.Error(), "filestore: restore: ") || !strings.Contains(failed.Error(), filepath.Base(files[1])) {
		t.Errorf("a damaged file that is not the last one: %v", failed)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := filestore.Open(file, nil); err == nil {
		t.Error("a file is taken for a folder")
	}
}
