package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// Parked is one event that is not in the rows.
type Parked struct {
	Position int64     `json:"position"`
	Lane     string    `json:"lane"` // "ticket-12", or the name of a stream
	Type     string    `json:"type"`
	Reason   string    `json:"reason"` // failed, behind, unknown
	Error    string    `json:"error"`
	ParkedAt time.Time `json:"parked_at"`
}

// ParkedEvents lists the first limit events that are parked, in order.
func ParkedEvents(ctx context.Context, db *sql.DB, limit int) ([]Parked, error) {
	rows, err := db.QueryContext(ctx, `SELECT position, lane, type, reason, error, parked_at FROM parked_events
		ORDER BY position LIMIT ?`, limit)
	if err != nil {
		return nil, fmt.Errorf("read parked events: %w", err)
	}
	defer rows.Close()
	list := []Parked{}
	for rows.Next() {
		var p Parked
		var at string
		if err := rows.Scan(&p.Position, &p.Lane, &p.Type, &p.Reason, &p.Error, &at); err != nil {
			return nil, fmt.Errorf("read parked events: %w", err)
		}
		if p.ParkedAt, err = readmodel.ParseTime(at); err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, rows.Err()
}

func readLanes(ctx context.Context, q querier) (map[string]int, error) {
	rows, err := q.QueryContext(ctx, "SELECT lane, count(*) FROM parked_events WHERE reason <> 'unknown' GROUP BY lane")
	if err != nil {
		return nil, fmt.Errorf("read parked events: %w", err)
	}
	defer rows.Close()
	lanes := map[string]int{}
	for rows.Next() {
		var lane string
		var n int
		if err := rows.Scan(&lane, &n); err != nil {
			return nil, fmt.Errorf("read parked events: %w", err)
		}
		lanes[lane] = n
	}
	return lanes, rows.Err()
}

// Retry applies the parked events in order, each lane up to the first event that
// still fails, and returns how many left and how many stay. The Runner must have
// been started.
func (r *Runner) Retry(ctx context.Context) (applied, left int, err error) {
	err = r.transact(ctx, func(ctx context.Context, tx *sql.Tx) (*outcome, error) {
		applied, left = 0, 0
		if r.views == nil {
			return nil, ErrStopped
		}
		out := &outcome{position: r.position, lanes: map[string]int{}}
		positions, err := parkedPositions(ctx, tx)
		if err != nil {
			return nil, err
		}
		t, blocked := r.views.begin(tx), map[string]bool{}
		for _, position := range positions {
			ok, err := r.retryOne(ctx, t, position, blocked, out)
			if err != nil {
				return nil, err
			}
			if ok {
				applied++
			} else {
				left++
			}
		}
		return out, settle(ctx, tx)
	})
	if err != nil {
		return 0, 0, fmt.Errorf("retry parked events: %w", err)
	}
	return applied, left, nil
}

func parkedPositions(ctx context.Context, tx *sql.Tx) ([]int64, error) {
	rows, err := tx.QueryContext(ctx, "SELECT position FROM parked_events WHERE reason <> 'unknown' ORDER BY position")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []int64
	for rows.Next() {
		var position int64
		if err := rows.Scan(&position); err != nil {
			return nil, err
		}
		list = append(list, position)
	}
	return list, rows.Err()
}

// retryOne applies one parked event unless its lane is blocked; a failure blocks
// the lane.
func (r *Runner) retryOne(ctx context.Context, t *Tx, position int64, blocked map[string]bool, out *outcome) (bool, error) {
	page, err := r.config.Log.Read(ctx, events.Query{After: position - 1, UpTo: position, Limit: 1})
	if err != nil {
		return false, err
	}
	if len(page) == 0 {
		return false, fmt.Errorf("position %d is parked but not in the log", position)
	}
	lanes := lanesOf(&page[0])
	for _, lane := range lanes {
		if blocked[lane] {
			return false, nil
		}
	}
	if _, err := t.sql.ExecContext(ctx, "SAVEPOINT parked"); err != nil {
		return false, err
	}
	failure := r.apply(ctx, t, &page[0])
	if failure == nil {
		failure = r.views.flush(ctx, t)
	}
	t.lines = t.lines[:0] // of an event that failed half way
	if failure == nil {
		_, err = t.sql.ExecContext(ctx, "DELETE FROM parked_events WHERE position = ?", position)
		out.lanes[lanes[0]]--
		out.applied++
	} else if !ofDatabase(failure) {
		blocked[lanes[0]] = true
		_, err = t.sql.ExecContext(ctx, "ROLLBACK TO parked")
		failure = nil
	}
	_, release := t.sql.ExecContext(ctx, "RELEASE parked")
	return !blocked[lanes[0]], errors.Join(failure, err, release)
}

// settle repairs what the events that were parked missed of the events that were
// not: a deleted board, a renamed column, a blocker that is done.
func settle(ctx context.Context, tx *sql.Tx) error {
	for _, text := range []string{
		`DELETE FROM comments WHERE board_id NOT IN (SELECT id FROM boards)`,
		`DELETE FROM tickets WHERE board_id NOT IN (SELECT id FROM boards)`,
		`DELETE FROM dependencies WHERE board_id NOT IN (SELECT id FROM boards)`,
		`DELETE FROM usage WHERE board_id NOT IN (SELECT id FROM boards)`,
		`DELETE FROM work WHERE board_id NOT IN (SELECT id FROM boards)`,
		`DELETE FROM claims WHERE board_id NOT IN (SELECT id FROM boards)`,
		`UPDATE tickets SET current_column = c.name FROM columns c
			WHERE c.board_id = tickets.board_id AND c.id = tickets.column_id AND c.name <> tickets.current_column`,
		tableNames("").Replace(recountOpen + ` WHERE id IN (SELECT ticket_id FROM {dependencies})`),
	} {
		if _, err := tx.ExecContext(ctx, text); err != nil {
			return err
		}
	}
	return nil
}
