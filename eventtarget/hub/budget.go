package hub

import "sync/atomic"

// budget is what waits in all inboxes of a hub together. A message that waits in
// several counts several times.
type budget struct {
	most int64
	used atomic.Int64
}

func (b *budget) add(bytes int) { b.used.Add(int64(bytes)) }

func (b *budget) over(bytes int) bool { return b.used.Load()+int64(bytes) > b.most }
