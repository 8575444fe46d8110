package commands

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/commands/rank"
	"github.com/agent-kanban/agent-kanban/events"
)

// board is the decision state of one board's stream. It changes through evolve
// only, and belongs to the Sequencer's goroutine.
type board struct {
	info     Board // Columns and Members are replaced, never changed in place
	version  int64 // of the stream
	lastAt   time.Time
	deleted  bool
	nextCol  int64
	nextNum  int64
	tickets  map[int64]*Ticket
	numbers  map[int64]int64 // number to ticket id
	comments map[int64]comment
	lanes    map[int64][]*Ticket // by column: unarchived tickets in order
	work     index

	snapVersion int64 // version of the stored snapshot
	folded      int   // events that the load folded on top of it
	used        int64 // when last used, to evict the coldest
}

type comment struct {
	TicketID int64        `json:"t"`
	Author   events.Actor `json:"a"`
}

func newBoard(id int64) *board {
	return &board{
		info: Board{ID: id}, nextCol: 1, nextNum: 1,
		tickets: map[int64]*Ticket{}, numbers: map[int64]int64{},
		comments: map[int64]comment{}, lanes: map[int64][]*Ticket{}, work: newIndex(),
	}
}

// exists reports whether the board can be seen at all.
func (b *board) exists() bool { return b.version > 0 && !b.deleted }

func (b *board) column(ref Ref) (events.Column, bool) {
	for _, c := range b.info.Columns {
		if c.ID == ref.ID() {
			return c, true
		}
	}
	return b.columnNamed(string(ref))
}

func (b *board) columnNamed(name string) (events.Column, bool) {
	for _, c := range b.info.Columns {
		if strings.EqualFold(c.Name, name) {
			return c, true
		}
	}
	return events.Column{}, false
}

func (b *board) columnNames() string {
	names := make([]string, len(b.info.Columns))
	for i, c := range b.info.Columns {
		names[i] = c.Name
	}
	return strings.Join(names, ", ")
}

func (b *board) role(userID int64) events.Role {
	for _, m := range b.info.Members {
		if m.UserID == userID {
			return m.Role
		}
	}
	return events.NoRole
}

// order compares tickets of one column.
func order(a, b *Ticket) int {
	return cmp.Or(strings.Compare(a.Rank, b.Rank), cmp.Compare(a.ID, b.ID))
}

func (b *board) enter(t *Ticket) {
	lane := b.lanes[t.ColumnID]
	at, _ := slices.BinarySearchFunc(lane, t, order)
	b.lanes[t.ColumnID] = slices.Insert(lane, at, t)
}

func (b *board) leave(t *Ticket) {
	lane := b.lanes[t.ColumnID]
	if at, found := slices.BinarySearchFunc(lane, t, order); found {
		b.lanes[t.ColumnID] = slices.Delete(lane, at, at+1)
	}
}

// endRank is the rank after the last ticket of a column.
func (b *board) endRank(column int64) string {
	if lane := b.lanes[column]; len(lane) > 0 {
		return rank.Between(lane[len(lane)-1].Rank, "")
	}
	return rank.First
}

// evolve brings the state to where it is after e. It never fails: what was
// decided once is a fact. Redacted events leave empty texts behind.
func (b *board) evolve(e *events.Envelope, fact events.Event) {
	b.version, b.lastAt = e.Version, e.RecordedAt
	if e.TicketID != 0 {
		b.work.around(b, e.TicketID, func() { b.evolveTicket(e, fact) })
		return
	}
	columns := slices.Clone(b.info.Columns)
	at := func(id int64) int {
		return slices.IndexFunc(columns, func(c events.Column) bool { return c.ID == id })
	}
	switch f := fact.(type) {
	case events.BoardCreated:
		b.info.Key, b.info.Name, b.info.Description = f.Key, f.Name, f.Description
		b.info.Visibility, b.info.MaxClaims = f.Visibility, f.MaxClaims
		b.info.CreatedAt, b.info.CreatedBy = e.RecordedAt, e.Actor.Name
		columns = slices.Clone(f.Columns)
		for _, c := range columns {
			b.nextCol = max(b.nextCol, c.ID+1)
		}
	case events.BoardUpdated:
		set(&b.info.Name, f.Name)
		set(&b.info.Description, f.Description)
		set(&b.info.Visibility, f.Visibility)
		set(&b.info.MaxClaims, f.MaxClaims)
	case events.BoardArchived:
		b.info.Archived = true
	case events.BoardRestored:
		b.info.Archived = false
	case events.BoardFrozen:
		b.info.Frozen = true
	case events.BoardUnfrozen:
		b.info.Frozen = false
	case events.BoardDeleted:
		b.deleted = true
		b.tickets, b.numbers, b.comments, b.lanes, b.work = nil, nil, nil, nil, index{}
	case events.ColumnAdded:
		columns = slices.Insert(columns, min(f.Index, len(columns)), f.Column)
		b.nextCol = max(b.nextCol, f.Column.ID+1)
	case events.ColumnUpdated:
		if i := at(f.Column.ID); i >= 0 {
			columns[i] = f.Column
			for _, t := range b.tickets {
				if t.ColumnID == f.Column.ID {
					t.Column = f.Column.Name
				}
			}
		}
	case events.ColumnMoved:
		if i := at(f.ColumnID); i >= 0 {
			c := columns[i]
			columns = slices.Delete(columns, i, i+1)
			columns = slices.Insert(columns, min(f.Index, len(columns)), c)
		}
	case events.ColumnRemoved:
		if i := at(f.ColumnID); i >= 0 {
			columns = slices.Delete(columns, i, i+1)
		}
	case events.MemberAdded:
		b.info.Members = append(slices.Clone(b.info.Members), Member{UserID: f.UserID, Name: f.Name, Role: f.Role})
	case events.MemberUpdated:
		b.info.Members = slices.Clone(b.info.Members)
		for i := range b.info.Members {
			if b.info.Members[i].UserID == f.UserID {
				b.info.Members[i].Role = f.Role
			}
		}
	case events.MemberRemoved:
		b.info.Members = slices.DeleteFunc(slices.Clone(b.info.Members), func(m Member) bool { return m.UserID == f.UserID })
	case events.DataRedacted:
		// The board reads differently now.
	default: // facts about tickets and users are handled elsewhere
		return
	}
	switch fact.(type) {
	case events.BoardCreated, events.ColumnAdded, events.ColumnUpdated, events.ColumnMoved, events.ColumnRemoved:
		b.info.Columns = columns
		b.work.rebuild(b)
	default: // the columns are as they were
	}
	b.info.Version, b.info.UpdatedAt = e.Version, e.RecordedAt
}
