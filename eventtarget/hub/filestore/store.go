// Package filestore keeps in a folder what a hub needs to go on with its sessions when
// its process has died.
//
// # Usage
//
//	store, err := filestore.Open("/var/lib/hub", nil)
//	defer store.Close()
//	h, err := wsserver.New(&wsserver.Options{Options: hub.Options{Store: store}})
//
// A folder belongs to one hub at a time; a lock sees to that where the system has one.
//
// # Delivery
//
// Records are appended to a file, those that come together in one write. What is
// appended survives the process; with Sync it survives the machine too. A record that
// was cut short by the end of the process is the last one, was not acknowledged to
// anybody, and is dropped.
//
// # Limits
//
// A file that has grown by a quarter of Options.Bytes is followed by another, which
// begins with the sessions that there are; these do not count. Files are removed when the
// others hold enough: a session that comes back for what has gone is told a gap.
package filestore

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/internal/option"
)

// Options configures a [Store].
type Options struct {
	// Bytes bounds what is kept of events. Default 64 MiB; negative is an error.
	Bytes int64
	// Sync makes each Append wait until the disk has it: then a crash of the machine
	// loses nothing, and each round costs what the disk takes.
	Sync bool
}

// Store is a [hub.Store]. Its methods may be called from any goroutine.
type Store struct {
	dir  string
	opts Options

	mu       sync.Mutex
	lock     *os.File
	file     *os.File
	size     int64
	began    int64 // of size: the sessions that the file began with
	numbers  []int // of the files, the last one is written to
	sessions ledger
	buf      []byte
	failed   error
}

const (
	suffix     = ".log"
	unfinished = "new*.tmp" // are files that are not whole yet
)

// Open opens the store in a folder, which it makes if there is none; nil options are the
// defaults. The error is that the folder cannot be used, or is used by another process, or
// says what is wrong with the options.
func Open(dir string, opts *Options) (*Store, error) {
	s := &Store{dir: dir, sessions: newLedger()}
	if opts != nil {
		s.opts = *opts
	}
	if err := option.NotNegative("Bytes", s.opts.Bytes); err != nil {
		return nil, fmt.Errorf("filestore: open: %w", err)
	}
	if s.opts.Bytes == 0 {
		s.opts.Bytes = 64 << 20
	}
	if err := s.open(); err != nil {
		_ = s.Close()
		return nil, fmt.Errorf("filestore: open: %w", err)
	}
	return s, nil
}

func (s *Store) open() (err error) {
	if err = s.makeDir(); err != nil {
		return err
	}
	if s.lock, err = lockFile(filepath.Join(s.dir, "lock")); err != nil {
		return err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if left, _ := filepath.Match(unfinished, e.Name()); left { // by a process that died
			err = errors.Join(err, os.Remove(filepath.Join(s.dir, e.Name())))
		}
		if n, err := strconv.Atoi(strings.TrimSuffix(e.Name(), suffix)); err == nil && strings.HasSuffix(e.Name(), suffix) {
			s.numbers = append(s.numbers, n)
		}
	}
	if err != nil {
		return err
	}
	slices.Sort(s.numbers)
	if len(s.numbers) == 0 {
		return s.begin(1)
	}
	s.file, err = os.OpenFile(s.path(s.numbers[len(s.numbers)-1]), os.O_RDWR, 0o600)
	return err
}

// makeDir makes the folder; with Sync the disk has the name of each one that was made.
func (s *Store) makeDir() error {
	var in []string // the folders in which one is made
	for dir := filepath.Clean(s.dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			break
		}
		in = append(in, filepath.Dir(dir))
	}
	err := os.MkdirAll(s.dir, 0o700)
	for _, dir := range in {
		if err == nil && s.opts.Sync {
			err = syncDir(dir)
		}
	}
	return err
}

func (s *Store) path(n int) string { return filepath.Join(s.dir, fmt.Sprintf("%08d%s", n, suffix)) }

// Restore yields what is kept. It is to be called before Append, and to its end.
func (s *Store) Restore() iter.Seq2[hub.Record, error] {
	return func(yield func(hub.Record, error) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, n := range s.numbers {
			last := i == len(s.numbers)-1
			size, err := readFile(s.path(n), last, func(r hub.Record) bool {
				s.sessions.add(r)
				return yield(r, nil)
			})
			if errors.Is(err, errStopped) {
				return
			}
			if err == nil && last {
				err = s.goOn(size)
			}
			if err != nil {
				yield(hub.Record{}, fmt.Errorf("filestore: restore: %w", err))
				return
			}
		}
	}
}

// goOn makes the next record follow the last whole one.
func (s *Store) goOn(size int64) error {
	s.size, s.began = size, int64(len(s.sessions.appendTo(nil))) // or less
	if err := s.file.Truncate(size); err != nil {
		return err
	}
	_, err := s.file.Seek(size, io.SeekStart)
	return err
}

// Append keeps records.
func (s *Store) Append(records []hub.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		if err := s.append(records); err != nil {
			s.failed = fmt.Errorf("filestore: append: %w", err)
		}
	}
	return s.failed
}

func (s *Store) append(records []hub.Record) error {
	if s.size-s.began > s.opts.Bytes/4 {
		if err := s.rotate(); err != nil {
			return err
		}
	}
	s.buf = s.buf[:0]
	for i := range records {
		s.sessions.add(records[i])
		s.buf = appendRecord(s.buf, &records[i])
	}
	n, err := s.file.Write(s.buf)
	s.size += int64(n)
	if err == nil && s.opts.Sync {
		err = s.file.Sync()
	}
	if cap(s.buf) > 1<<20 {
		s.buf = nil
	}
	return err
}

// rotate begins another file, and removes those that are not needed any more.
func (s *Store) rotate() error {
	before := s.file
	if err := s.begin(s.numbers[len(s.numbers)-1] + 1); err != nil {
		return err
	}
	if err := before.Close(); err != nil {
		return err
	}
	for len(s.numbers) > 5 { // four full ones, and this
		if err := os.Remove(s.path(s.numbers[0])); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		s.numbers = s.numbers[1:]
	}
	return nil
}

// begin begins a file with the sessions that there are. It takes its name when it is
// whole.
func (s *Store) begin(n int) error {
	f, err := os.CreateTemp(s.dir, unfinished)
	if err != nil {
		return err
	}
	s.buf = s.sessions.appendTo(s.buf[:0])
	if _, err = f.Write(s.buf); err == nil && s.opts.Sync {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), s.path(n))
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	if s.opts.Sync {
		if err := syncDir(s.dir); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	s.file, s.size, s.began = f, int64(len(s.buf)), int64(len(s.buf))
	s.numbers = append(s.numbers, n)
	return nil
}

// Close closes the files. The hub must be closed before.
func (s *Store) Close() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = fmt.Errorf("filestore: append: %w", os.ErrClosed)
	}
	for _, f := range []*os.File{s.file, s.lock} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	s.file, s.lock = nil, nil
	return err
}
