package readmodel

import (
	"context"
	"encoding/json"
	"time"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

// BoardItem is a board in a list: what it is, how much is on it, when something
// last happened, and what the viewer may do there.
type BoardItem struct {
	Board
	Counts BoardCounts `json:"counts"`
	// LastEventAt and LastPosition are of the last event about the board that the
	// rows hold.
	LastEventAt  *time.Time `json:"last_event_at"`
	LastPosition *int64     `json:"last_position"`
	Role         string     `json:"role" enum:"pm,agent,viewer,admin"` // of the viewer, see Viewer.Standing
}

// BoardCounts count the tickets of a board that are not archived. Open are those
// outside columns of kind done; blocked are open.
type BoardCounts struct {
	Open    int64 `json:"open"`
	Done    int64 `json:"done"`
	Held    int64 `json:"held"`
	Blocked int64 `json:"blocked"`
}

// Standing is the viewer's role on a board in a word: "pm", "agent" or "viewer",
// or "admin" for a pm who is so everywhere. role is what Access returns.
func (v Viewer) Standing(role events.Role) string {
	if v.Admin && role == events.PM && v.Scope.Role == events.NoRole {
		return "admin"
	}
	return string(role)
}

// boardCounts count by column, from three indexes that share no ticket: of what
// is free, of what is blocked, and of what is held and not blocked. The first has
// all that is wanted, so tickets with their texts are read only for the others.
const boardCounts = `SELECT made.board_id,
	coalesce(sum(made.tickets) FILTER (WHERE c.kind IS NOT 'done'), 0), coalesce(sum(made.tickets) FILTER (WHERE c.kind = 'done'), 0),
	sum(made.held), coalesce(sum(made.blocked) FILTER (WHERE c.kind IS NOT 'done'), 0)
FROM (
	SELECT board_id, column_id, count(*) AS tickets, 0 AS held, 0 AS blocked
	FROM tickets INDEXED BY idx_tickets_ready
	WHERE board_id IN (SELECT value FROM json_each(?1)) AND archived = 0 AND lease_fence IS NULL AND open_deps = 0
	GROUP BY board_id, column_id
	UNION ALL
	SELECT board_id, column_id, 1, lease_fence IS NOT NULL, 1
	FROM tickets INDEXED BY idx_tickets_blocked
	WHERE board_id IN (SELECT value FROM json_each(?1)) AND open_deps > 0 AND archived = 0
	UNION ALL
	SELECT board_id, column_id, 1, 1, 0
	FROM tickets INDEXED BY idx_tickets_lease_holder_id
	WHERE lease_holder_id IS NOT NULL AND +board_id IN (SELECT value FROM json_each(?1)) AND open_deps = 0 AND archived = 0
) made LEFT JOIN columns c ON c.board_id = made.board_id AND c.id = made.column_id
GROUP BY made.board_id`

// lastEvents finds the last event of each board at or before a position.
const lastEvents = `SELECT j.value, e.position, e.recorded_at
FROM json_each(?1) j CROSS JOIN events e INDEXED BY events_stream ON e.stream = 'board-' || j.value AND e.version = (
	SELECT version FROM events WHERE stream = 'board-' || j.value AND position <= ?2 ORDER BY version DESC LIMIT 1)`

// rolesOf are the roles that a user was given on boards.
const rolesOf = `SELECT m.board_id, m.role FROM json_each(?1) j CROSS JOIN members m ON m.board_id = j.value AND m.user_id = ?2`

// fill completes the items of a page, whose boards are there.
func (q *Queries) fill(ctx context.Context, tx bun.Tx, viewer Viewer, items []BoardItem) error {
	ids := make([]int64, len(items))
	at := make(map[int64]*BoardItem, len(items))
	for i := range items {
		ids[i] = items[i].ID
		at[ids[i]] = &items[i]
	}
	text, _ := json.Marshal(ids) // numbers always marshal
	list := string(text)
	var position int64
	if err := tx.StmtContext(ctx, q.stmt.position).QueryRowContext(ctx).Scan(&position); err != nil { //nolint:sqlclosecheck // ends with the transaction
		return err
	}
	// Not through bun, which would read the question marks as its own.
	each := func(text string, scan func(scan func(...any) error) error, args ...any) error {
		rows, err := tx.Tx.QueryContext(ctx, text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := scan(rows.Scan); err != nil {
				return err
			}
		}
		return rows.Err()
	}
	err := each(boardCounts, func(scan func(...any) error) error {
		var id int64
		var n BoardCounts
		err := scan(&id, &n.Open, &n.Done, &n.Held, &n.Blocked)
		if item := at[id]; item != nil {
			item.Counts = n
		}
		return err
	}, list)
	if err != nil {
		return err
	}
	err = each(lastEvents, func(scan func(...any) error) error {
		var id, position, micros int64
		err := scan(&id, &position, &micros)
		if item := at[id]; item != nil {
			when := time.UnixMicro(micros).UTC()
			item.LastPosition, item.LastEventAt = &position, &when
		}
		return err
	}, list, position)
	if err != nil {
		return err
	}
	member := map[int64]events.Role{}
	err = each(rolesOf, func(scan func(...any) error) error {
		var id int64
		var role string
		err := scan(&id, &role)
		member[id] = events.Role(role)
		return err
	}, list, viewer.UserID)
	for i := range items {
		b := &items[i]
		b.Role = viewer.Standing(events.EffectiveRole(member[b.ID], viewer.Admin, b.Visibility, b.ID, viewer.Scope))
	}
	return err
}
