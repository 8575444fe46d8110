package readmodel

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

// stay is one stay of a ticket in a column.
type stay struct {
	column, position int64 // of the event that brought it there
	entered          time.Time
	left             *time.Time
}

// claim is one claim of a ticket.
type claim struct {
	position, user int64
	name           string
	at             time.Time
	ended          *time.Time
	outcome        string
}

// figured is a ticket as statistics need it.
type figured struct {
	id, column        int64
	key, priority     string
	assignee          *string
	archived, blocked bool
	held              bool
	created, entered  time.Time
	stays             []stay
	claims            []claim
}

// settle makes stays of arrivals, in their order: each ends where the next begins,
// and one after another in the same column are one.
func (t *figured) settle() {
	slices.SortFunc(t.stays, func(a, b stay) int { return cmp.Compare(a.position, b.position) })
	t.stays = slices.CompactFunc(t.stays, func(a, b stay) bool { return a.column == b.column })
	for i := range len(t.stays) - 1 {
		t.stays[i].left = &t.stays[i+1].entered
	}
}

// course is the course of one ticket over the columns.
type course struct {
	done   *time.Time // when it last came to be done; nil = it is not
	by     int64      // the position at which it did
	begun  *time.Time // of the work
	rework []int64    // positions at which it came back
}

func courseOf(t *figured, kinds map[int64]events.ColumnKind) course {
	var c course
	begin := func(at time.Time) {
		if c.begun == nil || at.Before(*c.begun) {
			c.begun = &at
		}
	}
	before := events.ColumnKind("")
	for i := range t.stays {
		s := &t.stays[i]
		kind := kinds[s.column]
		switch kind {
		case events.Done:
			if before != events.Done {
				c.done, c.by = &s.entered, s.position
			}
		case events.Active:
			begin(s.entered)
		}
		if (before == events.Review || before == events.Done) && (kind == events.Backlog || kind == events.Active || kind == events.Blocked) {
			c.rework = append(c.rework, s.position)
		}
		before = kind
	}
	if kinds[t.column] != events.Done {
		c.done = nil
	}
	for i := range t.claims {
		begin(t.claims[i].at)
	}
	return c
}

func (c *course) lead(t *figured) (float64, bool) {
	if c.done == nil {
		return 0, false
	}
	return c.done.Sub(t.created).Seconds(), true
}

func (c *course) cycle() (float64, bool) {
	if c.done == nil || c.begun == nil || c.begun.After(*c.done) {
		return 0, false
	}
	return c.done.Sub(*c.begun).Seconds(), true
}

// figures is what statistics of a board, or of one ticket, are made of: of one
// moment of the log.
type figures struct {
	position int64
	asOf     time.Time
	columns  []Column
	kinds    map[int64]events.ColumnKind
	tickets  []*figured // by id
}

const (
	figuredTickets = `SELECT id, column_id, key, priority, assignee, archived, open_deps > 0, lease_fence IS NOT NULL, created_at, column_entered_at
		FROM tickets WHERE `
	figuredArrivals = `SELECT ticket_id, id / 16, column_id, changed_at FROM ticket_history WHERE column_id IS NOT NULL AND `
	figuredClaims   = `SELECT ticket_id, position, user_id, name, claimed_at, ended_at, coalesce(outcome, '') FROM claims
		WHERE %s ORDER BY ticket_id, position`

	ofBoard, itself, ofTicket = `board_id = ?`, `id = ?`, `ticket_id = ?`
	claimsOfTicket            = `board_id = (SELECT board_id FROM tickets WHERE id = ?1) AND ticket_id = ?1`
)

