package mcp

import (
	"context"
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

type createArgs struct {
	Board   commands.Ref `json:"board"`
	Tickets []newTicket  `json:"tickets"`
}

type newTicket struct {
	As                 string          `json:"as"`
	Title              string          `json:"title"`
	Description        string          `json:"description"`
	AcceptanceCriteria string          `json:"acceptance_criteria"`
	Priority           events.Priority `json:"priority"`
	Labels             []string        `json:"labels"`
	Assignee           string          `json:"assignee"`
	DueAt              *time.Time      `json:"due_at"`
	Column             commands.Ref    `json:"column"`
	DependsOn          []commands.Ref  `json:"depends_on"`
	Checklist          []string        `json:"checklist"`
}

type createReply struct {
	Created []created `json:"created"`
}

type created struct {
	As  string `json:"as,omitempty"`
	Key string `json:"key"`
}

// maxPlan bounds the tickets of one call, so that the reply can name them all.
const maxPlan = 100

func createTickets(ctx context.Context, s *session, in createArgs) (reply, error) {
	switch {
	case in.Board == "":
		return reply{}, invalid("board", "is required: its key, as WEB")
	case len(in.Tickets) == 0:
		return reply{}, invalid("tickets", "must hold at least one ticket")
	case len(in.Tickets) > maxPlan:
		return reply{}, invalid("tickets", fmt.Sprintf("must be at most %d in one call", maxPlan))
	}
	cmds := make([]commands.Command, len(in.Tickets))
	for i, t := range in.Tickets {
		cmds[i] = commands.CreateTicket{
			Board: in.Board, Title: t.Title, Description: t.Description, AcceptanceCriteria: t.AcceptanceCriteria,
			Priority: t.Priority, Labels: t.Labels, Assignee: t.Assignee, DueAt: t.DueAt, Column: t.Column,
			DependsOn: t.DependsOn, Checklist: t.Checklist, As: t.As,
		}
	}
	done, err := s.client.Run(ctx, cmds...)
	if err != nil {
		return reply{}, err
	}
	data := createReply{Created: make([]created, 0, len(cmds))}
	for i := range done.Events {
		fact, err := done.Events[i].Payload()
		if err != nil {
			return reply{}, err
		}
		if c, ok := fact.(events.TicketCreated); ok && len(data.Created) < len(in.Tickets) {
			data.Created = append(data.Created, created{As: in.Tickets[len(data.Created)].As, Key: c.Key})
		}
	}
	if cost(&data) > room {
		for i := range data.Created { // the order tells
			data.Created[i].As = ""
		}
	}
	return reply{fmt.Sprintf("Created %d tickets, in the order they were given.", len(data.Created)), data}, nil
}

type updateArgs struct {
	Ticket commands.Ref `json:"ticket"`
	Fence  int64        `json:"fence"`

	Title              *string          `json:"title"`
	Description        *string          `json:"description"`
	AcceptanceCriteria *string          `json:"acceptance_criteria"`
	Priority           *events.Priority `json:"priority"`
	Labels             *[]string        `json:"labels"`
	DueAt              *string          `json:"due_at"`
	Assignee           *string          `json:"assignee"`

	AddDependsOn    []commands.Ref          `json:"add_depends_on"`
	RemoveDependsOn []commands.Ref          `json:"remove_depends_on"`
	Check           []int64                 `json:"check"`
	Uncheck         []int64                 `json:"uncheck"`
	Evidence        []commands.EvidenceSpec `json:"evidence"`

	Column commands.Ref `json:"column"`
	Before commands.Ref `json:"before"`
	After  commands.Ref `json:"after"`

	RequestApproval bool   `json:"request_approval"`
	Release         bool   `json:"release"`
	Note            string `json:"note"`
}

// commands are what the arguments ask for, in the order in which a worker would
// do it: what a policy wants comes before the move, the release last.
func (in *updateArgs) commands(fence int64) ([]commands.Command, error) {
	var cmds []commands.Command
	add := func(c commands.Command) { cmds = append(cmds, c) }
	update := commands.UpdateTicket{
		Ticket: in.Ticket, Fence: fence, Title: in.Title, Description: in.Description,
		AcceptanceCriteria: in.AcceptanceCriteria, Priority: in.Priority, Labels: in.Labels,
	}
	if in.DueAt != nil {
		if update.ClearDue = *in.DueAt == ""; !update.ClearDue {
			due, err := time.Parse(time.RFC3339, *in.DueAt)
			if err != nil {
				return nil, invalid("due_at", "must be a time as 2030-01-31T12:00:00Z, or empty to remove it")
			}
			update.DueAt = &due
		}
	}
	if in.Title != nil || in.Description != nil || in.AcceptanceCriteria != nil || in.Priority != nil || in.Labels != nil || in.DueAt != nil {
		add(update)
	}
	if in.Assignee != nil {
		add(commands.AssignTicket{Ticket: in.Ticket, Assignee: *in.Assignee})
	}
	for _, on := range in.RemoveDependsOn {
		add(commands.RemoveDependency{Ticket: in.Ticket, DependsOn: on})
	}
	for _, on := range in.AddDependsOn {
		add(commands.AddDependency{Ticket: in.Ticket, DependsOn: on})
	}
	for _, item := range in.Check {
		add(commands.CheckItem{Ticket: in.Ticket, Fence: fence, Item: item, Done: true})
	}
	for _, item := range in.Uncheck {
		add(commands.CheckItem{Ticket: in.Ticket, Fence: fence, Item: item})
	}
	for _, e := range in.Evidence {
		add(commands.AddEvidence{Ticket: in.Ticket, Fence: fence, EvidenceSpec: e})
	}
	if in.Column != "" || in.Before != "" || in.After != "" {
		add(commands.MoveTicket{Ticket: in.Ticket, Fence: fence, Column: in.Column, Before: in.Before, After: in.After})
	}
	if in.RequestApproval {
		add(commands.RequestApproval{Ticket: in.Ticket, Fence: fence, Note: in.Note})
	}
	if in.Release {
		add(commands.ReleaseTicket{Ticket: in.Ticket, Fence: fence, Note: in.Note})
	}
	switch {
	case len(cmds) == 0:
		return nil, events.Errorf(events.CodeInvalid, "There is nothing to change. Say what, or use comment or get_ticket.")
	case in.Note != "" && !in.RequestApproval && !in.Release:
		return nil, invalid("note", "goes with request_approval or release; otherwise use comment")
	default:
		return cmds, nil
	}
}

func updateTicket(ctx context.Context, s *session, in updateArgs) (reply, error) {
	if in.Ticket == "" {
		return reply{}, invalid("ticket", "is required: its key, as WEB-12")
	}
	fence := s.fences.or(in.Fence, in.Ticket)
	cmds, err := in.commands(fence)
	if err != nil {
		return reply{}, err
	}
	if _, err := s.client.Run(ctx, cmds...); err != nil {
		s.ended(ctx, in.Ticket, fence, err)
		return reply{}, err
	}
	t, err := s.client.Ticket(ctx, in.Ticket)
	if err != nil {
		return reply{}, err
	}
	text := fmt.Sprintf("%s was changed; it is in %s.", t.Key, t.CurrentColumn)
	if in.Release || fence != 0 && (t.Lease == nil || t.Lease.Fence != fence) { // a move may end it too
		s.fences.forget(&t)
		text += " Your claim has ended."
	}
	return reply{text, changed(&t)}, nil
}
