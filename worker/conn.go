package worker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/rawconn"
)

// appendHeader appends the header of a message: its length in four bytes, the most
// significant first.
func appendHeader(dst []byte, n int) []byte {
	return binary.BigEndian.AppendUint32(dst, uint32(n))
}

const headerSize = 4

// pipes are the two ends of one side: a message connection over a pipe each way.
type pipes struct {
	in    *input
	out   *os.File
	limit int
	most  time.Duration // that a write may take
	r     *bufio.Reader

	writing sync.Mutex    // held while something is written
	now     *rawconn.Pipe // nil: nothing can be written without waiting
	cut     bool          // a write has ended, perhaps within a message: what followed would be its rest

	mu     sync.Mutex // for deadlines of writes, and the end
	once   sync.Once
	closed chan struct{}
	reason eventtarget.Reason // set before closed is closed
}

func newPipes(in, out *os.File, limit int, most time.Duration) *pipes {
	from := &input{File: in, reader: rawconn.NewReader(in), rest: pipeHolds}
	return &pipes{
		in: from, out: out, limit: limit, most: most, r: bufio.NewReaderSize(from, 64<<10), now: rawconn.NewPipe(out), closed: make(chan struct{}),
	}
}

// input is the end of a pipe that is read. What its writer had written before it ended is
// read, however late; whoever holds the pipe open beyond that is waited for for a grace.
type input struct {
	*os.File
	reader io.Reader   // of the file
	over   atomic.Bool // the writer has ended
	rest   int         // how much is read after the grace; the reader's
}

// pipeHolds is the most that a pipe holds, unless the administrator says otherwise (pipe(7)).
const pipeHolds = 1 << 20

// end tells that the writer has ended.
func (in *input) end() {
	in.over.Store(true)
	_ = in.SetReadDeadline(time.Now().Add(grace))
}

func (in *input) Read(b []byte) (n int, err error) {
	n, err = in.reader.Read(b)
	if !errors.Is(err, os.ErrDeadlineExceeded) || !in.over.Load() {
		return n, err
	}
	if in.rest > 0 { // nobody may have read before that deadline
		_ = in.SetReadDeadline(time.Now().Add(grace))
		n, err = in.reader.Read(b[:min(len(b), in.rest)])
		in.rest -= n
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = io.EOF // as if nobody held it open
	}
	return n, err
}

// Receive returns the next message.
func (p *pipes) Receive() ([]byte, error) {
	header, err := p.r.Peek(headerSize)
	if err != nil {
		return nil, p.why(err)
	}
	size := binary.BigEndian.Uint32(header)
	if n := headerSize + int(size); size > 0 && size <= uint32(p.limit) && n <= p.r.Buffered() { // as most are
		frame, _ := p.r.Peek(n)
		msg := append([]byte(nil), frame[headerSize:]...)
		_, _ = p.r.Discard(n)
		return msg, nil
	}
	_, _ = p.r.Discard(headerSize)
	if size == 0 {
		return nil, eventtarget.Reason{Code: eventtarget.CodeNormal, Remote: true}
	}
	if uint64(size) > uint64(p.limit) {
		return nil, eventtarget.Reason{Code: eventtarget.CodeTooLarge, Text: fmt.Sprintf("a message of %d bytes is over the limit", size)}
	}
	msg := make([]byte, size)
	if _, err := io.ReadFull(p.r, msg); err != nil {
		return nil, p.why(err)
	}
	return msg, nil
}

// why returns the reason of the end.
func (p *pipes) why(err error) error {
	select {
	case <-p.closed:
		return p.reason
	default:
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return eventtarget.Reason{Code: eventtarget.CodeSlow, Text: "took nothing in time"}
	}
	if errors.Is(err, io.EOF) && p.r.Buffered() == 0 {
		return eventtarget.Reason{Code: eventtarget.CodeLost, Text: "the pipe has ended"}
	}
	return eventtarget.Reason{Code: eventtarget.CodeLost, Text: err.Error()}
}

// Send sends one message. A link uses WriteFrames instead.
func (p *pipes) Send(msg []byte) error {
	return p.WriteFrames(append(appendHeader(make([]byte, 0, headerSize+len(msg)), len(msg)), msg...))
}

// WriteFrames writes framed messages.
func (p *pipes) WriteFrames(frames []byte) error {
	n, err := p.write(frames)
	if err == nil {
		return nil
	}
	_, size := whole(frames[:n])
	return &link.ShortWrite{Written: size, Err: err}
}

// TryWriteFrames writes framed messages if the pipe takes them without waiting.
func (p *pipes) TryWriteFrames(frames []byte) (n int, blocked bool, err error) {
	if !p.tryWrite(frames) {
		return 0, true, nil
	}
	return len(frames), false, nil
}

// tryWrite writes all of b, or nothing, without waiting. What is wrong when it does not is
// for write to say.
func (p *pipes) tryWrite(b []byte) bool {
	if p.now == nil || !p.writing.TryLock() {
		return false
	}
	defer p.writing.Unlock()
	select {
	case <-p.closed:
		return false
	default:
	}
	if p.cut {
		return false
	}
	n, err := p.now.TryWrite(b)
	return err == nil && n == len(b)
}

// whole counts the messages that stand whole in b, and their size.
func whole(b []byte) (messages uint64, size int) {
	for len(b)-size >= headerSize {
		n := headerSize + int(binary.BigEndian.Uint32(b[size:]))
		if len(b)-size < n {
			break
		}
		size += n
		messages++
	}
	return messages, size
}

// write writes bytes, and returns how many it has written.
func (p *pipes) write(b []byte) (n int, err error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	select {
	case <-p.closed:
		err = p.reason
	default:
		_ = p.out.SetWriteDeadline(time.Now().Add(p.most))
	}
	p.mu.Unlock()
	switch {
	case err != nil:
		return 0, err
	case p.cut:
		return 0, errCut
	}
	if n, err = p.out.Write(b); err != nil {
		p.cut = true
		err = p.why(err)
	}
	return n, err
}

var errCut = eventtarget.Reason{Code: eventtarget.CodeLost, Text: "a message was cut short"}

// goodbye is how long the end of an orderly conversation may take to be said. A peer
// that does not read takes it for a loss.
const goodbye = 50 * time.Millisecond

// Close ends both ways. An orderly end is said by an empty message.
func (p *pipes) Close(reason eventtarget.Reason) error {
	p.once.Do(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.reason = reason
		close(p.closed)
		_ = p.in.SetReadDeadline(time.Unix(1, 0))
		_ = p.in.Close()
		if reason.Code != eventtarget.CodeNormal {
			_ = p.out.Close()
			return
		}
		_ = p.out.SetWriteDeadline(time.Now().Add(goodbye)) // for a write that is blocked, too
		go func() {
			_ = p.say(goodbye)
			_ = p.out.Close()
		}()
	})
	return nil
}

// say says that nothing more will come.
func (p *pipes) say(most time.Duration) error {
	_ = p.out.SetWriteDeadline(time.Now().Add(most))
	p.writing.Lock()
	defer p.writing.Unlock()
	if p.cut {
		return errCut
	}
	_, err := p.out.Write(make([]byte, headerSize))
	return err
}
