package bus

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is a pause that doubles. Up to a half of it is random: two relays on
// one stream must not meet again and again.
type backoff struct {
	least, most, next time.Duration
}

func newBackoff(least, most time.Duration) *backoff {
	return &backoff{least: least, most: most, next: least}
}

func (b *backoff) reset() { b.next = b.least }

// wait pauses; false when ctx ended.
func (b *backoff) wait(ctx context.Context) bool {
	pause := b.next/2 + rand.N(b.next/2+1)
	b.next = min(2*b.next, b.most)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
