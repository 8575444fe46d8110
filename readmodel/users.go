package readmodel

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

// userRow is a row of users.
type userRow struct {
	bun.BaseModel `bun:"table:users,alias:u"`

	ID          int64
	Username    string
	DisplayName string
	Kind        string
	Admin       bool
	Active      bool
	Paused      bool
	PauseReason string
	CreatedAt   string
	UpdatedAt   string
}

func (r *userRow) view() (User, error) {
	u := User{
		ID: r.ID, Username: r.Username, DisplayName: r.DisplayName, Kind: events.ActorKind(r.Kind), Admin: r.Admin, Active: r.Active,
		Paused: r.Paused, PauseReason: r.PauseReason,
	}
	var err1, err2 error
	u.CreatedAt, err1 = ParseTime(r.CreatedAt)
	u.UpdatedAt, err2 = ParseTime(r.UpdatedAt)
	return u, errors.Join(err1, err2)
}

// UserFilter selects users.
type UserFilter struct {
	Kind   events.ActorKind // "" = all
	Limit  int              // 1 to MaxLimit
	Cursor string           // NextCursor of the page before
}

// Users lists people and agents, oldest first, those without access included.
func (q *Queries) Users(ctx context.Context, f UserFilter) (Page[User], error) {
	n, err := limit(f.Limit)
	if err != nil {
		return Page[User]{}, err
	}
	after, err := decodeCursor(f.Cursor)
	if err != nil {
		return Page[User]{}, err
	}
	of := func(query *bun.SelectQuery) *bun.SelectQuery {
		if f.Kind != "" {
			query = query.Where("kind = ?", string(f.Kind))
		}
		return query
	}
	var rows []userRow
	var total int64
	err = q.view(ctx, func(tx bun.Tx) error {
		count, err := of(tx.NewSelect().Model((*userRow)(nil))).Count(ctx)
		if err != nil {
			return err
		}
		total = count
		return of(tx.NewSelect().Model(&rows)).Where("id > ?", after).Order("id").Limit(n + 1).Scan(ctx)
	})
	if err != nil {
		return Page[User]{}, fmt.Errorf("read users: %w", err)
	}
	users := make([]User, len(rows))
	for i := range rows {
		if users[i], err = rows[i].view(); err != nil {
			return Page[User]{}, err
		}
	}
	return finish(users, n, total, func(u User) int64 { return u.ID }), nil
}

var errNoUser = &events.Error{Code: events.CodeNotFound, Message: "There is no such user."}

// UserByID returns a user by id.
func (q *Queries) UserByID(ctx context.Context, id int64) (User, error) {
	return q.user(ctx, "id = ?", id)
}

// UserByName returns a user by name, in any letter case.
func (q *Queries) UserByName(ctx context.Context, name string) (User, error) {
	return q.user(ctx, "username = ? COLLATE NOCASE", name)
}

func (q *Queries) user(ctx context.Context, where string, arg any) (User, error) {
	var row userRow
	err := q.bun.NewSelect().Model(&row).Where(where, arg).Order("id").Limit(1).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return User{}, errNoUser
	}
	if err != nil {
		return User{}, fmt.Errorf("read user: %w", err)
	}
	return row.view()
}

// HasUsers reports whether there is any user; until then the first start is not
// over.
func (q *Queries) HasUsers(ctx context.Context) (bool, error) {
	var has bool
	if err := q.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM users)").Scan(&has); err != nil {
		return false, fmt.Errorf("read users: %w", err)
	}
	return has, nil
}

// LastRedaction returns the position of the last redaction, 0 where there is
// none.
func (q *Queries) LastRedaction(ctx context.Context) (position int64, err error) {
	err = q.db.QueryRowContext(ctx, "SELECT coalesce(max(by_position), 0) FROM redacted_events").Scan(&position)
	if err != nil {
		return 0, fmt.Errorf("read the last redaction: %w", err)
	}
	return position, nil
}
