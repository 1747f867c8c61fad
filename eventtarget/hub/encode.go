package hub

import (
	"slices"

	"github.com/eventtarget-go/toolkit/internal/framelog"
)

// encoded is a message, or a stretch of the log, as an [Encoder] writes it.
type encoded struct {
	encoding any
	from, to framelog.Position // of a stretch
	bytes    []byte
}

// keepEncoded bounds what a writer holds on to between sweeps.
const keepEncoded = 256 << 10

// framed returns a piece as the connection writes it. It is valid until the next one.
func (a *attachment) framed(p piece, w *writer) []byte {
	switch {
	case a.encoder == nil:
		return p.bytes
	case len(p.messages) == 1:
		return p.messages[0].as(a.encoder)
	case len(p.messages) > 1:
		w.scratch = w.scratch[:0]
		for _, m := range p.messages {
			w.scratch = append(w.scratch, m.as(a.encoder)...)
		}
		return w.scratch
	default:
		return w.stretch(p.run, a.encoder)
	}
}

// tryWrite writes a piece as far as that is possible without waiting; n is of the piece.
func (a *attachment) tryWrite(p piece, w *writer) (n int, blocked bool, err error) {
	n, blocked, err = a.frames.TryWriteFrames(a.framed(p, w))
	if a.encoder != nil && n > 0 {
		n = len(p.bytes)
	}
	return n, blocked, err
}

// as returns the message in an encoding. Spokes share a message, and mostly an encoding.
func (m *message) as(e Encoder) []byte {
	encoding := e.Encoding()
	if x := m.encoded.Load(); x != nil && x.encoding == encoding {
		return x.bytes
	}
	x := &encoded{encoding: encoding, bytes: e.AppendMessage(nil, Message{
		Envelope: m.bytes[m.header:], After: Position{at: m.after, valid: m.after != framelog.Position{}},
	})}
	m.encoded.CompareAndSwap(nil, x)
	return x.bytes
}

// stretch returns a stretch of the log in an encoding. Spokes that are visited one after
// the other mostly lack the same one.
func (w *writer) stretch(run framelog.Run, e Encoder) []byte {
	encoding := e.Encoding()
	i := slices.IndexFunc(w.encoded, func(x *encoded) bool { return x.encoding == encoding })
	if i < 0 {
		i = len(w.encoded)
		w.encoded = append(w.encoded, &encoded{encoding: encoding})
	}
	x := w.encoded[i]
	if x.from == run.From && x.to == run.To && len(x.bytes) > 0 {
		return x.bytes
	}
	x.from, x.to, x.bytes = run.From, run.To, x.bytes[:0]
	run.Messages(func(msg []byte, after framelog.Position) bool {
		x.bytes = e.AppendMessage(x.bytes, Message{Envelope: msg, After: Position{at: after, valid: true}})
		return true
	})
	return x.bytes
}

// forget lets go of what was read of the log.
func (w *writer) forget() {
	w.run = framelog.Run{}
	w.encoded = slices.DeleteFunc(w.encoded, func(x *encoded) bool { return cap(x.bytes) > keepEncoded })
}
