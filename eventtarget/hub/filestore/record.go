package filestore

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/eventtarget-go/toolkit/eventtarget/hub"
)

// A record stands in a file behind its size and its checksum (CRC-32C), four bytes each
// with the most significant first: JSON, and behind a zero byte the message.
const headerSize = 8

// maxRecord is more than a record can be: what says more is damaged.
const maxRecord = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendRecord(dst []byte, r *hub.Record) []byte {
	at := len(dst)
	head := *r
	head.Message = nil
	text, _ := json.Marshal(head) // it always can
	dst = append(dst, make([]byte, headerSize)...)
	dst = append(dst, text...)
	dst = append(dst, 0)
	dst = append(dst, r.Message...)
	body := dst[at+headerSize:]
	binary.BigEndian.PutUint32(dst[at:], uint32(len(body)))
	binary.BigEndian.PutUint32(dst[at+4:], crc32.Checksum(body, castagnoli))
	return dst
}

var errStopped = errors.New("stopped")

// readFile yields the records of a file and returns how long they are. In the last file
// what follows the last whole record was cut short; in another one it is damage.
func readFile(path string, last bool, yield func(hub.Record) bool) (size int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		r, n, err := readRecord(in)
		switch {
		case errors.Is(err, io.EOF):
			return size, nil
		case last && errors.Is(err, errDamaged):
			return size, nil
		case err != nil:
			return size, fmt.Errorf("%s at %d: %w", path, size, err)
		}
		size += n
		if !yield(r) {
			return size, errStopped
		}
	}
}

var errDamaged = errors.New("a damaged record")

func readRecord(in *bufio.Reader) (r hub.Record, n int64, err error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(in, header[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errDamaged
		}
		return r, 0, err
	}
	size := binary.BigEndian.Uint32(header[:])
	if size > maxRecord {
		return r, 0, errDamaged
	}
	body := make([]byte, 0, min(size, 64<<10))
	for len(body) < int(size) { // a size that was made up costs no memory
		more := min(int(size)-len(body), 64<<10)
		body = slices.Grow(body, more)
		k, err := io.ReadFull(in, body[len(body):len(body)+more])
		body = body[:len(body)+k]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errDamaged
		}
		if err != nil { // the disk's own is not the end of the records: what is there may be read yet
			return r, 0, err
		}
	}
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(header[4:]) {
		return r, 0, errDamaged
	}
	end := slices.Index(body, 0)
	if end < 0 || json.Unmarshal(body[:end], &r) != nil {
		return r, 0, errDamaged
	}
	if end+1 < len(body) {
		r.Message = body[end+1:]
	}
	return r, headerSize + int64(size), nil
}

// ledger is what is known of the sessions: what a file begins with.
type ledger struct {
	name     string
	seq      uint64 // of the last event
	sessions map[string]*session

	numbered, handled uint64 // of the events for the hub's own listeners
}

type session struct {
	identity string
	received uint64
	own      bool
}

func newLedger() ledger { return ledger{sessions: make(map[string]*session)} }

func (l *ledger) add(r hub.Record) {
	switch r.Kind {
	case hub.RecordName:
		l.name, l.seq = r.Name, max(l.seq, r.Seq)
	case hub.RecordEvent:
		l.seq = r.Seq
	case hub.RecordOpened:
		l.sessions[r.Session] = &session{identity: r.Name, received: r.Received}
	case hub.RecordEnded:
		delete(l.sessions, r.Session)
	case hub.RecordHandled:
		l.handled, l.numbered = r.Local, max(l.numbered, r.Seq)
	}
	l.numbered = max(l.numbered, r.Local)
	if x := l.sessions[r.Session]; x != nil {
		x.received = max(x.received, r.Received)
		x.own = x.own || r.Kind == hub.RecordOwn
	}
}

func (l *ledger) records() (all []hub.Record) {
	if l.name != "" {
		all = append(all, hub.Record{Kind: hub.RecordName, Name: l.name, Seq: l.seq})
	}
	if l.numbered > 0 {
		all = append(all, hub.Record{Kind: hub.RecordHandled, Local: l.handled, Seq: l.numbered})
	}
	for _, id := range slices.Sorted(maps.Keys(l.sessions)) {
		x := l.sessions[id]
		all = append(all, hub.Record{Kind: hub.RecordOpened, Session: id, Name: x.identity, Received: x.received})
		if x.own {
			all = append(all, hub.Record{Kind: hub.RecordOwn, Session: id})
		}
	}
	return all
}

// appendTo appends the records to dst.
func (l *ledger) appendTo(dst []byte) []byte {
	for _, r := range l.records() {
		dst = appendRecord(dst, &r)
	}
	return dst
}
