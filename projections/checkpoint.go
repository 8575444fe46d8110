package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/agent-kanban/agent-kanban/events"
)

// Errors of this package.
var (
	// ErrCheckpointLost: another process moved the checkpoint; this one stops.
	ErrCheckpointLost = errors.New("another process moved the checkpoint of the read model")
	// ErrGap: an event arrived before the one that precedes it.
	ErrGap = errors.New("events are missing between the checkpoint and what was delivered")
	// ErrStopped: the Runner was stopped and cannot be started again.
	ErrStopped = errors.New("the projection runner was stopped")
)

// StaleError says that the rows cannot be carried on from where they are: only
// Rebuild helps.
type StaleError struct {
	Reason   string // plain words
	Position int64  // of the checkpoint
	Head     int64  // of the log
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("the read model is at position %d and the log at %d: %s; run: kanban rebuild", e.Position, e.Head, e.Reason)
}

const (
	checkpointName = "readmodel"
	// rowSchema is the shape of the rows. Add one whenever the same events would
	// make other rows: the next start then rebuilds.
	rowSchema = 5
)

const (
	readCheckpoint = `SELECT position, schema FROM checkpoints WHERE name = '` + checkpointName + `'`
	moveCheckpoint = `UPDATE checkpoints SET position = ?, schema = ? WHERE name = '` + checkpointName + `' AND position = ?`
	setCheckpoint  = `INSERT INTO checkpoints (name, position, schema) VALUES ('` + checkpointName + `', ?, ?)
		ON CONFLICT (name) DO UPDATE SET position = excluded.position, schema = excluded.schema`
)

// querier is what *sql.DB and *sql.Tx share.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func checkpoint(ctx context.Context, q querier) (position int64, schema int, err error) {
	err = q.QueryRowContext(ctx, readCheckpoint).Scan(&position, &schema)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, 0, nil // never written: nothing is there, so rebuild
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read checkpoint: %w", err)
	}
	return position, schema, nil
}

// NeedsRebuild returns a *StaleError where the rows must be rebuilt before they
// can follow the log, nil where they need not, or another error where that
// cannot be told.
func NeedsRebuild(ctx context.Context, db *sql.DB, log events.Reader) error {
	position, schema, err := checkpoint(ctx, db)
	if err != nil {
		return err
	}
	head, err := log.Head(ctx)
	if err != nil {
		return fmt.Errorf("read head: %w", err)
	}
	stale := func(reason string) error {
		return &StaleError{Reason: reason, Position: position, Head: head.Position}
	}
	switch {
	case position > head.Position:
		return stale("the log is older than the read model")
	case schema != rowSchema:
		return stale("another version of this program wrote it")
	}
	var skipped sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT min(position) FROM parked_events WHERE reason = 'unknown'").Scan(&skipped); err != nil {
		return fmt.Errorf("read parked events: %w", err)
	}
	if !skipped.Valid {
		return nil
	}
	page, err := log.Read(ctx, events.Query{After: skipped.Int64 - 1, UpTo: skipped.Int64, Limit: 1})
	if err != nil {
		return fmt.Errorf("read position %d: %w", skipped.Int64, err)
	}
	if len(page) == 1 {
		if _, err := page[0].Payload(); err == nil {
			return stale("it lacks events that this version can read")
		}
	}
	return nil
}
