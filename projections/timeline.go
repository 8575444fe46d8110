package projections

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// Timeline folds events into views in memory. It shares nothing with the SQL
// projectors but the views, so that each can be checked against the other. Fed
// with a board's stream up to some position, it is the board as of then. It is
// not safe for concurrent use.
type Timeline struct {
	position int64
	known    map[events.Type]bool
	boards   map[int64]*timelineBoard
	tickets  map[int64]*readmodel.Ticket
	comments map[int64]*readmodel.Comment
	counts   map[int64]int64 // of comments, by ticket
	history  map[int64][]readmodel.HistoryEntry
	users    map[int64]*readmodel.User
	waits    map[int64][]events.Dependency // ticket to those that must be done before
}

type timelineBoard struct {
	readmodel.Board
	members map[int64]readmodel.Member
}

// NewTimeline returns a Timeline before the first event.
func NewTimeline() *Timeline {
	t := &Timeline{
		known:    map[events.Type]bool{},
		boards:   map[int64]*timelineBoard{},
		tickets:  map[int64]*readmodel.Ticket{},
		comments: map[int64]*readmodel.Comment{},
		counts:   map[int64]int64{},
		history:  map[int64][]readmodel.HistoryEntry{},
		users:    map[int64]*readmodel.User{},
		waits:    map[int64][]events.Dependency{},
	}
	for _, known := range events.Types() {
		t.known[known] = true
	}
	return t
}

// Apply adds the next event. Positions must ascend; they may leave out events
// about other boards. It returns an error that wraps events.ErrUnknownType where
// the type is not known: the caller may go on with the next.
func (t *Timeline) Apply(e *events.Envelope) error {
	if e.Position <= t.position {
		return fmt.Errorf("timeline at %d: position %d is not ahead", t.position, e.Position)
	}
	fact, err := payload(e, t.known)
	if err != nil {
		return fmt.Errorf("timeline: position %d: %w", e.Position, err)
	}
	t.position = e.Position
	switch {
	case e.TicketID != 0:
		t.note(e, fact)
		t.ticket(e, fact)
	case e.BoardID != 0:
		t.board(e, fact)
	default:
		t.user(e, fact)
	}
	return nil
}

func (t *Timeline) board(e *events.Envelope, fact events.Event) {
	if e.Type == events.TypeBoardCreated {
		b := &timelineBoard{members: map[int64]readmodel.Member{}, Board: readmodel.Board{
			ID: e.BoardID, Name: Redacted, Visibility: events.Private, Columns: []readmodel.Column{}, Version: e.Version,
			CreatedAt: e.RecordedAt, UpdatedAt: e.RecordedAt, CreatedBy: e.Actor.Name,
		}}
		if f, ok := fact.(events.BoardCreated); ok {
			b.Key, b.Name, b.Description, b.Visibility, b.MaxClaims = f.Key, f.Name, f.Description, f.Visibility, f.MaxClaims
			for _, c := range f.Columns {
				b.Columns = append(b.Columns, readmodel.Column(c))
			}
		}
		t.boards[b.ID] = b
		return
	}
	b := t.boards[e.BoardID]
	if b == nil || fact == nil {
		return
	}
	switch fact.(type) {
	case events.CommandsUndone, events.WebhookAdded, events.WebhookUpdated, events.WebhookRemoved:
		return // no change of what the board is
	default:
	}
	if _, ok := fact.(events.BoardDeleted); ok {
		delete(t.boards, b.ID)
		maps.DeleteFunc(t.tickets, func(_ int64, k *readmodel.Ticket) bool { return k.BoardID == b.ID })
		maps.DeleteFunc(t.comments, func(_ int64, c *readmodel.Comment) bool { return c.BoardID == b.ID })
		return
	}
	b.change(fact)
	b.Version, b.UpdatedAt = e.Version, e.RecordedAt
	if f, ok := fact.(events.ColumnUpdated); ok {
		for _, k := range t.tickets {
			if k.BoardID == b.ID && k.ColumnID == f.Column.ID {
				k.CurrentColumn = f.Column.Name
			}
		}
	}
}

