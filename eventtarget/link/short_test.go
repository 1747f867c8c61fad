package link_test

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
)

// framed is a connection that takes framed messages, and breaks behind so many of them.
type framed struct {
	*link.PipeConn
	room int
	got  *[]int // payload sizes are the numbers of messages
}

func (f *framed) WriteFrames(frames []byte) error {
	for written := 0; written < len(frames); f.room-- {
		if f.room == 0 {
			return &link.ShortWrite{Written: written, Err: eventtarget.Reason{Code: eventtarget.CodeLost}}
		}
		n := int(binary.BigEndian.Uint32(frames[written:]))
		*f.got = append(*f.got, n)
		written += 4 + n
	}
	return nil
}

// TestShortWrite: what a connection has not taken goes over the next one, and nothing
// goes twice.
func TestShortWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got, want []int
		up := make(chan struct{})
		l, err := link.New(link.Options{
			Framing: func(dst []byte, n int) []byte { return binary.BigEndian.AppendUint32(dst, uint32(n)) },
			Backoff: link.Backoff{Max: time.Millisecond}, OnFault: func(eventtarget.Fault) {},
			Dial: func(context.Context) (link.Conn, error) {
				<-up
				near, _ := link.Pipe()
				return &framed{PipeConn: near, room: 7, got: &got}, nil
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		for n := range 50 { // each of another size
			e := eventtarget.Event[eventtarget.Raw]{Type: "a", ID: strconv.Itoa(n), Payload: slices.Repeat(eventtarget.Raw("1"), n+1)}
			if err := l.Dispatch(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			want = append(want, len(`{"type":"a","id":"","payload":}`)+len(e.ID)+len(e.Payload))
		}
		close(up)
		if err := l.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !slices.Equal(got, want) {
			t.Errorf("arrived %v, want %v", got, want)
		}
	})
}
