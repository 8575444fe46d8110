package legacy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
)

// value is a field of a ticket in the words of this program. Two values are the
// same where text and label are.
type value struct {
	text  string
	label string // of a priority
}

// past reconstructs one ticket: what it was when it was created, and each change
// up to what it is.
type past struct {
	*plan
	t     *ticket
	lanes *lanes
	at    time.Time // of the step before: a ticket's steps never go back in time
	now   map[string]value
	seen  bool // the column of the row was reported
}

// ticket plans the creation, the changes and the comments of a ticket.
func (p *plan) ticket(t *ticket, changes []change, comments []comment) {
	h := &past{plan: p, t: t, lanes: p.lanes[t.boardID], now: map[string]value{}}
	slices.SortStableFunc(changes, func(a, b change) int {
		return cmp.Or(h.when(a).Compare(h.when(b)), cmp.Compare(a.id, b.id))
	})
	p.use(t.fields[fieldPriority])

	at := t.created
	if at.IsZero() {
		at = p.epoch
		if len(changes) > 0 && !changes[0].at.IsZero() {
			at = changes[0].at
		}
		h.find(Finding{Trouble: BadTime, Row: row("tickets", t.id), Now: at.Format(time.RFC3339Nano), Detail: "no readable time of creation"})
	}
	h.at = at

	var creator *person
	known := false
	lines := changes[:0]
	for _, c := range changes {
		if c.field == fieldStatus && c.after == "created" && !known {
			creator, known = p.person(c.by, at), true
			continue
		}
		if c.field == fieldBulkColumn {
			c.field = fieldColumn
		}
		lines = append(lines, c)
	}
	if !known {
		h.find(Finding{Trouble: NoCreation, Row: row("tickets", t.id), Now: "system", Detail: "nothing says who created it: the system did"})
	}
	h.create(creator, lines)
	for _, c := range lines {
		h.change(c)
	}
	h.finish()
	for _, c := range comments {
		h.comment(c)
	}
}

// find reports something about this ticket.
func (h *past) find(f Finding) {
	f.Board, f.Ticket = h.t.boardID, h.t.id
	h.plan.find(f)
}

// when is the time to sort a line of history by.
func (h *past) when(c change) time.Time {
	if c.at.IsZero() || c.at.Before(h.t.created) {
		return h.t.created
	}
	return c.at
}

// create plans the creation: each field is what the oldest line about it says
// it was before, or, without one, what it is today.
func (h *past) create(creator *person, lines []change) {
	raw, origin := map[string]string{}, map[string]string{}
	for _, field := range fields {
		raw[field], origin[field] = h.t.fields[field], row("tickets", h.t.id)
	}
	for _, c := range slices.Backward(lines) {
		if _, ok := raw[c.field]; ok {
			raw[c.field], origin[c.field] = c.before, row("ticket_history", c.id)
		}
	}
	id := h.t.id
	for _, field := range fields {
		h.now[field] = h.read(field, raw[field], origin[field], h.at)
	}
	cmd := commands.CreateTicket{
		Title: h.now[fieldTitle].text, Description: h.now[fieldDescription].text,
		AcceptanceCriteria: h.now[fieldAcceptance].text, Labels: labels(h.now[fieldPriority].label),
		Assignee: h.now[fieldAssignee].text,
	}
	cmd.Priority, _ = priority(raw[fieldPriority])
	column := h.now[fieldColumn].text
	board := h.t.boardID
	h.add(step{
		at: h.at, rank: rankRows, row: id64("ticket", id), actor: creator, create: createTicket, id: id,
		build: func(r *run) commands.Command {
			cmd := cmd
			cmd.ID, cmd.Board, cmd.Column = r.keep(id), commands.RefID(r.boards[board]), r.column(board, column)
			return cmd
		},
	})
	for _, field := range fields {
		h.rest(field, raw[field], id64("ticket", id)+"/"+field, h.at)
	}
}

// change plans one line of history.
func (h *past) change(c change) {
	at := h.clamp(c)
	where := row("ticket_history", c.id)
	if !slices.Contains(fields, c.field) {
		h.report.Unchanged++
		h.find(Finding{Trouble: UnknownField, Row: where, Field: c.field, Found: c.after, Detail: fmt.Sprintf("%q became %q by %s; tickets have no such field, so it is no event", c.field, cut(c.after, 80), c.by)})
		return
	}
	if before := h.read(c.field, c.before, "", at); before != h.now[c.field] {
		h.find(Finding{
			Trouble: HistoryGap, Row: where, Field: c.field, Found: before.text, Now: h.now[c.field].text,
			Detail: fmt.Sprintf("%s was %q by the line before, but this line starts from %q: the change between was added as the system's", c.field, cut(h.now[c.field].text, 80), cut(before.text, 80)),
		})
		h.set(c.field, before, at, nil, id64("gap", c.id))
	}
	after := h.read(c.field, c.after, where, at)
	if after == h.now[c.field] {
		h.report.Unchanged++
		h.find(Finding{Trouble: NoChange, Row: where, Field: c.field, Found: c.after, Now: after.text, Detail: fmt.Sprintf("%s from %q to %q by %s changes nothing, so it is no event", c.field, cut(c.before, 80), cut(c.after, 80), c.by)})
		return
	}
	h.set(c.field, after, at, h.person(c.by, at), id64("history", c.id))
	h.rest(c.field, c.after, id64("history", c.id), at)
}

