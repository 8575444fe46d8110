package readmodel

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/uptrace/bun"
)

// The states of a Blocker.
const (
	blockerOpen     = "open"
	blockerArchived = "archived"
	blockerDeleted  = "deleted"
	blockerDead     = "dead_blocked"
)

// Statements of Ready. What they range over is in idx_tickets_ready, in the order
// that is wanted, and in idx_tickets_blocked; so the size of the backlog does not
// matter.
const (
	readyRange = selectTicket + ` WHERE t.board_id = ? AND t.column_id = ? AND t.weight = ?
		AND t.archived = 0 AND t.lease_fence IS NULL AND t.open_deps = 0 ORDER BY t.rank, t.id LIMIT ?`
	readyCount = `SELECT count(*) FROM tickets WHERE board_id = ? AND column_id = ?
		AND archived = 0 AND lease_fence IS NULL AND open_deps = 0`
	backlogColumns = `SELECT id FROM columns WHERE board_id = ? AND kind = 'backlog' ORDER BY place`
	// notDone is a dependency whose ticket, if it is there, is in no done column.
	notDone = ` LEFT JOIN tickets p ON p.id = d.depends_on
		LEFT JOIN columns c ON c.board_id = p.board_id AND c.id = p.column_id
		WHERE coalesce(c.kind, '') <> 'done' AND `
	// deadBlocked are the tickets that wait, directly or through others, for one
	// that will not be done: archived or deleted. As one JSON list, because a row
	// each would cost more than finding them.
	deadBlocked = `WITH RECURSIVE dead(id) AS (
		SELECT d.ticket_id FROM dependencies d` + notDone + `d.board_id = ? AND (p.id IS NULL OR p.archived)
		UNION SELECT d.ticket_id FROM dead CROSS JOIN dependencies d` + notDone + `d.depends_on = dead.id
		) SELECT json_group_array(id) FROM (SELECT id FROM dead ORDER BY id)`
	// waiting are the backlog tickets that wait for something; ?1 is the board. The
	// dead ones, ?2, are a list of their own: to sort all that wait into the two
	// kinds costs ten times as much as to list and count each.
	waiting = `t.board_id = ?1 AND t.open_deps > 0 AND t.archived = 0 AND t.lease_fence IS NULL
		AND t.column_id IN (SELECT id FROM columns WHERE board_id = ?1 AND kind = 'backlog')`
	waitingCount = `SELECT count(*) FROM tickets t WHERE ` + waiting
	waitingAlive = `SELECT t.id, t.key, t.title FROM tickets t WHERE ` + waiting + `
		AND t.id NOT IN (SELECT value FROM json_each(?2)) ORDER BY t.id LIMIT ?3`
	waitingDead = ` FROM json_each(?2) j CROSS JOIN tickets t ON t.id = j.value WHERE ` + waiting
	deadCount   = `SELECT count(*)` + waitingDead
	deadTickets = `SELECT t.id, t.key, t.title` + waitingDead + ` LIMIT ?3` // the list is sorted by id
	blockersOf  = `SELECT d.ticket_id, d.depends_on, d.key, p.archived FROM dependencies d` + notDone + `
		d.ticket_id IN (SELECT value FROM json_each(?)) ORDER BY d.ticket_id, d.position, d.depends_on`
)

