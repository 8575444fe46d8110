package mcp

import (
	"context"
	"fmt"
	"strings"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

type ticketArgs struct {
	Ticket   commands.Ref `json:"ticket"`
	Detailed bool         `json:"detailed"`
	Cursor   string       `json:"cursor"`
}

// ticketReply is the data of the tools that answer with one ticket.
type ticketReply struct {
	Ticket ticket `json:"ticket"`
	// Shortened names the parts that are not here to their end.
	Shortened []string `json:"shortened,omitempty"`
	Comments  int64    `json:"comments"` // how many there are
	Cursor    string   `json:"cursor,omitempty"`
}

// Room in a reply, in weight.
const (
	room       = maxWeight - 900 // what is left to texts beside the frame of a reply
	briefText  = 900             // a long text in a concise reply
	briefPiece = 160             // one of several
)

func getTicket(ctx context.Context, s *session, in ticketArgs) (reply, error) {
	if in.Ticket == "" {
		return reply{}, invalid("ticket", "is required: its key, as WEB-12")
	}
	at, err := parseCursor(in.Cursor)
	if err != nil {
		return reply{}, err
	}
	t, err := s.client.Ticket(ctx, in.Ticket)
	if err != nil {
		return reply{}, err
	}
	if !in.Detailed && in.Cursor == "" {
		return s.concise(ctx, &t)
	}
	if in.Cursor != "" && at.Version != t.Version {
		return reply{}, &events.Error{
			Code: events.CodeVersionMismatch, Message: t.Key + " has changed since the cursor was given. Read it again without cursor.",
			Version: t.Version, Since: at.Version,
		}
	}
	return s.whole(ctx, &t, at)
}

// concise is a ticket with its long texts shortened and without its comments.
func (s *session) concise(ctx context.Context, t *readmodel.Ticket) (reply, error) {
	comments, err := s.client.Comments(ctx, commands.RefID(t.ID), client.Paging{Limit: 1})
	if err != nil {
		return reply{}, err
	}
	data := conciseOf(t)
	data.Comments = comments.Total
	text := fmt.Sprintf("%s is in %s.", t.Key, t.CurrentColumn)
	if len(data.Shortened) > 0 || comments.Total > 0 {
		text += " Read the rest, with the comments, with get_ticket and detailed: true."
	}
	return reply{text, data}, nil
}

func conciseOf(t *readmodel.Ticket) ticketReply {
	data := ticketReply{Ticket: summaryOf(t, true)}
	data.Ticket.CreatedAt, data.Ticket.UpdatedAt = nil, nil
	u := data.Ticket.Untrusted
	left := room - cost(&data)
	short := func(name string) {
		if n := len(data.Shortened); n == 0 || data.Shortened[n-1] != name {
			data.Shortened = append(data.Shortened, name)
		}
	}
	cut := func(name, text string, most int) string {
		n := prefix(text, min(most, left))
		if n < len(text) {
			short(name)
		}
		left -= cost(text[:n])
		return text[:n]
	}
	if len(t.Labels) > 20 {
		u.Labels = t.Labels[:20]
		short("labels")
	}
	u.Description = cut("description", t.Description, briefText)
	u.Acceptance = cut("acceptance_criteria", t.AcceptanceCriteria, briefText)
	for _, item := range t.Checklist {
		if left < briefPiece {
			short("checklist")
			break
		}
		c := criterion{ID: item.ID, Done: item.Done}
		left -= cost(c)
		c.Text = cut("checklist", item.Text, briefPiece)
		u.Checklist = append(u.Checklist, c)
	}
	if t.Approval != nil && t.Approval.Note != "" {
		u.Approval = &said{By: t.Approval.By, Text: cut("approval", t.Approval.Note, briefPiece)}
	}
	for _, e := range t.Evidence {
		if left < briefPiece {
			short("evidence")
			break
		}
		p := said{By: e.By, Kind: string(e.Kind)}
		left -= cost(p)
		p.Text = cut("evidence", e.Text, briefPiece)
		u.Evidence = append(u.Evidence, p)
	}
	return data
}

// pieces gives out the texts of a ticket in their order, as far as there is
// room. What it takes of a text begins at the offset where the cursor stands.
type pieces struct {
	left int
	at   cursor
	full bool
}

// text takes what fits of a text; all is false where the rest is for later.
func (p *pieces) text(text string, frame int) (part string, all bool) {
	rest := text[boundary(text, min(p.at.Offset, len(text))):]
	p.left -= frame
	n := len(rest)
	if c := cost(rest); c > p.left {
		n = prefix(rest, p.left)
	}
	p.left -= cost(rest[:n])
	if n < len(rest) {
		p.full = true
		p.at.Offset += n
		return rest[:n], false
	}
	p.at.Offset = 0
	return rest, true
}

// least is the room below which beginning another text makes no sense.
const least = 120

// each takes the items of a section from the one at the cursor on.
func (p *pieces) each(n int, one func(i int) (all bool)) {
	for p.at.Skip < n && !p.full {
		if p.left < least {
			p.full = true
			return
		}
		if !one(p.at.Skip) {
			return
		}
		p.at.Skip++
	}
}

// whole is a ticket with everything that was written about it, from the cursor
// on, as far as one reply may go.
func (s *session) whole(ctx context.Context, t *readmodel.Ticket, at cursor) (reply, error) {
	first := at == cursor{}
	at.Version = t.Version
	data := ticketReply{Ticket: summaryOf(t, true)}
	if !first {
		data.Ticket = ticket{Key: t.Key, Untrusted: &untrusted{By: t.CreatedBy}}
	}
	u := data.Ticket.Untrusted
	p := &pieces{left: room - cost(&data), at: at}
	sections := []func(){
		func() { p.each(1, func(int) (all bool) { u.Description, all = p.text(t.Description, 8); return all }) },
		func() {
			p.each(1, func(int) (all bool) { u.Acceptance, all = p.text(t.AcceptanceCriteria, 12); return all })
		},
		func() {
			p.each(len(t.Checklist), func(i int) bool {
				c := criterion{ID: t.Checklist[i].ID, Done: t.Checklist[i].Done}
				part, all := p.text(t.Checklist[i].Text, cost(c))
				c.Text = part
				u.Checklist = append(u.Checklist, c)
				return all
			})
		},
		func() {
			if t.Approval == nil {
				return
			}
			p.each(1, func(int) bool {
				a := said{By: t.Approval.By, At: second(t.Approval.At), Kind: t.Approval.State}
				part, all := p.text(t.Approval.Note, cost(a))
				a.Text = part
				u.Approval = &a
				return all
			})
		},
		func() {
			p.each(len(t.Evidence), func(i int) bool {
				e := said{By: t.Evidence[i].By, At: second(t.Evidence[i].At), Kind: string(t.Evidence[i].Kind)}
				part, all := p.text(t.Evidence[i].Text, cost(e))
				e.Text = part
				u.Evidence = append(u.Evidence, e)
				return all
			})
		},
	}
	for p.at.Section < len(sections) && !p.full {
		sections[p.at.Section]()
		if !p.full {
			p.at.Section, p.at.Skip = p.at.Section+1, 0
		}
	}
	total, err := s.comments(ctx, t, p, u)
	if err != nil {
		return reply{}, err
	}
	data.Comments = total
	text := []string{fmt.Sprintf("%s, with all that was written about it.", t.Key)}
	if !first {
		text[0] = fmt.Sprintf("%s, going on where the last reply ended.", t.Key)
	}
	if p.full {
		data.Cursor = p.at.String()
		text = append(text, "There is more: call again with cursor.")
	}
	return reply{strings.Join(text, " "), data}, nil
}

// comments is the last section: it goes on over the pages of the API.
func (s *session) comments(ctx context.Context, t *readmodel.Ticket, p *pieces, u *untrusted) (total int64, err error) {
	for {
		page, err := s.client.Comments(ctx, commands.RefID(t.ID), client.Paging{Limit: 100, Cursor: p.at.Page})
		if err != nil {
			return 0, err
		}
		if p.full {
			return page.Total, nil
		}
		p.each(len(page.Items), func(i int) bool {
			c := said{By: page.Items[i].Author, At: second(page.Items[i].CreatedAt), Kind: string(page.Items[i].AuthorKind)}
			part, all := p.text(page.Items[i].Text, cost(c))
			c.Text = part
			u.Comments = append(u.Comments, c)
			return all
		})
		if p.full || page.NextCursor == "" {
			return page.Total, nil
		}
		p.at.Page, p.at.Skip = page.NextCursor, 0
	}
}
