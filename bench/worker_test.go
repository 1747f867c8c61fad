package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/link"
	"github.com/eventtarget-go/toolkit/worker"
)

const childEnv = "BENCH_CHILD"

// child is the other end of BenchmarkWorker: it counts, or sends back.
func child(what string) {
	in, out := bufio.NewReaderSize(os.Stdin, 64<<10), os.Stdout
	switch what {
	case "worker":
		p, err := worker.Parent(&link.Options{Setup: func(p *link.Link) {
			_, _ = p.Add(context.Background(), eventtarget.T("echo", "*"), eventtarget.Listener[eventtarget.Raw]{
				Inline: true, Handle: func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) { _ = p.Dispatch(ctx, e) },
			})
		}})
		if err == nil {
			<-p.Done()
		}
	case "raw": // a length of zero asks for an answer
		header, body := make([]byte, 4), make([]byte, 1<<16)
		for {
			if _, err := io.ReadFull(in, header); err != nil {
				return
			}
			n := binary.BigEndian.Uint32(header)
			if _, err := io.ReadFull(in, body[:n&0xffff]); err != nil {
				return
			}
			if n>>16 != 0 {
				_, _ = out.Write(append(header, body[:n&0xffff]...))
			}
		}
	case "json":
		dec, enc := json.NewDecoder(in), json.NewEncoder(out)
		for {
			var e jsonEvent
			if dec.Decode(&e) != nil {
				return
			}
			if e.Type == "echo" && enc.Encode(e) != nil {
				return
			}
		}
	}
}

type jsonEvent struct {
	Type    string          `json:"type"`
	ID      string          `json:"id"`
	Payload json.RawMessage `json:"payload"`
}

// BenchmarkWorker: one event of 128 bytes to a child process, and there and back,
// beside length-prefixed raw bytes and lines of encoding/json on a pipe. One way ends
// with an event that is sent back; the raw bytes fill a buffer before they are written, or
// are gathered by a goroutine that writes whatever there is, as the worker's are. What is back wakes the goroutine that waits for it
// (round-trip), as whatever reads for others has to, or is answered by the goroutine that
// has read it, which hears of it first (ping-pong).
func BenchmarkWorker(b *testing.B) {
	e := event()
	b.Run("way=one-way/worker", func(b *testing.B) { workerBench(b, e, false) })
	b.Run("way=one-way/raw", func(b *testing.B) { rawBench(b, e.Payload, false) })
	b.Run("way=one-way/gathered", func(b *testing.B) { gatheredBench(b, e.Payload) })
	b.Run("way=one-way/json", func(b *testing.B) { jsonBench(b, e, false) })
	b.Run("way=ping-pong/worker", func(b *testing.B) { pingPong(b, e) })
	b.Run("way=ping-pong/raw", func(b *testing.B) { rawBench(b, e.Payload, true) })
	b.Run("way=round-trip/worker", func(b *testing.B) { workerBench(b, e, true) })
	b.Run("way=round-trip/raw", func(b *testing.B) { rawWaiting(b, e.Payload) })
	b.Run("way=ping-pong/json", func(b *testing.B) { jsonBench(b, e, true) })
}

// startWorker starts a child that sends what is called echo back to handle.
func startWorker(b *testing.B, handle func(context.Context, eventtarget.Event[eventtarget.Raw])) *worker.Worker {
	ctx := context.Background()
	w, err := worker.Start(worker.Options{Path: executable(b), Env: []string{childEnv + "=worker"}, Options: link.Options{Overflow: eventtarget.Block}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = w.Shutdown(ctx) })
	if _, err := w.Add(ctx, eventtarget.T("echo", "*"), eventtarget.Listener[eventtarget.Raw]{Inline: true, Handle: handle}); err != nil {
		b.Fatal(err)
	}
	if err := w.Ready(ctx); err != nil {
		b.Fatal(err)
	}
	return w
}

func pingPong(b *testing.B, e eventtarget.Event[eventtarget.Raw]) {
	e.Type = "echo"
	var w *worker.Worker
	left, over := b.N, make(chan struct{})
	w = startWorker(b, func(ctx context.Context, e eventtarget.Event[eventtarget.Raw]) {
		if left--; left == 0 {
			close(over)
		} else if err := w.Dispatch(ctx, e); err != nil {
			b.Error(err)
		}
	})
	b.ResetTimer()
	if err := w.Dispatch(context.Background(), e); err != nil {
		b.Fatal(err)
	}
	<-over
}

