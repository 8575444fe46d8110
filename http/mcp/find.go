package mcp

import (
	"context"
	"fmt"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

type findArgs struct {
	Board    commands.Ref `json:"board"`
	Text     string       `json:"text"`
	Column   commands.Ref `json:"column"`
	Assignee string       `json:"assignee"`
	Label    string       `json:"label"`
	State    string       `json:"state"`
	Limit    int          `json:"limit"`
	Detailed bool         `json:"detailed"`
	Cursor   string       `json:"cursor"`
}

type findReply struct {
	Tickets []ticket `json:"tickets"`
	Total   int64    `json:"total"`
	Cursor  string   `json:"cursor,omitempty"`
}

// Bounds of find_tickets.
const (
	defaultFound = 20
	maxFound     = 50
	maxPage      = 100 // of the API
)

func findTickets(ctx context.Context, s *session, in findArgs) (reply, error) {
	at, err := parseCursor(in.Cursor)
	if err != nil {
		return reply{}, err
	}
	switch {
	case in.Limit == 0:
		in.Limit = defaultFound
	case in.Limit < 1 || in.Limit > maxFound:
		return reply{}, invalid("limit", fmt.Sprintf("must be between 1 and %d", maxFound))
	}
	switch in.State {
	case "", "archived":
		return s.search(ctx, in, at)
	case "ready", "blocked", "dead_blocked":
		return s.queue(ctx, in, at)
	default:
		return reply{}, invalid("state", "must be ready, blocked, dead_blocked or archived")
	}
}

// search asks for tickets by what they are.
func (s *session) search(ctx context.Context, in findArgs, at cursor) (reply, error) {
	page, err := s.client.Tickets(ctx, client.TicketQuery{
		Paging: client.Paging{Limit: min(at.Skip+in.Limit, maxPage), Cursor: at.Page}, Board: string(in.Board),
		Column: string(in.Column), Assignee: in.Assignee, Label: in.Label, Text: in.Text, Archived: in.State == "archived",
	})
	if err != nil {
		return reply{}, err
	}
	rest := page.Items[min(at.Skip, len(page.Items)):]
	items := make([]ticket, len(rest))
	for i := range rest {
		items[i] = summaryOf(&rest[i], in.Detailed)
	}
	data := findReply{Tickets: []ticket{}, Total: page.Total}
	left := room
	data.Cursor = at.after(take(&data.Tickets, items, &left), len(items), page.NextCursor)
	return reply{more(fmt.Sprintf("%d of %d tickets.", len(data.Tickets), page.Total), data.Cursor), data}, nil
}

// queue asks for what can be claimed, in the order of claim_next, or for what
// waits.
func (s *session) queue(ctx context.Context, in findArgs, at cursor) (reply, error) {
	if in.Board == "" {
		return reply{}, invalid("board", "is required with state "+in.State)
	}
	if in.Text != "" || in.Column != "" || in.Assignee != "" || in.Label != "" {
		return reply{}, invalid("state", "cannot be combined with text, column, assignee or label unless it is archived")
	}
	ready, err := s.client.Ready(ctx, in.Board, maxPage)
	if err != nil {
		return reply{}, err
	}
	var items []ticket
	data := findReply{Tickets: []ticket{}}
	waiting := func(list []readmodel.BlockedTicket, total int64) {
		data.Total = total
		for i := range list {
			items = append(items, blockedOf(&list[i]))
		}
	}
	switch in.State {
	case "ready":
		data.Total = ready.ReadyTotal
		for i := range ready.Ready {
			items = append(items, summaryOf(&ready.Ready[i], in.Detailed))
		}
	case "blocked":
		waiting(ready.Blocked, ready.BlockedTotal)
	default:
		waiting(ready.DeadBlocked, ready.DeadBlockedTotal)
	}
	items = items[min(at.Skip, len(items)):]
	left := room
	n := take(&data.Tickets, items[:min(in.Limit, len(items))], &left)
	data.Cursor = at.after(n, len(items), "")
	text := fmt.Sprintf("%d of %d tickets that are %s.", n, data.Total, in.State)
	if data.Cursor == "" && data.Total > maxPage {
		text += fmt.Sprintf(" Only the first %d can be listed.", maxPage)
	}
	return reply{more(text, data.Cursor), data}, nil
}

func blockedOf(b *readmodel.BlockedTicket) ticket {
	out := ticket{Key: b.Key, Blocked: true, Untrusted: &untrusted{Title: b.Title}}
	for _, by := range b.By {
		name := by.Key
		if by.State != "open" {
			name += " (" + by.State + ")"
		}
		out.BlockedBy = append(out.BlockedBy, name)
	}
	return out
}
