package http

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// newTicket calls the board board_id, as the ticket itself does; board is the
// name in /api/commands.
type newTicket struct {
	commands.CreateTicket
	BoardID commands.Ref `json:"board_id,omitempty" doc:"Id or key of the board"`
}

// optionalTime tells null (remove) from absent (keep).
type optionalTime struct {
	set bool
	at  *time.Time
}

// UnmarshalJSON reads a time or null.
func (o *optionalTime) UnmarshalJSON(text []byte) error {
	o.set = true
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	return json.Unmarshal(text, &o.at)
}

// optionalName is optionalTime for a name.
type optionalName struct {
	set  bool
	name string
}

// UnmarshalJSON reads a name or null.
func (o *optionalName) UnmarshalJSON(text []byte) error {
	o.set = true
	return json.Unmarshal(text, &o.name)
}

type ticketPatch struct {
	Title              *string          `json:"title,omitempty"`
	Description        *string          `json:"description,omitempty"`
	AcceptanceCriteria *string          `json:"acceptance_criteria,omitempty"`
	Priority           *events.Priority `json:"priority,omitempty" enum:"low,medium,high,urgent"`
	Labels             *[]string        `json:"labels,omitempty"`
	DueAt              optionalTime     `json:"due_at,omitzero" doc:"null removes it"`
	Assignee           optionalName     `json:"assignee,omitzero" doc:"User name; null or empty = nobody"`
	Column             commands.Ref     `json:"column,omitempty" doc:"Moves the ticket to the end of this column"`
	Fence              int64            `json:"fence,omitempty" doc:"Of the claim you work under: refused with stale_claim once it has ended"`
}

func (p *ticketPatch) commands(ticket commands.Ref) []commands.Command {
	update := commands.UpdateTicket{
		Ticket: ticket, Title: p.Title, Description: p.Description, AcceptanceCriteria: p.AcceptanceCriteria,
		Priority: p.Priority, Labels: p.Labels, DueAt: p.DueAt.at, ClearDue: p.DueAt.set && p.DueAt.at == nil,
		Fence: p.Fence,
	}
	var cmds []commands.Command
	if p.Title != nil || p.Description != nil || p.AcceptanceCriteria != nil || p.Priority != nil || p.Labels != nil || p.DueAt.set {
		cmds = append(cmds, update)
	}
	if p.Assignee.set {
		cmds = append(cmds, commands.AssignTicket{Ticket: ticket, Assignee: p.Assignee.name})
	}
	if p.Column != "" {
		cmds = append(cmds, commands.MoveTicket{Ticket: ticket, Column: p.Column, Fence: p.Fence})
	}
	if len(cmds) == 0 {
		return []commands.Command{update} // nothing asked: still answered with the ticket, or refused
	}
	return cmds
}

type moveBody struct {
	Column    commands.Ref `json:"column,omitempty" doc:"Id or name; empty = reorder inside the column"`
	Before    commands.Ref `json:"before,omitempty" doc:"Ticket to go before"`
	After     commands.Ref `json:"after,omitempty" doc:"Ticket to go after"`
	OverLimit bool         `json:"over_limit,omitempty" doc:"Go past the WIP limit (pm only, recorded)"`
	Fence     int64        `json:"fence,omitempty" doc:"Of the claim you work under"`
}

type assignBody struct {
	Assignee *string `json:"assignee" doc:"User name; null or empty = nobody"`
}

type restoreBody struct {
	OverLimit bool `json:"over_limit,omitempty"`
}

// TicketPath names a ticket.
type TicketPath struct {
	ID string `path:"id" doc:"Id or key"`
}

func (p *TicketPath) ref() commands.Ref { return commands.Ref(p.ID) }

type ticketFilter struct {
	PageQuery
	BoardID  string `query:"board_id" doc:"Id or key"`
	Column   string `query:"column" doc:"Id or name"`
	Assignee string `query:"assignee" doc:"User name"`
	Label    string `query:"label"`
	Q        string `query:"q" maxLength:"500" doc:"Text in title, description or key"`
	Archived bool   `query:"archived" doc:"The archived ones instead"`
	WorkFilter
}

// WorkFilter selects tickets by the work on them.
type WorkFilter struct {
	Holder  string `query:"holder" doc:"Held by this principal: its name"`
	Ready   bool   `query:"ready" doc:"Only those that claim-next could take"`
	Blocked bool   `query:"blocked" doc:"Only those that wait for others"`
}

