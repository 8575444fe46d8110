package commands

import (
	"maps"
	"slices"

	"github.com/agent-kanban/agent-kanban/events"
)

// maxUndo bounds how many events one command may take back.
const maxUndo = 10_000

// undoCommand takes back what one command did, on every board it changed.
func (w *work) undoCommand(c *call, cmd UndoCommand) error {
	rec, err := w.author(c, cmd.CommandID)
	if err != nil {
		return err
	}
	byBoard := map[int64][]events.Envelope{}
	for e, err := range w.events(events.Query{After: rec.First - 1, UpTo: rec.Last}) {
		if err != nil {
			return err
		}
		if e.CommandID == rec.ID && principal(e.Actor) == rec.Actor {
			byBoard[e.BoardID] = append(byBoard[e.BoardID], *e)
		}
	}
	if slices.ContainsFunc(slices.Concat(slices.Collect(maps.Values(byBoard))...), func(e events.Envelope) bool { return e.Type == events.TypeDataRedacted }) {
		return events.Errorf(events.CodeConflict, "A redaction cannot be undone: what it removed is gone.")
	}
	if len(byBoard[0]) > 0 {
		return events.Errorf(events.CodeInvalid, "What was done to accounts and tokens cannot be undone. Change it back instead.")
	}
	for _, id := range slices.Sorted(maps.Keys(byBoard)) {
		u, err := w.undoing(c, cmd, id, rec.Actor == principal(c.meta.Actor))
		if err != nil {
			return err
		}
		u.doomed = byBoard[id]
		if err := u.run(); err != nil {
			return err
		}
	}
	return nil
}

// author finds the command with an id: the caller's own, else the only one.
func (w *work) author(c *call, id string) (events.CommandRecord, error) {
	unknown := events.Errorf(events.CodeNotFound, "There is no command %s that you may undo.", quote(id))
	all, err := w.tx.Commands(w.ctx, id)
	if err != nil {
		return events.CommandRecord{}, err
	}
	for _, rec := range w.records {
		if rec.ID == id {
			all = append(all, rec)
		}
	}
	all = slices.DeleteFunc(all, func(rec events.CommandRecord) bool { return rec.First == 0 })
	if own := slices.IndexFunc(all, func(rec events.CommandRecord) bool { return rec.Actor == principal(c.meta.Actor) }); own >= 0 {
		return all[own], nil
	}
	if len(all) != 1 {
		return events.CommandRecord{}, unknown
	}
	return all[0], nil
}

// undoActor takes back everything that one actor did on a board since a position.
func (w *work) undoActor(c *call, cmd UndoActor) error {
	id, _, err := w.target(c, cmd)
	if err != nil {
		return err
	}
	u, err := w.undoing(c, cmd, id, cmd.Actor == c.meta.Actor.Name)
	if err != nil {
		return err
	}
	if cmd.Actor == "" || cmd.Since < 0 {
		return invalid("actor", "must be the name of who did it, and since a position of 0 or more")
	}
	u.since = cmd.Since
	for e, err := range w.events(events.Query{Stream: events.BoardStream(id), After: cmd.Since, Actor: cmd.Actor}) {
		if err != nil {
			return err
		}
		if u.doomed = append(u.doomed, *e); len(u.doomed) > maxUndo {
			return events.Errorf(events.CodeTooLarge, "%s did more than %d things since then. Undo the newest first: give a later position.", cmd.Actor, maxUndo)
		}
	}
	if len(u.doomed) == 0 {
		return events.Errorf(events.CodeNotFound, "%s did nothing on board %s after position %d.", quote(cmd.Actor), u.d.board.info.Key, cmd.Since)
	}
	return u.run()
}

// undo takes back some events of one board. What is compensated for is the
// difference between now and before, of each ticket that the events are about:
// so a chain of changes costs one event, and not its mirror image.
type undo struct {
	w     *work
	c     *call
	cmd   Command
	d     decision
	since int64

	doomed []events.Envelope // ascending
	// void are the commands that cancel each other out: those that are undone
	// already, and the ones that undid them.
	void map[string]bool
}

// undoing checks that the caller may undo on the board: own things who may still
// contribute, everything a pm.
func (w *work) undoing(c *call, cmd Command, id int64, own bool) (*undo, error) {
	u := &undo{w: w, c: c, cmd: cmd, d: w.decision(c)}
	var err error
	if u.d.board, u.d.role, err = u.d.boardOf(id); err != nil {
		return nil, err
	}
	switch {
	case !u.d.role.May(events.MayRead):
		if _, one := cmd.(UndoCommand); one {
			return nil, events.Errorf(events.CodeNotFound, "There is no such command that you may undo, or its board was deleted.")
		}
		return nil, errNoBoard
	case own && !u.d.role.May(events.MayContribute), !own && !u.d.role.May(events.MayManageTickets):
		return nil, events.Errorf(events.CodeForbidden, "You may undo what you did yourself. Ask a pm of board %s to undo this.", u.d.board.info.Key)
	}
	if err := u.d.thawed(cmd); err != nil {
		return nil, err
	}
	return u, nil
}

