package http

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// diffSummary is a diff in numbers. Each counts tickets, by what they were at the
// one instant and are at the other: one that went and came back is not in it.
type diffSummary struct {
	Moved   int          `json:"moved" doc:"To another column"`
	Added   int          `json:"added"`
	Done    int          `json:"done" doc:"In a column of kind done, and not before"`
	Edited  int          `json:"edited" doc:"Another title, text, priority, due date, label, dependency, checklist or evidence"`
	Removed int          `json:"removed" doc:"Archived or deleted"`
	ByActor []actorShare `json:"by_actor" doc:"Who did it, whoever did most first"`
}

// actorShare is what somebody did in between, whatever became of it later. Each
// number but Commented counts tickets, a ticket once.
type actorShare struct {
	ID        int64            `json:"id"`
	Name      string           `json:"name"`
	Kind      events.ActorKind `json:"kind"`
	Moved     int              `json:"moved"`
	Added     int              `json:"added"`
	Done      int              `json:"done"`
	Edited    int              `json:"edited" doc:"Those it did not add itself"`
	Commented int              `json:"commented" doc:"Comments"`
}

// deed is what can be done to a ticket, as a tally counts it.
type deed int

const (
	moved deed = iota
	added
	done
	edited
	deeds // how many there are
)

// doer is what one actor did: to which tickets, by deed.
type doer struct {
	tickets   [deeds]map[int64]bool
	commented int
}

// tally gathers who did what between two instants of a board.
type tally struct {
	from, to *readmodel.Snapshot
	wasDone  map[int64]bool // by column, at from
	isDone   map[int64]bool // by column, at to; of a column that is gone, at from
	touches  map[int64]*Touch
	doers    map[events.Actor]*doer
	sum      diffSummary
}

func newTally(from, to *readmodel.Snapshot) *tally {
	ta := &tally{
		from: from, to: to, wasDone: map[int64]bool{}, isDone: map[int64]bool{},
		touches: map[int64]*Touch{}, doers: map[events.Actor]*doer{},
	}
	for _, c := range from.Board.Columns {
		ta.wasDone[c.ID] = c.Kind == events.Done
		ta.isDone[c.ID] = c.Kind == events.Done
	}
	for _, c := range to.Board.Columns {
		ta.isDone[c.ID] = c.Kind == events.Done
	}
	return ta
}

// read takes in what happened on the board in between.
func (ta *tally) read(ctx context.Context, log events.Reader, board int64) error {
	if ta.to.Position <= ta.from.Position {
		return nil
	}
	q := events.Query{Stream: events.BoardStream(board), After: ta.from.Position, UpTo: ta.to.Position}
	for e, err := range events.All(ctx, log, q) {
		if err != nil {
			return err
		}
		if e.TicketID != 0 {
			ta.note(e)
		}
	}
	return nil
}

// note takes in one event of a ticket.
func (ta *tally) note(e *events.Envelope) {
	t := ta.touches[e.TicketID]
	if t == nil {
		t = &Touch{}
		ta.touches[e.TicketID] = t
	}
	if !slices.Contains(t.By, e.Actor.Name) {
		t.By = append(t.By, e.Actor.Name)
	}
	at := e.RecordedAt
	t.At = &at

	d := ta.doers[e.Actor]
	if d == nil {
		d = &doer{}
		for i := range d.tickets {
			d.tickets[i] = map[int64]bool{}
		}
		ta.doers[e.Actor] = d
	}
	switch e.Type {
	case events.TypeCommentAdded:
		d.commented++
	case events.TypeTicketUpdated, events.TypeChecklistChanged, events.TypeEvidenceAdded, events.TypeEvidenceRemoved,
		events.TypeDependencyAdded, events.TypeDependencyRemoved:
		d.tickets[edited][e.TicketID] = true
	case events.TypeTicketCreated, events.TypeTicketMoved:
		ta.place(d, e)
	default: // it changes nothing that is counted
	}
}

// place takes in an event that puts a ticket into a column.
func (ta *tally) place(d *doer, e *events.Envelope) {
	fact, err := e.Payload()
	if err != nil {
		return // nobody can say any more where it went
	}
	switch f := fact.(type) {
	case events.TicketCreated:
		d.tickets[added][e.TicketID] = true
		if ta.isDone[f.ColumnID] {
			d.tickets[done][e.TicketID] = true
		}
	case events.TicketMoved:
		if f.FromColumnID == f.ColumnID {
			return // in its column
		}
		d.tickets[moved][e.TicketID] = true
		if ta.isDone[f.ColumnID] && !ta.isDone[f.FromColumnID] {
			d.tickets[done][e.TicketID] = true
		}
	default: // the caller asks for no other fact
	}
}

func (ta *tally) touch(ticket int64) Touch {
	if t := ta.touches[ticket]; t != nil {
		return *t
	}
	return Touch{By: []string{}}
}

func (ta *tally) added(t *readmodel.Ticket) {
	ta.sum.Added++
	if ta.isDone[t.ColumnID] {
		ta.sum.Done++
	}
}

// content are the fields that somebody edits.
var content = []string{
	"title", "description", "acceptance_criteria", "priority", "labels", "due_at", "checklist", "evidence", "depends_on",
}

func (ta *tally) changed(old, t *readmodel.Ticket, fields []fieldDiff) {
	if old.ColumnID != t.ColumnID { // its name changes with that of the column too
		ta.sum.Moved++
	}
	if ta.isDone[t.ColumnID] && !ta.wasDone[old.ColumnID] {
		ta.sum.Done++
	}
	if slices.ContainsFunc(fields, func(f fieldDiff) bool { return slices.Contains(content, f.Field) }) {
		ta.sum.Edited++
	}
}

func (ta *tally) summary() diffSummary {
	sum := ta.sum
	sum.ByActor = []actorShare{}
	for actor, d := range ta.doers {
		maps.DeleteFunc(d.tickets[edited], func(ticket int64, _ bool) bool { return d.tickets[added][ticket] })
		share := actorShare{
			ID: actor.ID, Name: actor.Name, Kind: actor.Kind, Moved: len(d.tickets[moved]), Added: len(d.tickets[added]),
			Done: len(d.tickets[done]), Edited: len(d.tickets[edited]), Commented: d.commented,
		}
		if share.Moved+share.Added+share.Done+share.Edited+share.Commented > 0 {
			sum.ByActor = append(sum.ByActor, share)
		}
	}
	slices.SortFunc(sum.ByActor, func(a, b actorShare) int {
		return cmp.Or(
			cmp.Compare(b.Done, a.Done), cmp.Compare(b.Moved, a.Moved), cmp.Compare(b.Added, a.Added), cmp.Compare(b.Edited, a.Edited),
			cmp.Compare(b.Commented, a.Commented), strings.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID),
		)
	})
	return sum
}
