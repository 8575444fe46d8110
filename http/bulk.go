package http

import (
	"fmt"
	"strconv"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// maxBulk bounds the tickets of one bulk request.
const maxBulk = 100

type bulkMove struct {
	Tickets   []commands.Ref `json:"tickets" maxItems:"100" doc:"Ids or keys, at most 100"`
	Column    commands.Ref   `json:"column" doc:"Id or name; the tickets go to its end, in the order of the list"`
	OverLimit bool           `json:"over_limit,omitempty" doc:"Go past the WIP limit (pm only, recorded)"`
}

type bulkPriority struct {
	Tickets  []commands.Ref  `json:"tickets" maxItems:"100" doc:"Ids or keys, at most 100"`
	Priority events.Priority `json:"priority" enum:"low,medium,high,urgent"`
}

type bulkAssign struct {
	Tickets  []commands.Ref `json:"tickets" maxItems:"100" doc:"Ids or keys, at most 100"`
	Assignee *string        `json:"assignee" doc:"User name; null or empty = nobody"`
}

// outcome is what became of one ticket.
type outcome struct {
	Ticket   commands.Ref `json:"ticket" doc:"As it was asked for"`
	OK       bool         `json:"ok"`
	Position int64        `json:"position,omitempty"`
	Error    *refusal     `json:"error,omitempty"`
}

// refusal is the part of a Problem that says what is wrong.
type refusal struct {
	Code   events.Code       `json:"code"`
	Detail string            `json:"detail"`
	Fields map[string]string `json:"fields,omitempty"`
}

type bulkReply struct {
	Items     []outcome `json:"items" doc:"In the order of the request"`
	Succeeded int       `json:"succeeded"`
	Failed    int       `json:"failed"`
}

func (s *Server) bulkRoutes() {
	const tag, base = "bulk", "/api/bulk/tickets"
	register(s, op{method: "POST", path: base + "/move", id: "bulk_move", summary: "Move tickets; each has its own outcome", tag: tag, reply: bulkReply{}},
		func(c *call, in *struct{ Body bulkMove }) (answer, error) {
			b := &in.Body
			return s.bulk(c, b.Tickets, func(t commands.Ref) commands.Command {
				return commands.MoveTicket{Ticket: t, Column: b.Column, OverLimit: b.OverLimit}
			})
		})
	register(s, op{method: "POST", path: base + "/priority", id: "bulk_priority", summary: "Set the priority of tickets; each has its own outcome", tag: tag, reply: bulkReply{}},
		func(c *call, in *struct{ Body bulkPriority }) (answer, error) {
			return s.bulk(c, in.Body.Tickets, func(t commands.Ref) commands.Command {
				return commands.UpdateTicket{Ticket: t, Priority: &in.Body.Priority}
			})
		})
	register(s, op{method: "POST", path: base + "/assign", id: "bulk_assign", summary: "Make somebody responsible for tickets; each has its own outcome", tag: tag, reply: bulkReply{}},
		func(c *call, in *struct{ Body bulkAssign }) (answer, error) {
			assignee := ""
			if in.Body.Assignee != nil {
				assignee = *in.Body.Assignee
			}
			return s.bulk(c, in.Body.Tickets, func(t commands.Ref) commands.Command {
				return commands.AssignTicket{Ticket: t, Assignee: assignee}
			})
		})
}

// bulk carries out one command per ticket, in order. A refused one does not stop
// the others. Each has an id of its own, made from the request's, so that the
// whole request can be repeated.
func (s *Server) bulk(c *call, tickets []commands.Ref, order func(commands.Ref) commands.Command) (answer, error) {
	if len(tickets) == 0 || len(tickets) > maxBulk {
		reason := fmt.Sprintf("must be 1 to %d ids or keys", maxBulk)
		return answer{}, &events.Error{
			Code: events.CodeInvalid, Message: "The list tickets " + reason + ".", Fields: map[string]string{"tickets": reason},
		}
	}
	meta, err := s.meta(c)
	if err != nil {
		return answer{}, err
	}
	if meta.IfMatch != nil {
		return answer{}, events.Errorf(events.CodeInvalid, "If-Match is for one change; a bulk request makes several. Make them one by one, or leave If-Match out.")
	}
	if err := s.charge(c, len(tickets)); err != nil {
		return answer{}, err
	}
	key := meta.CommandID
	reply := bulkReply{Items: make([]outcome, len(tickets))}
	position := int64(0)
	for i, ticket := range tickets {
		if key != "" {
			meta.CommandID = key + "#" + strconv.Itoa(i)
		}
		item := &reply.Items[i]
		item.Ticket = ticket
		r, err := s.deps.Commands.Do(c.ctx(), meta, order(ticket))
		if err == nil {
			item.OK, item.Position = true, r.Position
			position = max(position, r.Position)
			reply.Succeeded++
			continue
		}
		e := userError(err)
		switch {
		case c.ctx().Err() != nil:
			return answer{}, c.ctx().Err()
		case i == 0 && e.Code == events.CodeIdempotencyReused:
			return answer{}, err // of the request, not of this ticket
		case e.Code == events.CodeInternal:
			s.log.Error("part of a bulk request failed", "request_id", c.id, "path", c.gin.FullPath(), "error", err)
		}
		item.Error = &refusal{Code: e.Code, Detail: e.Message, Fields: e.Fields}
		reply.Failed++
	}
	if prefersMinimal(c.header("Prefer")) {
		return answer{view: reply, position: position}, nil
	}
	if err := s.await(c.ctx(), position); err != nil {
		c.gin.Writer.Header().Set("Kanban-Position", strconv.FormatInt(position, 10))
		return answer{}, err
	}
	return answer{view: reply, position: position}, nil
}
