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

var errNoAgent = &events.Error{Code: events.CodeNotFound, Message: "There is no such agent, or it works on none of your boards."}

// Agents lists who works on the boards that the viewer may see, by name: agents
// that are members, and whoever has claimed a ticket there. An admin sees every
// agent. board narrows it to one board, 0 = all. Numbers are of those boards
// alone.
func (q *Queries) Agents(ctx context.Context, viewer Viewer, board int64) ([]Agent, error) {
	return q.agents(ctx, viewer, board, nil)
}

// Agent returns one of Agents, by id or name; an *events.Error with CodeNotFound
// where the viewer shares no board with it.
func (q *Queries) Agent(ctx context.Context, viewer Viewer, ref string) (Agent, error) {
	u, err := q.UserByName(ctx, ref)
	if id := idOf(ref); id > 0 {
		u, err = q.UserByID(ctx, id)
	}
	if events.CodeOf(err) == events.CodeNotFound {
		return Agent{}, errNoAgent
	}
	if err != nil {
		return Agent{}, err
	}
	found, err := q.agents(ctx, viewer, 0, &u.ID)
	if err != nil {
		return Agent{}, err
	}
	if len(found) == 0 {
		return Agent{}, errNoAgent
	}
	return found[0], nil
}

func (q *Queries) agents(ctx context.Context, viewer Viewer, board int64, only *int64) ([]Agent, error) {
	list := []Agent{}
	err := q.view(ctx, func(tx bun.Tx) error {
		boards := func() *bun.SelectQuery {
			query := viewer.visible(tx.NewSelect().TableExpr("boards AS b").ColumnExpr("b.id"), "b.id")
			if board != 0 {
				query = query.Where("b.id = ?", board)
			}
			return query
		}
		var rows []userRow
		query := tx.NewSelect().Model(&rows).Order("u.username", "u.id").WhereGroup(" AND ", func(w *bun.SelectQuery) *bun.SelectQuery {
			if viewer.Admin && board == 0 && len(viewer.Scope.Boards) == 0 {
				w = w.Where("u.kind = ?", string(events.Agent))
			} else {
				w = w.Where("u.kind = ? AND u.id IN (SELECT user_id FROM members WHERE board_id IN (?))", string(events.Agent), boards())
			}
			return w.WhereOr("u.id IN (SELECT user_id FROM work WHERE board_id IN (?))", boards())
		})
		if only != nil {
			query = query.Where("u.id = ?", *only)
		}
		if err := query.Scan(ctx); err != nil {
			return err
		}
		at := make(map[int64]*Agent, len(rows))
		list = make([]Agent, len(rows))
		for i, r := range rows {
			list[i] = Agent{
				ID: r.ID, Name: r.Username, DisplayName: r.DisplayName, Kind: events.ActorKind(r.Kind), Active: r.Active,
				Paused: r.Paused, PauseReason: r.PauseReason, Claims: []Claim{},
			}
			at[r.ID] = &list[i]
		}
		return errors.Join(countWork(ctx, tx, boards(), at), countUsage(ctx, tx, boards(), at), claimsOf(ctx, tx, boards(), at), lastSeen(ctx, tx, at))
	})
	if err != nil {
		return nil, fmt.Errorf("read agents: %w", err)
	}
	return list, nil
}

func countWork(ctx context.Context, tx bun.Tx, boards *bun.SelectQuery, at map[int64]*Agent) error {
	var counts []struct{ UserID, Done, Lost int64 }
	err := tx.NewSelect().TableExpr("work").ColumnExpr("user_id, sum(done) AS done, sum(lost) AS lost").
		Where("board_id IN (?)", boards).Group("user_id").Scan(ctx, &counts)
	for _, n := range counts {
		if a := at[n.UserID]; a != nil {
			a.TicketsDone, a.LeasesLost = n.Done, n.Lost
		}
	}
	return err
}

func countUsage(ctx context.Context, tx bun.Tx, boards *bun.SelectQuery, at map[int64]*Agent) error {
	var sums []struct {
		UserID int64
		usageSum
	}
	err := tx.NewSelect().TableExpr("usage").ColumnExpr("user_id").ColumnExpr(sumUsage).
		Where("board_id IN (?)", boards).Group("user_id").Scan(ctx, &sums)
	for _, n := range sums {
		if a := at[n.UserID]; a != nil {
			a.Usage = n.view()
		}
	}
	return err
}

// held are the tickets that somebody holds, few on any board. With the plus before
// what else is asked of them SQLite takes the index that has these alone, not the
// one of all tickets of a board.
const held = `t.lease_holder_id IS NOT NULL AND +t.board_id IN (?)`

