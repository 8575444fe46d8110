package ops

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/agent-kanban/agent-kanban/events"
)

const (
	// Events whose command is not recorded, or not as having caused them. The
	// actor of a record is the principal: "kind:id", or "kind:name" without id.
	unrecordedSQL = `SELECT e.position, e.command_id
		FROM events e LEFT JOIN commands c ON c.command_id = e.command_id
			AND c.actor = e.actor_kind || ':' || CASE e.actor_id WHEN 0 THEN e.actor_name ELSE e.actor_id END
		WHERE e.position > ? AND e.position <= ?
			AND (c.command_id IS NULL OR c.first_position = 0 OR e.position NOT BETWEEN c.first_position AND c.last_position)`
	// Records whose first or last event is missing, or of another command or
	// actor. A record with first_position 0 caused nothing.
	eventlessSQL = `SELECT c.command_id, c.actor, c.first_position, c.last_position
		FROM commands c LEFT JOIN events f ON f.position = c.first_position LEFT JOIN events l ON l.position = c.last_position
		WHERE c.last_position <= ? AND c.first_position > 0 AND (f.command_id IS NOT c.command_id
			OR c.actor IS NOT f.actor_kind || ':' || CASE f.actor_id WHEN 0 THEN f.actor_name ELSE f.actor_id END
			OR l.command_id IS NOT c.command_id OR l.stream IS NOT c.stream OR l.version IS NOT c.version)`
	// Records of commands after the end of the log.
	aheadSQL = `SELECT command_id, actor, first_position, last_position FROM commands WHERE last_position > ?`
)

// ledger checks the records of commands against the events, both ways.
func (v *Verification) ledger(ctx context.Context, db *sql.DB, log events.Reader) error {
	const window = 20_000 // events per statement, so that none stays open for long
	for from := int64(0); from < v.Head.Position; from += window {
		err := each(ctx, db, unrecordedSQL, []any{from, min(from+window, v.Head.Position)}, func(rows *sql.Rows) error {
			var position int64
			var id string
			if err := rows.Scan(&position, &id); err != nil {
				return err
			}
			v.problem(position, CheckLedger, "its command %q is not recorded as having caused it", id)
			return nil
		})
		if err != nil {
			return err
		}
	}
	record := func(format string) func(*sql.Rows) error {
		return func(rows *sql.Rows) error {
			var id, actor string
			var first, last int64
			if err := rows.Scan(&id, &actor, &first, &last); err != nil {
				return err
			}
			v.problem(first, CheckLedger, format, id, actor, first, last)
			return nil
		}
	}
	err := each(ctx, db, eventlessSQL, []any{v.Head.Position}, record("command %q of %s says it caused positions %d to %d, but they are not its own"))
	if err != nil {
		return err
	}
	// A server that runs meanwhile appends events with their records: what is
	// ahead of the old head must not be ahead of the new one.
	var ahead int64
	if err := db.QueryRowContext(ctx, "SELECT count(*), coalesce(max(last_position), 0) FROM commands").Scan(&v.Commands, &ahead); err != nil {
		return fmt.Errorf("read commands: %w", err)
	}
	now, err := log.Head(ctx)
	if err != nil || ahead <= now.Position {
		return err
	}
	return each(ctx, db, aheadSQL, []any{now.Position}, record("command %q of %s caused positions %d to %d, which the log does not have"))
}

func each(ctx context.Context, db *sql.DB, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read commands: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("read commands: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read commands: %w", err)
	}
	return nil
}
