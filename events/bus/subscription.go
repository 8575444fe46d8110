package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Errors of this package.
var (
	// ErrStopped: a Tail or Relay does not start again.
	ErrStopped = errors.New("already stopped")
	// ErrMissing: the table lacks a row that was committed.
	ErrMissing = errors.New("the log lacks this position")
)

// missingWait is the pause before the table is asked again for a row that it
// does not show yet, as a replica of a database may.
const missingWait = 100 * time.Millisecond

// Subscription is a cursor over the log. It takes each position from the window
// or, where that does not reach back so far, from the table. One goroutine may
// use it at a time.
type Subscription struct {
	tail   *Tail
	last   int64
	misses int
}

// Next returns the events that follow those it returned before: contiguous, at
// least one, at most TailConfig.MaxBatch. It waits for them. The batch is shared
// with others: read it only.
//
// It returns ctx's error when ctx ends, otherwise the error of reading the
// table. After an error the cursor stands where it stood and Next may be called
// again.
func (s *Subscription) Next(ctx context.Context) ([]events.Envelope, error) {
	return s.next(ctx, true)
}

// Pending reports whether Next would return at once.
func (s *Subscription) Pending() bool { return s.tail.Head() > s.last }

// Position returns the last one that Next returned, or where the cursor began.
func (s *Subscription) Position() int64 { return s.last }

func (s *Subscription) next(ctx context.Context, prepare bool) ([]events.Envelope, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		batch, inTable, wait := s.tail.take(s.last)
		if inTable {
			var err error
			if batch, err = s.read(ctx, prepare); err != nil {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				return nil, fmt.Errorf("subscription: %w", err)
			}
		}
		if len(batch) > 0 {
			s.last = batch[len(batch)-1].Position
			return batch, nil
		}
		if wait == nil {
			continue
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// read returns a page of the table. A row that is known to be committed but not
// visible yet is waited for a little; ErrMissing when it stays away.
func (s *Subscription) read(ctx context.Context, prepare bool) ([]events.Envelope, error) {
	page, err := s.tail.config.Log.Read(ctx, events.Query{After: s.last, Limit: s.tail.config.MaxBatch})
	if err == nil {
		err = contiguous(page, s.last)
	}
	if err == nil {
		s.misses = 0
		if prepare {
			for i := range page {
				page[i].Prepare()
			}
		}
		return page, nil
	}
	if !errors.Is(err, ErrMissing) || s.misses >= 10 {
		s.misses = 0
		return nil, err
	}
	s.misses++
	select {
	case <-time.After(missingWait):
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