func workerBench(b *testing.B, e eventtarget.Event[eventtarget.Raw], back bool) {
	ctx := context.Background()
	heard := make(chan struct{}, 1)
	w := startWorker(b, func(context.Context, eventtarget.Event[eventtarget.Raw]) { heard <- struct{}{} })
	echo := e
	echo.Type = "echo"
	send := func(e eventtarget.Event[eventtarget.Raw]) {
		if err := w.Dispatch(ctx, e); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if back {
			send(echo)
			<-heard
		} else {
			send(e)
		}
	}
	if !back {
		send(echo)
		<-heard
	}
}

// rawWaiting has a goroutine that reads, and tells the one that waits.
func rawWaiting(b *testing.B, payload []byte) {
	in, out := pipes(b, "raw")
	ask := append(binary.BigEndian.AppendUint32(nil, 1<<16|uint32(len(payload))), payload...)
	heard := make(chan struct{}, 1)
	go func() {
		answer := make([]byte, len(ask))
		for {
			if _, err := io.ReadFull(out, answer); err != nil {
				return
			}
			heard <- struct{}{}
		}
	}()
	for b.Loop() {
		if _, err := in.Write(ask); err != nil {
			b.Fatal(err)
		}
		<-heard
	}
}

func rawBench(b *testing.B, payload []byte, back bool) {
	in, out := pipes(b, "raw")
	w := bufio.NewWriterSize(in, 64<<10)
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
	ask := append(binary.BigEndian.AppendUint32(nil, 1<<16|uint32(len(payload))), payload...)
	answer := make([]byte, len(ask))
	roundTrip := func() {
		_, _ = w.Write(ask)
		_ = w.Flush()
		if _, err := io.ReadFull(out, answer); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if back {
			roundTrip()
		} else if _, err := w.Write(frame); err != nil {
			b.Fatal(err)
		}
	}
	if !back {
		roundTrip()
	}
}

// gatheredBench has a goroutine that writes whatever there is, and waits while there is
// nothing.
func gatheredBench(b *testing.B, payload []byte) {
	in, out := pipes(b, "raw")
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(payload))), payload...)
	ask := append(binary.BigEndian.AppendUint32(nil, 1<<16|uint32(len(payload))), payload...)
	var mu sync.Mutex
	var waiting []byte
	some, room := sync.NewCond(&mu), sync.NewCond(&mu)
	go func() {
		var run []byte
		for {
			mu.Lock()
			for len(waiting) == 0 {
				some.Wait()
			}
			run, waiting = waiting, run[:0]
			room.Signal()
			mu.Unlock()
			if _, err := in.Write(run); err != nil {
				return
			}
		}
	}()
	send := func(frame []byte) {
		mu.Lock()
		for len(waiting) > 16<<20 {
			room.Wait()
		}
		if waiting = append(waiting, frame...); len(waiting) == len(frame) {
			some.Signal()
		}
		mu.Unlock()
	}
	for b.Loop() {
		send(frame)
	}
	send(ask)
	if _, err := io.ReadFull(out, make([]byte, len(ask))); err != nil {
		b.Fatal(err)
	}
}

func jsonBench(b *testing.B, e eventtarget.Event[eventtarget.Raw], back bool) {
	in, out := pipes(b, "json")
	w := bufio.NewWriterSize(in, 64<<10)
	enc, dec := json.NewEncoder(w), json.NewDecoder(out)
	line := jsonEvent{e.Type, e.ID, e.Payload}
	roundTrip := func() {
		ask := line
		ask.Type = "echo"
		if enc.Encode(ask) != nil || w.Flush() != nil || dec.Decode(&ask) != nil {
			b.Fatal("no answer")
		}
	}
	for b.Loop() {
		if back {
			roundTrip()
		} else if err := enc.Encode(line); err != nil {
			b.Fatal(err)
		}
	}
	if !back {
		roundTrip()
	}
}

func executable(b *testing.B) string {
	path, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	return path
}

// pipes starts a child and returns its standard input and output.
func pipes(b *testing.B, what string) (io.WriteCloser, io.Reader) {
	cmd := exec.Command(executable(b))
	cmd.Env = []string{childEnv + "=" + what}
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return in, bufio.NewReaderSize(out, 64<<10)
}
