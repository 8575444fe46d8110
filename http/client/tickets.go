package client

import (
	"context"
	"net/http"
	"strconv"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// TicketQuery selects tickets; empty fields select everything.
type TicketQuery struct {
	Paging
	Board, Column, Assignee, Label string
	Text                           string // words to search for
	Archived                       bool   // the archived ones instead
	Holder                         string // held by this principal
	Ready                          bool   // only those that claim-next could take
	Blocked                        bool   // only those that wait for others
}

// Tickets lists the tickets that the caller may see.
func (c *Client) Tickets(ctx context.Context, q TicketQuery) (Page[readmodel.Ticket], error) {
	values := q.values()
	set(values, "board_id", q.Board)
	set(values, "column", q.Column)
	set(values, "assignee", q.Assignee)
	set(values, "label", q.Label)
	set(values, "q", q.Text)
	set(values, "holder", q.Holder)
	for name, is := range map[string]bool{"archived": q.Archived, "ready": q.Ready, "blocked": q.Blocked} {
		if is {
			values.Set(name, "true")
		}
	}
	return get[Page[readmodel.Ticket]](ctx, c, values, "api", "tickets")
}

// Ticket returns one ticket by id or key.
func (c *Client) Ticket(ctx context.Context, ticket commands.Ref) (readmodel.Ticket, error) {
	return get[readmodel.Ticket](ctx, c, nil, "api", "tickets", ref(ticket))
}

// CreateTicket puts a ticket at the end of a column.
func (c *Client) CreateTicket(ctx context.Context, cmd commands.CreateTicket) (readmodel.Ticket, error) {
	return send[readmodel.Ticket](ctx, c, http.MethodPost, cmd, "api", "tickets")
}

// UpdateTicket changes what is not nil in cmd. ifMatch is the version the caller
// saw, nil for any.
func (c *Client) UpdateTicket(ctx context.Context, cmd commands.UpdateTicket, ifMatch *int64) (readmodel.Ticket, error) {
	body := make(map[string]any)
	put := func(name string, isSet bool, v any) {
		if isSet {
			body[name] = v
		}
	}
	put("title", cmd.Title != nil, cmd.Title)
	put("description", cmd.Description != nil, cmd.Description)
	put("acceptance_criteria", cmd.AcceptanceCriteria != nil, cmd.AcceptanceCriteria)
	put("priority", cmd.Priority != nil, cmd.Priority)
	put("labels", cmd.Labels != nil, cmd.Labels)
	put("due_at", cmd.DueAt != nil, cmd.DueAt)
	put("due_at", cmd.ClearDue, nil)
	put("fence", cmd.Fence != 0, cmd.Fence)
	var out readmodel.Ticket
	err := c.do(ctx, request{
		method: http.MethodPatch, path: join("api", "tickets", ref(cmd.Ticket)), body: body, ifMatch: ifMatch,
	}, &out)
	return out, err
}

// MoveTicket puts a ticket into a column, before or after another.
func (c *Client) MoveTicket(ctx context.Context, cmd commands.MoveTicket, ifMatch *int64) (readmodel.Ticket, error) {
	body := struct {
		Column    commands.Ref `json:"column,omitempty"`
		Before    commands.Ref `json:"before,omitempty"`
		After     commands.Ref `json:"after,omitempty"`
		OverLimit bool         `json:"over_limit,omitempty"`
		Fence     int64        `json:"fence,omitempty"`
	}{cmd.Column, cmd.Before, cmd.After, cmd.OverLimit, cmd.Fence}
	var out readmodel.Ticket
	err := c.do(ctx, request{
		method: http.MethodPost, path: join("api", "tickets", ref(cmd.Ticket), "move"), body: body, ifMatch: ifMatch,
	}, &out)
	return out, err
}

// AssignTicket makes a user, by name, responsible; "" is nobody.
func (c *Client) AssignTicket(ctx context.Context, ticket commands.Ref, assignee string) (readmodel.Ticket, error) {
	body := map[string]string{"assignee": assignee}
	return send[readmodel.Ticket](ctx, c, http.MethodPost, body, "api", "tickets", ref(ticket), "assign")
}

// ArchiveTicket hides a ticket.
func (c *Client) ArchiveTicket(ctx context.Context, ticket commands.Ref) (readmodel.Ticket, error) {
	return send[readmodel.Ticket](ctx, c, http.MethodPost, nil, "api", "tickets", ref(ticket), "archive")
}

// RestoreTicket brings it back at the end of its column.
func (c *Client) RestoreTicket(ctx context.Context, ticket commands.Ref, overLimit bool) (readmodel.Ticket, error) {
	var body any
	if overLimit {
		body = map[string]bool{"over_limit": true}
	}
	return send[readmodel.Ticket](ctx, c, http.MethodPost, body, "api", "tickets", ref(ticket), "restore")
}

// DeleteTicket removes a ticket from every view; its events stay in the log.
func (c *Client) DeleteTicket(ctx context.Context, ticket commands.Ref) error {
	return c.do(ctx, request{method: http.MethodDelete, path: join("api", "tickets", ref(ticket))}, nil)
}

// Comments lists what was said about a ticket, oldest first.
func (c *Client) Comments(ctx context.Context, ticket commands.Ref, p Paging) (Page[readmodel.Comment], error) {
	return get[Page[readmodel.Comment]](ctx, c, p.values(), "api", "comments", "ticket", ref(ticket))
}

// AddComment says something about a ticket.
func (c *Client) AddComment(ctx context.Context, ticket commands.Ref, text string) (readmodel.Comment, error) {
	body := struct {
		Ticket commands.Ref `json:"ticket_id"`
		Text   string       `json:"text"`
	}{ticket, text}
	return send[readmodel.Comment](ctx, c, http.MethodPost, body, "api", "comments")
}

// UpdateComment replaces the text of a comment.
func (c *Client) UpdateComment(ctx context.Context, id int64, text string) (readmodel.Comment, error) {
	body := map[string]string{"text": text}
	return send[readmodel.Comment](ctx, c, http.MethodPut, body, "api", "comments", strconv.FormatInt(id, 10))
}

// DeleteComment removes a comment from every view.
func (c *Client) DeleteComment(ctx context.Context, id int64) error {
	return c.do(ctx, request{method: http.MethodDelete, path: join("api", "comments", strconv.FormatInt(id, 10))}, nil)
}

// History lists every change of a ticket, newest first.
func (c *Client) History(ctx context.Context, ticket commands.Ref, p Paging) (Page[readmodel.HistoryEntry], error) {
	return get[Page[readmodel.HistoryEntry]](ctx, c, p.values(), "api", "history", "tickets", ref(ticket), "history")
}
