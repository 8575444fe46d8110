package projections

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
)

// Watermark tells up to which position the rows are. It is safe for concurrent
// use.
type Watermark struct {
	position atomic.Int64
	closed   chan struct{} // for those who need not wait

	mu      sync.Mutex
	waiting waiters
}

// NewWatermark returns a Watermark at position 0.
func NewWatermark() *Watermark {
	w := &Watermark{closed: make(chan struct{})}
	close(w.closed)
	return w
}

// waiter is one call that waits for a position.
type waiter struct {
	position int64
	reached  chan struct{}
	index    int // in the heap, -1 when it left
}

// Position returns the last position that the rows hold, 0 for none.
func (w *Watermark) Position() int64 { return w.position.Load() }

// Reached returns a channel that is closed once the rows hold position. It costs
// a little memory until then: whoever may give up uses Wait, and nobody asks for
// positions that the log does not have yet.
func (w *Watermark) Reached(position int64) <-chan struct{} {
	if w.position.Load() >= position {
		return w.closed
	}
	return w.add(position).reached
}

func (w *Watermark) add(position int64) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.position.Load() >= position {
		return &waiter{reached: w.closed, index: -1}
	}
	entry := &waiter{position: position, reached: make(chan struct{})}
	heap.Push(&w.waiting, entry)
	return entry
}

// Wait blocks until the rows hold position. It returns the error of ctx when
// that ends first.
func (w *Watermark) Wait(ctx context.Context, position int64) error {
	if w.position.Load() >= position {
		return nil
	}
	entry := w.add(position)
	select {
	case <-entry.reached:
		return nil
	case <-ctx.Done():
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if entry.index >= 0 {
		heap.Remove(&w.waiting, entry.index)
	}
	return ctx.Err()
}

// Advance says that the rows now hold position. A smaller one than before does
// nothing.
func (w *Watermark) Advance(position int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if position <= w.position.Load() {
		return
	}
	w.position.Store(position)
	for len(w.waiting) > 0 && w.waiting[0].position <= position {
		close(heap.Pop(&w.waiting).(*waiter).reached)
	}
}

// waiters is a heap, smallest position first: a batch looks at those it wakes
// and no others.
type waiters []*waiter

func (h waiters) Len() int           { return len(h) }
func (h waiters) Less(i, j int) bool { return h[i].position < h[j].position }
func (h waiters) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *waiters) Push(x any) {
	entry := x.(*waiter)
	entry.index = len(*h)
	*h = append(*h, entry)
}

func (h *waiters) Pop() any {
	old := *h
	entry := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	entry.index = -1
	return entry
}
