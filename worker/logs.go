package worker

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// maxLine is where a line of a child is cut, and keepTail how much of its standard
	// error is kept for the report of its end.
	maxLine  = 4 << 10
	keepTail = 2 << 10
)

// printer takes what a child prints: it logs lines, as many as the rate allows, and
// never makes the child wait.
type printer struct {
	log    *slog.Logger
	stream string
	rate   int

	mu      sync.Mutex
	line    []byte
	cut     bool // the rest of the line is dropped
	tail    []byte
	second  time.Time // that counts
	logged  int       // lines in it
	dropped int
}

func (p *printer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tail = append(p.tail, b[max(0, len(b)-keepTail):]...)
	p.tail = p.tail[max(0, len(p.tail)-keepTail):]
	n := len(b)
	for len(b) > 0 {
		part, rest, whole := bytes.Cut(b, []byte("\n"))
		if room := maxLine - len(p.line); len(part) > room {
			part, p.cut = part[:room], true
		}
		p.line = append(p.line, part...)
		if b = rest; whole {
			p.print()
		}
	}
	return n, nil
}

// print logs the line. Under mu.
func (p *printer) print() {
	if now := time.Now(); now.Sub(p.second) >= time.Second {
		p.tellDropped()
		p.second, p.logged = now, 0
	}
	if p.logged++; p.logged > p.rate {
		p.dropped++
	} else {
		p.log.LogAttrs(context.Background(), slog.LevelInfo, "worker prints", slog.String("stream", p.stream), slog.String("line", string(p.line)), slog.Bool("cut", p.cut))
	}
	p.line, p.cut = p.line[:0], false
}

// tellDropped logs how many lines were not. Under mu.
func (p *printer) tellDropped() {
	if p.dropped > 0 {
		p.log.LogAttrs(context.Background(), slog.LevelWarn, "worker prints too much", slog.String("stream", p.stream), slog.Int("dropped", p.dropped))
		p.dropped = 0
	}
}

// end logs what is left when nothing more is printed.
func (p *printer) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.line) > 0 {
		p.print()
	}
	p.tellDropped()
}

// last returns the end of what was printed.
func (p *printer) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.tail)
}
