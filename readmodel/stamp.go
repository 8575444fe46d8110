package readmodel

import (
	"context"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

const (
	lastVersion = `SELECT version FROM events WHERE stream = ?1 AND position <= ?2 ORDER BY version DESC LIMIT 1`
	lastBeats   = `SELECT count(*), coalesce(max(h.at), 0) FROM heartbeats h JOIN tickets t ON t.id = h.ticket_id WHERE t.board_id = ?`
)

// BoardStamp names what a board shows at the position up to which the rows hold
// the log: two readers with the same stamp see the same Snapshot, but for its
// position.
func (q *Queries) BoardStamp(ctx context.Context, board int64) (stamp string, position int64, err error) {
	var version, beats, beat, parked int64
	err = q.view(ctx, func(tx bun.Tx) error {
		if err := tx.StmtContext(ctx, q.stmt.position).QueryRowContext(ctx).Scan(&position); err != nil { //nolint:sqlclosecheck // ends with the transaction
			return err
		}
		if err := tx.Tx.QueryRowContext(ctx, lastVersion, events.BoardStream(board), position).Scan(&version); err != nil {
			return err
		}
		if err := tx.Tx.QueryRowContext(ctx, lastBeats, board).Scan(&beats, &beat); err != nil {
			return err
		}
		return tx.Tx.QueryRowContext(ctx, "SELECT count(*) FROM parked_events").Scan(&parked)
	})
	if err != nil {
		return "", 0, fmt.Errorf("read the stamp of a board: %w", err)
	}
	return fmt.Sprintf("%d.%d.%d.%d", version, beats, beat, parked), position, nil
}
