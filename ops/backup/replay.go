package backup

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// before reports whether an event is certainly behind the moment.
func (at At) before(e *events.Envelope) bool {
	return at.Position > 0 && e.Position > at.Position || !at.Time.IsZero() && e.RecordedAt.After(at.Time)
}

// replay appends what a shipped log holds after the head of a log that nobody
// else uses, and returns the number of events. The read models must be made anew
// afterwards. A redaction in it is carried out on what the log holds; one after
// at, where the log will be cut, is where it ends.
func replay(ctx context.Context, db *sqlstore.DB, from Shipped, at At) (n int64, err error) {
	from.LogID = cmp.Or(from.LogID, db.LogID())
	if !exists(from.folder()) {
		from.LogID = "" // the folder of the log itself was named
	}
	head, err := db.Head(ctx)
	if err != nil {
		return 0, err
	}
	var rows []*Row
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		err := appendRows(ctx, db, rows)
		n += int64(len(rows))
		rows = rows[:0]
		return err
	}
	var failed error
	err = from.walk(ctx, head, func(row *Row) bool {
		if row.Event.Type == events.TypeDataRedacted && at.before(&row.Event) {
			return false
		}
		// Commands are recorded with their last event, so a batch ends with one.
		if rows = append(rows, row); len(rows) >= recordEvents && len(row.Commands) > 0 {
			failed = flush()
		}
		return failed == nil
	}, func(beside []sideRow) error {
		return db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
			for i := range beside {
				if err := beside[i].apply(ctx, tx); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		err = fmt.Errorf("read the shipped log in %s: %w", from.folder(), err)
	}
	if err := errors.Join(err, failed); err != nil {
		return n, err
	}
	return n, flush()
}

func appendRows(ctx context.Context, db *sqlstore.DB, rows []*Row) (err error) {
	tx, err := db.Begin(ctx)
	if err != nil {
		return err
	}
	// After a commit this does nothing; after an error or a panic it cleans up.
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	batch := make([]events.Envelope, len(rows))
	for i, row := range rows {
		batch[i] = row.Event
	}
	if err := tx.Append(ctx, batch); err != nil {
		return fmt.Errorf("replay the shipped log: %w", err)
	}
	for _, row := range rows {
		for _, rec := range row.Commands {
			if err := tx.Record(ctx, rec); err != nil {
				return fmt.Errorf("replay the shipped log: position %d: %w", row.Event.Position, err)
			}
		}
	}
	return tx.Commit()
}
