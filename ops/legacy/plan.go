package legacy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
)

// What goes first among steps of the same time.
const (
	rankPeople = iota
	rankBoards
	rankColumns
	rankRows
	rankLast // after everything else, whatever its time
)

// created says which id a step brings to life.
type created int

const (
	createNothing created = iota
	createPerson
	createBoard
	createColumn
	createTicket
	createComment
)

// step is one command to issue.
type step struct {
	at     time.Time
	rank   int
	row    string  // names the row of the file, unique: the command's id follows from it
	actor  *person // nil = the system
	who    *person // whom a createPerson registers
	create created
	id     int64 // in the file, of what is created; of the board for a column
	ticket int64 // in the file, for findings
	build  func(*run) commands.Command
}

// plan is everything an import will do. Making one writes nothing.
type plan struct {
	report *Report
	steps  []step
	people people
	lanes  map[int64]*lanes // by board
	alias  map[string]bool  // names reported as another spelling
	epoch  time.Time        // stands in for a time that cannot be read
	uses   map[string]*PriorityUse
}

func newPlan(src *source) *plan {
	p := &plan{
		report: &Report{
			Source: src.name, SHA256: src.sha.String(),
			Counts:   Counts{Comments: len(src.comments), History: len(src.changes), Tickets: len(src.tickets), Boards: len(src.boards)},
			Findings: []Finding{}, Privileges: []Privilege{}, Priorities: []PriorityUse{}, Notes: []string{},
		},
		people: people{byName: map[string]*person{}},
		lanes:  map[int64]*lanes{}, alias: map[string]bool{}, uses: map[string]*PriorityUse{},
	}
	p.span(src)
	p.settle(src)
	p.accounts(src.users)

	changes, comments := map[int64][]change{}, map[int64][]comment{}
	for _, c := range src.changes {
		changes[c.ticketID] = append(changes[c.ticketID], c)
	}
	for _, c := range src.comments {
		comments[c.ticketID] = append(comments[c.ticketID], c)
	}
	p.boards(src)
	for i := range src.tickets {
		t := &src.tickets[i]
		p.ticket(t, changes[t.id], comments[t.id])
		delete(changes, t.id)
		delete(comments, t.id)
	}
	p.orphans(changes, comments)
	p.columns()
	p.register()
	p.notes(src)

	slices.SortStableFunc(p.steps, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.rank/rankLast, b.rank/rankLast), a.at.Compare(b.at), cmp.Compare(a.rank, b.rank))
	})
	return p
}

func (p *plan) add(s step)     { p.steps = append(p.steps, s) }
func (p *plan) find(f Finding) { p.report.Findings = append(p.report.Findings, f) }

// span finds the time range of the file.
func (p *plan) span(src *source) {
	see := func(t time.Time) {
		if t.IsZero() {
			return
		}
		if p.report.First.IsZero() || t.Before(p.report.First) {
			p.report.First = t
		}
		p.report.Last = later(p.report.Last, t)
	}
	for _, b := range src.boards {
		see(b.created)
	}
	for _, t := range src.tickets {
		see(t.created)
		see(t.updated)
	}
	for _, c := range src.changes {
		see(c.at)
	}
	for _, c := range src.comments {
		see(c.created)
	}
	for _, u := range src.users {
		see(u.created)
	}
	p.epoch = p.report.First
	if p.epoch.IsZero() {
		// A file without one readable time: the year the old system was written.
		p.epoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	}
}

// settle puts creations that are out of order by a moment into the order of
// their ids: two requests at once were given ids in one order and times in the
// other, and the log gives ids in its own order only.
func (p *plan) settle(src *source) {
	const moment = time.Minute
	var last time.Time
	order := func(t *time.Time) {
		if behind := last.Sub(*t); !t.IsZero() && behind > 0 && behind <= moment {
			*t = last
		}
		last = later(last, *t)
	}
	for i := range src.boards {
		order(&src.boards[i].created)
	}
	last = time.Time{}
	for i := range src.tickets {
		order(&src.tickets[i].created)
	}
	last = time.Time{}
	for i := range src.comments {
		order(&src.comments[i].created)
	}
}

// time returns t, or the beginning of the file where t could not be read.
func (p *plan) time(t time.Time) time.Time {
	if t.IsZero() {
		return p.epoch
	}
	return t
}

// boards plans the boards, and one for each that tickets name but the file has
// not: their cards must be seen somewhere.
func (p *plan) boards(src *source) {
	list := slices.Clone(src.boards)
	known, oldest := map[int64]bool{}, map[int64]time.Time{}
	for _, b := range list {
		known[b.id] = true
	}
	for _, t := range src.tickets {
		if first, ok := oldest[t.boardID]; !t.created.IsZero() && (!ok || t.created.Before(first)) {
			oldest[t.boardID] = t.created
		}
		if !known[t.boardID] {
			known[t.boardID] = true
			list = append(list, board{
				id: t.boardID, name: fmt.Sprintf("Recovered board %d", t.boardID), created: p.time(t.created),
				columns:     `["Not Started", "In Progress", "Blocked", "Ready for QC", "Done"]`,
				description: "Made by the import for tickets whose board was missing in the file.",
			})
			p.find(Finding{
				Trouble: Orphan, Board: t.boardID, Row: row("tickets", t.id), Now: fmt.Sprintf("Recovered board %d", t.boardID),
				Detail: "tickets name a board that is not in the file; a board was made for them",
			})
		}
	}
	for _, b := range list {
		p.board(b, oldest[b.id])
	}
}