// clamp returns the time of a line: its own, or that of the line before where
// it has none or an earlier one.
func (h *past) clamp(c change) time.Time {
	if c.at.IsZero() || c.at.Before(h.at) {
		h.find(Finding{
			Trouble: BadTime, Row: row("ticket_history", c.id), Field: c.field, Now: h.at.Format(time.RFC3339Nano),
			Detail: fmt.Sprintf("its time (%s) cannot be read or is earlier than what it follows", c.at.Format(time.RFC3339Nano)),
		})
		return h.at
	}
	h.at = c.at
	return c.at
}

// finish makes the ticket what its row says, if history ends elsewhere.
func (h *past) finish() {
	at := later(h.at, h.t.updated)
	for _, field := range fields {
		where := ""
		if field == fieldColumn {
			where = row("tickets", h.t.id)
		}
		is := h.read(field, h.t.fields[field], where, at)
		if is == h.now[field] {
			continue
		}
		h.find(Finding{
			Trouble: StateDiffers, Row: row("tickets", h.t.id), Field: field, Found: is.text, Now: is.text,
			Detail: fmt.Sprintf("%s is %q, but its history ends with %q: the change was added as the system's", field, cut(is.text, 80), cut(h.now[field].text, 80)),
		})
		row := fmt.Sprintf("final/%d/%s", h.t.id, field)
		h.set(field, is, at, nil, row)
		h.rest(field, h.t.fields[field], row, at)
	}
}

// set plans the change of one field.
func (h *past) set(field string, to value, at time.Time, by *person, row string) {
	h.now[field] = to
	ticket, board := h.t.id, h.t.boardID
	build := func(r *run) commands.Command {
		ref := commands.RefID(r.tickets[ticket])
		switch field {
		case fieldTitle:
			return commands.UpdateTicket{Ticket: ref, Title: &to.text}
		case fieldDescription:
			return commands.UpdateTicket{Ticket: ref, Description: &to.text}
		case fieldAcceptance:
			return commands.UpdateTicket{Ticket: ref, AcceptanceCriteria: &to.text}
		case fieldPriority:
			p, list := priorityOf(to), labels(to.label)
			return commands.UpdateTicket{Ticket: ref, Priority: &p, Labels: &list}
		case fieldAssignee:
			return commands.AssignTicket{Ticket: ref, Assignee: to.text}
		default:
			return commands.MoveTicket{Ticket: ref, Column: r.column(board, to.text)}
		}
	}
	h.add(step{at: at, rank: rankRows, row: row, actor: by, ticket: ticket, build: build})
}

// comment plans a comment.
func (h *past) comment(c comment) {
	at := c.created
	if at.IsZero() || at.Before(h.t.created) {
		at = later(h.t.created, h.epoch)
		h.find(Finding{Trouble: BadTime, Row: row("comments", c.id), Now: at.Format(time.RFC3339Nano), Detail: "its time cannot be read or is before the ticket was created"})
	}
	pieces := split(clean(c.text), commands.MaxText)
	if line(c.text) == "" {
		pieces = []string{"(empty)"}
		h.find(Finding{Trouble: BadText, Row: row("comments", c.id), Field: "text", Now: "(empty)", Detail: "a comment without text"})
	}
	if len(pieces) > 1 {
		h.find(Finding{Trouble: BadText, Row: row("comments", c.id), Field: "text", Detail: fmt.Sprintf("too long for one comment: it is now %d", len(pieces))})
	}
	by := h.person(c.author, at)
	h.say(pieces[0], at, by, id64("comment", c.id), c.id)
	for i, piece := range pieces[1:] {
		h.say(piece, at, by, fmt.Sprintf("comment/%d/%d", c.id, i+1), 0)
	}
}

// rest keeps what a field could not hold, as comments by the system.
func (h *past) rest(field, raw, row string, at time.Time) {
	var text string
	switch field {
	case fieldTitle:
		if text = line(raw); cut(text, commands.MaxTitle) == text {
			return
		}
	case fieldDescription, fieldAcceptance:
		if text = clean(raw); len(text) <= commands.MaxText {
			return
		}
		text = text[len(split(text, commands.MaxText)[0]):]
	default:
		return
	}
	for i, piece := range split(text, commands.MaxText-100) {
		h.say(fmt.Sprintf("The %s was too long; the import kept this: %s", field, piece), at, nil, fmt.Sprintf("%s/rest/%s/%d", row, field, i), 0)
	}
}

// say plans a comment with the id it has in the file, 0 for one it has not.
func (h *past) say(text string, at time.Time, by *person, row string, id int64) {
	ticket := h.t.id
	s := step{at: at, rank: rankRows, row: row, actor: by, ticket: ticket}
	if id != 0 {
		s.create, s.id = createComment, id
	}
	s.build = func(r *run) commands.Command {
		return commands.AddComment{ID: r.keep(id), Ticket: commands.RefID(r.tickets[ticket]), Text: text}
	}
	h.add(s)
}
