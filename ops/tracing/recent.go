package tracing

import (
	"sync"

	"go.opentelemetry.io/otel/trace"
)

// kept is how many of the newest positions are remembered: those who follow the
// log are seldom further behind, and 4,096 entries are under half a megabyte.
const kept = 4096

// recent remembers which span caused the events at the newest positions. It is
// safe for concurrent use.
type recent struct {
	mu      sync.Mutex
	entries []entry // at position % kept; made with the first
}

type entry struct {
	position int64
	span     trace.SpanContext
}

func (r *recent) put(first, last int64, span trace.SpanContext) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries == nil {
		r.entries = make([]entry, kept)
	}
	for p := first; p <= last; p++ {
		r.entries[p%kept] = entry{p, span}
	}
}

// get returns an invalid one for a position that is not known (any more).
func (r *recent) get(position int64) trace.SpanContext {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.entries == nil || position < 0 || r.entries[position%kept].position != position {
		return trace.SpanContext{}
	}
	return r.entries[position%kept].span
}