func claimsOf(ctx context.Context, tx bun.Tx, boards *bun.SelectQuery, at map[int64]*Agent) error {
	var rows []ticketRow
	err := tx.NewSelect().Model(&rows).ColumnExpr(ticketColumns+` AS beat_expires_at`).Join(joinHeartbeat).
		Where(held, boards).Order("t.lease_fence").Scan(ctx)
	if err != nil {
		return err
	}
	for i := range rows {
		lease, err := rows[i].lease()
		if err != nil {
			return err
		}
		if lease == nil || at[lease.HolderID] == nil {
			continue
		}
		a := at[lease.HolderID]
		a.Claims = append(a.Claims, Claim{TicketID: rows[i].ID, Key: rows[i].Key, BoardID: rows[i].BoardID, Title: rows[i].Title, Lease: *lease})
		a.seen(lease.ClaimedAt)
	}
	return nil
}

func (a *Agent) seen(at time.Time) {
	if a.LastSeen == nil || a.LastSeen.Before(at) {
		a.LastSeen = &at
	}
}

// lastSeen takes the newest of what is written down about a principal: the use
// of its tokens, which is noted once a minute, and its heartbeats.
func lastSeen(ctx context.Context, tx bun.Tx, at map[int64]*Agent) error {
	rows, err := tx.QueryContext(ctx, `SELECT user_id, max(last_used_at), 0 FROM api_tokens WHERE last_used_at IS NOT NULL GROUP BY user_id
		UNION ALL SELECT t.lease_holder_id, '', max(h.at) FROM heartbeats h JOIN tickets t ON t.id = h.ticket_id AND t.lease_fence = h.fence
		GROUP BY t.lease_holder_id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var user, micros int64
		var text string
		if err := rows.Scan(&user, &text, &micros); err != nil {
			return err
		}
		a := at[user]
		switch {
		case a == nil:
		case text == "":
			a.seen(time.UnixMicro(micros).UTC())
		default:
			used, err := ParseTime(text)
			if err != nil {
				return err
			}
			a.seen(used)
		}
	}
	return rows.Err()
}

// usageSum is Usage as a query returns it.
type usageSum struct{ InputTokens, OutputTokens, CostMicros, Reports int64 }

const sumUsage = `coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
	coalesce(sum(cost_micros), 0) AS cost_micros, count(*) AS reports`

func (s usageSum) view() Usage {
	return Usage(s)
}

// TicketUsage returns what the work on a ticket cost.
func (q *Queries) TicketUsage(ctx context.Context, ticket int64) (Usage, error) {
	var sum usageSum
	err := q.bun.NewSelect().TableExpr("usage").ColumnExpr(sumUsage).Where("ticket_id = ?", ticket).Scan(ctx, &sum)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return Usage{}, fmt.Errorf("read usage: %w", err)
	}
	return sum.view(), nil
}

// BoardUsage returns what the work on a board cost, by principal and by ticket.
func (q *Queries) BoardUsage(ctx context.Context, board int64) (BoardUsage, error) {
	out := BoardUsage{Agents: []AgentUsage{}, Tickets: []TicketUsage{}}
	err := q.view(ctx, func(tx bun.Tx) error {
		from := func() *bun.SelectQuery {
			return tx.NewSelect().TableExpr("usage AS x").ColumnExpr(sumUsage).Where("x.board_id = ?", board)
		}
		var total usageSum
		if err := from().Scan(ctx, &total); err != nil {
			return err
		}
		out.Total = total.view()
		var agents []struct {
			UserID int64
			Name   string
			usageSum
		}
		if err := from().ColumnExpr("x.user_id, coalesce(u.username, '') AS name").Join("LEFT JOIN users u ON u.id = x.user_id").
			Group("x.user_id").OrderExpr("cost_micros DESC, input_tokens DESC, x.user_id").Scan(ctx, &agents); err != nil {
			return err
		}
		for _, a := range agents {
			out.Agents = append(out.Agents, AgentUsage{UserID: a.UserID, Name: a.Name, Usage: a.view()})
		}
		var tickets []struct {
			TicketID int64
			Key      string
			usageSum
		}
		if err := from().ColumnExpr("x.ticket_id, coalesce(t.key, '') AS key").Join("LEFT JOIN tickets t ON t.id = x.ticket_id").
			Group("x.ticket_id").OrderExpr("cost_micros DESC, input_tokens DESC, x.ticket_id").Limit(MaxLimit).Scan(ctx, &tickets); err != nil {
			return err
		}
		for _, t := range tickets {
			out.Tickets = append(out.Tickets, TicketUsage{TicketID: t.TicketID, Key: t.Key, Usage: t.view()})
		}
		return nil
	})
	if err != nil {
		return out, fmt.Errorf("read usage: %w", err)
	}
	return out, nil
}
