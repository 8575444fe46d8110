package commands

import (
	"maps"
	"slices"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// evolveTicket is evolve for what is about one ticket. Slices of a ticket are
// replaced, never changed in place: receipts share them.
func (b *board) evolveTicket(e *events.Envelope, fact events.Event) {
	switch f := fact.(type) {
	case events.TicketCreated:
		b.add(newTicket(e, &f))
		return
	case events.TicketRecovered:
		b.recover(e, &f)
		return
	default: // an existing ticket
	}
	t := b.tickets[e.TicketID]
	if t == nil {
		if fact == nil && e.Type == events.TypeTicketCreated {
			b.nextNum++ // redacted, and the number with it: it stays taken
		}
		return
	}
	if strings.HasPrefix(string(e.Type), "comment_") {
		b.evolveComment(t, e, fact)
		return
	}
	switch f := fact.(type) {
	case events.TicketUpdated:
		set(&t.Title, f.Title)
		set(&t.Description, f.Description)
		set(&t.AcceptanceCriteria, f.AcceptanceCriteria)
		set(&t.Priority, f.Priority)
		set(&t.Labels, f.Labels)
		if f.DueAt != nil || f.ClearDue {
			t.DueAt = f.DueAt
		}
		t.Approval = nil
	case events.TicketMoved:
		b.leave(t)
		if t.ColumnID != f.ColumnID {
			t.ColumnEnteredAt = e.RecordedAt
		}
		t.ColumnID, t.Column, t.Rank = f.ColumnID, f.Column, f.Rank
		if !t.Archived {
			b.enter(t)
		}
	case events.TicketAssigned:
		t.Assignee = f.Assignee
	case events.TicketArchived:
		b.leave(t)
		t.Archived = true
	case events.TicketRestored:
		if t.ColumnID != f.ColumnID {
			t.ColumnEnteredAt = e.RecordedAt
		}
		t.ColumnID, t.Column, t.Rank, t.Archived = f.ColumnID, f.Column, f.Rank, false
		b.enter(t)
	case events.TicketDeleted:
		b.remove(t)
		return
	default:
		if !t.evolveWork(e, fact) {
			return
		}
	}
	t.Version, t.UpdatedAt = e.Version, e.RecordedAt
}

// evolveWork follows facts about the work on a ticket. It reports whether the
// event counts as a change of the ticket: without its data it still does.
func (t *Ticket) evolveWork(e *events.Envelope, fact events.Event) bool {
	switch f := fact.(type) {
	case events.TicketClaimed:
		t.Lease = &Lease{
			Fence: e.Position, HolderID: e.Actor.ID, Holder: e.Actor.Name, ClaimedAt: e.RecordedAt,
			ExpiresAt: f.ExpiresAt, Seconds: f.LeaseSeconds, BackColumn: f.FromColumnID, BackRank: f.FromRank,
		}
		t.LastHolder, t.Approval = e.Actor.ID, nil
		t.Lost = without(t.Lost, e.Actor.ID)
	case events.TicketReleased:
		if l := t.Lease; l != nil && f.Reason != events.Undone && l.HolderID != e.Actor.ID {
			t.Lost = append(without(t.Lost, l.HolderID), l.HolderID)
		}
		t.Lease = nil
	case events.LeaseExpired:
		if l := t.Lease; l != nil {
			t.Lost = append(without(t.Lost, l.HolderID), l.HolderID)
		}
		t.Lease = nil
	case events.DependencyAdded:
		t.DependsOn = append(slices.Clone(t.DependsOn), events.Dependency{ID: f.DependsOn, Key: f.Key})
	case events.DependencyRemoved:
		t.DependsOn = slices.DeleteFunc(slices.Clone(t.DependsOn), func(d events.Dependency) bool { return d.ID == f.DependsOn })
	case events.ChecklistChanged:
		t.Checklist, t.Approval = f.Items, nil
		for _, item := range f.Items {
			t.NextItem = max(t.NextItem, item.ID+1)
		}
	case events.EvidenceAdded:
		t.Evidence = append(slices.Clone(t.Evidence), events.Evidence{
			ID: f.EvidenceID, Kind: f.Kind, Text: f.Text, By: e.Actor.Name, At: e.RecordedAt,
		})
		t.NextEvidence, t.Approval = max(t.NextEvidence, f.EvidenceID+1), nil
	case events.EvidenceRemoved:
		t.Evidence = slices.DeleteFunc(slices.Clone(t.Evidence), func(x events.Evidence) bool { return x.ID == f.EvidenceID })
		t.Approval = nil
	case events.ApprovalRequested:
		t.Approval = &Approval{State: ApprovalRequested, Version: f.Version, By: e.Actor.Name, At: e.RecordedAt, Note: f.Note}
	case events.TicketApproved:
		t.Approval = &Approval{State: ApprovalGranted, Version: f.Version, By: e.Actor.Name, At: e.RecordedAt, Note: f.Note}
	case events.TicketRejected:
		t.Approval = &Approval{State: ApprovalRejected, Version: f.Version, By: e.Actor.Name, At: e.RecordedAt, Note: f.Note}
	case events.ApprovalWithdrawn:
		t.Approval = nil
	case events.DataRedacted:
		// The ticket reads differently now.
	case nil:
		return e.Type != events.TypeUsageRecorded
	default: // usage counts elsewhere
		return false
	}
	return true
}

func without(ids []int64, id int64) []int64 {
	return slices.DeleteFunc(slices.Clone(ids), func(other int64) bool { return other == id })
}

func newTicket(e *events.Envelope, f *events.TicketCreated) *Ticket {
	return &Ticket{
		ID: e.TicketID, BoardID: e.BoardID, Number: f.Number, Key: f.Key, Title: f.Title,
		Description: f.Description, AcceptanceCriteria: f.AcceptanceCriteria, Priority: f.Priority,
		Labels: f.Labels, Assignee: f.Assignee, ColumnID: f.ColumnID, Column: f.Column, Rank: f.Rank,
		DueAt: f.DueAt, Version: e.Version, CreatedAt: e.RecordedAt, UpdatedAt: e.RecordedAt,
		ColumnEnteredAt: e.RecordedAt, CreatedBy: e.Actor.Name, NextItem: 1, NextEvidence: 1,
	}
}

func (b *board) add(t *Ticket) {
	b.tickets[t.ID], b.numbers[t.Number] = t, t.ID
	b.nextNum = max(b.nextNum, t.Number+1)
	if !t.Archived {
		b.enter(t)
	}
}

// recover brings a deleted ticket back.
func (b *board) recover(e *events.Envelope, f *events.TicketRecovered) {
	t := newTicket(e, &f.TicketCreated)
	t.Archived, t.Checklist, t.Evidence, t.DependsOn = f.Archived, f.Checklist, f.Evidence, f.DependsOn
	t.CreatedAt, t.CreatedBy, t.ColumnEnteredAt = f.CreatedAt, f.CreatedBy, f.ColumnEnteredAt
	for _, item := range f.Checklist {
		t.NextItem = max(t.NextItem, item.ID+1)
	}
	for _, x := range f.Evidence {
		t.NextEvidence = max(t.NextEvidence, x.ID+1)
	}
	t.CommentCount = int64(len(f.Comments))
	for _, c := range f.Comments {
		b.comments[c.ID] = comment{TicketID: t.ID, Author: c.Author}
	}
	b.add(t)
}

func (b *board) remove(t *Ticket) {
	if !t.Archived {
		b.leave(t)
	}
	delete(b.tickets, t.ID)
	delete(b.numbers, t.Number)
	maps.DeleteFunc(b.comments, func(_ int64, c comment) bool { return c.TicketID == t.ID })
}

func (b *board) evolveComment(t *Ticket, e *events.Envelope, fact events.Event) {
	switch f := fact.(type) {
	case events.CommentAdded:
		b.comments[f.CommentID] = comment{TicketID: t.ID, Author: e.Actor}
		t.CommentCount++
	case events.CommentDeleted:
		if _, there := b.comments[f.CommentID]; there {
			delete(b.comments, f.CommentID)
			t.CommentCount--
		}
	case nil:
		if e.Type == events.TypeCommentAdded { // its text was redacted, and its id with it
			t.CommentCount++
		}
	default: // a new text
	}
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}
