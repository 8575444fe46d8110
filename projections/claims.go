package projections

import (
	"context"

	"github.com/agent-kanban/agent-kanban/events"
)

// claims keeps a row for each claim, for statistics.
type claims struct{ insert, end, dropBoard statement }

var _ Projector = (*claims)(nil)

func newClaims(p *preparer) *claims {
	return &claims{
		insert: p.prepare(`INSERT OR IGNORE INTO {claims} (board_id, ticket_id, position, user_id, name, claimed_at)
			VALUES (?, ?, ?, ?, ?, ?)`),
		end: p.prepare(`UPDATE {claims} SET ended_at = ?3, outcome = ?4 WHERE board_id = ?1 AND ticket_id = ?2 AND ended_at IS NULL
			AND position = (SELECT max(position) FROM {claims} WHERE board_id = ?1 AND ticket_id = ?2)`),
		dropBoard: p.prepare(`DELETE FROM {claims} WHERE board_id = ?`),
	}
}

func (*claims) Name() string     { return "claims" }
func (*claims) Tables() []string { return []string{"claims"} }

// Apply keeps the claims. The envelope says whose one is.
func (p *claims) Apply(ctx context.Context, tx *Tx, c Change) error {
	end := func(outcome string) error { return tx.exec(ctx, p.end, c.BoardID, c.TicketID, c.At, outcome) }
	if c.Type == events.TypeTicketClaimed {
		return tx.exec(ctx, p.insert, c.BoardID, c.TicketID, c.Position, c.Actor.ID, c.Actor.Name, c.At)
	}
	switch f := c.Fact.(type) {
	case events.TicketReleased:
		if f.Reason == events.Completed {
			return end("completed")
		}
		return end("released")
	case events.LeaseExpired:
		return end("expired")
	case events.TicketDeleted:
		return end("released")
	case events.BoardDeleted:
		return tx.exec(ctx, p.dropBoard, c.BoardID)
	default:
		return nil // other views
	}
}
