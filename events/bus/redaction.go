package bus

import (
	"context"
	"slices"
	"sync"

	"github.com/agent-kanban/agent-kanban/events"
)

func hasRedaction(batch []events.Envelope) bool {
	return slices.ContainsFunc(batch, func(e events.Envelope) bool { return e.Type == events.TypeDataRedacted })
}

// forgotten is the position of the log up to which every redaction is also one of
// the stream: it was made anew from a table that had them.
type forgotten struct {
	mu       sync.Mutex
	position int64
	changed  chan struct{} // closed when position grows; nil while nobody waits
}

func (f *forgotten) reached(position int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.position = max(f.position, position)
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

func (f *forgotten) get() (int64, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.position, f.changed
}

// forgets reports whether a batch redacts what the stream may still hold.
func (r *Relay) forgets(batch []events.Envelope) bool {
	position, _ := r.forgotten.get()
	return slices.ContainsFunc(batch, func(e events.Envelope) bool {
		return e.Type == events.TypeDataRedacted && e.Position > position
	})
}

// Forgotten waits until the stream holds nothing any more that a redaction at
// position has removed from the log, and returns ctx's error if that ends first.
// Only a redaction that this Relay has met is waited for in finite time.
func (r *Relay) Forgotten(ctx context.Context, position int64) error {
	for {
		reached, changed := r.forgotten.get()
		if reached >= position {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
