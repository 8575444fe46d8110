package readmodel

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

// BoardStatistics returns a board in figures, as of now.
func (q *Queries) BoardStatistics(ctx context.Context, board int64, now time.Time) (BoardStatistics, error) {
	var f *figures
	err := q.view(ctx, func(tx bun.Tx) (err error) {
		f, err = q.figures(ctx, tx, board, 0, now)
		return err
	})
	if err != nil {
		return BoardStatistics{}, fmt.Errorf("read statistics: %w", err)
	}
	b := BoardStatistics{
		Position: f.position, AsOf: f.asOf, BoardID: board, Columns: []ColumnStatistics{},
		Totals: Totals{
			ByPriority: map[events.Priority]int64{events.Low: 0, events.Medium: 0, events.High: 0, events.Urgent: 0},
			ByAssignee: []AssigneeCount{},
		},
	}
	here, finished, assigned := map[int64][]float64{}, map[int64][]float64{}, map[string]int64{}
	for _, t := range f.tickets {
		for i := range t.stays {
			if s := &t.stays[i]; s.left != nil {
				finished[s.column] = append(finished[s.column], s.left.Sub(s.entered).Seconds())
			}
		}
		c := courseOf(t, f.kinds)
		b.Throughput.count(f.asOf, t.created, c.done)
		if t.archived {
			b.Totals.Archived++
			continue
		}
		here[t.column] = append(here[t.column], f.asOf.Sub(t.entered).Seconds())
		b.Totals.count(t, f.kinds[t.column])
		name := ""
		if t.assignee != nil {
			name = *t.assignee
		}
		assigned[name]++
	}
	for _, c := range f.columns {
		b.Columns = append(b.Columns, ColumnStatistics{
			ID: c.ID, Name: c.Name, Kind: c.Kind, WIPLimit: c.WIPLimit, Tickets: int64(len(here[c.ID])),
			Now: describe(here[c.ID]), Finished: describe(finished[c.ID]),
		})
	}
	for name, n := range assigned {
		a := AssigneeCount{Tickets: n}
		if name != "" {
			a.Assignee = &name
		}
		b.Totals.ByAssignee = append(b.Totals.ByAssignee, a)
	}
	slices.SortFunc(b.Totals.ByAssignee, func(a, b AssigneeCount) int {
		return cmp.Or(cmp.Compare(b.Tickets, a.Tickets), cmp.Compare(nameOf(a.Assignee), nameOf(b.Assignee)))
	})
	return b, nil
}

func nameOf(name *string) string {
	if name == nil {
		return ""
	}
	return *name
}

func (t *Totals) count(k *figured, kind events.ColumnKind) {
	t.Tickets++
	if kind == events.Done {
		t.Done++
	} else {
		t.Open++
	}
	if k.blocked {
		t.Blocked++
	}
	if k.held {
		t.Claimed++
	}
	t.ByPriority[events.Priority(k.priority)]++
}

func (t *Throughput) count(now, created time.Time, done *time.Time) {
	const day = 24 * time.Hour
	within := func(at *time.Time, days time.Duration) int64 {
		if at != nil && now.Sub(*at) < days*day {
			return 1
		}
		return 0
	}
	t.Created7 += within(&created, 7)
	t.Created30 += within(&created, 30)
	t.Done7 += within(done, 7)
	t.Done30 += within(done, 30)
}

// BoardPerformance returns how fast work flows over a board, as of now.
func (q *Queries) BoardPerformance(ctx context.Context, board int64, now time.Time) (BoardPerformance, error) {
	var f *figures
	err := q.view(ctx, func(tx bun.Tx) (err error) {
		f, err = q.figures(ctx, tx, board, 0, now)
		return err
	})
	if err != nil {
		return BoardPerformance{}, fmt.Errorf("read performance: %w", err)
	}
	b := BoardPerformance{Position: f.position, AsOf: f.asOf, BoardID: board, Agents: []AgentPerformance{}}
	agents, took := map[int64]*AgentPerformance{}, map[int64][]float64{}
	var lead, cycle []float64
	for _, t := range f.tickets {
		c := courseOf(t, f.kinds)
		if s, ok := c.lead(t); ok {
			lead = append(lead, s)
		}
		if s, ok := c.cycle(); ok {
			cycle = append(cycle, s)
		}
		b.Rework += int64(len(c.rework))
		for i := range t.claims {
			k := &t.claims[i]
			a := agents[k.user]
			if a == nil {
				a = &AgentPerformance{UserID: k.user}
				agents[k.user] = a
			}
			a.Name = k.name
			a.Claimed++
			switch k.outcome {
			case "completed":
				a.Done++
				took[k.user] = append(took[k.user], k.ended.Sub(k.at).Seconds())
			case "expired":
				a.LeasesLost++
			}
		}
		for _, at := range c.rework {
			if last := lastBefore(t.claims, at); last != nil {
				agents[last.user].Rework++
			}
		}
	}
	b.LeadTime, b.CycleTime = describe(lead), describe(cycle)
	for user, a := range agents {
		a.ClaimToDone = describe(took[user])
		b.Agents = append(b.Agents, *a)
	}
	slices.SortFunc(b.Agents, func(a, b AgentPerformance) int {
		return cmp.Or(cmp.Compare(b.Done, a.Done), cmp.Compare(a.UserID, b.UserID))
	})
	return b, nil
}

