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
		return concise(&t), nil
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
func concise(t *readmodel.Ticket) reply {
	data := conciseOf(t)
	data.Comments = t.CommentCount
	text := fmt.Sprintf("%s is in %s.", t.Key, t.CurrentColumn)
	if len(data.Shortened) > 0 || t.CommentCount > 0 {
		text += " Read the rest, with the comments, with get_ticket and detailed: true."
	}
	return reply{text, data}
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
	if len(u.Labels) < len(t.Labels) {
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
// room, from the cursor on.
type pieces struct {
	left int
	at   cursor
	full bool
}

// least is the room below which beginning a long text makes no sense.
const least = 120

// each takes the n texts of a section. of returns a text and what its frame
// costs; emit gets as much of it as there is room for. Only long texts are
// divided between replies.
func (p *pieces) each(n int, of func(i int) (text string, frame int), emit func(i int, part string)) {
	for p.at.Skip < n && !p.full {
		text, frame := of(p.at.Skip)
		rest := text[boundary(text, p.at.Offset):]
		part := rest
		if whole := cost(rest) + frame; whole > p.left {
			if p.left < least+frame || p.at.Offset == 0 && whole <= room/2 {
				p.full = true
				return
			}
			part = rest[:prefix(rest, p.left-frame)]
		}
		p.left -= cost(part) + frame
		emit(p.at.Skip, part)
		if len(part) < len(rest) {
			p.full = true
			p.at.Offset += len(part)
			return
		}
		p.at.Offset, p.at.Skip = 0, p.at.Skip+1
	}
}

// one is a section of a single text.
func one(text string) func(int) (string, int) {
	return func(int) (string, int) { return text, 12 }
}

// quoted is how a piece of evidence, a verdict or a comment is passed on.
func quoted(list []said, texts func(i int) string) func(int) (string, int) {
	return func(i int) (string, int) { return texts(i), cost(list[i]) }
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
	if first && len(u.Labels) < len(t.Labels) {
		data.Shortened = []string{"labels"}
	}
	p := &pieces{left: room - cost(&data), at: at}
	evidence := make([]said, len(t.Evidence))
	for i, e := range t.Evidence {
		evidence[i] = said{By: e.By, At: second(e.At), Kind: string(e.Kind)}
	}
	sections := []func(){
		func() { p.each(1, one(t.Description), func(_ int, part string) { u.Description = part }) },
		func() { p.each(1, one(t.AcceptanceCriteria), func(_ int, part string) { u.Acceptance = part }) },
		func() {
			p.each(len(t.Checklist), func(i int) (string, int) { return t.Checklist[i].Text, cost(criterion{}) }, func(i int, part string) {
				u.Checklist = append(u.Checklist, criterion{ID: t.Checklist[i].ID, Done: t.Checklist[i].Done, Text: part})
			})
		},
		func() {
			if a := t.Approval; a != nil {
				u.Approval = &said{By: a.By, At: second(a.At), Kind: a.State}
				p.each(1, one(a.Note), func(_ int, part string) { u.Approval.Text = part })
			}
		},
		func() {
			p.each(len(evidence), quoted(evidence, func(i int) string { return t.Evidence[i].Text }), func(i int, part string) {
				evidence[i].Text = part
				u.Evidence = append(u.Evidence, evidence[i])
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
		list := make([]said, len(page.Items))
		for i, c := range page.Items {
			list[i] = said{By: c.Author, At: second(c.CreatedAt), Kind: string(c.AuthorKind)}
		}
		p.each(len(list), quoted(list, func(i int) string { return page.Items[i].Text }), func(i int, part string) {
			list[i].Text = part
			u.Comments = append(u.Comments, list[i])
		})
		if p.full || page.NextCursor == "" {
			return page.Total, nil
		}
		p.at.Page, p.at.Skip = page.NextCursor, 0
	}
}