// change brings one fact into the board itself.
func (b *timelineBoard) change(fact events.Event) {
	at := func(id int64) int {
		return slices.IndexFunc(b.Columns, func(c readmodel.Column) bool { return c.ID == id })
	}
	switch f := fact.(type) {
	case events.BoardUpdated:
		set(&b.Name, f.Name)
		set(&b.Description, f.Description)
		set(&b.Visibility, f.Visibility)
		set(&b.MaxClaims, f.MaxClaims)
	case events.BoardArchived:
		b.Archived = true
	case events.BoardRestored:
		b.Archived = false
	case events.BoardFrozen:
		b.Frozen = true
	case events.BoardUnfrozen:
		b.Frozen = false
	case events.ColumnAdded:
		b.Columns = slices.Insert(b.Columns, min(f.Index, len(b.Columns)), readmodel.Column(f.Column))
	case events.ColumnUpdated:
		if i := at(f.Column.ID); i >= 0 {
			b.Columns[i] = readmodel.Column(f.Column)
		}
	case events.ColumnMoved:
		if i := at(f.ColumnID); i >= 0 {
			c := b.Columns[i]
			b.Columns = slices.Delete(b.Columns, i, i+1)
			b.Columns = slices.Insert(b.Columns, min(f.Index, len(b.Columns)), c)
		}
	case events.ColumnRemoved:
		if i := at(f.ColumnID); i >= 0 {
			b.Columns = slices.Delete(b.Columns, i, i+1)
		}
	case events.MemberAdded:
		b.members[f.UserID] = readmodel.Member{BoardID: b.ID, UserID: f.UserID, Name: f.Name, Role: f.Role}
	case events.MemberUpdated:
		b.members[f.UserID] = readmodel.Member{BoardID: b.ID, UserID: f.UserID, Name: f.Name, Role: f.Role}
	case events.MemberRemoved:
		delete(b.members, f.UserID)
	default: // handled before, or not about the board itself
	}
}

func (t *Timeline) ticket(e *events.Envelope, fact events.Event) {
	if e.Type == events.TypeTicketCreated {
		t.tickets[e.TicketID] = t.created(e, fact)
		return
	}
	if f, ok := fact.(events.TicketRecovered); ok {
		t.recovered(e, &f)
		return
	}
	if t.comment(e, fact) {
		return
	}
	k := t.tickets[e.TicketID]
	if k == nil {
		return
	}
	switch f := fact.(type) {
	case nil:
		switch e.Type {
		case events.TypeTicketRestored:
			k.Archived = false
		case events.TypeUsageRecorded:
			return
		}
	case events.TicketUpdated:
		set(&k.Title, f.Title)
		set(&k.Description, f.Description)
		set(&k.AcceptanceCriteria, f.AcceptanceCriteria)
		set(&k.Priority, f.Priority)
		if f.Labels != nil {
			k.Labels = labels(*f.Labels)
		}
		if f.DueAt != nil || f.ClearDue {
			k.DueAt = micros(f.DueAt)
		}
		k.Approval = nil
	case events.TicketMoved:
		enter(k, e, f.ColumnID, f.Column, f.Rank)
	case events.TicketAssigned:
		k.Assignee = nilIfEmpty(f.Assignee)
	case events.TicketArchived:
		k.Archived = true
	case events.TicketRestored:
		enter(k, e, f.ColumnID, f.Column, f.Rank)
		k.Archived = false
	case events.TicketDeleted:
		delete(t.tickets, k.ID)
		delete(t.waits, k.ID)
		delete(t.counts, k.ID)
		maps.DeleteFunc(t.comments, func(_ int64, c *readmodel.Comment) bool { return c.TicketID == k.ID })
		return
	default:
		if !t.work(k, e, fact) {
			return // usage, or not about a ticket
		}
	}
	k.Version, k.UpdatedAt = e.Version, e.RecordedAt
}

func (t *Timeline) created(e *events.Envelope, fact events.Event) *readmodel.Ticket {
	k := &readmodel.Ticket{
		ID: e.TicketID, BoardID: e.BoardID, Title: Redacted, Priority: events.Medium, Labels: []string{}, Version: e.Version,
		Checklist: []events.ChecklistItem{}, Evidence: []events.Evidence{}, DependsOn: []string{},
		CreatedAt: e.RecordedAt, UpdatedAt: e.RecordedAt, ColumnEnteredAt: e.RecordedAt, CreatedBy: e.Actor.Name,
	}
	if f, ok := fact.(events.TicketCreated); ok {
		fill(k, &f)
	} else if b := t.boards[e.BoardID]; b != nil && len(b.Columns) > 0 {
		k.ColumnID, k.CurrentColumn = b.Columns[0].ID, b.Columns[0].Name
	}
	return k
}