// lastBefore returns the last of the claims, which are in order, before a position.
func lastBefore(claims []claim, position int64) *claim {
	for i := len(claims) - 1; i >= 0; i-- {
		if claims[i].position < position {
			return &claims[i]
		}
	}
	return nil
}

// finishedStays are those in one column, of tickets that are still there: from
// each line that says a ticket came there, and not from there, to the next that
// says it came elsewhere.
const finishedStays = `SELECT entered_at, left_at FROM (
	SELECT h.changed_at AS entered_at,
		(SELECT n.changed_at FROM ticket_history n WHERE n.ticket_id = h.ticket_id AND n.id > h.id
			AND n.column_id IS NOT NULL AND n.column_id <> h.column_id ORDER BY n.id LIMIT 1) AS left_at,
		(SELECT p.column_id FROM ticket_history p WHERE p.ticket_id = h.ticket_id AND p.id < h.id
			AND p.column_id IS NOT NULL ORDER BY p.id DESC LIMIT 1) AS from_column
	FROM ticket_history h JOIN tickets t ON t.id = h.ticket_id WHERE h.board_id = ?1 AND h.column_id = ?2
) WHERE left_at IS NOT NULL AND from_column IS NOT ?2`

// TicketStatistics returns a ticket in figures, as of now; CodeNotFound for one
// that is not there.
func (q *Queries) TicketStatistics(ctx context.Context, ticket int64, now time.Time) (TicketStatistics, error) {
	var f *figures
	var board int64
	var finished []float64
	err := q.view(ctx, func(tx bun.Tx) (err error) {
		var column int64
		if err := tx.Tx.QueryRowContext(ctx, "SELECT board_id, column_id FROM tickets WHERE id = ?", ticket).Scan(&board, &column); err != nil {
			return err
		}
		if f, err = q.figures(ctx, tx, board, ticket, now); err != nil {
			return err
		}
		rows, err := tx.Tx.QueryContext(ctx, finishedStays, board, column)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var entered, left string
			if err := rows.Scan(&entered, &left); err != nil {
				return err
			}
			var from, to time.Time
			if err := parseInto(&from, entered, &to, left); err != nil {
				return err
			}
			finished = append(finished, to.Sub(from).Seconds())
		}
		return rows.Err()
	})
	if errors.Is(err, sql.ErrNoRows) {
		return TicketStatistics{}, errNoTicket
	}
	if err != nil {
		return TicketStatistics{}, fmt.Errorf("read statistics: %w", err)
	}
	return f.ticket(board, finished), nil
}

func (f *figures) ticket(board int64, finished []float64) TicketStatistics {
	t := f.tickets[0]
	c := courseOf(t, f.kinds)
	k := TicketStatistics{
		Position: f.position, AsOf: f.asOf, TicketID: t.id, Key: t.key, BoardID: board, Columns: []ColumnTime{}, ColumnID: t.column,
		AgeSeconds: f.asOf.Sub(t.entered).Seconds(), Finished: describe(finished),
		Moves: int64(max(len(t.stays)-1, 0)), Rework: int64(len(c.rework)), DoneAt: c.done,
	}
	if d := k.Finished; d.Count > 1 && *d.Deviation > 0 {
		z := (k.AgeSeconds - *d.Mean) / *d.Deviation
		k.ZScore = &z
	}
	if s, ok := c.lead(t); ok {
		k.LeadSeconds = &s
	}
	if s, ok := c.cycle(); ok {
		k.CycleSeconds = &s
	}
	for _, column := range f.columns {
		in := ColumnTime{ID: column.ID, Name: column.Name, Kind: column.Kind}
		for i := range t.stays {
			s := &t.stays[i]
			if s.column != column.ID {
				continue
			}
			until := f.asOf
			if s.left != nil {
				until = *s.left
			}
			in.Stays++
			in.Seconds += until.Sub(s.entered).Seconds()
		}
		k.Columns = append(k.Columns, in)
	}
	return k
}
