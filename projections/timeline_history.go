package projections

import (
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// note adds the lines of history. It runs before the ticket changes.
func (t *Timeline) note(e *events.Envelope, fact events.Event) {
	add := func(field, from, to string) {
		lines := t.history[e.TicketID]
		n := int64(0)
		if len(lines) > 0 && lines[len(lines)-1].Position == e.Position {
			n = lines[len(lines)-1].ID%16 + 1
		}
		t.history[e.TicketID] = append(lines, readmodel.HistoryEntry{
			ID: e.Position*16 + n, TicketID: e.TicketID, BoardID: e.BoardID, Position: e.Position,
			FieldName: field, OldValue: nilIfEmpty(from), NewValue: nilIfEmpty(to),
			ChangedBy: e.Actor.Name, ActorKind: e.Actor.Kind, ChangedAt: e.RecordedAt,
		})
	}
	limit := func(over bool) {
		if over {
			add("wip_limit", "", "overridden")
		}
	}
	switch e.Type {
	case events.TypeTicketCreated:
		add("status", "", "created")
		f, _ := fact.(events.TicketCreated)
		limit(f.OverLimit)
	case events.TypeTicketArchived:
		add("status", "", "archived")
	case events.TypeTicketRestored:
		add("status", "archived", "restored")
		f, _ := fact.(events.TicketRestored)
		limit(f.OverLimit)
	case events.TypeTicketDeleted:
		add("status", "", "deleted")
	case events.TypeTicketRecovered:
		add("status", "deleted", "recovered")
		f, _ := fact.(events.TicketRecovered)
		limit(f.OverLimit)
	case events.TypeTicketMoved:
		f, ok := fact.(events.TicketMoved)
		if !ok {
			add("column", "", Redacted)
		} else if f.FromColumnID != f.ColumnID {
			add("column", f.FromColumn, f.Column)
		} else if k := t.tickets[e.TicketID]; k != nil && k.ColumnID != f.ColumnID { // a move before was redacted
			add("column", "", f.Column)
		}
		limit(f.OverLimit)
	case events.TypeTicketAssigned:
		f, ok := fact.(events.TicketAssigned)
		if !ok {
			f.Assignee = Redacted
		}
		add("assignee", f.Was, f.Assignee)
	case events.TypeDataRedacted:
		add("redaction", "", Redacted)
	case events.TypeTicketClaimed:
		add("lease", "", e.Actor.Name)
	case events.TypeTicketReleased:
		f, _ := fact.(events.TicketReleased)
		add("lease", f.Holder, "")
	case events.TypeLeaseExpired:
		f, _ := fact.(events.LeaseExpired)
		add("lease", f.Holder, "expired")
	case events.TypeDependencyAdded, events.TypeDependencyRemoved, events.TypeChecklistChanged, events.TypeEvidenceAdded,
		events.TypeEvidenceRemoved, events.TypeApprovalRequested, events.TypeTicketApproved, events.TypeTicketRejected, events.TypeApprovalWithdrawn:
		add(t.acceptance(e, fact))
	case events.TypeTicketUpdated:
		f, ok := fact.(events.TicketUpdated)
		if !ok {
			add(Redacted, "", Redacted)
			return
		}
		before := t.tickets[e.TicketID]
		if before == nil {
			before = &readmodel.Ticket{}
		}
		if f.Title != nil {
			add("title", before.Title, *f.Title)
		}
		if f.Description != nil {
			add("description", before.Description, *f.Description)
		}
		if f.AcceptanceCriteria != nil {
			add("acceptance_criteria", before.AcceptanceCriteria, *f.AcceptanceCriteria)
		}
		if f.Priority != nil {
			add("priority", string(before.Priority), string(*f.Priority))
		}
		if f.Labels != nil {
			add("labels", strings.Join(before.Labels, ", "), strings.Join(*f.Labels, ", "))
		}
		if f.DueAt != nil || f.ClearDue {
			add("due_at", rfc3339(before.DueAt), rfc3339(f.DueAt))
		}
	}
}

// acceptance is the line of history for what a ticket needs before it is done.
func (t *Timeline) acceptance(e *events.Envelope, fact events.Event) (field, from, to string) {
	switch f := fact.(type) {
	case events.DependencyAdded:
		return "depends_on", "", f.Key
	case events.DependencyRemoved:
		return "depends_on", f.Key, ""
	case events.ChecklistChanged:
		if k := t.tickets[e.TicketID]; k != nil {
			from = progress(k.Checklist)
		}
		return "checklist", from, progress(f.Items)
	case events.EvidenceAdded:
		return "evidence", "", string(f.Kind) + ": " + f.Text
	case events.EvidenceRemoved:
		return "evidence", string(f.Kind), ""
	case events.ApprovalRequested:
		return "approval", "", "requested"
	case events.TicketApproved:
		return "approval", "", "approved"
	case events.TicketRejected:
		return "approval", "", "rejected"
	case events.ApprovalWithdrawn:
		return "approval", "", ""
	default: // redacted
	}
	switch e.Type {
	case events.TypeDependencyAdded, events.TypeDependencyRemoved:
		field = "depends_on"
	case events.TypeChecklistChanged:
		field = "checklist"
	case events.TypeEvidenceAdded, events.TypeEvidenceRemoved:
		field = "evidence"
	default:
		field = "approval"
	}
	return field, "", Redacted
}