// events reads the log and what this transaction is about to append to it.
func (w *work) events(q events.Query) func(yield func(*events.Envelope, error) bool) {
	return func(yield func(*events.Envelope, error) bool) {
		for e, err := range events.All(w.ctx, w.tx, q) {
			if !yield(e, err) || err != nil {
				return
			}
		}
		for i := range w.pending {
			e := &w.pending[i]
			if e.Position > q.After && (q.UpTo == 0 || e.Position <= q.UpTo) && (q.Stream == "" || e.Stream == q.Stream) &&
				(q.TicketID == 0 || e.TicketID == q.TicketID) && (q.Actor == "" || e.Actor.Name == q.Actor) &&
				(len(q.Types) == 0 || slices.Contains(q.Types, e.Type)) && !yield(e, nil) {
				return
			}
		}
	}
}

func (u *undo) run() error {
	if err := u.leaveOutUndone(); err != nil {
		return err
	}
	if len(u.doomed) == 0 {
		return events.Errorf(events.CodeConflict, "That was undone already.")
	}
	board, tickets := u.sort()
	if !slices.ContainsFunc(board, func(e *events.Envelope) bool { return e.Type == events.TypeBoardArchived }) {
		if err := u.d.open(); err != nil {
			return err
		}
	}
	if err := u.tickets(tickets); err != nil {
		return err
	}
	if len(board) > 0 {
		if err := u.structure(board); err != nil {
			return err
		}
	}
	if !u.d.board.exists() {
		return nil
	}
	fact := events.CommandsUndone{Actor: u.doomed[0].Actor.Name, Since: u.since}
	for i := range u.doomed {
		if id := u.doomed[i].CommandID; !slices.Contains(fact.CommandIDs, id) {
			fact.CommandIDs = append(fact.CommandIDs, id)
		}
	}
	return u.append(u.d.about(0, fact))
}

func (u *undo) append(facts []decided) error { return u.w.appendAll(u.c, u.cmd, facts) }

// leaveOutUndone drops what was undone before. Whatever undid it may have been
// undone since, and that again: the last word counts.
func (u *undo) leaveOutUndone() error {
	type undoing struct {
		id  string
		ids []string
	}
	var all []undoing
	q := events.Query{Stream: events.BoardStream(u.d.board.info.ID), After: u.doomed[0].Position - 1, Types: []events.Type{events.TypeCommandsUndone}}
	for e, err := range u.w.events(q) {
		if err != nil {
			return err
		}
		if f, ok := factOf(e).(events.CommandsUndone); ok {
			all = append(all, undoing{id: e.CommandID, ids: f.CommandIDs})
		}
	}
	undone := map[string]bool{}
	u.void = map[string]bool{}
	for _, x := range slices.Backward(all) {
		u.void[x.id] = true
		for _, id := range x.ids {
			u.void[id] = true
			undone[id] = undone[id] || !undone[x.id]
		}
	}
	u.doomed = slices.DeleteFunc(u.doomed, func(e events.Envelope) bool {
		return undone[e.CommandID] || e.Type == events.TypeCommandsUndone || e.Type == events.TypeDataRedacted
	})
	for i := range u.doomed {
		delete(u.void, u.doomed[i].CommandID)
	}
	return nil
}

// sort tells what is about the board from what is about tickets; those are in
// the order of their first event.
func (u *undo) sort() (board []*events.Envelope, tickets []int64) {
	seen := map[int64]bool{}
	for i := range u.doomed {
		e := &u.doomed[i]
		switch {
		case e.TicketID == 0:
			board = append(board, e)
		case !seen[e.TicketID]:
			seen[e.TicketID] = true
			tickets = append(tickets, e.TicketID)
		}
	}
	return board, tickets
}

func (u *undo) isDoomed(e *events.Envelope) bool {
	_, found := slices.BinarySearchFunc(u.doomed, e.Position, func(d events.Envelope, position int64) int { return int(d.Position - position) })
	return found
}

// counts reports whether an event that is not to be undone stands in the way of
// undoing an earlier one of the same ticket or board.
func (u *undo) counts(e *events.Envelope) bool {
	return !u.void[e.CommandID] && e.Actor.Kind != events.System && e.Type != events.TypeUsageRecorded && e.Type != events.TypeDataRedacted
}

func builtOn(what string, e *events.Envelope) error {
	return events.Errorf(events.CodeBuiltOn, "%s was changed by %s afterwards (%s at position %d). Undo that first, or change it by hand.",
		what, e.Actor.Name, e.Type, e.Position)
}
