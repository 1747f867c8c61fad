package framelog

// joinedMost bounds a stretch that is copied so as to be in one piece.
const joinedMost = 64 << 10

// Joined reads stretches that lie in several segments in one piece: a copy, of which
// there is one at a time. The zero value is one that has not read anything. It is for one
// goroutine.
type Joined struct {
	bytes []byte
	index []entry
}

// Read is that of the log, but for a stretch of at most 64 KiB that lies in several
// segments: that is copied, and valid until the next Read.
func (j *Joined) Read(l *Log, pos, upto Position) (run Run, ok bool) {
	run, ok = l.Read(pos, upto)
	if !ok || run.To.Offset >= upto.Offset || upto.Offset-pos.Offset > joinedMost {
		return run, ok
	}
	j.bytes, j.index = j.bytes[:0], j.index[:0]
	to := pos
	for ok && to.Offset < upto.Offset {
		before := uint32(len(j.bytes)) - run.base // wraps around, and back
		for _, e := range run.index {
			j.index = append(j.index, entry{end: e.end + before, header: e.header})
		}
		j.bytes = append(j.bytes, run.Bytes...)
		to = run.To
		run, ok = l.Read(to, upto) // not ok: what follows has just left the log
	}
	return Run{From: pos, To: to, Bytes: j.bytes, index: j.index}, true
}
