//go:build unix

package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/internal/wire"
)

// TestReadLate: what a child wrote is read, however late after its end that is, also when
// somebody else holds the pipe open.
func TestReadLate(t *testing.T) {
	in, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close() // the grandchild's
	p := newPipes(in, nil, 100, time.Minute)
	const messages = 300
	for n := range messages {
		msg := fmt.Sprint(n)
		if _, err := theirs.Write(append(appendHeader(nil, len(msg)), msg...)); err != nil {
			t.Fatal(err)
		}
	}
	p.in.end()
	<-time.After(2 * grace)
	for n := range messages {
		if msg, err := p.Receive(); err != nil || string(msg) != fmt.Sprint(n) {
			t.Fatalf("message %d: %q, %v", n, msg, err)
		}
	}
	msg, err := p.Receive()
	if r, ok := errors.AsType[eventtarget.Reason](err); !ok || r.Code != eventtarget.CodeLost {
		t.Errorf("then %q, %v", msg, err)
	}
}

// TestNothingFollowsACutMessage: where a write has ended in the middle of a message, nothing
// else is written. The other end would take that for the rest of the message.
func TestNothingFollowsACutMessage(t *testing.T) {
	frame := append(appendHeader(nil, 100), make([]byte, 100)...)
	for name, next := range map[string]func(*pipes){
		"WriteFrames":    func(p *pipes) { _ = p.WriteFrames(frame) },
		"TryWriteFrames": func(p *pipes) { _, _, _ = p.TryWriteFrames(frame) },
		"Close":          func(p *pipes) { _ = p.Close(eventtarget.Reason{Code: eventtarget.CodeNormal}) },
	} {
		t.Run(name, func(t *testing.T) {
			theirs, out, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			in, other, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			p := newPipes(in, out, 1<<30, 100*time.Millisecond) // to write something in, on a busy machine
			const size = 1 << 20
			message := append(appendHeader(nil, size), make([]byte, size)...)
			n, err := p.write(message) // nobody reads
			if err == nil || n == 0 {
				t.Fatalf("%d bytes were written, %v", n, err)
			}
			if _, err := io.ReadFull(theirs, make([]byte, n)); err != nil { // and so makes room
				t.Fatal(err)
			}
			next(p)
			if name != "Close" {
				_ = out.Close()
			}
			if rest, err := io.ReadAll(theirs); err != nil || len(rest) > 0 {
				t.Errorf("%d bytes behind a message that was cut, %v", len(rest), err)
			}
		})
	}
}

// TestHandledBehindAnswers: a child says that its listeners have handled a message when what they
// have answered is on its way, and not before.
func TestHandledBehindAnswers(t *testing.T) {
	parent, child, err := both(eventtarget.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	answer := eventtarget.Event[eventtarget.Raw]{Type: "answer", Payload: eventtarget.Raw(`"` + strings.Repeat("x", 1<<10) + `"`)}
	l, err := link.New(link.Options{Adapter: adapter, Conn: child, Framing: appendHeader, Setup: func(l *link.Link) {
		child.link = l
		_, err = l.Add(t.Context(), eventtarget.T("n", "*"), eventtarget.Func(func(ctx context.Context, _ eventtarget.Event[eventtarget.Raw]) {
			if err := l.Dispatch(ctx, answer); err != nil {
				t.Error(err)
			}
		}))
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close(); <-l.Done() }()
	const many = 500 // more than a pipe holds
	for range many {
		if err := parent.Send([]byte(`{"type":"n","id":""}`)); err != nil {
			t.Fatal(err)
		}
	}
	for child.delivered.Load() < many {
		<-time.After(time.Millisecond)
	}
	<-time.After(5 * tellAfter) // by then it has something to say
	for answers, handled := 0, uint64(0); handled < many; {
		msg, err := parent.Receive()
		if err != nil {
			t.Fatal(err)
		}
		m, err := wire.Decode(msg, eventtarget.Limits{}.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		if m.Type == "answer" {
			answers++
			continue
		}
		var p wire.AckPayload
		if err := json.Unmarshal(m.Payload, &p); err != nil {
			t.Fatal(err)
		}
		if handled = p.Received; handled > uint64(answers) {
			t.Fatalf("%d are handled, of which %d are answered", handled, answers)
		}
	}
}
