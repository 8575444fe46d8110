package projections

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// tickets keeps the cards.
type tickets struct {
	insert, update, move, assign, archive, unarchive, touch, remove, dropBoard, renameColumn, firstColumn statement
	claim, free, checklist, evidence, unevidence, approval, recover                                       statement
}

var _ Projector = (*tickets)(nil)

func newTickets(p *preparer) *tickets {
	return &tickets{
		insert: p.prepare(`INSERT INTO {tickets} (id, board_id, number, key, title, description, acceptance_criteria,
			priority, labels, assignee, column_id, current_column, rank, due_at, archived, version,
			created_by, created_at, updated_at, column_entered_at, weight)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?15, ?17, ?16, ?16, ?16, ?18)`),
		update: p.prepare(`UPDATE {tickets} SET title = coalesce(?, title), description = coalesce(?, description),
			acceptance_criteria = coalesce(?, acceptance_criteria), priority = coalesce(?, priority),
			weight = coalesce(?, weight), labels = coalesce(?, labels), due_at = CASE WHEN ? THEN ? ELSE due_at END,
			approval = NULL, version = ?, updated_at = ? WHERE id = ?`),
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
		claim: p.prepare(`UPDATE {tickets} SET lease_fence = ?, lease_holder_id = ?, lease_holder = ?, lease_claimed_at = ?,
			lease_expires_at = ?, approval = NULL, version = ?, updated_at = ? WHERE id = ?`),
		free: p.prepare(`UPDATE {tickets} SET lease_fence = NULL, lease_holder_id = NULL, lease_holder = NULL, lease_claimed_at = NULL,
			lease_expires_at = NULL, version = ?, updated_at = ? WHERE id = ?`),
		checklist: p.prepare(`UPDATE {tickets} SET checklist = ?, approval = NULL, version = ?, updated_at = ? WHERE id = ?`),
		evidence: p.prepare(`UPDATE {tickets} SET evidence = json_insert(evidence, '$[#]', json(?)), approval = NULL,
			version = ?, updated_at = ? WHERE id = ?`),
		unevidence: p.prepare(`UPDATE {tickets} SET evidence = (SELECT json_group_array(json(value)) FROM json_each(evidence)
			WHERE json_extract(value, '$.id') <> ?), approval = NULL, version = ?, updated_at = ? WHERE id = ?`),
		approval: p.prepare(`UPDATE {tickets} SET approval = ?, version = ?, updated_at = ? WHERE id = ?`),
		recover: p.prepare(`UPDATE {tickets} SET archived = ?, checklist = ?, evidence = ?, created_by = ?, created_at = ?,
			column_entered_at = ?, comment_count = ? WHERE id = ?`),
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
		return p.create(ctx, tx, c, &f)
	case events.TicketUpdated:
		var labels any
		if f.Labels != nil {
			labels = readmodel.FormatLabels(*f.Labels)
		}
		var urgency any
		if f.Priority != nil {
			urgency = weight(*f.Priority)
		}
		return tx.exec(ctx, p.update, optional(f.Title), optional(f.Description), optional(f.AcceptanceCriteria),
			optional((*string)(f.Priority)), urgency, labels, bit(f.DueAt != nil || f.ClearDue), due(f.DueAt),
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
	default:
		return p.work(ctx, tx, c)
	}
}

// work keeps what is known of the work on a ticket.
func (p *tickets) work(ctx context.Context, tx *Tx, c Change) error {
	judged := func(state string, version int64, note string) error {
		text, err := json.Marshal(readmodel.Approval{State: state, Version: version, By: c.Actor.Name, At: c.RecordedAt, Note: note})
		if err != nil {
			return err
		}
		return tx.exec(ctx, p.approval, string(text), c.Version, c.At, c.TicketID)
	}
	switch f := c.Fact.(type) {
	case events.TicketClaimed:
		return tx.exec(ctx, p.claim, c.Position, c.Actor.ID, c.Actor.Name, c.At, readmodel.FormatTime(f.ExpiresAt), c.Version, c.At, c.TicketID)
	case events.DataRedacted:
		return tx.exec(ctx, p.touch, c.Version, c.At, c.TicketID)
	case events.TicketReleased, events.LeaseExpired:
		return tx.exec(ctx, p.free, c.Version, c.At, c.TicketID)
	case events.ChecklistChanged:
		return tx.exec(ctx, p.checklist, list(f.Items), c.Version, c.At, c.TicketID)
	case events.EvidenceAdded:
		text, err := json.Marshal(events.Evidence{ID: f.EvidenceID, Kind: f.Kind, Text: f.Text, By: c.Actor.Name, At: c.RecordedAt})
		if err != nil {
			return err
		}
		return tx.exec(ctx, p.evidence, string(text), c.Version, c.At, c.TicketID)
	case events.EvidenceRemoved:
		return tx.exec(ctx, p.unevidence, f.EvidenceID, c.Version, c.At, c.TicketID)
	case events.ApprovalRequested:
		return judged("requested", f.Version, f.Note)
	case events.TicketApproved:
		return judged("approved", f.Version, f.Note)
	case events.TicketRejected:
		return judged("rejected", f.Version, f.Note)
	case events.ApprovalWithdrawn:
		return tx.exec(ctx, p.approval, nil, c.Version, c.At, c.TicketID)
	case events.TicketRecovered:
		return errors.Join(p.create(ctx, tx, c, &f.TicketCreated),
			tx.exec(ctx, p.recover, bit(f.Archived), list(f.Checklist), list(f.Evidence), f.CreatedBy,
				readmodel.FormatTime(f.CreatedAt), readmodel.FormatTime(f.ColumnEnteredAt), len(f.Comments), c.TicketID))
	default:
		return nil // other views
	}
}

func (p *tickets) create(ctx context.Context, tx *Tx, c Change, f *events.TicketCreated) error {
	return tx.exec(ctx, p.insert, c.TicketID, c.BoardID, f.Number, f.Key, f.Title, f.Description, f.AcceptanceCriteria,
		string(f.Priority), readmodel.FormatLabels(f.Labels), orNull(f.Assignee), f.ColumnID, f.Column, f.Rank,
		due(f.DueAt), c.Version, c.At, c.Actor.Name, weight(f.Priority))
}

// weight orders priorities, as claim-next does.
func weight(p events.Priority) int {
	return slices.Index([]events.Priority{events.Low, events.Medium, events.High, events.Urgent}, p)
}

// list is how rows hold one: JSON, never null.
func list[T any](items []T) string {
	text, err := json.Marshal(append([]T{}, items...))
	if err != nil {
		return "[]" // facts were JSON once, so they always encode
	}
	return string(text)
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
			column, name, "", nil, c.Version, c.At, c.Actor.Name, weight(events.Medium))
	case events.TypeTicketRestored:
		return tx.exec(ctx, p.unarchive, c.Version, c.At, c.TicketID)
	case events.TypeCommentAdded, events.TypeCommentUpdated, events.TypeCommentDeleted, events.TypeUsageRecorded,
		events.TypeTicketRecovered:
		return nil // no change of the ticket, or none that can be shown
	}
	if c.TicketID != 0 {
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
