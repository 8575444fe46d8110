package readmodel

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"

	"github.com/agent-kanban/agent-kanban/events"
)

// Queries reads the views. It is safe for concurrent use.
type Queries struct {
	db   *sql.DB
	bun  *bun.DB
	stmt prepared
}

// prepared are the statements of the paths that every request takes; the rest
// goes through bun.
type prepared struct {
	position, member, board, boardByKey, columns, tickets, ticket, ticketByKey                     *sql.Stmt
	backlog, readyRange, readyCount, dead, waitingCount, deadCount, blocked, deadBlocked, blockers *sql.Stmt
}

// New prepares the queries on a pool that can read the database. Close them
// before the pool.
func New(ctx context.Context, db *sql.DB) (*Queries, error) {
	q := &Queries{db: db, bun: bun.NewDB(db, sqlitedialect.New())}
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&q.stmt.position, `SELECT position FROM checkpoints WHERE name = 'readmodel'`},
		{&q.stmt.member, `SELECT b.visibility, coalesce(m.role, '') FROM boards b
			LEFT JOIN members m ON m.board_id = b.id AND m.user_id = ? WHERE b.id = ?`},
		{&q.stmt.board, selectBoard + ` WHERE id = ?`},
		{&q.stmt.boardByKey, selectBoard + ` WHERE key = ?`},
		{&q.stmt.columns, `SELECT id, name, kind, wip_limit, policy FROM columns WHERE board_id = ? ORDER BY place`},
		{&q.stmt.tickets, selectTicket + ` WHERE t.board_id = ? AND t.archived = 0`},
		{&q.stmt.ticket, selectTicket + ` WHERE t.id = ?`},
		{&q.stmt.ticketByKey, selectTicket + ` WHERE t.board_id = (SELECT id FROM boards WHERE key = ?) AND t.number = ?`},
		{&q.stmt.backlog, backlogColumns},
		{&q.stmt.readyRange, readyRange},
		{&q.stmt.readyCount, readyCount},
		{&q.stmt.dead, deadBlocked},
		{&q.stmt.waitingCount, waitingCount},
		{&q.stmt.deadCount, deadCount},
		{&q.stmt.blocked, waitingAlive},
		{&q.stmt.deadBlocked, deadTickets},
		{&q.stmt.blockers, blockersOf},
	} {
		var err error
		if *p.stmt, err = db.PrepareContext(ctx, p.text); err != nil { //nolint:sqlclosecheck // Close does
			return nil, errors.Join(fmt.Errorf("prepare queries: %w", err), q.Close())
		}
	}
	return q, nil
}

// Close frees the statements; the pool stays open.
func (q *Queries) Close() error {
	var errs []error
	s := q.stmt
	for _, stmt := range []*sql.Stmt{
		s.position, s.member, s.board, s.boardByKey, s.columns, s.tickets, s.ticket, s.ticketByKey,
		s.backlog, s.readyRange, s.readyCount, s.dead, s.waitingCount, s.deadCount, s.blocked, s.deadBlocked, s.blockers,
	} {
		if stmt != nil {
			errs = append(errs, stmt.Close())
		}
	}
	return errors.Join(errs...)
}

// Position returns the position up to which the rows hold the log.
func (q *Queries) Position(ctx context.Context) (int64, error) {
	var position int64
	if err := q.stmt.position.QueryRowContext(ctx).Scan(&position); err != nil {
		return 0, fmt.Errorf("read position: %w", err)
	}
	return position, nil
}

// Viewer is who asks: lists leave out boards that it may not see.
type Viewer struct {
	UserID int64
	Admin  bool
	Scope  events.Scope
}

// MaxLimit is the largest page; a Limit of 0 asks for it.
const MaxLimit = 100

// Page is one page of a list. Items is never nil; NextCursor is nil on the last
// page; Total counts what the filter selects on all pages.
type Page[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor"`
	Total      int64   `json:"total"`
}

func limit(n int) (int64, error) {
	switch {
	case n < 0 || n > MaxLimit:
		return 0, invalid("limit", "must be between 1 and "+strconv.Itoa(MaxLimit))
	case n == 0:
		return MaxLimit, nil
	}
	return int64(n), nil
}

// A cursor names the last row of the page before. It is opaque to clients, so
// that its content may change.
const cursorPrefix = "after:"

func encodeCursor(last int64) *string {
	text := base64.RawURLEncoding.EncodeToString([]byte(cursorPrefix + strconv.FormatInt(last, 10)))
	return &text
}

func decodeCursor(cursor string) (last int64, err error) {
	if cursor == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	digits, found := strings.CutPrefix(string(text), cursorPrefix)
	if err == nil && found {
		if last, err = strconv.ParseInt(digits, 10, 64); err == nil {
			return last, nil
		}
	}
	return 0, invalid("cursor", "must be a next_cursor of an earlier page")
}

func invalid(field, reason string) error {
	return &events.Error{
		Code: events.CodeInvalid, Message: "The list cannot be read like this: " + field + " " + reason + ".",
		Fields: map[string]string{field: reason},
	}
}

// finish cuts a page that was read with one row too many, which tells whether
// there is a next one.
func finish[T any](items []T, limit, total int64, key func(T) int64) Page[T] {
	page := Page[T]{Items: items, Total: total}
	if page.Items == nil {
		page.Items = []T{}
	}
	if int64(len(items)) > limit {
		page.Items = items[:limit]
		page.NextCursor = encodeCursor(key(page.Items[limit-1]))
	}
	return page
}

// view runs fn in one read transaction, so that all it reads is of one moment.
func (q *Queries) view(ctx context.Context, fn func(tx bun.Tx) error) error {
	tx, err := q.bun.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("begin read: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	return fn(tx)
}

// visible narrows a query to boards that the viewer may see; column holds the
// board's id.
func (v Viewer) visible(query *bun.SelectQuery, column string) *bun.SelectQuery {
	if len(v.Scope.Boards) > 0 {
		query = query.Where("? IN (?)", bun.Ident(column), bun.List(v.Scope.Boards))
	}
	if !v.Admin {
		query = query.Where(`? IN (SELECT board_id FROM members WHERE user_id = ?
			UNION ALL SELECT id FROM boards WHERE visibility = ?)`, bun.Ident(column), v.UserID, string(events.Internal))
	}
	return query
}