// figures reads a board where ticket is 0, else the ticket alone. A clock that
// goes back must not make an age negative, so asOf is no earlier than anything
// that it is compared with.
func (q *Queries) figures(ctx context.Context, tx bun.Tx, board, ticket int64, now time.Time) (*figures, error) {
	f := &figures{asOf: now.UTC().Truncate(time.Microsecond), kinds: map[int64]events.ColumnKind{}}
	err := tx.StmtContext(ctx, q.stmt.position).QueryRowContext(ctx).Scan(&f.position) //nolint:sqlclosecheck // ends with the transaction
	if err != nil {
		return nil, err
	}
	if f.columns, err = q.columns(ctx, tx.Tx, board); err != nil {
		return nil, err
	}
	for _, c := range f.columns {
		f.kinds[c.ID] = c.Kind
	}
	tickets, arrivals, claims, id := ofBoard, ofBoard, ofBoard, board
	if ticket != 0 {
		tickets, arrivals, claims, id = itself, ofTicket, claimsOfTicket, ticket
	}
	byID := map[int64]*figured{}
	err = eachRow(ctx, tx, figuredTickets+tickets, id, func(scan func(...any) error) error {
		t, created, entered := &figured{}, "", ""
		err := scan(&t.id, &t.column, &t.key, &t.priority, &t.assignee, &t.archived, &t.blocked, &t.held, &created, &entered)
		if err != nil {
			return err
		}
		if err := parseInto(&t.created, created, &t.entered, entered); err != nil {
			return err
		}
		f.later(t.created, t.entered)
		byID[t.id], f.tickets = t, append(f.tickets, t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(f.tickets, func(a, b *figured) int { return cmp.Compare(a.id, b.id) })
	err = eachRow(ctx, tx, figuredArrivals+arrivals, id, func(scan func(...any) error) error {
		var s stay
		var ticket int64
		var at string
		if err := scan(&ticket, &s.position, &s.column, &at); err != nil {
			return err
		}
		t := byID[ticket]
		if t == nil {
			return nil // of a ticket that was deleted
		}
		if err := parseInto(&s.entered, at); err != nil {
			return err
		}
		f.later(s.entered)
		t.stays = append(t.stays, s)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, t := range f.tickets {
		t.settle()
	}
	return f, eachRow(ctx, tx, fmt.Sprintf(figuredClaims, claims), id, func(scan func(...any) error) error {
		var c claim
		var ticket int64
		var at string
		var ended sql.NullString
		if err := scan(&ticket, &c.position, &c.user, &c.name, &at, &ended, &c.outcome); err != nil {
			return err
		}
		t := byID[ticket]
		if t == nil {
			return nil
		}
		var err error
		if c.ended, err = parseOptional(ended); err != nil {
			return err
		}
		if c.at, err = ParseTime(at); err != nil {
			return err
		}
		t.claims = append(t.claims, c)
		return nil
	})
}

const goneArrivals = `SELECT ticket_id, id / 16, column_id, changed_at FROM ticket_history
	WHERE ticket_id IN (SELECT value FROM json_each(?)) AND column_id IS NOT NULL`

// gone reads the stays of tickets that figures leave out, because they were
// deleted.
func (f *figures) gone(ctx context.Context, tx bun.Tx, ids []int64) (map[int64][]stay, error) {
	tickets := map[int64]*figured{}
	err := eachRow(ctx, tx, goneArrivals, idList(ids), func(scan func(...any) error) error {
		var s stay
		var ticket int64
		var at string
		if err := scan(&ticket, &s.position, &s.column, &at); err != nil {
			return err
		}
		if tickets[ticket] == nil {
			tickets[ticket] = &figured{}
		}
		err := parseInto(&s.entered, at)
		tickets[ticket].stays = append(tickets[ticket].stays, s)
		return err
	})
	stays := map[int64][]stay{}
	for id, t := range tickets {
		t.settle()
		stays[id] = t.stays
	}
	return stays, err
}

func (f *figures) later(times ...time.Time) {
	for _, t := range times {
		if t.After(f.asOf) {
			f.asOf = t
		}
	}
}

// eachRow runs fn for each row.
func eachRow(ctx context.Context, tx bun.Tx, text string, arg any, fn func(scan func(...any) error) error) error {
	rows, err := tx.Tx.QueryContext(ctx, text, arg)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := fn(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// parseInto reads times: where to, text, where to, text, and so on.
func parseInto(pairs ...any) error {
	for i := 0; i < len(pairs); i += 2 {
		t, err := ParseTime(pairs[i+1].(string))
		if err != nil {
			return err
		}
		*pairs[i].(*time.Time) = t
	}
	return nil
}

func parseOptional(text sql.NullString) (*time.Time, error) {
	if !text.Valid {
		return nil, nil
	}
	t, err := ParseTime(text.String)
	return &t, err
}
