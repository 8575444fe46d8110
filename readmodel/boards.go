package readmodel

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

// boardRow is a row of boards.
type boardRow struct {
	bun.BaseModel `bun:"table:boards,alias:b"`

	ID          int64
	Key         string
	Name        string
	Description string
	Visibility  string
	MaxClaims   int
	Archived    bool
	Frozen      bool
	Version     int64
	CreatedBy   string
	CreatedAt   string
	UpdatedAt   string
}

const selectBoard = `SELECT id, key, name, description, visibility, max_claims, archived, frozen, version, created_by, created_at, updated_at FROM boards`

func (r *boardRow) scan(row *sql.Row) error {
	return row.Scan(&r.ID, &r.Key, &r.Name, &r.Description, &r.Visibility, &r.MaxClaims, &r.Archived, &r.Frozen, &r.Version,
		&r.CreatedBy, &r.CreatedAt, &r.UpdatedAt)
}

func (r *boardRow) view() (Board, error) {
	b := Board{
		ID: r.ID, Key: r.Key, Name: r.Name, Description: r.Description, Visibility: events.Visibility(r.Visibility),
		MaxClaims: r.MaxClaims, Columns: []Column{}, Archived: r.Archived, Frozen: r.Frozen, Version: r.Version, CreatedBy: r.CreatedBy,
	}
	var err1, err2 error
	b.CreatedAt, err1 = ParseTime(r.CreatedAt)
	b.UpdatedAt, err2 = ParseTime(r.UpdatedAt)
	return b, errors.Join(err1, err2)
}

// columnRow is a row of columns.
type columnRow struct {
	bun.BaseModel `bun:"table:columns,alias:c"`

	BoardID  int64
	ID       int64
	Place    int
	Name     string
	Kind     string
	WIPLimit *int `bun:"wip_limit"`
	Policy   string
}

func (r *columnRow) view() (Column, error) {
	c := Column{ID: r.ID, Name: r.Name, Kind: events.ColumnKind(r.Kind), WIPLimit: r.WIPLimit}
	if r.Policy == "{}" { // of a row that is about to be made anew
		return c, nil
	}
	return c, parseJSON("policy", r.Policy, &c.Policy)
}

// BoardFilter selects boards. Archived lists those that are archived instead of
// those that are not.
type BoardFilter struct {
	Archived bool
	Limit    int    // 1 to MaxLimit
	Cursor   string // NextCursor of the page before
}

// Boards lists the boards that the viewer may see, oldest first.
func (q *Queries) Boards(ctx context.Context, viewer Viewer, f BoardFilter) (Page[BoardItem], error) {
	n, err := limit(f.Limit)
	if err != nil {
		return Page[BoardItem]{}, err
	}
	after, err := decodeCursor(f.Cursor)
	if err != nil {
		return Page[BoardItem]{}, err
	}
	var items []BoardItem
	var total int64
	err = q.view(ctx, func(tx bun.Tx) error {
		var rows []boardRow
		var columns []columnRow
		count, err := viewer.visible(tx.NewSelect().Model((*boardRow)(nil)), "b.id").Where("archived = ?", f.Archived).Count(ctx)
		if err != nil {
			return err
		}
		total = count
		if err := viewer.visible(tx.NewSelect().Model(&rows), "b.id").Where("archived = ?", f.Archived).
			Where("b.id > ?", after).Order("b.id").Limit(n + 1).Scan(ctx); err != nil || len(rows) == 0 {
			return err
		}
		ids := make([]int64, len(rows))
		for i := range rows {
			ids[i] = rows[i].ID
		}
		if err := tx.NewSelect().Model(&columns).Where("board_id IN (?)", bun.List(ids)).Order("board_id", "place").Scan(ctx); err != nil {
			return err
		}
		if items, err = boardItems(rows, columns); err != nil {
			return err
		}
		return q.fill(ctx, tx, viewer, items)
	})
	if err != nil {
		return Page[BoardItem]{}, fmt.Errorf("read boards: %w", err)
	}
	return finish(items, n, total, func(b BoardItem) int64 { return b.ID }), nil
}

func boardItems(rows []boardRow, columns []columnRow) ([]BoardItem, error) {
	items := make([]BoardItem, len(rows))
	at := make(map[int64]int, len(rows))
	for i := range rows {
		var err error
		if items[i].Board, err = rows[i].view(); err != nil {
			return nil, err
		}
		at[rows[i].ID] = i
	}
	for i := range columns {
		column, err := columns[i].view()
		if err != nil {
			return nil, err
		}
		b := &items[at[columns[i].BoardID]]
		b.Columns = append(b.Columns, column)
	}
	return items, nil
}

var errNoBoard = &events.Error{Code: events.CodeNotFound, Message: "There is no such board, or you are not a member of it."}

