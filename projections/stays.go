package projections

import (
	"context"
	"errors"

	"github.com/agent-kanban/agent-kanban/events"
)

// stays keeps how long: a row for each stay of a ticket in a column, and one for
// each claim. A stay begins and ends where the ticket's row says, so that both
// agree whatever was redacted. Archiving ends none: the ticket comes back to where
// it was.
type stays struct{ begin, leave, enter, dropStays, claim, end, dropClaims statement }

var _ Projector = (*stays)(nil)

func newStays(p *preparer) *stays {
	return &stays{
		begin: p.prepare(`INSERT OR IGNORE INTO {stays} (id, ticket_id, board_id, column_id, entered_at) VALUES (?, ?, ?, ?, ?)`),
		leave: p.prepare(`UPDATE {stays} SET left_at = ?2 WHERE ticket_id = ?1 AND left_at IS NULL
			AND column_id <> (SELECT column_id FROM {tickets} WHERE id = ?1)`),
		enter: p.prepare(`INSERT OR IGNORE INTO {stays} (id, ticket_id, board_id, column_id, entered_at)
			SELECT ?2, id, board_id, column_id, column_entered_at FROM {tickets}
			WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM {stays} WHERE ticket_id = ?1 AND left_at IS NULL)`),
		dropStays: p.prepare(`DELETE FROM {stays} WHERE board_id = ?`),
		claim: p.prepare(`INSERT OR IGNORE INTO {claims} (id, ticket_id, board_id, user_id, name, claimed_at)
			VALUES (?, ?, ?, ?, ?, ?)`),
		end:        p.prepare(`UPDATE {claims} SET ended_at = ?, outcome = ? WHERE ticket_id = ? AND ended_at IS NULL`),
		dropClaims: p.prepare(`DELETE FROM {claims} WHERE board_id = ?`),
	}
}

func (*stays) Name() string     { return "stays" }
func (*stays) Tables() []string { return []string{"stays", "claims"} }

// Apply must run after tickets have changed.
func (p *stays) Apply(ctx context.Context, tx *Tx, c Change) error {
	switch f := c.Fact.(type) {
	case nil:
		switch c.Type {
		case events.TypeTicketCreated:
			return p.settle(ctx, tx, c)
		case events.TypeTicketClaimed: // the envelope says whose it is
			return p.claimed(ctx, tx, c)
		}
		return nil
	case events.TicketCreated: // no stay comes before it, and the row says the same
		return tx.exec(ctx, p.begin, c.Position, c.TicketID, c.BoardID, f.ColumnID, c.At)
	case events.TicketMoved: // within a column it ends no stay, and begins none
		left, err := tx.changed(ctx, p.leave, c.TicketID, c.At)
		if err != nil || !left {
			return err
		}
		return tx.exec(ctx, p.enter, c.TicketID, c.Position)
	case events.TicketRestored, events.TicketRecovered:
		return p.settle(ctx, tx, c)
	case events.TicketClaimed:
		return p.claimed(ctx, tx, c)
	case events.TicketReleased:
		outcome := "released"
		if f.Reason == events.Completed {
			outcome = "completed"
		}
		return tx.exec(ctx, p.end, c.At, outcome, c.TicketID)
	case events.LeaseExpired:
		return tx.exec(ctx, p.end, c.At, "expired", c.TicketID)
	case events.TicketDeleted:
		return tx.exec(ctx, p.end, c.At, "released", c.TicketID)
	case events.BoardDeleted:
		return errors.Join(tx.exec(ctx, p.dropStays, c.BoardID), tx.exec(ctx, p.dropClaims, c.BoardID))
	default:
		return nil // nothing moved
	}
}

func (p *stays) settle(ctx context.Context, tx *Tx, c Change) error {
	return errors.Join(tx.exec(ctx, p.leave, c.TicketID, c.At), tx.exec(ctx, p.enter, c.TicketID, c.Position))
}

func (p *stays) claimed(ctx context.Context, tx *Tx, c Change) error {
	return errors.Join(tx.exec(ctx, p.end, c.At, "released", c.TicketID),
		tx.exec(ctx, p.claim, c.Position, c.TicketID, c.BoardID, c.Actor.ID, c.Actor.Name, c.At))
}
