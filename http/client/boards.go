package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// Page is one page of a list. NextCursor asks for the next one; it is empty on
// the last. Total counts everything that matches, on all pages.
type Page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"next_cursor"`
	Total      int64  `json:"total"`
}

// Paging asks for a part of a list: at most Limit items (0 = the server's
// choice, at most 100) after Cursor.
type Paging struct {
	Limit  int
	Cursor string
}

func (p Paging) values() url.Values {
	q := url.Values{}
	if p.Limit > 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	set(q, "cursor", p.Cursor)
	return q
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// BoardQuery selects boards.
type BoardQuery struct {
	Paging
	Archived bool // the archived ones instead
}

// Boards lists the boards that the caller may see.
func (c *Client) Boards(ctx context.Context, q BoardQuery) (Page[readmodel.Board], error) {
	values := q.values()
	if q.Archived {
		values.Set("archived", "true")
	}
	return get[Page[readmodel.Board]](ctx, c, values, "api", "boards")
}

// Board returns one board by id or key.
func (c *Client) Board(ctx context.Context, board commands.Ref) (readmodel.Board, error) {
	return get[readmodel.Board](ctx, c, nil, "api", "boards", ref(board))
}

// CreateBoard starts a board; the caller becomes its pm.
func (c *Client) CreateBoard(ctx context.Context, cmd commands.CreateBoard) (readmodel.Board, error) {
	return send[readmodel.Board](ctx, c, http.MethodPost, cmd, "api", "boards")
}

// UpdateBoard changes what is not nil in cmd. ifMatch is the version the caller
// saw, nil for any.
func (c *Client) UpdateBoard(ctx context.Context, cmd commands.UpdateBoard, ifMatch *int64) (readmodel.Board, error) {
	body := struct {
		Name        *string            `json:"name,omitempty"`
		Description *string            `json:"description,omitempty"`
		Visibility  *events.Visibility `json:"visibility,omitempty"`
		MaxClaims   *int               `json:"max_claims,omitempty"`
	}{cmd.Name, cmd.Description, cmd.Visibility, cmd.MaxClaims}
	var out readmodel.Board
	err := c.do(ctx, request{
		method: http.MethodPut, path: join("api", "boards", ref(cmd.Board)), body: body, ifMatch: ifMatch,
	}, &out)
	return out, err
}

// ArchiveBoard makes a board read only and hides it from lists.
func (c *Client) ArchiveBoard(ctx context.Context, board commands.Ref) (readmodel.Board, error) {
	return send[readmodel.Board](ctx, c, http.MethodPost, nil, "api", "boards", ref(board), "archive")
}

// RestoreBoard undoes ArchiveBoard.
func (c *Client) RestoreBoard(ctx context.Context, board commands.Ref) (readmodel.Board, error) {
	return send[readmodel.Board](ctx, c, http.MethodPost, nil, "api", "boards", ref(board), "restore")
}

// DeleteBoard removes a board from every view; its events stay in the log.
func (c *Client) DeleteBoard(ctx context.Context, board commands.Ref) error {
	return c.do(ctx, request{method: http.MethodDelete, path: join("api", "boards", ref(board))}, nil)
}

// Members lists who has a role on the board.
func (c *Client) Members(ctx context.Context, board commands.Ref) (Page[readmodel.Member], error) {
	return get[Page[readmodel.Member]](ctx, c, nil, "api", "boards", ref(board), "members")
}

// SetMember gives a user, by name or id, a role on the board.
func (c *Client) SetMember(ctx context.Context, cmd commands.SetMember) (Page[readmodel.Member], error) {
	body := struct {
		User commands.Ref `json:"user"`
		Role events.Role  `json:"role"`
	}{cmd.User, cmd.Role}
	return send[Page[readmodel.Member]](ctx, c, http.MethodPost, body, "api", "boards", ref(cmd.Board), "members")
}

// RemoveMember takes the role away.
func (c *Client) RemoveMember(ctx context.Context, board, user commands.Ref) error {
	return c.do(ctx, request{method: http.MethodDelete, path: join("api", "boards", ref(board), "members", ref(user))}, nil)
}

// Snapshot returns the board with its tickets; at is a position or a time in
// RFC 3339, "" for now.
func (c *Client) Snapshot(ctx context.Context, board commands.Ref, at string) (readmodel.Snapshot, error) {
	q := url.Values{}
	set(q, "at", at)
	return get[readmodel.Snapshot](ctx, c, q, "api", "boards", ref(board), "snapshot")
}

// Activity lists what happened on a board, in plain words, newest first.
func (c *Client) Activity(ctx context.Context, board commands.Ref, p Paging) (Page[readmodel.ActivityEntry], error) {
	return get[Page[readmodel.ActivityEntry]](ctx, c, p.values(), "api", "history", "boards", ref(board), "activity")
}
