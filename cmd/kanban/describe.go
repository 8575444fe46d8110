package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// describe says in words what an event tells.
func describe(e *events.Envelope) string {
	fact, err := e.Payload()
	switch {
	case errors.Is(err, events.ErrRedacted):
		return string(e.Type) + " (its data was removed)"
	case err != nil:
		return string(e.Type) + " (this program is too old to read it)"
	}
	switch f := fact.(type) {
	case events.BoardCreated:
		return fmt.Sprintf("created board %s %q with %d columns", f.Key, f.Name, len(f.Columns))
	case events.BoardUpdated:
		var changed []string
		note := func(name string, set bool) {
			if set {
				changed = append(changed, name)
			}
		}
		note("name", f.Name != nil)
		note("description", f.Description != nil)
		note("visibility", f.Visibility != nil)
		note("max claims", f.MaxClaims != nil)
		return "changed the board's " + strings.Join(changed, ", ")
	case events.BoardArchived:
		return "archived the board"
	case events.BoardRestored:
		return "restored the board"
	case events.BoardDeleted:
		return "deleted the board"
	case events.ColumnAdded:
		return fmt.Sprintf("added column %q", f.Column.Name)
	case events.ColumnUpdated:
		if f.Was != f.Column.Name {
			return fmt.Sprintf("renamed column %q to %q", f.Was, f.Column.Name)
		}
		return fmt.Sprintf("changed column %q", f.Column.Name)
	case events.ColumnMoved:
		return fmt.Sprintf("moved column %d to place %d", f.ColumnID, f.Index)
	case events.ColumnRemoved:
		return fmt.Sprintf("removed column %q", f.Name)
	case events.MemberAdded:
		return fmt.Sprintf("gave %s the role %s", f.Name, f.Role)
	case events.MemberUpdated:
		return fmt.Sprintf("gave %s the role %s instead of %s", f.Name, f.Role, f.Was)
	case events.MemberRemoved:
		return fmt.Sprintf("removed %s from the board", f.Name)
	case events.TicketCreated:
		return fmt.Sprintf("created %s %q in %s%s", f.Key, f.Title, f.Column, over(f.OverLimit))
	case events.TicketUpdated:
		return "changed " + strings.Join(ticketFields(&f), ", ")
	case events.TicketMoved:
		if f.FromColumnID == f.ColumnID {
			return "reordered inside " + f.Column
		}
		return fmt.Sprintf("moved from %s to %s%s", f.FromColumn, f.Column, over(f.OverLimit))
	case events.TicketAssigned:
		if f.Assignee == "" {
			return "took it from " + f.Was
		}
		return "assigned it to " + f.Assignee
	case events.TicketArchived:
		return "archived it"
	case events.TicketRestored:
		return "restored it in " + f.Column + over(f.OverLimit)
	case events.TicketDeleted:
		return "deleted it"
	case events.CommentAdded:
		return fmt.Sprintf("commented: %s", f.Text)
	case events.CommentUpdated:
		return fmt.Sprintf("edited comment %d: %s", f.CommentID, f.Text)
	case events.CommentDeleted:
		return fmt.Sprintf("deleted comment %d", f.CommentID)
	case events.UserRegistered:
		return fmt.Sprintf("registered %s %s", f.Kind, f.Name)
	case events.UserUpdated:
		return fmt.Sprintf("changed user %d", f.UserID)
	case events.UserDeactivated:
		return fmt.Sprintf("deactivated user %d", f.UserID)
	case events.TokenIssued:
		return fmt.Sprintf("issued token %d %q", f.TokenID, f.Name)
	case events.TokenRevoked:
		return fmt.Sprintf("revoked token %d", f.TokenID)
	case events.DataRedacted:
		return fmt.Sprintf("redacted %s (%s): %s", strings.ReplaceAll(f.Target, "/", " "), count(len(f.Events), "event"), f.Reason)
	case events.LogImported:
		return fmt.Sprintf("imported %s: %d boards, %d tickets", f.Source, f.Boards, f.Tickets)
	default:
		if text := describeWork(fact); text != "" {
			return text
		}
		return string(e.Type)
	}
}

func over(limit bool) string {
	if limit {
		return ", past the WIP limit"
	}
	return ""
}

func ticketFields(f *events.TicketUpdated) []string {
	var names []string
	note := func(name string, set bool) {
		if set {
			names = append(names, name)
		}
	}
	if f.Title != nil {
		names = append(names, fmt.Sprintf("title to %q", *f.Title))
	}
	note("description", f.Description != nil)
	note("acceptance criteria", f.AcceptanceCriteria != nil)
	if f.Priority != nil {
		names = append(names, "priority to "+string(*f.Priority))
	}
	if f.Labels != nil {
		names = append(names, "labels to "+orDash(strings.Join(*f.Labels, ", ")))
	}
	if f.DueAt != nil {
		names = append(names, "due date to "+f.DueAt.Format("2006-01-02"))
	}
	note("due date to none", f.ClearDue)
	return names
}

// printer writes events for people; it remembers the keys of tickets, which
// only the event that created one carries.
type printer struct {
	keys map[int64]string
	// key looks one up that was created before; "" = not found, nil = never ask.
	key func(ticket int64) string
}

// line is one line about one event.
func (p *printer) line(e *events.Envelope) string {
	return fmt.Sprintf("%6d  %s  %-12s  %-10s  %s", e.Position, e.RecordedAt.Local().Format("2006-01-02 15:04:05"),
		clean(e.Actor.Name), p.place(e), cut(clean(describe(e)), 120))
}

// place says what an event is about.
func (p *printer) place(e *events.Envelope) string {
	switch {
	case e.TicketID != 0:
		return p.ticket(e)
	case e.BoardID != 0:
		return fmt.Sprintf("board %d", e.BoardID)
	default:
		return e.Stream
	}
}

func (p *printer) ticket(e *events.Envelope) string {
	if p.keys == nil {
		p.keys = make(map[int64]string)
	}
	if e.Type == events.TypeTicketCreated {
		if fact, err := e.Payload(); err == nil {
			p.keys[e.TicketID] = fact.(events.TicketCreated).Key
		}
	}
	if _, asked := p.keys[e.TicketID]; !asked && p.key != nil {
		p.keys[e.TicketID] = p.key(e.TicketID)
	}
	if key := p.keys[e.TicketID]; key != "" {
		return key
	}
	return fmt.Sprintf("ticket %d", e.TicketID)
}
