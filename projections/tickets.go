package projections

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// tickets keeps the cards.
type tickets struct {
	insert, update, move, assign, archive, unarchive, touch, remove, dropBoard, renameColumn, firstColumn statement
}

var _ Projector = (*tickets)(nil)

func newTickets(p *preparer) *tickets {
	return &tickets{
		insert: p.prepare(`INSERT INTO {tickets} (id, board_id, number, key, title, description, acceptance_criteria,
			priority, labels, assignee, column_id, current_column, rank, due_at, archived, version,
			created_by, created_at, updated_at, column_entered_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?15, ?17, ?16, ?16, ?16)`),
		update: p.prepare(`UPDATE {tickets} SET title = coalesce(?, title), description = coalesce(?, description),
			acceptance_criteria = coalesce(?, acceptance_criteria), priority = coalesce(?, priority),
			labels = coalesce(?, labels), due_at = CASE WHEN ? THEN ? ELSE due_at END,
			version = ?, updated_at = ? WHERE id = ?`),
		move: p.prepare(`UPDATE {tickets} SET column_entered_at = CASE WHEN column_id = ?1 THEN column_entered_at ELSE ?5 END,
			column_id = ?1, current_column = ?2, rank = ?3, version = ?4, updated_at = ?5 WHERE id = ?6`),
		assign:    p.prepare(`UPDATE {tickets} SET assignee = ?, version = ?, updated_at = ? WHERE id = ?`),
		archive:   p.prepare(`UPDATE {tickets} SET archived = 1, version = ?, updated_at = ? WHERE id = ?`),
		unarchive: p.prepare(`UPDATE {tickets} SET archived = 0, version = ?, updated_at = ? WHERE id = ?`),
		touch:     p.prepare(`UPDATE {tickets} SET version = ?, updated_at = ? WHERE id = ?`),
		remove:    p.prepare(`DELETE FROM {tickets} WHERE id = ?`),
		dropBoard: p.prepare(`DELETE FROM {tickets} WHERE board_id = ?`),
		renameColumn: p.prepare(`UPDATE {tickets} SET current_column = ?1
			WHERE board_id = ?2 AND column_id = ?3 AND current_column <> ?1`),
		firstColumn: p.prepare(`SELECT id, name FROM {columns} WHERE board_id = ? ORDER BY place LIMIT 1`),
	}
}

func (*tickets) Name() string     { return "tickets" }
func (*tickets) Tables() []string { return []string{"tickets"} }

// Apply keeps the tickets.
func (p *tickets) Apply(ctx context.Context, tx *Tx, c Change) error {
	switch f := c.Fact.(type) {
	case nil:
		return p.redacted(ctx, tx, c)
	case events.TicketCreated:
		return tx.exec(ctx, p.insert, c.TicketID, c.BoardID, f.Number, f.Key, f.Title, f.Description, f.AcceptanceCriteria,
			string(f.Priority), readmodel.FormatLabels(f.Labels), orNull(f.Assignee), f.ColumnID, f.Column, f.Rank,
			due(f.DueAt), c.Version, c.At, c.Actor.Name)
	case events.TicketUpdated:
		var labels any
		if f.Labels != nil {
			labels = readmodel.FormatLabels(*f.Labels)
		}
		return tx.exec(ctx, p.update, optional(f.Title), optional(f.Description), optional(f.AcceptanceCriteria),
			optional((*string)(f.Priority)), labels, bit(f.DueAt != nil || f.ClearDue), due(f.DueAt),
			c.Version, c.At, c.TicketID)
	case events.TicketMoved:
		return tx.exec(ctx, p.move, f.ColumnID, f.Column, f.Rank, c.Version, c.At, c.TicketID)
	case events.TicketAssigned:
		return tx.exec(ctx, p.assign, orNull(f.Assignee), c.Version, c.At, c.TicketID)
	case events.TicketArchived:
		return tx.exec(ctx, p.archive, c.Version, c.At, c.TicketID)
	case events.TicketRestored:
		return errors.Join(tx.exec(ctx, p.move, f.ColumnID, f.Column, f.Rank, c.Version, c.At, c.TicketID),
			tx.exec(ctx, p.unarchive, c.Version, c.At, c.TicketID))
	case events.TicketDeleted:
		return tx.exec(ctx, p.remove, c.TicketID)
	case events.BoardDeleted:
		return tx.exec(ctx, p.dropBoard, c.BoardID)
	case events.ColumnUpdated:
		if f.Column.Name == f.Was {
			return nil
		}
		return tx.exec(ctx, p.renameColumn, f.Column.Name, c.BoardID, f.Column.ID)
	case events.BoardCreated, events.BoardUpdated, events.BoardArchived, events.BoardRestored,
		events.ColumnAdded, events.ColumnMoved, events.ColumnRemoved,
		events.MemberAdded, events.MemberUpdated, events.MemberRemoved,
		events.CommentAdded, events.CommentUpdated, events.CommentDeleted,
		events.UserRegistered, events.UserUpdated, events.UserDeactivated,
		events.TokenIssued, events.TokenRevoked, events.LogImported:
		return nil // other views
	}
	return nil
}

// redacted keeps what the envelope alone tells. A ticket whose creation was
// redacted stands in the first column, where somebody will see it.
func (p *tickets) redacted(ctx context.Context, tx *Tx, c Change) error {
	switch c.Type {
	case events.TypeTicketCreated:
		var column int64
		var name string
		err := tx.queryRow(ctx, p.firstColumn, c.BoardID).Scan(&column, &name)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return tx.exec(ctx, p.insert, c.TicketID, c.BoardID, 0, "", Redacted, "", "", string(events.Medium), "[]", nil,
			column, name, "", nil, c.Version, c.At, c.Actor.Name)
	case events.TypeTicketRestored:
		return tx.exec(ctx, p.unarchive, c.Version, c.At, c.TicketID)
	case events.TypeTicketUpdated, events.TypeTicketMoved, events.TypeTicketAssigned:
		return tx.exec(ctx, p.touch, c.Version, c.At, c.TicketID)
	}
	return nil
}

func due(at *time.Time) any {
	if at == nil {
		return nil
	}
	return readmodel.FormatTime(*at)
}
