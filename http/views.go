package http

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

var errNoFact = errors.New("the command's events lack the one expected")

// list is the JSON of every list.
type list[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor" doc:"Give it back as cursor for the next page; null = this was the last"`
	Total      int64   `json:"total"`
}

// PageQuery bounds a list. It is exported, as the other parts of inputs are,
// because huma does not look into embedded types that are not.
type PageQuery struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
	Cursor string `query:"cursor"`
}

// ticketView is the same JSON that the read model gives for this state, made
// without a query.
func ticketView(t *commands.Ticket) readmodel.Ticket {
	v := readmodel.Ticket{
		ID: t.ID, Key: t.Key, BoardID: t.BoardID,
		Title: t.Title, Description: t.Description, AcceptanceCriteria: t.AcceptanceCriteria,
		Priority: t.Priority, Labels: t.Labels,
		ColumnID: t.ColumnID, CurrentColumn: t.Column, Rank: t.Rank, DueAt: t.DueAt,
		Archived: t.Archived, Checklist: t.Checklist, Evidence: t.Evidence,
		DependsOn: make([]string, len(t.DependsOn)), Blocked: t.Blocked, CommentCount: t.CommentCount, Version: t.Version,
		CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt, ColumnEnteredAt: t.ColumnEnteredAt, CreatedBy: t.CreatedBy,
	}
	if v.Labels == nil {
		v.Labels = []string{}
	}
	if v.Checklist == nil {
		v.Checklist = []events.ChecklistItem{}
	}
	if v.Evidence == nil {
		v.Evidence = []events.Evidence{}
	}
	for i, on := range t.DependsOn {
		v.DependsOn[i] = on.Key
	}
	if t.Assignee != "" {
		v.Assignee = &t.Assignee
	}
	if a := t.Approval; a != nil {
		v.Approval = &readmodel.Approval{State: string(a.State), Version: a.Version, By: a.By, At: a.At, Note: a.Note}
	}
	if l := t.Lease; l != nil {
		v.Lease = &readmodel.Lease{Fence: l.Fence, HolderID: l.HolderID, Holder: l.Holder, ClaimedAt: l.ClaimedAt, ExpiresAt: l.ExpiresAt}
	}
	return v
}

// boardView is ticketView for boards.
func boardView(b *commands.Board) readmodel.Board {
	return readmodel.Board{
		ID: b.ID, Key: b.Key, Name: b.Name, Description: b.Description, Visibility: b.Visibility,
		MaxClaims: b.MaxClaims, Columns: columnViews(b.Columns), Archived: b.Archived, Frozen: b.Frozen, Version: b.Version,
		CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt, CreatedBy: b.CreatedBy,
	}
}

func columnViews(columns []events.Column) []readmodel.Column {
	views := make([]readmodel.Column, len(columns))
	for i, c := range columns {
		views[i] = readmodel.Column{ID: c.ID, Name: c.Name, Kind: c.Kind, WIPLimit: c.WIPLimit, Policy: c.Policy}
	}
	return views
}

// memberViews are ordered by name, as the read model orders them.
func memberViews(b *commands.Board) []readmodel.Member {
	views := make([]readmodel.Member, len(b.Members))
	for i, m := range b.Members {
		views[i] = readmodel.Member{BoardID: b.ID, UserID: m.UserID, Name: m.Name, Role: m.Role}
	}
	slices.SortFunc(views, func(x, y readmodel.Member) int {
		return cmp.Or(strings.Compare(x.Name, y.Name), cmp.Compare(x.UserID, y.UserID))
	})
	return views
}

func locate(area string, id int64) string { return "/api/" + area + "/" + strconv.FormatInt(id, 10) }
