package mcp

import (
	"context"
	"fmt"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

type boardsArgs struct {
	Archived bool   `json:"archived"`
	Detailed bool   `json:"detailed"`
	Cursor   string `json:"cursor"`
}

type boardsReply struct {
	You    string  `json:"you"`
	Boards []board `json:"boards"`
	Total  int64   `json:"total"`
	Cursor string  `json:"cursor,omitempty"`
}

type board struct {
	Key       string     `json:"key"`
	Frozen    bool       `json:"frozen,omitempty"`
	Archived  bool       `json:"archived,omitempty"`
	MaxClaims int        `json:"max_claims,omitempty"`
	Columns   []column   `json:"columns,omitempty"`
	LeftOut   int        `json:"columns_left_out,omitempty"`
	Untrusted *untrusted `json:"untrusted"`
}

// forColumns bounds the columns of one board, so that one entry of a list always
// fits.
const forColumns = room / 2

type column struct {
	Name     string            `json:"name"`
	Kind     events.ColumnKind `json:"kind"`
	Tickets  *int64            `json:"tickets,omitempty"`
	WIPLimit *int              `json:"wip_limit,omitempty"`
	// Policy is what a ticket needs to enter: checklist, evidence, approval.
	Policy []string `json:"policy,omitempty"`
}

func columnOf(c *readmodel.Column) column {
	out := column{Name: c.Name, Kind: c.Kind, WIPLimit: c.WIPLimit}
	for _, rule := range []struct {
		on   bool
		name string
	}{
		{c.Policy.RequireChecklist, "checklist"},
		{c.Policy.RequireEvidence, "evidence"},
		{c.Policy.Approval, "approval"},
		{len(c.Policy.AllowFrom) > 0, "only from certain columns"},
	} {
		if rule.on {
			out.Policy = append(out.Policy, rule.name)
		}
	}
	return out
}

func boardOf(b *readmodel.Board, detailed bool) board {
	out := board{Key: b.Key, Frozen: b.Frozen, Archived: b.Archived, Untrusted: &untrusted{By: b.CreatedBy, Name: b.Name}}
	if detailed {
		out.MaxClaims = b.MaxClaims
		out.Untrusted.Description = b.Description[:prefix(b.Description, briefText)]
		columns := make([]column, len(b.Columns))
		for i := range b.Columns {
			columns[i] = columnOf(&b.Columns[i])
		}
		left := forColumns
		out.LeftOut = len(columns) - take(&out.Columns, columns, &left)
	}
	return out
}

func listBoards(ctx context.Context, s *session, in boardsArgs) (reply, error) {
	at, err := parseCursor(in.Cursor)
	if err != nil {
		return reply{}, err
	}
	me, err := s.client.Me(ctx)
	if err != nil {
		return reply{}, err
	}
	page, err := s.client.Boards(ctx, client.BoardQuery{Paging: client.Paging{Limit: 100, Cursor: at.Page}, Archived: in.Archived})
	if err != nil {
		return reply{}, err
	}
	data := boardsReply{You: me.Username, Boards: []board{}, Total: page.Total}
	left := room
	rest := page.Items[min(at.Skip, len(page.Items)):]
	items := make([]board, len(rest))
	for i := range rest {
		items[i] = boardOf(&rest[i], in.Detailed)
	}
	data.Cursor = at.after(take(&data.Boards, items, &left), len(rest), page.NextCursor)
	text := fmt.Sprintf("%d of %d boards that you may see.", len(data.Boards), page.Total)
	return reply{more(text, data.Cursor), data}, nil
}

// after is the cursor once n items of the rest of a page were given; next is
// the API's.
func (c cursor) after(n, rest int, next string) string {
	switch {
	case n < rest:
		c.Skip += n
		return c.String()
	case next != "":
		return (&cursor{Page: next}).String()
	default:
		return ""
	}
}

func more(text, cursor string) string {
	if cursor != "" {
		return text + " There is more: call again with cursor."
	}
	return text
}

type summaryArgs struct {
	Board    commands.Ref `json:"board"`
	Detailed bool         `json:"detailed"`
}

type summaryReply struct {
	Board board `json:"board"`
	// Holding says who holds what.
	Holding     []holding  `json:"holding"`
	Ready       int64      `json:"ready"`
	Blocked     int64      `json:"blocked"`
	DeadBlocked int64      `json:"dead_blocked"`
	Untrusted   *untrusted `json:"untrusted"`
	Shortened   []string   `json:"shortened,omitempty"`
}

type holding struct {
	Holder string `json:"holder"`
	ticket
}

func boardSummary(ctx context.Context, s *session, in summaryArgs) (reply, error) {
	if in.Board == "" {
		return reply{}, invalid("board", "is required: its key, as WEB; list_boards shows them")
	}
	b, err := s.client.Board(ctx, in.Board)
	if err != nil {
		return reply{}, err
	}
	id := commands.RefID(b.ID)
	data := summaryReply{Board: boardOf(&b, true), Holding: []holding{}, Untrusted: &untrusted{}}
	if !in.Detailed {
		data.Board.Untrusted.Description = ""
	}
	for i := range data.Board.Columns {
		page, err := s.client.Tickets(ctx, client.TicketQuery{
			Paging: client.Paging{Limit: 1}, Board: string(id), Column: string(commands.RefID(b.Columns[i].ID)),
		})
		if err != nil {
			return reply{}, err
		}
		data.Board.Columns[i].Tickets = &page.Total
	}
	ready, err := s.client.Ready(ctx, id, 1)
	if err != nil {
		return reply{}, err
	}
	data.Ready, data.Blocked, data.DeadBlocked = ready.ReadyTotal, ready.BlockedTotal, ready.DeadBlockedTotal
	agents, err := s.client.Agents(ctx, id)
	if err != nil {
		return reply{}, err
	}
	entries := 5
	if in.Detailed {
		entries = 25
	}
	activity, err := s.client.Activity(ctx, id, client.Paging{Limit: entries})
	if err != nil {
		return reply{}, err
	}
	data.fill(agents.Items, activity.Items)
	text := fmt.Sprintf("Board %s: %d tickets are ready, %d blocked, %d blocked for good, %d held.", b.Key, data.Ready, data.Blocked, data.DeadBlocked, len(data.Holding))
	return reply{text, data}, nil
}

// fill adds who holds what and the last activity, as far as there is room.
func (d *summaryReply) fill(agents []readmodel.Agent, activity []readmodel.ActivityEntry) {
	var held []holding
	for i := range agents {
		for _, c := range agents[i].Claims {
			h := holding{Holder: agents[i].Name, ticket: ticket{Key: c.Key, ExpiresAt: second(c.ExpiresAt), Untrusted: &untrusted{Title: c.Title}}}
			held = append(held, h)
		}
	}
	said := make([]said, len(activity))
	for i, e := range activity {
		said[i].By, said[i].At, said[i].Text = e.Actor, second(e.At), e.Summary
	}
	left := room - cost(d)
	forHolding := left * 2 / 3
	if n := take(&d.Holding, held, &forHolding); n < len(held) {
		d.Shortened = append(d.Shortened, "holding")
	}
	left = room - cost(d)
	if n := take(&d.Untrusted.Activity, said, &left); n < len(said) {
		d.Shortened = append(d.Shortened, "activity")
	}
}