// Ready returns what can be worked on now, best first, and what waits for what.
// At most limit (0 = MaxLimit) are listed of each kind; the totals are exact.
func (q *Queries) Ready(ctx context.Context, board int64, max int) (Ready, error) {
	n, err := limit(max)
	if err != nil {
		return Ready{}, err
	}
	tx, err := q.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Ready{}, fmt.Errorf("read ready tickets: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	r := Ready{Ready: []Ticket{}, Blocked: []BlockedTicket{}, DeadBlocked: []BlockedTicket{}}
	if err := tx.StmtContext(ctx, q.stmt.position).QueryRowContext(ctx).Scan(&r.Position); err != nil { //nolint:sqlclosecheck // ends with the transaction
		return r, fmt.Errorf("read ready tickets: %w", err)
	}
	if err := q.ready(ctx, tx, board, n, &r); err != nil {
		return r, fmt.Errorf("read ready tickets: %w", err)
	}
	if err := q.blocked(ctx, tx, board, n, &r); err != nil {
		return r, fmt.Errorf("read blocked tickets: %w", err)
	}
	return r, nil
}

// each runs a statement and scans every row.
func each(ctx context.Context, tx *sql.Tx, stmt *sql.Stmt, args []any, scan func(rows *sql.Rows) error) error {
	rows, err := tx.StmtContext(ctx, stmt).QueryContext(ctx, args...) //nolint:sqlclosecheck // ends with the transaction
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (q *Queries) ready(ctx context.Context, tx *sql.Tx, board, n int64, r *Ready) error {
	var columns []int64
	err := each(ctx, tx, q.stmt.backlog, []any{board}, func(rows *sql.Rows) error {
		var id int64
		defer func() { columns = append(columns, id) }()
		return rows.Scan(&id)
	})
	if err != nil {
		return err
	}
	for _, column := range columns {
		var count int64
		if err := tx.StmtContext(ctx, q.stmt.readyCount).QueryRowContext(ctx, board, column).Scan(&count); err != nil { //nolint:sqlclosecheck // ends with the transaction
			return err
		}
		r.ReadyTotal += count
	}
	for weight := 3; weight >= 0; weight-- { // of the priority
		for _, column := range columns {
			left := n - int64(len(r.Ready))
			if left <= 0 {
				return nil
			}
			err := each(ctx, tx, q.stmt.readyRange, []any{board, column, weight, left}, func(rows *sql.Rows) error {
				var row ticketRow
				if err := row.scan(rows); err != nil {
					return err
				}
				t, err := row.view()
				r.Ready = append(r.Ready, t)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (q *Queries) blocked(ctx context.Context, tx *sql.Tx, board, n int64, r *Ready) error {
	var list string
	if err := tx.StmtContext(ctx, q.stmt.dead).QueryRowContext(ctx, board).Scan(&list); err != nil { //nolint:sqlclosecheck // ends with the transaction
		return err
	}
	var waits, dead int64
	if err := tx.StmtContext(ctx, q.stmt.waitingCount).QueryRowContext(ctx, board).Scan(&waits); err != nil { //nolint:sqlclosecheck // ends with the transaction
		return err
	}
	if err := tx.StmtContext(ctx, q.stmt.deadCount).QueryRowContext(ctx, board, list).Scan(&dead); err != nil { //nolint:sqlclosecheck // ends with the transaction
		return err
	}
	r.BlockedTotal, r.DeadBlockedTotal = waits-dead, dead
	var ids []int64
	into := func(tickets *[]BlockedTicket) func(rows *sql.Rows) error {
		return func(rows *sql.Rows) error {
			t := BlockedTicket{By: []Blocker{}}
			err := rows.Scan(&t.ID, &t.Key, &t.Title)
			*tickets, ids = append(*tickets, t), append(ids, t.ID)
			return err
		}
	}
	err := errors.Join(
		each(ctx, tx, q.stmt.blocked, []any{board, list, n}, into(&r.Blocked)),
		each(ctx, tx, q.stmt.deadBlocked, []any{board, list, n}, into(&r.DeadBlocked)))
	if err != nil || len(ids) == 0 {
		return err
	}
	by, err := q.blockers(ctx, tx, ids, list)
	if err != nil {
		return err
	}
	for _, tickets := range [][]BlockedTicket{r.Blocked, r.DeadBlocked} {
		for i := range tickets {
			tickets[i].By = append(tickets[i].By, by[tickets[i].ID]...)
		}
	}
	return nil
}

// blockers returns what each of the tickets waits for; dead is the JSON list of
// those that will not be done as things are.
func (q *Queries) blockers(ctx context.Context, tx *sql.Tx, tickets []int64, dead string) (map[int64][]Blocker, error) {
	of, err := json.Marshal(tickets)
	if err != nil {
		return nil, err
	}
	list, err := parseList[int64]("dead-blocked tickets", dead)
	if err != nil {
		return nil, err
	}
	isDead := make(map[int64]bool, len(list))
	for _, id := range list {
		isDead[id] = true
	}
	waits := make(map[int64][]Blocker, len(tickets))
	return waits, each(ctx, tx, q.stmt.blockers, []any{string(of)}, func(rows *sql.Rows) error {
		var ticket int64
		var archived *bool
		b := Blocker{State: blockerOpen}
		if err := rows.Scan(&ticket, &b.ID, &b.Key, &archived); err != nil {
			return err
		}
		switch {
		case archived == nil:
			b.State = blockerDeleted
		case *archived:
			b.State = blockerArchived
		case isDead[b.ID]:
			b.State = blockerDead
		}
		waits[ticket] = append(waits[ticket], b)
		return nil
	})
}

// Dependencies returns what a ticket waits for, in the order it was said, and
// what waits for it, by id. A ticket that does not exist has none.
func (q *Queries) Dependencies(ctx context.Context, ticket int64) (Dependencies, error) {
	d := Dependencies{DependsOn: []Related{}, Dependents: []Related{}}
	const other = `SELECT %s, coalesce(p.key, %s), coalesce(p.title, ''), coalesce(p.current_column, ''), CASE
		WHEN p.id IS NULL THEN 'deleted' WHEN c.kind = 'done' THEN 'done' WHEN p.archived THEN 'archived' ELSE 'open' END
		FROM dependencies d LEFT JOIN tickets p ON p.id = %s LEFT JOIN columns c ON c.board_id = p.board_id AND c.id = p.column_id
		WHERE %s = ? ORDER BY %s`
	err := q.view(ctx, func(tx bun.Tx) error {
		return errors.Join(
			related(ctx, tx.Tx, &d.DependsOn, fmt.Sprintf(other, "d.depends_on", "d.key", "d.depends_on", "d.ticket_id", "d.position, d.depends_on"), ticket),
			related(ctx, tx.Tx, &d.Dependents, fmt.Sprintf(other, "d.ticket_id", "''", "d.ticket_id", "d.depends_on", "d.ticket_id"), ticket))
	})
	if err != nil {
		return d, fmt.Errorf("read dependencies: %w", err)
	}
	d.Dependents = slices.DeleteFunc(d.Dependents, func(r Related) bool { return r.State == blockerDeleted })
	return d, nil
}

func related(ctx context.Context, tx *sql.Tx, into *[]Related, text string, ticket int64) error {
	rows, err := tx.QueryContext(ctx, text, ticket)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r Related
		if err := rows.Scan(&r.ID, &r.Key, &r.Title, &r.Column, &r.State); err != nil {
			return err
		}
		*into = append(*into, r)
	}
	return rows.Err()
}
