package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// At is a moment of the log: the position, or the last event that was recorded
// until Time. The zero At is the end.
type At struct {
	Position int64
	Time     time.Time
}

// position finds the moment in a log.
func (at At) position(ctx context.Context, db *sqlstore.DB) (int64, error) {
	head, err := db.Head(ctx)
	if err != nil {
		return 0, err
	}
	switch {
	case at.Position > head.Position:
		return 0, fmt.Errorf("%w: it ends at position %d, before %d", ErrNoMoment, head.Position, at.Position)
	case at.Position > 0:
		return at.Position, nil
	case at.Time.IsZero():
		return head.Position, nil
	}
	var position int64
	err = db.Reader().QueryRowContext(ctx, "SELECT coalesce(max(position), 0) FROM events WHERE recorded_at <= ?", at.Time.UnixMicro()).Scan(&position)
	if err != nil {
		return 0, fmt.Errorf("find %s in the log: %w", at.Time.Format(time.RFC3339), err)
	}
	if position == 0 && head.Position > 0 {
		return 0, fmt.Errorf("%w: it begins after %s", ErrNoMoment, at.Time.Format(time.RFC3339))
	}
	return position, nil
}

// cutStatements remove what was not there yet at a position. What a fold of the
// log tells is made anew afterwards; this is the rest. A token, a password or a
// webhook of after the cut would otherwise belong to whoever gets its number
// next.
var cutStatements = []string{
	`DELETE FROM api_tokens WHERE id IN (SELECT data ->> 'token_id' FROM events WHERE position > ?1 AND type = 'token_issued' AND data IS NOT NULL)`,
	`DELETE FROM webhooks WHERE id IN (SELECT data ->> 'webhook_id' FROM events WHERE position > ?1 AND type = 'webhook_added' AND data IS NOT NULL)`,
	`DELETE FROM credentials WHERE 'user-' || user_id IN (SELECT stream FROM events WHERE position > ?1 AND type = 'user_registered')`,
	`DELETE FROM refresh_tokens WHERE 'user-' || user_id IN (SELECT stream FROM events WHERE position > ?1 AND type = 'user_registered')`,
	`DELETE FROM api_tokens WHERE 'user-' || user_id IN (SELECT stream FROM events WHERE position > ?1 AND type = 'user_registered')`,
	`DELETE FROM webhook_dead_letters WHERE position > ?1 OR webhook_id NOT IN (SELECT id FROM webhooks)`,
	`UPDATE webhooks SET cursor = ?1 WHERE cursor > ?1`,
	`DELETE FROM heartbeats WHERE fence > ?1`,
	`DELETE FROM snapshots WHERE position > ?1`,
	// A command of several events may be cut in two; what is left is what it caused.
	`UPDATE commands SET last_position = ?1, stream = (SELECT stream FROM events WHERE position = ?1), version = (SELECT version FROM events WHERE position = ?1)
		WHERE first_position BETWEEN 1 AND ?1 AND last_position > ?1`,
	`DELETE FROM commands WHERE last_position > ?1`,
	`DELETE FROM events WHERE position > ?1`,
}

// redactedLater returns the position of the first redaction behind the end of a
// cut that emptied something before it, 0 where there is none: nothing brings
// that back, and without the redaction nothing would say why it is gone.
func redactedLater(ctx context.Context, db *sqlstore.DB, position int64) (by int64, err error) {
	err = db.Reader().QueryRowContext(ctx, `SELECT coalesce(min(e.position), 0) FROM events e, json_each(e.data, '$.events') x
		WHERE e.type = 'data_redacted' AND e.position > ?1 AND x.value ->> 'position' <= ?1`, position).Scan(&by)
	if err != nil {
		return 0, fmt.Errorf("look for later redactions: %w", err)
	}
	return by, nil
}

// cut makes a position the end of a log that nobody else uses. The read models
// must be made anew afterwards.
func cut(ctx context.Context, db *sqlstore.DB, position int64) error {
	const trigger = "events_keep"
	return db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		var definition string
		if err := tx.QueryRowContext(ctx, "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?", trigger).Scan(&definition); err != nil {
			return fmt.Errorf("find the trigger that keeps events: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "DROP TRIGGER "+trigger); err != nil {
			return err
		}
		for _, text := range cutStatements {
			if _, err := tx.ExecContext(ctx, text, position); err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
		}
		_, err := tx.ExecContext(ctx, definition)
		return err
	})
}

// rename gives the log another id, so that clients which saw more than it has
// begin afresh instead of missing what comes in its place.
func rename(ctx context.Context, db *sqlstore.DB) (string, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return "", err
	}
	return id.String(), db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE meta SET value = ? WHERE key = 'log_id'", id.String())
		return err
	})
}

// continues reports whether the log in the file at path, as far as it can be
// read, is a beginning of the restored one, or another log altogether: whoever
// followed it may then go on. Where there is none it may have been lost, and
// nobody knows how far it was.
func continues(ctx context.Context, path, logID string, restored *sqlstore.DB) (_ bool, err error) {
	if !exists(path) {
		return false, nil
	}
	db, err := sql.Open("sqlite", address(path, "mode=ro&_pragma=busy_timeout(5000)&_pragma=query_only(1)"))
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var id string
	if err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'log_id'").Scan(&id); err != nil {
		return false, ctx.Err() // damaged: nobody knows how far it was
	}
	if id != logID {
		return true, nil
	}
	var position int64
	var hash []byte
	err = db.QueryRowContext(ctx, "SELECT position, hash FROM events ORDER BY position DESC LIMIT 1").Scan(&position, &hash)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	if err != nil {
		return false, ctx.Err()
	}
	page, err := restored.Read(ctx, events.Query{After: position - 1, UpTo: position, Limit: 1})
	if err != nil || len(page) == 0 {
		return false, err
	}
	return string(page[0].Hash[:]) == string(hash), nil
}
