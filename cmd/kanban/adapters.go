package main

import (
	"context"
	"time"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events"
	kanbanhttp "github.com/agent-kanban/agent-kanban/http"
	"github.com/agent-kanban/agent-kanban/projections"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// users is what signing in needs to know about people.
type users struct{ queries *readmodel.Queries }

var _ auth.Users = users{}

// UserByName implements auth.Users.
func (u users) UserByName(ctx context.Context, name string) (auth.User, error) {
	return user(u.queries.UserByName(ctx, name))
}

// UserByID implements auth.Users.
func (u users) UserByID(ctx context.Context, id int64) (auth.User, error) {
	return user(u.queries.UserByID(ctx, id))
}

func user(u readmodel.User, err error) (auth.User, error) {
	return auth.User{ID: u.ID, Name: u.Username, Kind: u.Kind, Admin: u.Admin, Active: u.Active}, err
}

// timeline answers what was, from the log.
type timeline struct{ log events.Reader }

var _ kanbanhttp.Timeline = timeline{}

// BoardAt implements kanbanhttp.Timeline.
func (t timeline) BoardAt(ctx context.Context, board, position int64, until time.Time) (readmodel.Snapshot, error) {
	return projections.BoardAt(ctx, t.log, board, projections.At{Position: position, Time: until})
}

// TicketAt implements kanbanhttp.Timeline.
func (t timeline) TicketAt(ctx context.Context, board, ticket, position int64) (readmodel.Ticket, error) {
	return projections.TicketAt(ctx, t.log, board, ticket, position)
}
