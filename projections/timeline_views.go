package projections

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// Boards returns every board, oldest first, archived ones included.
func (t *Timeline) Boards() []readmodel.Board {
	list := []readmodel.Board{}
	for _, b := range t.boards {
		list = append(list, b.view())
	}
	slices.SortFunc(list, byID(func(b readmodel.Board) int64 { return b.ID }))
	return list
}

func (b *timelineBoard) view() readmodel.Board {
	view := b.Board
	view.Columns = slices.Clone(b.Columns)
	return view
}

// Board returns one board, or an *events.Error with CodeNotFound.
func (t *Timeline) Board(id int64) (readmodel.Board, error) {
	b := t.boards[id]
	if b == nil {
		return readmodel.Board{}, events.Errorf(events.CodeNotFound, "There was no such board at that time.")
	}
	return b.view(), nil
}

// Members returns the members of a board by name.
func (t *Timeline) Members(board int64) []readmodel.Member {
	list := []readmodel.Member{}
	if b := t.boards[board]; b != nil {
		for _, m := range b.members {
			list = append(list, m)
		}
	}
	slices.SortFunc(list, func(a, b readmodel.Member) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(a.UserID, b.UserID))
	})
	return list
}

// Tickets returns every ticket of a board by id, archived ones included.
func (t *Timeline) Tickets(board int64) []readmodel.Ticket {
	list := []readmodel.Ticket{}
	for _, k := range t.tickets {
		if k.BoardID == board {
			list = append(list, t.shown(k))
		}
	}
	slices.SortFunc(list, byID(func(k readmodel.Ticket) int64 { return k.ID }))
	return list
}

// Ticket returns one ticket, or an *events.Error with CodeNotFound.
func (t *Timeline) Ticket(id int64) (readmodel.Ticket, error) {
	k := t.tickets[id]
	if k == nil {
		return readmodel.Ticket{}, events.Errorf(events.CodeNotFound, "There was no such ticket at that time.")
	}
	return t.shown(k), nil
}

// Comments returns the comments of a ticket, oldest first.
func (t *Timeline) Comments(ticket int64) []readmodel.Comment {
	list := []readmodel.Comment{}
	for _, c := range t.comments {
		if c.TicketID == ticket {
			list = append(list, *c)
		}
	}
	slices.SortFunc(list, func(a, b readmodel.Comment) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// History returns the changes of a ticket, oldest first, those of a deleted one
// too.
func (t *Timeline) History(ticket int64) []readmodel.HistoryEntry {
	return append([]readmodel.HistoryEntry{}, t.history[ticket]...)
}

// Users returns everybody, oldest first.
func (t *Timeline) Users() []readmodel.User {
	list := []readmodel.User{}
	for _, u := range t.users {
		list = append(list, *u)
	}
	slices.SortFunc(list, byID(func(u readmodel.User) int64 { return u.ID }))
	return list
}

// Snapshot returns a board with its columns and tickets as of Position, or an
// *events.Error with CodeNotFound.
func (t *Timeline) Snapshot(board int64) (readmodel.Snapshot, error) {
	b, err := t.Board(board)
	if err != nil {
		return readmodel.Snapshot{}, err
	}
	tickets := slices.DeleteFunc(t.Tickets(board), func(k readmodel.Ticket) bool { return k.Archived })
	readmodel.SortTickets(tickets, b.Columns)
	return readmodel.Snapshot{Position: t.position, Board: b, Columns: slices.Clone(b.Columns), Tickets: tickets}, nil
}
