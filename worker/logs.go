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
// never makes the child wait. Where the log is slow lines wait for it, as many as the rate
// allows in a second, on a goroutine that is there only while some do.
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

	waiting []func()      // what is to be logged
	idle    chan struct{} // closed when nothing is logged any more; nil: nothing is
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
	if p.logged++; p.logged > p.rate || len(p.waiting) >= p.rate {
		p.dropped++
	} else {
		p.give(slog.LevelInfo, "worker prints", slog.String("line", string(p.line)), slog.Bool("cut", p.cut))
	}
	p.line, p.cut = p.line[:0], false
}

// tellDropped logs how many lines were not, unless that has to wait, too. Under mu.
func (p *printer) tellDropped() {
	if p.dropped > 0 && len(p.waiting) <= p.rate {
		p.give(slog.LevelWarn, "worker prints too much", slog.Int("dropped", p.dropped))
		p.dropped = 0
	}
}

// give has something logged: not here, for the log may be slow, or wait for the child. Under mu.
func (p *printer) give(level slog.Level, text string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("stream", p.stream)}, attrs...)
	p.waiting = append(p.waiting, func() { p.log.LogAttrs(context.Background(), level, text, attrs...) })
	if p.idle == nil {
		p.idle = make(chan struct{})
		go p.run()
	}
}

// run logs what waits until nothing does.
func (p *printer) run() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.waiting) > 0 {
		first := p.waiting[0]
		p.waiting = p.waiting[1:]
		func() {
			p.mu.Unlock()
			defer p.mu.Lock()
			first()
		}()
	}
	p.waiting = nil
	close(p.idle)
	p.idle = nil
}

// end logs what is left when nothing more is printed, and waits for that, but for a log that
// takes too long.
func (p *printer) end() {
	p.mu.Lock()
	if len(p.line) > 0 {
		p.print()
	}
	p.tellDropped()
	idle := p.idle
	p.mu.Unlock()
	if idle == nil {
		return
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-idle:
	case <-late.C:
	}
}

// last returns the end of what was printed.
func (p *printer) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.tail)
}
