package main

import (
	"context"
	"errors"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
	"github.com/agent-kanban/agent-kanban/ops/backup"
	"github.com/agent-kanban/agent-kanban/projections"
)

// folds is what backups and restores must know of the read models; progress may
// be nil.
func folds(progress ops.Progress) backup.Folds {
	return backup.Folds{
		Settle: func(ctx context.Context, db *sqlstore.DB, anew bool) error {
			var stale *projections.StaleError
			err := projections.NeedsRebuild(ctx, db.Writer(), db)
			if err != nil && !errors.As(err, &stale) {
				return err
			}
			if err == nil && !anew {
				return nil
			}
			_, err = projections.Rebuild(ctx, projections.RebuildConfig{DB: db.Writer(), Update: db.UpdateRelaxed, Log: db})
			return err
		},
		Verify: func(ctx context.Context, db *sqlstore.DB) (*ops.Verification, error) {
			return ops.Verify(ctx, db, verifyOptions(db, nil, progress))
		},
	}
}
