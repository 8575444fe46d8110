package recover

import (
	"context"
	"database/sql"
	"errors"
	"math"

	"github.com/agent-kanban/agent-kanban/events"
)

// emptied notes what a redaction that is in the log says about earlier events.
func (w *walk) emptied(e *events.Envelope) {
	if e.Type != events.TypeDataRedacted {
		return
	}
	fact, err := e.Payload()
	if err != nil {
		return // its own data is lost
	}
	if f, ok := fact.(events.DataRedacted); ok {
		w.gone = append(w.gone, f.Events...)
	}
}

// settle makes the chosen rows fit the redactions that are in the log. Where one
// names an event, what was kept of it must be what it says: from whichever copy
// has that, or from one of before, on which the redaction is carried out when the
// log is written. Where none does any more, nothing stands in the place of the
// data: it would be unproven.
func (s *Scratch) settle(ctx context.Context, r *Report) error {
	for position := int64(0); ; {
		err := s.db.QueryRowContext(ctx, "SELECT position FROM rows WHERE state = ? AND kind <> ? AND position > ? ORDER BY position LIMIT 1",
			stateChosen, whole, position).Scan(&position)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.settleOne(ctx, position, r); err != nil {
			return err
		}
	}
}

func (s *Scratch) settleOne(ctx context.Context, position int64, r *Report) error {
	var chosen, schema int64
	var hash, sha []byte
	err := s.db.QueryRowContext(ctx, `SELECT r.rowid, coalesce(p.hash, zeroblob(32)), coalesce(e.schema, 0), e.sha FROM rows r
		LEFT JOIN rows p ON p.state = r.state AND p.position = r.position - 1 LEFT JOIN emptied e ON e.position = r.position
		WHERE r.state = ? AND r.position = ?`, stateChosen, position).Scan(&chosen, &hash, &schema, &sha)
	if err != nil {
		return err
	}
	before := events.Head{Position: position - 1}
	copy(before.Hash[:], hash)
	want := events.Emptied{Position: position, Schema: int(schema)}
	copy(want.SHA[:], sha)
	list, err := s.candidates(ctx, position-1, math.MaxInt64, 200)
	if err != nil {
		return err
	}
	var now *candidate
	for i := range list {
		if list[i].id == chosen {
			now = &list[i]
		}
	}
	if now == nil {
		return nil // cannot be: it was read a moment ago
	}
	best := now
	for i := range list {
		c := &list[i]
		if sha == nil || c.event.Position != position || c.event.Hash != now.event.Hash || !proven(before, c) {
			continue
		}
		if kept := c.kind == redacted && c.event.Kept != nil && want.CheckKept(&c.event) == nil; kept {
			best = c
			break
		}
		if c.kind == whole && best.kind != whole {
			best = c
		}
	}
	if best == now && now.event.Kept != nil && (sha == nil || want.CheckKept(&now.event) != nil) {
		now.event.Kept = nil
		if _, err := s.db.ExecContext(ctx, "UPDATE rows SET body = ? WHERE rowid = ?", now.event.JSON(), chosen); err != nil {
			return err
		}
	}
	if sha != nil && best.event.Redacted() && best.event.Kept == nil {
		r.KeptLost++
	}
	if best == now {
		return nil
	}
	_, err = s.db.ExecContext(ctx, "UPDATE rows SET state = CASE rowid WHEN ?1 THEN ?3 ELSE 0 END WHERE rowid IN (?1, ?2)", best.id, chosen, stateChosen)
	return err
}