func fill(k *readmodel.Ticket, f *events.TicketCreated) {
	k.Key, k.Title, k.Description, k.AcceptanceCriteria = f.Key, f.Title, f.Description, f.AcceptanceCriteria
	k.Priority, k.Labels, k.Assignee, k.DueAt = f.Priority, labels(f.Labels), nilIfEmpty(f.Assignee), micros(f.DueAt)
	k.ColumnID, k.CurrentColumn, k.Rank = f.ColumnID, f.Column, f.Rank
}

func enter(k *readmodel.Ticket, e *events.Envelope, column int64, name, rank string) {
	if k.ColumnID != column {
		k.ColumnEnteredAt = e.RecordedAt
	}
	k.ColumnID, k.CurrentColumn, k.Rank = column, name, rank
}

// comment reports whether the event is about a comment.
func (t *Timeline) comment(e *events.Envelope, fact events.Event) bool {
	switch e.Type {
	case events.TypeCommentAdded:
		id, text := -e.Position, Redacted
		if f, ok := fact.(events.CommentAdded); ok {
			id, text = f.CommentID, f.Text
		}
		t.comments[id] = &readmodel.Comment{
			ID: id, TicketID: e.TicketID, BoardID: e.BoardID, Text: text, Author: e.Actor.Name, AuthorKind: e.Actor.Kind,
			CreatedAt: e.RecordedAt, UpdatedAt: e.RecordedAt,
		}
		t.counts[e.TicketID]++
	case events.TypeCommentUpdated:
		if f, ok := fact.(events.CommentUpdated); ok && t.comments[f.CommentID] != nil {
			t.comments[f.CommentID].Text, t.comments[f.CommentID].UpdatedAt = f.Text, e.RecordedAt
		}
	case events.TypeCommentDeleted:
		if f, ok := fact.(events.CommentDeleted); ok && t.comments[f.CommentID] != nil {
			delete(t.comments, f.CommentID)
			t.counts[e.TicketID]--
		}
	default:
		return false
	}
	return true
}

func (t *Timeline) user(e *events.Envelope, fact events.Event) {
	switch f := fact.(type) {
	case events.UserRegistered:
		t.users[f.UserID] = &readmodel.User{
			ID: f.UserID, Username: f.Name, DisplayName: f.DisplayName, Kind: f.Kind, Admin: f.Admin, Active: true,
			CreatedAt: e.RecordedAt, UpdatedAt: e.RecordedAt,
		}
	case events.UserUpdated:
		if u := t.users[f.UserID]; u != nil {
			set(&u.DisplayName, f.DisplayName)
			set(&u.Admin, f.Admin)
			u.UpdatedAt = e.RecordedAt
		}
	case events.AgentPaused:
		if u := t.users[f.UserID]; u != nil {
			u.Paused, u.PauseReason, u.UpdatedAt = true, f.Reason, e.RecordedAt
		}
	case events.AgentResumed:
		if u := t.users[f.UserID]; u != nil {
			u.Paused, u.PauseReason, u.UpdatedAt = false, "", e.RecordedAt
		}
	case events.UserDeactivated:
		if u := t.users[f.UserID]; u != nil {
			u.Active, u.UpdatedAt = false, e.RecordedAt
		}
	default:
		if e.Type == events.TypeUserRegistered {
			id := events.StreamID(e.Stream)
			t.users[id] = &readmodel.User{
				ID: id, Username: Redacted, DisplayName: Redacted, Kind: events.Human, Active: true,
				CreatedAt: e.RecordedAt, UpdatedAt: e.RecordedAt,
			}
		}
	}
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

func nilIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func labels(list []string) []string { return append([]string{}, list...) }

// micros cuts a time to what rows hold.
func micros(at *time.Time) *time.Time {
	if at == nil {
		return nil
	}
	cut := at.UTC().Truncate(time.Microsecond)
	return &cut
}

func byID[T any](id func(T) int64) func(a, b T) int {
	return func(a, b T) int { return cmp.Compare(id(a), id(b)) }
}
