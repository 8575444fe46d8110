package commands

import (
	"slices"
	"time"

	"github.com/agent-kanban/agent-kanban/commands/rank"
	"github.com/agent-kanban/agent-kanban/events"
)

func (d *decision) createTicket(c CreateTicket) ([]decided, error) {
	if !d.role.May(events.MayContribute) {
		return nil, events.Errorf(events.CodeForbidden, "You may read this board but not add tickets. Ask a pm for another role.")
	}
	if err := d.open(); err != nil {
		return nil, err
	}
	if c.Priority == "" {
		c.Priority = events.Medium
	}
	var check checker
	c.Title = check.line("title", c.Title, MaxTitle, true)
	check.text("description", c.Description, false)
	check.text("acceptance_criteria", c.AcceptanceCriteria, false)
	check.priority("priority", c.Priority)
	c.Labels = check.labels(c.Labels)
	c.Checklist = check.checklist(c.Checklist)
	if len(c.DependsOn) > MaxDependencies {
		check.fail("depends_on", "must be at most "+itoa(MaxDependencies))
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	if err := d.assignable(&c.Assignee); err != nil {
		return nil, err
	}
	if c.Assignee != "" && c.Assignee != d.meta.Actor.Name && !d.role.May(events.MayManageTickets) {
		return nil, events.Errorf(events.CodeForbidden, "Only a pm may assign a ticket to somebody else.")
	}
	column := d.board.info.Columns[0]
	if c.Column != "" {
		var err error
		if column, err = d.target(c.Column); err != nil {
			return nil, err
		}
	}
	over, err := d.room(column, c.OverLimit)
	if err != nil {
		return nil, err
	}
	id := d.dir.NextTicket
	if c.ID >= id && d.meta.Trusted {
		id = c.ID
	}
	number := d.board.nextNum
	facts := []events.Event{events.TicketCreated{
		Number: number, Key: d.board.info.Key + "-" + itoa(int(number)),
		Title: c.Title, Description: c.Description, AcceptanceCriteria: c.AcceptanceCriteria,
		Priority: c.Priority, Labels: c.Labels, Assignee: c.Assignee, DueAt: micros(c.DueAt),
		ColumnID: column.ID, Column: column.Name, Rank: d.board.endRank(column.ID), OverLimit: over,
	}}
	if len(c.Checklist) > 0 {
		items := make([]events.ChecklistItem, len(c.Checklist))
		for i, text := range c.Checklist {
			items[i] = events.ChecklistItem{ID: int64(i + 1), Text: text}
		}
		facts = append(facts, events.ChecklistChanged{Items: items})
	}
	// A new ticket has nobody who waits for it, so there is no cycle to close.
	for _, ref := range c.DependsOn {
		on := d.ticket(ref)
		if on == nil {
			return nil, noDependency(ref)
		}
		fact := events.DependencyAdded{DependsOn: on.ID, Key: on.Key}
		if !slices.Contains(facts, events.Event(fact)) {
			facts = append(facts, fact)
		}
	}
	unmet := Ticket{Checklist: make([]events.ChecklistItem, len(c.Checklist))}
	if err := d.gate(&unmet, column, "A new ticket"); err != nil {
		return nil, err
	}
	return d.about(id, facts...), nil
}

// micros cuts a time to what the log keeps.
func micros(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	cut := t.UTC().Truncate(time.Microsecond)
	return &cut
}

// assignable refuses a name that is no active principal who can see the board,
// and brings the name to the letter case it was registered with.
func (d *decision) assignable(name *string) error {
	if *name == "" {
		return nil
	}
	id, u := d.dir.userNamed(*name)
	if u == nil || !u.Active && !d.meta.Trusted {
		return &events.Error{
			Code:    events.CodeInvalid,
			Message: "There is no active user or agent named " + quote(*name) + ".",
			Fields:  map[string]string{"assignee": "must be the name of an active user or agent"},
		}
	}
	*name = u.Name
	role := events.EffectiveRole(d.board.role(id), u.Admin, d.board.info.Visibility, d.board.info.ID, events.Scope{})
	if !role.May(events.MayRead) && !d.meta.Trusted {
		return &events.Error{
			Code:    events.CodeInvalid,
			Message: u.Name + " is not a member of this board. A pm can add them first.",
			Fields:  map[string]string{"assignee": "must be a member of the board"},
		}
	}
	return nil
}

func (d *decision) updateTicket(t *Ticket, c UpdateTicket) ([]decided, error) {
	var check checker
	var f events.TicketUpdated
	changed := false
	if c.Title != nil {
		title := check.line("title", *c.Title, MaxTitle, true)
		changed = differs(&f.Title, title, t.Title) || changed
	}
	if c.Description != nil {
		changed = differs(&f.Description, check.text("description", *c.Description, false), t.Description) || changed
	}
	if c.AcceptanceCriteria != nil {
		text := check.text("acceptance_criteria", *c.AcceptanceCriteria, false)
		changed = differs(&f.AcceptanceCriteria, text, t.AcceptanceCriteria) || changed
	}
	if c.Priority != nil {
		check.priority("priority", *c.Priority)
		changed = differs(&f.Priority, *c.Priority, t.Priority) || changed
	}
	if c.Labels != nil {
		if labels := check.labels(*c.Labels); !slices.Equal(labels, t.Labels) {
			f.Labels, changed = &labels, true
		}
	}
	if c.ClearDue && c.DueAt != nil {
		check.fail("clear_due", "must not be set together with due_at")
	}
	if due := micros(c.DueAt); (due != nil || c.ClearDue) && !equalTime(due, t.DueAt) {
		f.DueAt, f.ClearDue, changed = due, c.ClearDue, true
	}
	if err := check.err(); err != nil || !changed {
		return nil, err
	}
	return d.about(t.ID, f), nil
}

// differs points field at the new value if it is one.
func differs[T comparable](field **T, value, old T) bool {
	if value == old {
		return false
	}
	*field = &value
	return true
}

func (d *decision) moveTicket(t *Ticket, c MoveTicket) ([]decided, error) {
	column := Ref(itoa(int(t.ColumnID)))
	if c.Column != "" {
		column = c.Column
	}
	to, err := d.target(column)
	if err != nil {
		return nil, err
	}
	place, err := d.place(t, to, c.Before, c.After)
	if err != nil || to.ID == t.ColumnID && place == t.Rank {
		return nil, err
	}
	moved, err := d.enter(t, to, place, c.OverLimit)
	if err != nil {
		return nil, err
	}
	return d.about(t.ID, append([]events.Event{moved}, d.endOfClaim(t, to)...)...), nil
}

// enter moves a ticket to a place in a column, if the column lets it in.
func (d *decision) enter(t *Ticket, to events.Column, rank string, override bool) (events.TicketMoved, error) {
	moved := events.TicketMoved{
		FromColumnID: t.ColumnID, FromColumn: t.Column, ColumnID: to.ID, Column: to.Name, Rank: rank,
	}
	if to.ID == t.ColumnID {
		return moved, nil
	}
	if err := d.gate(t, to, t.Key); err != nil {
		return moved, err
	}
	over, err := d.room(to, override)
	moved.OverLimit = over
	return moved, err
}

// place returns the rank in column to for a ticket that goes before or after
// another one, or to the end. A ticket that is already there keeps its rank.
func (d *decision) place(t *Ticket, to events.Column, before, after Ref) (string, error) {
	lane := d.board.lanes[to.ID]
	others := slices.DeleteFunc(slices.Clone(lane), func(o *Ticket) bool { return o == t })
	var at int // t goes between others[at-1] and others[at]
	switch {
	case before != "" && after != "":
		return "", &events.Error{
			Code: events.CodeInvalid, Message: "Give before or after, not both.",
			Fields: map[string]string{"after": "must not be given together with before"},
		}
	case before != "" || after != "":
		neighbour := d.ticket(before + after)
		at = slices.Index(others, neighbour)
		if at < 0 {
			return "", events.Errorf(events.CodeConflict,
				"Ticket %s is not in column %q any more. Read the board again and retry.", before+after, to.Name)
		}
		if after != "" {
			at++
		}
	default:
		at = len(others)
	}
	if at < len(lane) && lane[at] == t {
		return t.Rank, nil
	}
	var low, high string
	if at > 0 {
		low = others[at-1].Rank
	}
	if at < len(others) {
		high = others[at].Rank
	}
	if low != "" && low == high { // equal ranks are ordered by id: step past them
		high = ""
		for _, o := range others[at:] {
			if o.Rank > low {
				high = o.Rank
				break
			}
		}
	}
	return rank.Between(low, high), nil
}

func (d *decision) assignTicket(t *Ticket, name string) ([]decided, error) {
	if err := d.assignable(&name); err != nil || name == t.Assignee {
		return nil, err
	}
	return d.about(t.ID, events.TicketAssigned{Assignee: name, Was: t.Assignee}), nil
}

func (d *decision) archiveTicket(t *Ticket) ([]decided, error) {
	var facts []events.Event
	if t.Lease != nil {
		facts = append(facts, t.released(events.Archived, ""))
	}
	return d.about(t.ID, append(facts, events.TicketArchived{})...), nil
}

// deleteTicket removes a ticket. Those that waited for it, if it was done, wait
// no longer: the dependency goes with it.
func (d *decision) deleteTicket(t *Ticket) ([]decided, error) {
	var facts []decided
	if d.board.work.isDone(t) {
		for _, id := range d.board.work.dependents[t.ID] {
			facts = append(facts, d.about(id, events.DependencyRemoved{DependsOn: t.ID, Key: t.Key})...)
		}
	}
	return append(facts, d.about(t.ID, events.TicketDeleted{})...), nil
}

func (d *decision) restoreTicket(t *Ticket, c RestoreTicket) ([]decided, error) {
	if !t.Archived {
		return nil, nil
	}
	column, ok := d.board.column(RefID(t.ColumnID))
	if !ok {
		column = d.board.info.Columns[0]
	}
	over, err := d.room(column, c.OverLimit)
	if err != nil {
		return nil, err
	}
	return d.about(t.ID, events.TicketRestored{
		ColumnID: column.ID, Column: column.Name, Rank: d.board.endRank(column.ID), OverLimit: over,
	}), nil
}

func (d *decision) addComment(t *Ticket, c AddComment) ([]decided, error) {
	var check checker
	text := check.text("text", c.Text, true)
	if err := check.err(); err != nil {
		return nil, err
	}
	id := d.dir.NextComment
	if c.ID >= id && d.meta.Trusted {
		id = c.ID
	}
	return d.about(t.ID, events.CommentAdded{CommentID: id, Text: text}), nil
}

// ownComment refuses whoever neither wrote the comment nor is a pm.
func (d *decision) ownComment(t *Ticket, id int64) error {
	c, ok := d.board.comments[id]
	if !ok || c.TicketID != t.ID {
		return events.Errorf(events.CodeNotFound, "There is no comment %d on %s.", id, t.Key)
	}
	if c.Author != d.meta.Actor && !d.role.May(events.MayManageTickets) {
		return events.Errorf(events.CodeForbidden, "Only its author or a pm may change this comment.")
	}
	return nil
}

func (d *decision) updateComment(t *Ticket, c UpdateComment) ([]decided, error) {
	if err := d.ownComment(t, c.CommentID); err != nil {
		return nil, err
	}
	var check checker
	text := check.text("text", c.Text, true)
	if err := check.err(); err != nil {
		return nil, err
	}
	return d.about(t.ID, events.CommentUpdated{CommentID: c.CommentID, Text: text}), nil
}

func (d *decision) deleteComment(t *Ticket, c DeleteComment) ([]decided, error) {
	if err := d.ownComment(t, c.CommentID); err != nil {
		return nil, err
	}
	return d.about(t.ID, events.CommentDeleted{CommentID: c.CommentID}), nil
}