func (s *Server) ticketRoutes() {
	const tag, base = "tickets", "/api/tickets"
	ticket := readmodel.Ticket{}
	register(s, op{method: "GET", path: base, id: "list_tickets", summary: "Tickets of the boards you may see", tag: tag, reply: list[readmodel.Ticket]{}},
		func(c *call, in *ticketFilter) (answer, error) { return s.listTickets(c, in) })
	register(s, op{method: "GET", path: "/api/boards/{id}/tickets", id: "list_board_tickets", summary: "Tickets of a board", tag: tag, reply: list[readmodel.Ticket]{}},
		func(c *call, in *struct {
			BoardPath
			PageQuery
			Column   string `query:"column"`
			Assignee string `query:"assignee"`
			Label    string `query:"label"`
			Q        string `query:"q" maxLength:"500"`
			Archived bool   `query:"archived"`
			WorkFilter
		},
		) (answer, error) {
			return s.listTickets(c, &ticketFilter{
				PageQuery: in.PageQuery, BoardID: in.ID, Column: in.Column, Assignee: in.Assignee, Label: in.Label, Q: in.Q, Archived: in.Archived,
				WorkFilter: in.WorkFilter,
			})
		})
	register(s, op{method: "POST", path: base, id: "create_ticket", summary: "Put a new ticket at the end of a column", tag: tag, status: http.StatusCreated, reply: ticket},
		func(c *call, in *struct{ Body newTicket }) (answer, error) {
			cmd := in.Body.CreateTicket
			if in.Body.BoardID != "" {
				cmd.Board = in.Body.BoardID
			}
			if cmd.Board == "" {
				return answer{}, &events.Error{
					Code: events.CodeInvalid, Message: "Say on which board: board_id is its id or key.",
					Fields: map[string]string{"board_id": "is required"},
				}
			}
			return s.write(c, s.ticketReply("", true), cmd)
		})
	register(s, op{method: "GET", path: base + "/{id}", id: "get_ticket", summary: "A ticket", tag: tag, reply: ticket},
		func(c *call, in *TicketPath) (answer, error) {
			t, err := s.ticket(c, in.ref())
			return answer{view: t, version: t.Version, variant: variant(&t)}, err
		})
	for _, method := range []string{"PUT", "PATCH"} {
		suffix := map[string]string{"PATCH": "", "PUT": "_put"}[method]
		register(s, op{method: method, path: base + "/{id}", id: "update_ticket" + suffix, summary: "Change what is given", tag: tag, reply: ticket},
			func(c *call, in *struct {
				TicketPath
				Body ticketPatch
			},
			) (answer, error) {
				cmds := in.Body.commands(in.ref())
				if m := c.header("If-Match"); len(cmds) > 1 && m != "" && m != "*" {
					// Each command moves the version on, so the second could never match.
					return answer{}, events.Errorf(events.CodeInvalid, "With If-Match, change fields, assignee and column in separate requests.")
				}
				return s.write(c, s.ticketReply(in.ID, false), cmds...)
			})
	}
	register(s, op{method: "DELETE", path: base + "/{id}", id: "delete_ticket", summary: "Remove a ticket from every view; its events stay", tag: tag, status: http.StatusNoContent},
		func(c *call, in *TicketPath) (answer, error) {
			return s.write(c, nil, commands.DeleteTicket{Ticket: in.ref()})
		})
	register(s, op{method: "POST", path: base + "/{id}/move", id: "move_ticket", summary: "Move to a column, before or after another ticket", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body moveBody
		},
		) (answer, error) {
			b := &in.Body
			return s.write(c, s.ticketReply(in.ID, false), commands.MoveTicket{
				Ticket: in.ref(), Column: b.Column, Before: b.Before, After: b.After, OverLimit: b.OverLimit, Fence: b.Fence,
			})
		})
	register(s, op{method: "POST", path: base + "/{id}/assign", id: "assign_ticket", summary: "Make somebody responsible", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body assignBody
		},
		) (answer, error) {
			cmd := commands.AssignTicket{Ticket: in.ref()}
			if in.Body.Assignee != nil {
				cmd.Assignee = *in.Body.Assignee
			}
			return s.write(c, s.ticketReply(in.ID, false), cmd)
		})
	register(s, op{method: "POST", path: base + "/{id}/archive", id: "archive_ticket", summary: "Hide a ticket", tag: tag, reply: ticket},
		func(c *call, in *TicketPath) (answer, error) {
			return s.write(c, s.ticketReply(in.ID, false), commands.ArchiveTicket{Ticket: in.ref()})
		})
	register(s, op{method: "POST", path: base + "/{id}/restore", id: "restore_ticket", summary: "Bring an archived ticket back", tag: tag, reply: ticket},
		func(c *call, in *struct {
			TicketPath
			Body *restoreBody
		},
		) (answer, error) {
			cmd := commands.RestoreTicket{Ticket: in.ref()}
			if in.Body != nil {
				cmd.OverLimit = in.Body.OverLimit
			}
			return s.write(c, s.ticketReply(in.ID, false), cmd)
		})
}

// ticketReply builds a ticket from the decision's own result; a repeated
// command gets it as of the position of the first time.
func (s *Server) ticketReply(ref string, created bool) shape {
	return func(ctx context.Context, r *commands.Receipt) (answer, error) {
		t, err := s.ticketAfter(ctx, r, ref)
		if err != nil {
			return answer{}, err
		}
		a := answer{view: t, version: t.Version, variant: variant(&t)}
		if created {
			a.location = locate("tickets", t.ID)
		}
		return a, nil
	}
}

// variant tells what a ticket shows besides its version: it is blocked by what
// becomes of other tickets, and a heartbeat renews its lease without an event.
func variant(t *readmodel.Ticket) string {
	text := ""
	if t.Blocked {
		text = "b"
	}
	if t.Lease != nil {
		text += "l" + strconv.FormatInt(t.Lease.ExpiresAt.UnixMicro(), 36)
	}
	return text
}

func (s *Server) ticketAfter(ctx context.Context, r *commands.Receipt, ref string) (readmodel.Ticket, error) {
	if r.Ticket != nil {
		return ticketView(r.Ticket), nil
	}
	var board, ticket int64
	if len(r.Events) > 0 {
		last := &r.Events[len(r.Events)-1]
		board, ticket = last.BoardID, last.TicketID
	} else {
		var err error
		if board, ticket, err = s.readableTicket(callOf(ctx), commands.Ref(ref)); err != nil {
			return readmodel.Ticket{}, err
		}
	}
	return s.deps.Timeline.TicketAt(ctx, board, ticket, r.Position)
}