// Board returns a board by its id ("12") or key ("WEB", in any letter case).
// Whether the caller may see it is another question: see Access.
func (q *Queries) Board(ctx context.Context, ref string) (Board, error) {
	tx, err := q.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Board{}, fmt.Errorf("read board: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	return q.board(ctx, tx, ref)
}

func (q *Queries) board(ctx context.Context, tx *sql.Tx, ref string) (Board, error) {
	var row boardRow
	var err error
	if id := idOf(ref); id > 0 {
		err = row.scan(tx.StmtContext(ctx, q.stmt.board).QueryRowContext(ctx, id)) //nolint:sqlclosecheck // ends with the transaction
	} else if ref != "" {
		err = row.scan(tx.StmtContext(ctx, q.stmt.boardByKey).QueryRowContext(ctx, strings.ToUpper(ref))) //nolint:sqlclosecheck // ends with the transaction
	} else {
		return Board{}, errNoBoard
	}
	if errors.Is(err, sql.ErrNoRows) {
		return Board{}, errNoBoard
	}
	if err != nil {
		return Board{}, fmt.Errorf("read board: %w", err)
	}
	b, err := row.view()
	if err != nil {
		return Board{}, err
	}
	b.Columns, err = q.columns(ctx, tx, b.ID)
	return b, err
}

func (q *Queries) columns(ctx context.Context, tx *sql.Tx, board int64) ([]Column, error) {
	rows, err := tx.StmtContext(ctx, q.stmt.columns).QueryContext(ctx, board) //nolint:sqlclosecheck // ends with the transaction
	if err != nil {
		return nil, fmt.Errorf("read columns: %w", err)
	}
	defer rows.Close()
	columns := []Column{}
	for rows.Next() {
		var r columnRow
		if err := rows.Scan(&r.ID, &r.Name, &r.Kind, &r.WIPLimit, &r.Policy); err != nil {
			return nil, fmt.Errorf("read columns: %w", err)
		}
		column, err := r.view()
		if err != nil {
			return nil, err
		}
		columns = append(columns, column)
	}
	return columns, rows.Err()
}

// Membership is what is written about a user and a board: the member's role,
// NoRole where there is none, and who else may see the board.
type Membership struct {
	Role       events.Role
	Visibility events.Visibility
}

// Role returns the membership of a user on a board. It runs on every request
// about a board and costs one lookup. A board that does not exist is an
// *events.Error with CodeNotFound.
func (q *Queries) Role(ctx context.Context, board, user int64) (Membership, error) {
	var m Membership
	err := q.stmt.member.QueryRowContext(ctx, user, board).Scan((*string)(&m.Visibility), (*string)(&m.Role))
	if errors.Is(err, sql.ErrNoRows) {
		return m, errNoBoard
	}
	if err != nil {
		return m, fmt.Errorf("read membership: %w", err)
	}
	return m, nil
}

// Access returns what the viewer is on a board, everything counted. A board that
// does not exist or that the viewer may not see is the same *events.Error with
// CodeNotFound.
func (q *Queries) Access(ctx context.Context, board int64, viewer Viewer) (events.Role, error) {
	m, err := q.Role(ctx, board, viewer.UserID)
	if err != nil {
		return events.NoRole, err
	}
	role := events.EffectiveRole(m.Role, viewer.Admin, m.Visibility, board, viewer.Scope)
	if !role.May(events.MayRead) {
		return events.NoRole, errNoBoard
	}
	return role, nil
}

// SharedBoards lists the boards that both users are members of, oldest first.
func (q *Queries) SharedBoards(ctx context.Context, user, other int64) ([]int64, error) {
	var boards []int64
	err := q.bun.NewSelect().Table("members").Column("board_id").Where("user_id = ?", user).
		Where("board_id IN (SELECT board_id FROM members WHERE user_id = ?)", other).Order("board_id").Scan(ctx, &boards)
	if err != nil {
		return nil, fmt.Errorf("read shared boards: %w", err)
	}
	return boards, nil
}

// memberRow is a row of members.
type memberRow struct {
	bun.BaseModel `bun:"table:members,alias:m"`

	BoardID int64
	UserID  int64
	Name    string
	Role    string
}

// Members lists the members of a board by name; empty where there is no such
// board.
func (q *Queries) Members(ctx context.Context, board int64) ([]Member, error) {
	var rows []memberRow
	if err := q.bun.NewSelect().Model(&rows).Where("board_id = ?", board).Order("name", "user_id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read members: %w", err)
	}
	members := make([]Member, len(rows))
	for i, r := range rows {
		members[i] = Member{BoardID: r.BoardID, UserID: r.UserID, Name: r.Name, Role: events.Role(r.Role)}
	}
	return members, nil
}
