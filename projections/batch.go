package projections

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// eventError is the failure of one event, not of the database.
type eventError struct {
	position int64
	err      error
}

func (e *eventError) Error() string { return fmt.Sprintf("position %d: %v", e.position, e.err) }
func (e *eventError) Unwrap() error { return e.err }

// outcome is what one transaction did; it counts only after the commit.
type outcome struct {
	position                     int64
	applied, duplicates, skipped int64
	lanes                        map[string]int // newly parked
}

// project applies first and whatever else is waiting in one transaction. It
// repeats until that is committed or ctx ends, parking events that cannot be
// applied. It returns an error only where following on makes no sense.
func (r *Runner) project(ctx context.Context, first []events.Envelope, more Subscription) error {
	pending, count := [][]events.Envelope{first}, len(first)
	failures := map[int64]int{}
	for attempt := 0; ; attempt++ {
		began := time.Now()
		err := r.transact(ctx, func(ctx context.Context, tx *sql.Tx) (*outcome, error) {
			for count < r.config.MaxBatch && more.Pending() {
				batch, err := more.Next(ctx)
				if err != nil {
					return nil, fmt.Errorf("subscription: %w", err)
				}
				pending, count = append(pending, batch), count+len(batch)
				if hasRedaction(batch, r.position) {
					return nil, errRedaction
				}
			}
			return r.applyAll(ctx, tx, pending)
		})
		var bad *eventError
		switch {
		case err == nil:
			if r.config.Applied != nil {
				r.config.Applied(pending, began)
			}
			return nil
		case errors.Is(err, errRedaction):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, ErrCheckpointLost), errors.Is(err, ErrGap):
			return err
		case errors.As(err, &bad):
			failures[bad.position]++
			attempt = failures[bad.position] - 1
			if failures[bad.position] >= r.config.Attempts {
				r.turn.Lock()
				r.poison[bad.position] = bad.err
				r.turn.Unlock()
				r.config.Logger.Error("event parked: it cannot be applied", "position", bad.position, "error", bad.err)
				continue // without a wait: the others have waited enough
			}
		}
		r.status.retry(err)
		if !wait(ctx, r.config.Backoff, attempt) {
			return ctx.Err()
		}
	}
}

// transact runs fn in a transaction and notes its outcome after the commit.
func (r *Runner) transact(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) (*outcome, error)) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	var out *outcome
	err := r.config.Update(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		out, err = fn(ctx, tx)
		return err
	})
	if err != nil {
		return err
	}
	r.position = out.position
	for lane, n := range out.lanes {
		if r.lanes[lane] += n; r.lanes[lane] <= 0 {
			delete(r.lanes, lane)
		}
	}
	clear(r.poison)
	r.status.commit(out, r.lanes)
	r.config.Watermark.Advance(out.position)
	return nil
}

// applyAll applies the batches that follow the checkpoint and moves it.
func (r *Runner) applyAll(ctx context.Context, tx *sql.Tx, batches [][]events.Envelope) (*outcome, error) {
	t := r.views.begin(tx)
	out := &outcome{position: r.position, lanes: map[string]int{}}
	for _, batch := range batches {
		for i := range batch {
			e := &batch[i]
			if e.Position <= out.position {
				out.duplicates++
				continue
			}
			if e.Position != out.position+1 {
				return nil, fmt.Errorf("position %d after %d: %w", e.Position, out.position, ErrGap)
			}
			if err := r.applyOne(ctx, t, e, out); err != nil {
				return nil, err
			}
			out.position = e.Position
		}
	}
	if out.position == r.position {
		return out, nil
	}
	if err := r.views.flush(ctx, t); err != nil {
		return nil, err
	}
	return out, r.advance(ctx, tx, out.position)
}

// advance is the compare-and-set of the checkpoint.
func (r *Runner) advance(ctx context.Context, tx *sql.Tx, to int64) error {
	result, err := tx.StmtContext(ctx, r.move).ExecContext(ctx, to, rowSchema, r.position) //nolint:sqlclosecheck // ends with the transaction
	if err != nil {
		return fmt.Errorf("move checkpoint: %w", err)
	}
	moved, err := result.RowsAffected()
	if err != nil {
		return fmt.Errorf("move checkpoint: %w", err)
	}
	if moved != 1 {
		return fmt.Errorf("from %d to %d: %w", r.position, to, ErrCheckpointLost)
	}
	return nil
}

// applyOne applies one event, or parks it.
func (r *Runner) applyOne(ctx context.Context, t *Tx, e *events.Envelope, out *outcome) error {
	if len(r.lanes)+len(out.lanes)+len(r.poison) > 0 {
		if err := r.poison[e.Position]; err != nil {
			return park(ctx, t.sql, e, reasonFailed, err, out)
		}
		for _, lane := range lanesOf(e) {
			if r.lanes[lane]+out.lanes[lane] > 0 {
				return park(ctx, t.sql, e, reasonBehind, nil, out)
			}
		}
	}
	err := r.apply(ctx, t, e)
	switch {
	case err == nil:
		out.applied++
		return nil
	case errors.Is(err, events.ErrUnknownType):
		r.config.Logger.Warn("event skipped: this version does not know its type", "position", e.Position,
			"type", e.Type, "schema", e.Schema)
		return park(ctx, t.sql, e, reasonUnknown, err, out)
	case ofDatabase(err):
		return fmt.Errorf("position %d: %w", e.Position, err)
	}
	return &eventError{position: e.Position, err: err}
}

// ofDatabase tells an error that may pass (disk full, busy, closed) from one
// that this event would meet again and again. Every driver of SQLite says its
// result code this way.
func ofDatabase(err error) bool {
	var coded interface{ Code() int }
	if errors.As(err, &coded) {
		switch coded.Code() & 0xff {
		case 1, 18, 19, 20, 25: // ERROR, TOOBIG, CONSTRAINT, MISMATCH, RANGE
			return false
		}
		return true
	}
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, sql.ErrTxDone)
}

// Why an event is in parked_events.
const (
	reasonFailed  = "failed"
	reasonBehind  = "behind"
	reasonUnknown = "unknown"
)

// lanesOf names what must stay in order: a parked event holds up its lane. An
// event about a board's structure holds up everything on the board.
func lanesOf(e *events.Envelope) []string {
	if e.TicketID != 0 {
		return []string{ticketLane(e.TicketID), e.Stream}
	}
	return []string{e.Stream}
}

func ticketLane(id int64) string { return fmt.Sprintf("ticket-%d", id) }

// park notes the event instead of applying it. An unknown type holds up nobody.
func park(ctx context.Context, tx *sql.Tx, e *events.Envelope, reason string, cause error, out *outcome) error {
	lane, text := lanesOf(e)[0], ""
	if cause != nil {
		text = cause.Error()
		text = text[:min(len(text), 2000)]
	}
	if reason == reasonUnknown {
		out.skipped++
	} else {
		out.lanes[lane]++
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO parked_events (position, lane, type, reason, error, parked_at)
		VALUES (?, ?, ?, ?, ?, ?)`, e.Position, lane, string(e.Type), reason, text, readmodel.FormatTime(time.Now()))
	if err != nil {
		return fmt.Errorf("park position %d: %w", e.Position, err)
	}
	return nil
}
