package commands

import (
	"slices"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// past is what the log says of one ticket, apart from the doomed events.
type past struct {
	before   *Ticket // as it was before the first of them; nil = not there
	key      string
	comments []events.RecoveredComment // that are there without the doomed events
	doomed   []*events.Envelope        // about comments
	others   []*events.Envelope        // by others, about comments, since
	done     bool
}

// past folds the ticket's own events. It refuses where others have changed the
// ticket since the first doomed event.
func (u *undo) past(id int64) (*past, error) {
	p := &past{}
	scratch := newBoard(u.d.board.info.ID)
	started := false
	for e, err := range u.w.events(events.Query{TicketID: id}) {
		if err != nil {
			return nil, err
		}
		doomed, comment := u.isDoomed(e), strings.HasPrefix(string(e.Type), "comment_")
		started = started || doomed
		if f, ok := factOf(e).(events.TicketCreated); ok {
			p.key = f.Key
		}
		switch {
		case comment && doomed:
			p.doomed = append(p.doomed, e)
		case comment:
			p.comment(e)
			if started && u.counts(e) {
				p.others = append(p.others, e)
			}
		case !started:
			scratch.evolve(e, factOf(e))
			p.recovered(e)
		case !doomed && u.counts(e):
			return nil, builtOn(p.key, e)
		}
	}
	p.before = scratch.tickets[id]
	return p, nil
}

// comment follows what others said.
func (p *past) comment(e *events.Envelope) {
	switch f := factOf(e).(type) {
	case events.CommentAdded:
		p.comments = append(p.comments, events.RecoveredComment{
			ID: f.CommentID, Text: f.Text, Author: e.Actor, CreatedAt: e.RecordedAt, UpdatedAt: e.RecordedAt,
		})
	case events.CommentUpdated:
		if i := p.find(f.CommentID); i >= 0 {
			p.comments[i].Text, p.comments[i].UpdatedAt = f.Text, e.RecordedAt
		}
	case events.CommentDeleted:
		if i := p.find(f.CommentID); i >= 0 {
			p.comments = slices.Delete(p.comments, i, i+1)
		}
	default: // redacted
	}
}

// recovered takes over the comments that came back with the ticket.
func (p *past) recovered(e *events.Envelope) {
	switch f := factOf(e).(type) {
	case events.TicketRecovered:
		p.comments = slices.Clone(f.Comments)
	case events.TicketDeleted:
		p.comments = nil
	default: // no comments in it
	}
}

func (p *past) find(id int64) int {
	return slices.IndexFunc(p.comments, func(c events.RecoveredComment) bool { return c.ID == id })
}

// tickets brings tickets back to how they were: first those that must be there
// again, then those that changed, at last those that must go, so that nothing
// waits for them any more.
func (u *undo) tickets(ids []int64) error {
	pasts := map[int64]*past{}
	for _, id := range ids {
		var err error
		if pasts[id], err = u.past(id); err != nil {
			return err
		}
	}
	passes := []struct {
		of   func(now *Ticket, p *past) bool
		back func(now *Ticket, p *past) ([]events.Event, error)
	}{
		{func(now *Ticket, p *past) bool { return now == nil && p.before != nil }, u.undelete},
		{func(now *Ticket, p *past) bool { return now != nil && p.before != nil }, u.change},
		{func(now *Ticket, p *past) bool { return now != nil && p.before == nil }, func(now *Ticket, p *past) ([]events.Event, error) {
			return u.uncreate(now, p, pasts)
		}},
	}
	for _, pass := range passes {
		for _, id := range slices.Backward(ids) {
			now, p := u.d.board.tickets[id], pasts[id]
			if p.done || !pass.of(now, p) {
				continue
			}
			p.done = true
			facts, err := pass.back(now, p)
			if err != nil {
				return err
			}
			if err := u.append(u.d.about(id, facts...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// uncreate deletes a ticket that the doomed events made. Nobody else may have
// said anything about it, and nothing that stays may wait for it.
func (u *undo) uncreate(now *Ticket, p *past, all map[int64]*past) ([]events.Event, error) {
	if len(p.others) > 0 {
		return nil, builtOn(now.Key, p.others[0])
	}
	for _, id := range u.d.board.work.dependents[now.ID] {
		if other := all[id]; other == nil || other.before != nil {
			return nil, events.Errorf(events.CodeBuiltOn, "%s cannot go, because %s waits for it. Remove that dependency first.",
				now.Key, u.d.board.tickets[id].Key)
		}
	}
	var facts []events.Event
	if now.Lease != nil {
		facts = append(facts, now.released(events.Undone, ""))
	}
	return append(facts, events.TicketDeleted{}), nil
}

func (u *undo) undelete(_ *Ticket, p *past) ([]events.Event, error) {
	t := p.before
	column, over, err := u.back(t)
	if err != nil {
		return nil, err
	}
	return []events.Event{events.TicketRecovered{
		TicketCreated: events.TicketCreated{
			Number: t.Number, Key: t.Key, Title: t.Title, Description: t.Description, AcceptanceCriteria: t.AcceptanceCriteria,
			Priority: t.Priority, Labels: t.Labels, Assignee: t.Assignee, DueAt: t.DueAt,
			ColumnID: column.ID, Column: column.Name, Rank: t.Rank, OverLimit: over,
		},
		Archived: t.Archived, Checklist: t.Checklist, Evidence: t.Evidence, DependsOn: t.DependsOn, Comments: p.comments,
		CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy, ColumnEnteredAt: t.ColumnEnteredAt,
	}}, nil
}

// back is the column that a ticket was in. Only a pm may go past its WIP limit.
func (u *undo) back(t *Ticket) (column events.Column, over bool, err error) {
	column, ok := u.d.board.column(RefID(t.ColumnID))
	if !ok {
		return column, false, events.Errorf(events.CodeBuiltOn, "%s was in column %q, which is gone. Move it by hand.", t.Key, t.Column)
	}
	if t.Archived {
		return column, false, nil
	}
	over, err = u.d.room(column, u.d.role.May(events.MayManageTickets))
	return column, over, err
}

// change finds the facts that lead from now to before. Claims and approvals are
// not given back: they end.
func (u *undo) change(now *Ticket, p *past) ([]events.Event, error) {
	before := p.before
	facts := content(now, before)
	voided := len(facts) > 0
	if now.Assignee != before.Assignee {
		facts = append(facts, events.TicketAssigned{Assignee: before.Assignee, Was: now.Assignee})
	}
	for _, d := range now.DependsOn {
		if !slices.Contains(before.DependsOn, d) {
			facts = append(facts, events.DependencyRemoved{DependsOn: d.ID, Key: d.Key})
		}
	}
	for _, d := range before.DependsOn {
		if slices.Contains(now.DependsOn, d) {
			continue
		}
		if on := u.d.board.tickets[d.ID]; on != nil && u.d.board.path(on, now) != nil {
			return nil, events.Errorf(events.CodeBuiltOn, "%s cannot wait for %s again, because that waits for it now.", now.Key, d.Key)
		}
		facts = append(facts, events.DependencyAdded{DependsOn: d.ID, Key: d.Key})
	}
	if l := now.Lease; l != nil && (before.Lease == nil || before.Lease.Fence != l.Fence) {
		facts = append(facts, now.released(events.Undone, ""))
	}
	if a := now.Approval; a != nil && !voided && (before.Approval == nil || *before.Approval != *a) {
		facts = append(facts, events.ApprovalWithdrawn{})
	}
	place, err := u.place(now, before)
	if err != nil {
		return nil, err
	}
	said, err := u.comments(now, p)
	return append(append(facts, place...), said...), err
}

// content is what a review would look at.
func content(now, before *Ticket) []events.Event {
	var facts []events.Event
	var f events.TicketUpdated
	changed := differs(&f.Title, before.Title, now.Title)
	changed = differs(&f.Description, before.Description, now.Description) || changed
	changed = differs(&f.AcceptanceCriteria, before.AcceptanceCriteria, now.AcceptanceCriteria) || changed
	changed = differs(&f.Priority, before.Priority, now.Priority) || changed
	if !slices.Equal(before.Labels, now.Labels) {
		labels := append([]string{}, before.Labels...)
		f.Labels, changed = &labels, true
	}
	if !equalTime(before.DueAt, now.DueAt) {
		f.DueAt, f.ClearDue, changed = before.DueAt, before.DueAt == nil, true
	}
	if changed {
		facts = append(facts, f)
	}
	if !slices.Equal(before.Checklist, now.Checklist) {
		facts = append(facts, events.ChecklistChanged{Items: append([]events.ChecklistItem{}, before.Checklist...)})
	}
	has := func(list []events.Evidence, id int64) bool {
		return slices.ContainsFunc(list, func(x events.Evidence) bool { return x.ID == id })
	}
	for _, x := range now.Evidence {
		if !has(before.Evidence, x.ID) {
			facts = append(facts, events.EvidenceRemoved{EvidenceID: x.ID, Kind: x.Kind})
		}
	}
	for _, x := range before.Evidence {
		if !has(now.Evidence, x.ID) {
			facts = append(facts, events.EvidenceAdded{EvidenceID: x.ID, Kind: x.Kind, Text: x.Text})
		}
	}
	return facts
}

// place returns the ticket to its column and rank, and into or out of the archive.
func (u *undo) place(now, before *Ticket) ([]events.Event, error) {
	same := now.ColumnID == before.ColumnID && now.Rank == before.Rank
	if same && now.Archived == before.Archived {
		return nil, nil
	}
	column, over := events.Column{ID: before.ColumnID, Name: now.Column}, false
	if now.ColumnID != before.ColumnID || now.Archived && !before.Archived {
		var err error
		if column, over, err = u.back(before); err != nil {
			return nil, err
		}
	}
	switch {
	case now.Archived && !before.Archived:
		return []events.Event{events.TicketRestored{ColumnID: column.ID, Column: column.Name, Rank: before.Rank, OverLimit: over}}, nil
	case same:
		return []events.Event{events.TicketArchived{}}, nil
	}
	facts := []events.Event{events.TicketMoved{
		FromColumnID: now.ColumnID, FromColumn: now.Column, ColumnID: column.ID, Column: column.Name, Rank: before.Rank, OverLimit: over,
	}}
	if before.Archived && !now.Archived {
		facts = append(facts, events.TicketArchived{})
	}
	return facts, nil
}

// comments takes back what was said in the doomed events.
func (u *undo) comments(t *Ticket, p *past) ([]events.Event, error) {
	var facts []events.Event
	done := map[int64]bool{}
	for _, e := range p.doomed {
		switch f := factOf(e).(type) {
		case events.CommentAdded:
			done[f.CommentID] = true
			if _, there := u.d.board.comments[f.CommentID]; there {
				facts = append(facts, events.CommentDeleted{CommentID: f.CommentID})
			}
		case events.CommentUpdated:
			if i := p.find(f.CommentID); i >= 0 && !done[f.CommentID] {
				done[f.CommentID] = true
				facts = append(facts, events.CommentUpdated{CommentID: f.CommentID, Text: p.comments[i].Text})
			}
		case events.CommentDeleted:
			if !done[f.CommentID] {
				return nil, events.Errorf(events.CodeBuiltOn,
					"A comment on %s was deleted, and cannot come back: it would be yours. Its text is in the ticket's events.", t.Key)
			}
		default: // redacted
		}
	}
	return facts, nil
}
