package projections

import (
	"context"
	"errors"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// comments keeps what was written about tickets, and in tickets how much of it
// there is.
type comments struct{ insert, update, remove, count, dropTicket, dropBoard statement }

var _ Projector = (*comments)(nil)

func newComments(p *preparer) *comments {
	return &comments{
		insert: p.prepare(`INSERT INTO {comments} (id, ticket_id, board_id, text, author, author_kind, created_at, updated_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
		update:     p.prepare(`UPDATE {comments} SET text = ?, updated_at = ? WHERE id = ?`),
		remove:     p.prepare(`DELETE FROM {comments} WHERE id = ?`),
		count:      p.prepare(`UPDATE {tickets} SET comment_count = comment_count + ? WHERE id = ?`),
		dropTicket: p.prepare(`DELETE FROM {comments} WHERE ticket_id = ?`),
		dropBoard:  p.prepare(`DELETE FROM {comments} WHERE ticket_id IN (SELECT id FROM {tickets} WHERE board_id = ?)`),
	}
}

func (*comments) Name() string     { return "comments" }
func (*comments) Tables() []string { return []string{"comments"} }

// Apply keeps the comments. The id of one is in its data only: where that was
// redacted, its place is kept under an id that nothing else can have.
func (p *comments) Apply(ctx context.Context, tx *Tx, c Change) error {
	add := func(id int64, text string) error {
		return errors.Join(tx.exec(ctx, p.insert, id, c.TicketID, c.BoardID, text, c.Actor.Name, string(c.Actor.Kind), c.At, c.At),
			tx.exec(ctx, p.count, 1, c.TicketID))
	}
	switch f := c.Fact.(type) {
	case nil:
		if c.Type != events.TypeCommentAdded {
			return nil
		}
		return add(-c.Position, Redacted)
	case events.CommentAdded:
		return add(f.CommentID, f.Text)
	case events.CommentUpdated:
		return tx.exec(ctx, p.update, f.Text, c.At, f.CommentID)
	case events.CommentDeleted:
		// The id of one whose text was redacted may be gone, and it stays.
		removed, err := tx.changed(ctx, p.remove, f.CommentID)
		if err != nil || !removed {
			return err
		}
		return tx.exec(ctx, p.count, -1, c.TicketID)
	case events.TicketRecovered: // which says how many
		for _, k := range f.Comments {
			if err := tx.exec(ctx, p.insert, k.ID, c.TicketID, c.BoardID, k.Text, k.Author.Name, string(k.Author.Kind),
				readmodel.FormatTime(k.CreatedAt), readmodel.FormatTime(k.UpdatedAt)); err != nil {
				return err
			}
		}
		return nil
	case events.TicketDeleted:
		return tx.exec(ctx, p.dropTicket, c.TicketID)
	case events.BoardDeleted:
		return tx.exec(ctx, p.dropBoard, c.BoardID)
	default:
		return nil // other views
	}
}
