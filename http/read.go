package http

import (
	"context"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func viewer(p auth.Principal) readmodel.Viewer {
	return readmodel.Viewer{UserID: p.Actor.ID, Admin: p.Admin, Scope: p.Scope}
}

// boardID resolves an id or key; whether the board exists is settled only for
// a key.
func (s *Server) boardID(ctx context.Context, ref commands.Ref) (int64, error) {
	if id := ref.ID(); id > 0 {
		return id, nil
	}
	b, err := s.deps.Queries.Board(ctx, string(ref))
	return b.ID, err
}

// mayRead returns CodeNotFound for a board that p may not see, and for one that
// is not there: the same.
func (s *Server) mayRead(ctx context.Context, p auth.Principal, board int64) error {
	_, err := s.deps.Queries.Access(ctx, board, viewer(p))
	return err
}

// readable resolves a board that the caller may see.
func (s *Server) readable(c *call, ref commands.Ref) (int64, error) {
	id, err := s.boardID(c.ctx(), ref)
	if err != nil {
		return 0, err
	}
	return id, s.mayRead(c.ctx(), c.principal, id)
}

var errNoTicket = events.Errorf(events.CodeNotFound, "There is no such ticket, or you are not a member of its board.")

// ticket reads a ticket that the caller may see.
func (s *Server) ticket(c *call, ref commands.Ref) (readmodel.Ticket, error) {
	t, err := s.deps.Queries.Ticket(c.ctx(), string(ref))
	if err == nil {
		err = s.mayRead(c.ctx(), c.principal, t.BoardID)
	}
	if events.CodeOf(err) == events.CodeNotFound {
		return readmodel.Ticket{}, errNoTicket
	}
	return t, err
}

// ticketID resolves an id or key. The id of a deleted ticket is found in the
// log, which keeps its events.
func (s *Server) ticketID(ctx context.Context, ref commands.Ref) (board, ticket int64, err error) {
	t, err := s.deps.Queries.Ticket(ctx, string(ref))
	if err == nil || events.CodeOf(err) != events.CodeNotFound || ref.ID() == 0 {
		return t.BoardID, t.ID, err
	}
	page, err := s.deps.Log.Read(ctx, events.Query{TicketID: ref.ID(), Limit: 1})
	if err != nil {
		return 0, 0, err
	}
	if len(page) == 0 {
		return 0, 0, errNoTicket
	}
	return page[0].BoardID, ref.ID(), nil
}

// readableTicket resolves a ticket, deleted ones included, that the caller may
// see.
func (s *Server) readableTicket(c *call, ref commands.Ref) (board, ticket int64, err error) {
	board, ticket, err = s.ticketID(c.ctx(), ref)
	if err == nil {
		err = s.mayRead(c.ctx(), c.principal, board)
	}
	if events.CodeOf(err) == events.CodeNotFound {
		err = errNoTicket
	}
	return board, ticket, err
}

func (s *Server) listBoards(c *call, in *struct {
	PageQuery
	Archived bool `query:"archived" doc:"The archived ones instead"`
},
) (answer, error) {
	p, err := s.deps.Queries.Boards(c.ctx(), viewer(c.principal), readmodel.BoardFilter{
		Archived: in.Archived, Limit: in.Limit, Cursor: in.Cursor,
	})
	return answer{view: p}, err
}

func (s *Server) listTickets(c *call, in *ticketFilter) (answer, error) {
	f := readmodel.TicketFilter{
		Column: in.Column, Assignee: in.Assignee, Label: in.Label, Query: in.Q, Archived: in.Archived,
		Holder: in.Holder, Ready: in.Ready, Blocked: in.Blocked, Limit: in.Limit, Cursor: in.Cursor,
	}
	if in.BoardID != "" {
		id, err := s.readable(c, commands.Ref(in.BoardID))
		if err != nil {
			return answer{}, err
		}
		f.BoardID = id
	}
	p, err := s.deps.Queries.Tickets(c.ctx(), viewer(c.principal), f)
	return answer{view: p}, err
}

func (s *Server) listComments(c *call, in *TicketPath) (answer, error) {
	t, err := s.ticket(c, in.ref())
	if err != nil {
		return answer{}, err
	}
	items, err := s.deps.Queries.Comments(c.ctx(), t.ID)
	return answer{view: listOf(items)}, err
}

func listOf[T any](items []T) list[T] {
	if items == nil {
		items = []T{}
	}
	return list[T]{Items: items, Total: int64(len(items))}
}

func (s *Server) historyRoutes() {
	const tag, base = "history", "/api/history"
	register(s, op{method: "GET", path: base + "/tickets/{id}/history", id: "ticket_history", summary: "Changes of a ticket, oldest first; of a deleted one by its id", tag: tag, reply: list[readmodel.HistoryEntry]{}},
		func(c *call, in *TicketPath) (answer, error) {
			_, id, err := s.readableTicket(c, in.ref())
			if err != nil {
				return answer{}, err
			}
			items, err := s.deps.Queries.TicketHistory(c.ctx(), id)
			return answer{view: listOf(items)}, err
		})
	register(s, op{method: "GET", path: base + "/tickets/{id}/transitions", id: "ticket_transitions", summary: "The columns a ticket was in, oldest first", tag: tag, reply: list[readmodel.Transition]{}},
		func(c *call, in *TicketPath) (answer, error) {
			_, id, err := s.readableTicket(c, in.ref())
			if err != nil {
				return answer{}, err
			}
			items, err := s.deps.Queries.Transitions(c.ctx(), id)
			return answer{view: listOf(items)}, err
		})
	register(s, op{method: "GET", path: base + "/boards/{id}/activity", id: "board_activity", summary: "What happened on a board, newest first", tag: tag, reply: readmodel.Page[readmodel.ActivityEntry]{}},
		func(c *call, in *struct {
			BoardPath
			PageQuery
		},
		) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			p, err := s.deps.Queries.Activity(c.ctx(), id, in.Limit, in.Cursor)
			return answer{view: p}, err
		})
}
