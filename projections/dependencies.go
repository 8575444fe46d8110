package projections

import (
	"context"
	"errors"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// dependencies keeps who waits for whom, and in tickets how many of a ticket's
// dependencies are not done and what their keys are.
type dependencies struct{ insert, remove, drop, dropBoard, keys, recount, recountDependents, recountBoard, touch statement }

var _ Projector = (*dependencies)(nil)

const (
	// recountOpen counts the dependencies of tickets that are not done.
	recountOpen = `UPDATE {tickets} SET open_deps = (SELECT count(*) FROM {dependencies} d
	LEFT JOIN {tickets} p ON p.id = d.depends_on
	LEFT JOIN {columns} c ON c.board_id = p.board_id AND c.id = p.column_id
	WHERE d.ticket_id = {tickets}.id AND coalesce(c.kind, '') <> 'done')`
	// whoseBlocker are those that wait for a ticket.
	whoseBlocker = ` WHERE id IN (SELECT ticket_id FROM {dependencies} WHERE depends_on = ?)`
)

func newDependencies(p *preparer) *dependencies {
	return &dependencies{
		insert:    p.prepare(`INSERT OR IGNORE INTO {dependencies} (ticket_id, depends_on, board_id, key, position) VALUES (?, ?, ?, ?, ?)`),
		remove:    p.prepare(`DELETE FROM {dependencies} WHERE ticket_id = ? AND depends_on = ?`),
		drop:      p.prepare(`DELETE FROM {dependencies} WHERE ticket_id = ?`),
		dropBoard: p.prepare(`DELETE FROM {dependencies} WHERE board_id = ?`),
		keys: p.prepare(`UPDATE {tickets} SET depends_on = (SELECT json_group_array(key) FROM
			(SELECT key FROM {dependencies} WHERE ticket_id = ?1 ORDER BY position, depends_on)) WHERE id = ?1`),
		recount:           p.prepare(recountOpen + ` WHERE id = ?`),
		recountDependents: p.prepare(recountOpen + whoseBlocker),
		recountBoard:      p.prepare(recountOpen + ` WHERE id IN (SELECT ticket_id FROM {dependencies} WHERE board_id = ?)`),
		touch:             p.prepare(`UPDATE {tickets} SET version = ?, updated_at = ? WHERE id = ?`),
	}
}

func (*dependencies) Name() string     { return "dependencies" }
func (*dependencies) Tables() []string { return []string{"dependencies"} }

// Apply keeps the dependencies. It must run after tickets and columns have
// changed.
func (p *dependencies) Apply(ctx context.Context, tx *Tx, c Change) error {
	switch f := c.Fact.(type) {
	case events.DependencyAdded:
		return errors.Join(tx.exec(ctx, p.insert, c.TicketID, f.DependsOn, c.BoardID, f.Key, c.Position), p.changed(ctx, tx, c))
	case events.DependencyRemoved:
		return errors.Join(tx.exec(ctx, p.remove, c.TicketID, f.DependsOn), p.changed(ctx, tx, c))
	case events.TicketMoved, events.TicketRestored:
		// Also where the event names one column alone: a move before it may have
		// been redacted, and the row was elsewhere.
		return tx.exec(ctx, p.recountDependents, c.TicketID)
	case events.TicketDeleted:
		return errors.Join(tx.exec(ctx, p.drop, c.TicketID), tx.exec(ctx, p.recountDependents, c.TicketID))
	case events.TicketRecovered:
		// Positions only order what one ticket waits for, and what is added later
		// comes later.
		first := c.Position - int64(len(f.DependsOn)) + 1
		for i, d := range f.DependsOn {
			if err := tx.exec(ctx, p.insert, c.TicketID, d.ID, c.BoardID, d.Key, first+int64(i)); err != nil {
				return err
			}
		}
		return errors.Join(tx.exec(ctx, p.keys, c.TicketID), tx.exec(ctx, p.recount, c.TicketID), tx.exec(ctx, p.recountDependents, c.TicketID))
	case events.ColumnAdded, events.ColumnUpdated, events.ColumnRemoved:
		// Archived tickets stay in a column that is removed, and undo may bring it
		// back.
		return tx.exec(ctx, p.recountBoard, c.BoardID)
	case events.BoardDeleted:
		return tx.exec(ctx, p.dropBoard, c.BoardID)
	default:
		return nil // nothing that dependencies rest on
	}
}

func (p *dependencies) changed(ctx context.Context, tx *Tx, c Change) error {
	return errors.Join(tx.exec(ctx, p.keys, c.TicketID), tx.exec(ctx, p.recount, c.TicketID),
		tx.exec(ctx, p.touch, c.Version, c.At, c.TicketID))
}

// work counts how claims ended, and keeps what work cost.
type work struct{ claimed, done, lost, dropBoard, usage, dropUsage statement }

var _ Projector = (*work)(nil)

func newWork(p *preparer) *work {
	count := func(claimed, done, lost string) statement {
		return p.prepare(`INSERT INTO {work} (board_id, user_id, name, claimed, done, lost) VALUES (?, ?, ?, ` + claimed + `, ` + done + `, ` + lost + `)
			ON CONFLICT (board_id, user_id) DO UPDATE SET claimed = claimed + ` + claimed + `, done = done + ` + done + `, lost = lost + ` + lost)
	}
	return &work{
		claimed: count("1", "0", "0"), done: count("0", "1", "0"), lost: count("0", "0", "1"),
		dropBoard: p.prepare(`DELETE FROM {work} WHERE board_id = ?`),
		usage: p.prepare(`INSERT INTO {usage} (id, ticket_id, board_id, user_id, input_tokens, output_tokens, cost_micros, model, session, recorded_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`),
		dropUsage: p.prepare(`DELETE FROM {usage} WHERE board_id = ?`),
	}
}

func (*work) Name() string     { return "work" }
func (*work) Tables() []string { return []string{"work", "usage"} }

// Apply counts. Where the data of an end was redacted, nobody knows whose it was.
func (w *work) Apply(ctx context.Context, tx *Tx, c Change) error {
	switch f := c.Fact.(type) {
	case events.TicketClaimed:
		return tx.exec(ctx, w.claimed, c.BoardID, c.Actor.ID, c.Actor.Name)
	case events.TicketReleased:
		if f.Reason != events.Completed {
			return nil
		}
		return tx.exec(ctx, w.done, c.BoardID, f.HolderID, f.Holder)
	case events.LeaseExpired:
		if f.HolderID == 0 {
			return nil
		}
		return tx.exec(ctx, w.lost, c.BoardID, f.HolderID, f.Holder)
	case events.UsageRecorded:
		return tx.exec(ctx, w.usage, c.Position, c.TicketID, c.BoardID, c.Actor.ID, f.InputTokens, f.OutputTokens, f.CostMicros,
			f.Model, f.Session, readmodel.FormatTime(c.RecordedAt))
	case events.BoardDeleted:
		return errors.Join(tx.exec(ctx, w.dropBoard, c.BoardID), tx.exec(ctx, w.dropUsage, c.BoardID))
	default:
		return nil // no work
	}
}
