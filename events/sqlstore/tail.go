package sqlstore

import (
	"context"
	"errors"

	"github.com/agent-kanban/agent-kanban/events"
)

// CheckTail verifies the newest rows of the log once more. Damage is returned as
// a *TailError, and from then on appends are refused: it does not go away by
// itself. Any other error is about the reading.
func (db *DB) CheckTail(ctx context.Context) error {
	if err := db.TailError(); err != nil {
		return err
	}
	err := db.verifyTail(ctx)
	var tail *TailError
	if errors.As(err, &tail) && db.tail.CompareAndSwap(nil, tail) {
		db.options.Logger.Error("the log is damaged: appends are refused", "position", tail.Position, "error", tail.Err)
	}
	return err
}

func (db *DB) verifyTail(ctx context.Context) error {
	head, err := db.Head(ctx)
	if err != nil {
		return err
	}
	// The row before the first one checked lends its hash.
	var previous events.Head
	// Small pages: this is done again and again, and rows may be large.
	q := events.Query{After: max(0, head.Position-int64(db.options.TailRows)-1), UpTo: head.Position, Limit: 32}
	first := q.After == 0
	for e, err := range events.All(ctx, db, q) {
		if err == nil && first {
			err = events.Check(previous, e)
		}
		if errors.Is(err, events.ErrChainBroken) {
			position := previous.Position + 1
			if bad := new(rowError); errors.As(err, &bad) {
				position = bad.position
			}
			return &TailError{Position: position, Err: err}
		}
		if err != nil {
			return err
		}
		previous, first = e.Head(), true
	}
	return nil
}
