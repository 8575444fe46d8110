package main

import (
	"context"
	"time"

	"github.com/agent-kanban/agent-kanban/auth"
	"github.com/agent-kanban/agent-kanban/events"
	kanbanhttp "github.com/agent-kanban/agent-kanban/http"
	"github.com/agent-kanban/agent-kanban/ops/shared"
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

// sharedLimits counts logins and registrations in Redis.
type sharedLimits struct{ shared *shared.Shared }

var _ auth.Shared = sharedLimits{}

// Take implements auth.Shared.
func (l sharedLimits) Take(ctx context.Context, bucket, key string, limit auth.Limit, n int) time.Duration {
	v, counted := l.shared.Count(ctx, bucket, key, shared.Limit{Burst: limit.Burst, Every: limit.Every}, n)
	if !counted || v.Allowed {
		return 0
	}
	return max(v.Retry, time.Second)
}

// requestLimit counts requests here and in Redis.
type requestLimit struct {
	limiter *shared.Limiter
	limit   shared.Limit
}

var _ kanbanhttp.RequestLimit = requestLimit{}

// limitedKeys bounds how many principals and addresses are counted at once; a
// bucket takes some 300 bytes.
const limitedKeys = 50_000

// newRequestLimit returns nil where there is no limit.
func newRequestLimit(s *shared.Shared, perMinute, burst int) (kanbanhttp.RequestLimit, error) {
	if perMinute == 0 {
		return nil, nil
	}
	limit := shared.Limit{Burst: burst, Every: time.Minute / time.Duration(perMinute)}
	l, err := s.NewLimiter("requests", limit, limitedKeys)
	return requestLimit{l, limit}, err
}

// Take implements kanbanhttp.RequestLimit.
func (l requestLimit) Take(ctx context.Context, key string) kanbanhttp.Quota {
	v := l.limiter.Take(ctx, key)
	return kanbanhttp.Quota{
		Allowed: v.Allowed, Limit: l.limit.Burst, Window: l.limit.Window(),
		Remaining: v.Remaining, Reset: v.Reset, Retry: v.Retry,
	}
}
