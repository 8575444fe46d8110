package bus

import "github.com/agent-kanban/agent-kanban/events"

// chunkSize is how many envelopes are kept in one piece, fewer in a small
// window. A subscription that lags gets them together however small the batches
// were in which they came.
const chunkSize = 256

// overhead is what an envelope takes besides its text, roughly.
const overhead = 512

// window keeps the newest events: contiguous chunks that end at head. Readers
// hold parts of a chunk while more is appended behind those parts, which is why
// a chunk never grows beyond its first array.
type window struct {
	maxEvents, maxBytes int

	head   int64
	chunks []chunk
	events int
	bytes  int
}

type chunk struct {
	list  []events.Envelope
	bytes int
}

func (c *chunk) first() int64 { return c.list[0].Position }

// add appends what is new in batch and reports whether there was any. Events
// between head and the batch are not needed here: the window starts afresh.
func (w *window) add(batch []events.Envelope) bool {
	for len(batch) > 0 && batch[0].Position <= w.head {
		batch = batch[1:]
	}
	if len(batch) == 0 {
		return false
	}
	if batch[0].Position != w.head+1 {
		w.clear()
	}
	for i := range batch {
		w.push(batch[i])
	}
	w.head = batch[len(batch)-1].Position
	for len(w.chunks) > 1 && (w.events-len(w.chunks[0].list) >= w.maxEvents || w.bytes > w.maxBytes) {
		w.events -= len(w.chunks[0].list)
		w.bytes -= w.chunks[0].bytes
		w.chunks[0] = chunk{}
		w.chunks = w.chunks[1:]
	}
	return true
}

func (w *window) push(e events.Envelope) {
	last := len(w.chunks) - 1
	if last < 0 || len(w.chunks[last].list) == cap(w.chunks[last].list) || w.chunks[last].bytes > w.maxBytes/8 {
		w.chunks = append(w.chunks, chunk{list: make([]events.Envelope, 0, max(1, min(chunkSize, w.maxEvents/4)))})
		last++
	}
	size := len(e.JSON()) + overhead
	c := &w.chunks[last]
	c.list = append(c.list, e)
	c.bytes += size
	w.bytes += size
	w.events++
}

// jump moves the head without events and reports whether it moved.
func (w *window) jump(position int64) bool {
	if position <= w.head {
		return false
	}
	w.clear()
	w.head = position
	return true
}

func (w *window) clear() {
	w.chunks, w.events, w.bytes = nil, 0, 0
}

// after returns at most limit events behind position, nil where the window does
// not reach back that far.
func (w *window) after(position int64, limit int) []events.Envelope {
	next := position + 1
	if len(w.chunks) == 0 || next < w.chunks[0].first() || next > w.head {
		return nil
	}
	// The newest chunk first: that is where nearly everybody stands.
	for i := len(w.chunks) - 1; i >= 0; i-- {
		c := &w.chunks[i]
		if next < c.first() {
			continue
		}
		part := c.list[next-c.first():]
		part = part[:min(len(part), limit)]
		return part[:len(part):len(part)]
	}
	return nil
}
