package readmodel

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

// commentRow is a row of comments.
type commentRow struct {
	bun.BaseModel `bun:"table:comments,alias:c"`

	ID         int64
	TicketID   int64
	BoardID    int64
	Text       string
	Author     string
	AuthorKind string
	CreatedAt  string
	UpdatedAt  string
}

func (r *commentRow) view() (Comment, error) {
	c := Comment{
		ID: r.ID, TicketID: r.TicketID, BoardID: r.BoardID, Text: r.Text, Author: r.Author,
		AuthorKind: events.ActorKind(r.AuthorKind),
	}
	var err1, err2 error
	c.CreatedAt, err1 = ParseTime(r.CreatedAt)
	c.UpdatedAt, err2 = ParseTime(r.UpdatedAt)
	return c, errors.Join(err1, err2)
}

// Comments lists the comments of a ticket, oldest first.
func (q *Queries) Comments(ctx context.Context, ticket int64) ([]Comment, error) {
	var rows []commentRow
	if err := q.bun.NewSelect().Model(&rows).Where("ticket_id = ?", ticket).Order("created_at", "id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read comments: %w", err)
	}
	comments := make([]Comment, len(rows))
	var err error
	for i := range rows {
		if comments[i], err = rows[i].view(); err != nil {
			return nil, err
		}
	}
	return comments, nil
}

var errNoComment = &events.Error{Code: events.CodeNotFound, Message: "There is no such comment, or you are not a member of its board."}

// Comment returns a comment by its id.
func (q *Queries) Comment(ctx context.Context, id int64) (Comment, error) {
	var row commentRow
	err := q.bun.NewSelect().Model(&row).Where("id = ?", id).Scan(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		return Comment{}, errNoComment
	}
	if err != nil {
		return Comment{}, fmt.Errorf("read comment: %w", err)
	}
	return row.view()
}

// historyRow is a row of ticket_history.
type historyRow struct {
	bun.BaseModel `bun:"table:ticket_history,alias:h"`

	ID        int64
	TicketID  int64
	BoardID   int64
	FieldName string
	OldValue  *string
	NewValue  *string
	ChangedBy string
	ActorKind string
	ChangedAt string
}

func (r *historyRow) view() (HistoryEntry, error) {
	at, err := ParseTime(r.ChangedAt)
	return HistoryEntry{
		ID: r.ID, TicketID: r.TicketID, BoardID: r.BoardID, Position: r.ID / 16, FieldName: r.FieldName,
		OldValue: r.OldValue, NewValue: r.NewValue, ChangedBy: r.ChangedBy, ActorKind: events.ActorKind(r.ActorKind), ChangedAt: at,
	}, err
}

// TicketHistory lists the changes of a ticket, oldest first. Those of a deleted
// ticket are still there.
func (q *Queries) TicketHistory(ctx context.Context, ticket int64) ([]HistoryEntry, error) {
	var rows []historyRow
	if err := q.bun.NewSelect().Model(&rows).Where("ticket_id = ?", ticket).Order("id").Scan(ctx); err != nil {
		return nil, fmt.Errorf("read history: %w", err)
	}
	entries := make([]HistoryEntry, len(rows))
	var err error
	for i := range rows {
		if entries[i], err = rows[i].view(); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// Transition is one stay of a ticket in a column.
type Transition struct {
	Position   int64            `json:"position"`
	FromColumn *string          `json:"from_column"` // null for the first
	ToColumn   string           `json:"to_column"`
	ChangedBy  string           `json:"changed_by"`
	ActorKind  events.ActorKind `json:"actor_kind"`
	EnteredAt  time.Time        `json:"entered_at"`
	LeftAt     *time.Time       `json:"left_at"` // null while it is there
	// DurationSeconds is how long the stay was, null while it lasts.
	DurationSeconds *float64 `json:"duration_seconds"`
}

// Transitions lists the columns that a ticket was in, oldest first. A deleted
// ticket has none.
func (q *Queries) Transitions(ctx context.Context, ticket int64) ([]Transition, error) {
	var current string
	var rows []historyRow
	err := q.view(ctx, func(tx bun.Tx) error {
		if err := tx.QueryRowContext(ctx, "SELECT current_column FROM tickets WHERE id = ?", ticket).Scan(&current); err != nil {
			return err
		}
		return tx.NewSelect().Model(&rows).Where("ticket_id = ?", ticket).
			Where("field_name IN ('column', 'status')").Order("id").Scan(ctx)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNoTicket
	}
	if err != nil {
		return nil, fmt.Errorf("read transitions: %w", err)
	}
	entries := make([]HistoryEntry, len(rows))
	for i := range rows {
		if entries[i], err = rows[i].view(); err != nil {
			return nil, err
		}
	}
	return transitions(entries, current), nil
}

// transitions turns history into stays. The row of the creation does not name
// the column; the first move tells where it came from.
func transitions(entries []HistoryEntry, current string) []Transition {
	list := []Transition{}
	enter := func(e HistoryEntry, from *string, to string) {
		if n := len(list); n > 0 {
			at, last := e.ChangedAt, &list[n-1]
			seconds := at.Sub(last.EnteredAt).Seconds()
			last.LeftAt, last.DurationSeconds = &at, &seconds
		}
		list = append(list, Transition{
			Position: e.Position, FromColumn: from, ToColumn: to, ChangedBy: e.ChangedBy, ActorKind: e.ActorKind, EnteredAt: e.ChangedAt,
		})
	}
	for i, e := range entries {
		switch {
		case e.FieldName == "status" && e.NewValue != nil && *e.NewValue == "created":
			first := current
			for _, later := range entries[i+1:] {
				if later.FieldName == "column" {
					if first = ""; later.OldValue != nil {
						first = *later.OldValue
					}
					break
				}
			}
			enter(e, nil, first)
		case e.FieldName == "column" && e.NewValue != nil:
			enter(e, e.OldValue, *e.NewValue)
		}
	}
	return list
}
