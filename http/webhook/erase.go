package webhook

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/agent-kanban/agent-kanban/events"
)

// EraseReplies takes away what receivers of a board's events have answered, in
// the transaction of a redaction: they may have quoted what they were sent. What
// is still to be delivered is read from the log when it goes out.
func (d *Dispatcher) EraseReplies(ctx context.Context, tx *sql.Tx, board int64) error {
	for _, statement := range []string{
		`UPDATE webhook_dead_letters SET error = '[redacted]' WHERE error <> ''
			AND webhook_id IN (SELECT id FROM webhooks WHERE board_id = ?)`,
		`UPDATE webhooks SET last_error = '[redacted]' WHERE last_error <> '' AND board_id = ?`,
	} {
		if _, err := tx.ExecContext(ctx, statement, board); err != nil {
			return fmt.Errorf("redact replies to webhooks: %w", err)
		}
	}
	return nil
}

// EraseUser takes a user's name from the webhooks that they made.
func (d *Dispatcher) EraseUser(ctx context.Context, tx *sql.Tx, user int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE webhooks SET created_by = ?
		WHERE created_by = (SELECT username FROM users WHERE id = ?) COLLATE NOCASE`, events.ErasedName(user), user)
	if err != nil {
		return fmt.Errorf("redact the makers of webhooks: %w", err)
	}
	return nil
}
