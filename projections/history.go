package projections

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// history keeps one row per changed field of a ticket, and with it where the
// ticket came. The rows of a deleted ticket stay.
type history struct{ insert, insertMany, found, ticket, checklist, firstColumn statement }

// manyLines is how many rows go into one statement: calling SQLite costs as much
// as storing a row.
const manyLines = 16

var _ Projector = (*history)(nil)

func newHistory(p *preparer) *history {
	// The id names the event and the place in it, so what it replaces, if there
	// is anything, is the same row.
	const into, row = `INSERT OR REPLACE INTO {ticket_history}
		(id, ticket_id, board_id, field_name, old_value, new_value, changed_by, actor_kind, changed_at, column_id) `, `(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	return &history{
		insert:     p.prepare(into + `VALUES ` + row),
		insertMany: p.prepare(into + `VALUES ` + strings.Repeat(row+", ", manyLines-1) + row),
		found: p.prepare(into + `SELECT ?2, id, board_id, 'column', NULL, ?3, ?4, ?5, ?6, ?7 FROM {tickets}
			WHERE id = ?1 AND column_id <> ?7`),
		ticket:      p.prepare(`SELECT title, description, acceptance_criteria, priority, labels, due_at FROM {tickets} WHERE id = ?`),
		checklist:   p.prepare(`SELECT checklist FROM {tickets} WHERE id = ?`),
		firstColumn: p.prepare(`SELECT id FROM {columns} WHERE board_id = ? ORDER BY place LIMIT 1`),
	}
}

func (*history) Name() string     { return "history" }
func (*history) Tables() []string { return []string{"ticket_history"} }

// lines notes the rows of one event, numbered by their place in it.
type lines struct {
	tx *Tx
	c  Change
	n  int64
}

// add notes one row; old and new are NULL where they are "".
func (l *lines) add(field, from, to string) { l.note(field, from, to, nil) }

// came notes one row, and that the ticket came to a column by it.
func (l *lines) came(column int64, field, from, to string) { l.note(field, from, to, column) }

func (l *lines) note(field, from, to string, column any) {
	l.tx.lines = append(l.tx.lines, l.c.Position*16+l.n, l.c.TicketID, l.c.BoardID, field, orNull(from), orNull(to),
		l.c.Actor.Name, string(l.c.Actor.Kind), l.c.At, column)
	l.n++
}

// Flush writes the rows that Apply noted. Nothing reads them before the end of
// the transaction.
func (h *history) Flush(ctx context.Context, tx *Tx) error {
	const width = 10
	rest := tx.lines
	for ; len(rest) >= manyLines*width; rest = rest[manyLines*width:] {
		if err := tx.exec(ctx, h.insertMany, rest[:manyLines*width]...); err != nil {
			return err
		}
	}
	for ; len(rest) > 0; rest = rest[width:] {
		if err := tx.exec(ctx, h.insert, rest[:width]...); err != nil {
			return err
		}
	}
	tx.lines = tx.lines[:0]
	return nil
}

func (l *lines) overLimit(yes bool) {
	if yes {
		l.add("wip_limit", "", "overridden")
	}
}

// Apply notes the rows of one event. It must run before the tickets change.
func (h *history) Apply(ctx context.Context, tx *Tx, c Change) error {
	if c.TicketID == 0 {
		return nil
	}
	l := &lines{tx: tx, c: c}
	switch f := c.Fact.(type) {
	case nil:
		if c.Type == events.TypeTicketCreated {
			return h.redactedCreation(ctx, l)
		}
		l.redacted()
	case events.TicketCreated:
		l.came(f.ColumnID, "status", "", "created")
		l.overLimit(f.OverLimit)
	case events.TicketUpdated:
		return h.updated(ctx, l, f)
	case events.TicketMoved:
		if f.FromColumnID != f.ColumnID {
			l.came(f.ColumnID, "column", f.FromColumn, f.Column)
		} else if err := h.stayed(ctx, l, f); err != nil {
			return err
		}
		l.overLimit(f.OverLimit)
	case events.TicketAssigned:
		l.add("assignee", f.Was, f.Assignee)
	case events.TicketArchived:
		l.add("status", "", "archived")
	case events.TicketRestored:
		l.came(f.ColumnID, "status", "archived", "restored")
		l.overLimit(f.OverLimit)
	case events.TicketDeleted:
		l.add("status", "", "deleted")
	case events.TicketRecovered:
		l.came(f.ColumnID, "status", "deleted", "recovered")
		l.overLimit(f.OverLimit)
	case events.TicketClaimed:
		l.add("lease", "", c.Actor.Name)
	case events.TicketReleased:
		l.add("lease", f.Holder, "")
	case events.LeaseExpired:
		l.add("lease", f.Holder, "expired")
	case events.DependencyAdded:
		l.add("depends_on", "", f.Key)
	case events.DependencyRemoved:
		l.add("depends_on", f.Key, "")
	case events.ChecklistChanged:
		return h.checked(ctx, l, f)
	case events.EvidenceAdded:
		l.add("evidence", "", string(f.Kind)+": "+f.Text)
	case events.EvidenceRemoved:
		l.add("evidence", string(f.Kind), "")
	case events.ApprovalRequested:
		l.add("approval", "", "requested")
	case events.TicketApproved:
		l.add("approval", "", "approved")
	case events.TicketRejected:
		l.add("approval", "", "rejected")
	case events.ApprovalWithdrawn:
		l.add("approval", "", "")
	case events.DataRedacted:
		l.add("redaction", "", Redacted)
	default: // not about the fields of a ticket
	}
	return nil
}

// redacted says that something changed, and no more.
func (l *lines) redacted() {
	switch l.c.Type {
	case events.TypeTicketUpdated:
		l.add(Redacted, "", Redacted)
	case events.TypeTicketMoved:
		l.add("column", "", Redacted)
	case events.TypeTicketAssigned:
		l.add("assignee", "", Redacted)
	case events.TypeTicketRestored:
		l.add("status", "archived", "restored")
	case events.TypeTicketRecovered:
		l.add("status", "deleted", "recovered")
	case events.TypeTicketClaimed:
		l.add("lease", "", l.c.Actor.Name)
	case events.TypeDependencyAdded, events.TypeDependencyRemoved:
		l.add("depends_on", "", Redacted)
	case events.TypeChecklistChanged:
		l.add("checklist", "", Redacted)
	case events.TypeEvidenceAdded, events.TypeEvidenceRemoved:
		l.add("evidence", "", Redacted)
	case events.TypeApprovalRequested, events.TypeTicketApproved, events.TypeTicketRejected, events.TypeApprovalWithdrawn:
		l.add("approval", "", Redacted)
	}
}

// redactedCreation is as tickets have it: in the first column.
func (h *history) redactedCreation(ctx context.Context, l *lines) error {
	var column int64
	err := l.tx.queryRow(ctx, h.firstColumn, l.c.BoardID).Scan(&column)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	l.came(column, "status", "", "created")
	return nil
}

// stayed notes a row only where the ticket is found in a column that it was not
// seen to come to, for the move there was redacted.
func (h *history) stayed(ctx context.Context, l *lines, f events.TicketMoved) error {
	found, err := l.tx.changed(ctx, h.found, l.c.TicketID, l.c.Position*16+l.n, orNull(f.Column), l.c.Actor.Name, string(l.c.Actor.Kind),
		l.c.At, f.ColumnID)
	if found {
		l.n++
	}
	return err
}

// checked tells how many acceptance criteria were done before and are now.
func (h *history) checked(ctx context.Context, l *lines, f events.ChecklistChanged) error {
	var text string
	err := l.tx.queryRow(ctx, h.checklist, l.c.TicketID).Scan(&text)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	var before []events.ChecklistItem
	if text != "" {
		if err := json.Unmarshal([]byte(text), &before); err != nil {
			return err
		}
	}
	l.add("checklist", progress(before), progress(f.Items))
	return nil
}

// progress is a checklist as history shows it, "" for none.
func progress(items []events.ChecklistItem) string {
	if len(items) == 0 {
		return ""
	}
	done := 0
	for _, item := range items {
		if item.Done {
			done++
		}
	}
	return fmt.Sprintf("%d/%d", done, len(items))
}

// updated needs the values before, which the event does not carry.
func (h *history) updated(ctx context.Context, l *lines, f events.TicketUpdated) error {
	var title, description, criteria, priority, labels string
	var dueAt *string
	err := l.tx.queryRow(ctx, h.ticket, l.c.TicketID).Scan(&title, &description, &criteria, &priority, &labels, &dueAt)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if f.Title != nil {
		l.add("title", title, *f.Title)
	}
	if f.Description != nil {
		l.add("description", description, *f.Description)
	}
	if f.AcceptanceCriteria != nil {
		l.add("acceptance_criteria", criteria, *f.AcceptanceCriteria)
	}
	if f.Priority != nil {
		l.add("priority", priority, string(*f.Priority))
	}
	if f.Labels != nil {
		before, err := readmodel.ParseLabels(labels)
		if err != nil {
			return err
		}
		l.add("labels", strings.Join(before, ", "), strings.Join(*f.Labels, ", "))
	}
	if f.DueAt != nil || f.ClearDue {
		before := ""
		if dueAt != nil {
			at, err := readmodel.ParseTime(*dueAt)
			if err != nil {
				return err
			}
			before = rfc3339(&at)
		}
		l.add("due_at", before, rfc3339(f.DueAt))
	}
	return nil
}

// rfc3339 is a due date as history shows it, "" for none.
func rfc3339(at *time.Time) string {
	if at == nil {
		return ""
	}
	return at.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
}
