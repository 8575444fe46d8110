package sqlstore

import (
	"context"
	"fmt"

	"github.com/agent-kanban/agent-kanban/events"
)

// Restore runs fill in one transaction on the empty log and gives it the id of
// the log it is a copy of; when fill fails, nothing is kept. It returns
// events.ErrConflict where the log is not empty. Call it before the DB is
// shared: whoever asked LogID before was told the old one.
func (db *DB) Restore(ctx context.Context, logID string, fill func(ctx context.Context, tx events.Tx) error) error {
	tx, err := db.Begin(ctx)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	// After a commit this does nothing; after an error or a panic it cleans up.
	defer func() { _ = tx.Rollback() }()
	if head := tx.Head(); head.Position != 0 {
		return fmt.Errorf("restore into a log of %d events: %w", head.Position, events.ErrConflict)
	}
	if _, err := tx.SQL().ExecContext(context.WithoutCancel(ctx), "UPDATE meta SET value = ? WHERE key = 'log_id'", logID); err != nil {
		return wrap("restore", err)
	}
	if err := fill(context.WithoutCancel(ctx), tx); err != nil {
		return wrap("restore", err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	db.logID = logID
	return nil
}