func (p *plan) board(b board, oldest time.Time) {
	at := b.created
	switch {
	case at.IsZero():
		at = p.time(oldest)
		p.find(Finding{Trouble: BadTime, Board: b.id, Row: row("boards", b.id), Now: at.Format(time.RFC3339Nano), Detail: "no readable time of creation"})
	case !oldest.IsZero() && oldest.Before(at):
		p.find(Finding{
			Trouble: BadTime, Board: b.id, Row: row("boards", b.id), Found: at.Format(time.RFC3339Nano), Now: oldest.Format(time.RFC3339Nano),
			Detail: "created later than its first ticket; it now starts with the ticket",
		})
		at = oldest
	}
	names, trouble := parseColumns(b.columns)
	if trouble != "" {
		p.find(Finding{Trouble: BadColumns, Board: b.id, Row: row("boards", b.id), Field: "columns", Found: cut(b.columns, 200), Detail: "the list of columns: " + trouble})
	}
	l := &lanes{names: names}
	p.lanes[b.id] = l

	name, description := line(b.name), clean(b.description)
	if name == "" {
		name = fmt.Sprintf("Board %d", b.id)
		p.find(Finding{Trouble: BadText, Board: b.id, Row: row("boards", b.id), Field: "name", Now: name, Detail: "a board without a name"})
	}
	if short := cut(name, commands.MaxName); short != name {
		description = name + "\n\n" + description
		name = short
		p.find(Finding{Trouble: BadText, Board: b.id, Row: row("boards", b.id), Field: "name", Detail: "the name was cut; the description begins with the whole"})
	}
	if len(description) > commands.MaxText {
		p.find(Finding{Trouble: BadText, Board: b.id, Row: row("boards", b.id), Field: "description", Detail: fmt.Sprintf("the description was cut from %d bytes; the rest is in the file only", len(description))})
		description = split(description, commands.MaxText)[0]
	}
	columns := l.specs()
	p.add(step{
		at: at, rank: rankBoards, row: id64("board", b.id), create: createBoard, id: b.id,
		build: func(r *run) commands.Command {
			return commands.CreateBoard{ID: r.keep(b.id), Name: name, Description: description, Columns: columns}
		},
	})
}

// columns plans the columns that boards lacked.
func (p *plan) columns() {
	for _, board := range slices.Sorted(maps.Keys(p.lanes)) {
		l := p.lanes[board]
		for _, name := range l.names {
			at, added := l.added[name]
			if !added {
				continue
			}
			spec := commands.ColumnSpec{Name: name, Kind: l.kind(name)}
			p.add(step{
				at: at, rank: rankColumns, row: fmt.Sprintf("column/%d/%s", board, name), create: createColumn, id: board,
				build: func(r *run) commands.Command {
					return commands.AddColumn{Board: commands.RefID(r.boards[board]), Column: spec}
				},
			})
		}
	}
}

// orphans reports the rows about tickets that are gone. They cannot be shown:
// the old system deleted a ticket with its title and board.
func (p *plan) orphans(changes map[int64][]change, comments map[int64][]comment) {
	for _, ticket := range slices.Sorted(maps.Keys(changes)) {
		for _, c := range changes[ticket] {
			p.find(Finding{Trouble: Orphan, Ticket: ticket, Row: row("ticket_history", c.id), Field: c.field, Found: c.after, Detail: fmt.Sprintf("history of a ticket that is not in the file, left out: %s became %q", c.field, cut(c.after, 80))})
		}
	}
	for _, ticket := range slices.Sorted(maps.Keys(comments)) {
		for _, c := range comments[ticket] {
			p.find(Finding{Trouble: Orphan, Ticket: ticket, Row: row("comments", c.id), Found: c.text, Detail: fmt.Sprintf("a comment on a ticket that is not in the file, left out: %q", cut(c.text, 80))})
		}
	}
}

func (p *plan) notes(src *source) {
	note := func(format string, args ...any) {
		p.report.Notes = append(p.report.Notes, fmt.Sprintf(format, args...))
	}
	note("The imported boards are private and have no members: admins see them, and add the others.")
	if len(src.users) > 0 {
		note("Accounts came without passwords and e-mail addresses: an admin sets a password for each who shall sign in. Where there is no admin yet: kanban user create --admin NAME")
	}
	if p.report.Counts.Names > 0 {
		note("%d people and agents are known by name only: the old system let callers choose the name, so these names are claims.", p.report.Counts.Names)
	}
	for _, text := range slices.Sorted(maps.Keys(p.uses)) {
		p.report.Priorities = append(p.report.Priorities, *p.uses[text])
	}
}

// use counts how tickets' current priorities are read.
func (p *plan) use(text string) {
	u := p.uses[text]
	if u == nil {
		u = &PriorityUse{Found: text}
		u.Now, u.Label = priority(text)
		p.uses[text] = u
	}
	u.Tickets++
}

func row(table string, id int64) string { return table + " " + strconv.FormatInt(id, 10) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
