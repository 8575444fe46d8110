package sqlstore

import (
	"context"
	"errors"

	"github.com/agent-kanban/agent-kanban/events"
)

// checkTail verifies the newest rows and remembers the damage it finds. The
// error it returns is about the reading, not about the damage.
func (db *DB) checkTail(ctx context.Context) error {
	head, err := db.Head(ctx)
	if errors.As(err, &db.tail) {
		db.options.Logger.Error("the log is damaged: appends are refused", "position", head.Position, "error", db.tail.Err)
		return nil
	}
	if err != nil {
		return err
	}
	// The row before the first one checked lends its hash.
	var previous events.Head
	q := events.Query{After: max(0, head.Position-int64(db.options.TailRows)-1)}
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
			db.tail = &TailError{Position: position, Err: err}
			db.options.Logger.Error("the log is damaged: appends are refused", "position", position, "error", err)
			return nil
		}
		if err != nil {
			return err
		}
		previous, first = e.Head(), true
	}
	return nil
}
