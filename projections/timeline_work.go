package projections

import (
	"slices"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// work follows facts about the work on a ticket. It reports whether the ticket
// changed by it.
func (t *Timeline) work(k *readmodel.Ticket, e *events.Envelope, fact events.Event) bool {
	judge := func(state string, version int64, note string) {
		k.Approval = &readmodel.Approval{State: state, Version: version, By: e.Actor.Name, At: e.RecordedAt, Note: note}
	}
	switch f := fact.(type) {
	case events.TicketClaimed:
		k.Lease = &readmodel.Lease{
			Fence: e.Position, HolderID: e.Actor.ID, Holder: e.Actor.Name, ClaimedAt: e.RecordedAt, ExpiresAt: *micros(&f.ExpiresAt),
		}
		k.Approval = nil
	case events.TicketReleased, events.LeaseExpired:
		k.Lease = nil
	case events.DependencyAdded:
		d := events.Dependency{ID: f.DependsOn, Key: f.Key}
		if !slices.ContainsFunc(t.waits[k.ID], func(have events.Dependency) bool { return have.ID == d.ID }) {
			t.waits[k.ID] = append(t.waits[k.ID], d)
		}
	case events.DependencyRemoved:
		t.waits[k.ID] = slices.DeleteFunc(t.waits[k.ID], func(d events.Dependency) bool { return d.ID == f.DependsOn })
	case events.ChecklistChanged:
		k.Checklist, k.Approval = append([]events.ChecklistItem{}, f.Items...), nil
	case events.EvidenceAdded:
		k.Evidence = append(slices.Clone(k.Evidence), events.Evidence{ID: f.EvidenceID, Kind: f.Kind, Text: f.Text, By: e.Actor.Name, At: e.RecordedAt})
		k.Approval = nil
	case events.EvidenceRemoved:
		k.Evidence = slices.DeleteFunc(slices.Clone(k.Evidence), func(x events.Evidence) bool { return x.ID == f.EvidenceID })
		k.Approval = nil
	case events.ApprovalRequested:
		judge("requested", f.Version, f.Note)
	case events.TicketApproved:
		judge("approved", f.Version, f.Note)
	case events.TicketRejected:
		judge("rejected", f.Version, f.Note)
	case events.ApprovalWithdrawn:
		k.Approval = nil
	case events.DataRedacted: // a change of how it reads
	default: // usage, or not about a ticket
		return false
	}
	return true
}

// recovered brings a deleted ticket back, with its comments.
func (t *Timeline) recovered(e *events.Envelope, f *events.TicketRecovered) {
	k := t.created(e, f.TicketCreated)
	k.Archived, k.CreatedAt, k.CreatedBy, k.ColumnEnteredAt = f.Archived, f.CreatedAt, f.CreatedBy, f.ColumnEnteredAt
	k.Checklist = append(k.Checklist, f.Checklist...)
	k.Evidence = append(k.Evidence, f.Evidence...)
	t.tickets[k.ID] = k
	t.waits[k.ID] = slices.Clone(f.DependsOn)
	t.counts[k.ID] = int64(len(f.Comments))
	for _, c := range f.Comments {
		t.comments[c.ID] = &readmodel.Comment{
			ID: c.ID, TicketID: k.ID, BoardID: k.BoardID, Text: c.Text, Author: c.Author.Name, AuthorKind: c.Author.Kind,
			CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
		}
	}
}

// shown is a ticket as the views show it: with what it waits for, and how much was
// said about it.
func (t *Timeline) shown(k *readmodel.Ticket) readmodel.Ticket {
	view := *k
	view.CommentCount = t.counts[k.ID]
	view.DependsOn = make([]string, len(t.waits[k.ID]))
	for i, d := range t.waits[k.ID] {
		view.DependsOn[i] = d.Key
		view.Blocked = view.Blocked || !t.done(d.ID)
	}
	return view
}

// done reports whether a ticket is there and in a column of kind done.
func (t *Timeline) done(id int64) bool {
	k := t.tickets[id]
	if k == nil || t.boards[k.BoardID] == nil {
		return false
	}
	return slices.ContainsFunc(t.boards[k.BoardID].Columns, func(c readmodel.Column) bool {
		return c.ID == k.ColumnID && c.Kind == events.Done
	})
}
