package webhook

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// DeadLetter is an event that was given up.
type DeadLetter struct {
	ID       int64
	Position int64
	EventID  string
	Type     events.Type
	Attempts int
	Status   int // of the last attempt, 0 = no reply
	Error    string
	Queued   bool // to be tried again
	FailedAt time.Time
}

// errStale: the row was changed from outside since it was read.
var errStale = errors.New("the webhook was changed meanwhile")

const letterColumns = `SELECT id, position, event_id, type, attempts, status, error, queued, failed_at FROM webhook_dead_letters `

func scanLetter(row interface{ Scan(dest ...any) error }) (DeadLetter, error) {
	var l DeadLetter
	var at int64
	err := row.Scan(&l.ID, &l.Position, &l.EventID, &l.Type, &l.Attempts, &l.Status, &l.Error, &l.Queued, &at)
	l.FailedAt = fromMicros(at)
	return l, err
}

// DeadLetters lists what a webhook was not told, in the order of the log: at most
// limit, after the letter at position.
func (s *Store) DeadLetters(ctx context.Context, id, after int64, limit int) ([]DeadLetter, error) {
	rows, err := s.reader.QueryContext(ctx, letterColumns+`WHERE webhook_id = ? AND position > ? ORDER BY position LIMIT ?`, id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list dead letters of webhook %d: %w", id, err)
	}
	defer func() { _ = rows.Close() }()
	list := []DeadLetter{}
	for rows.Next() {
		l, err := scanLetter(rows)
		if err != nil {
			return nil, fmt.Errorf("list dead letters of webhook %d: %w", id, err)
		}
		list = append(list, l)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list dead letters of webhook %d: %w", id, err)
	}
	return list, nil
}

// DeadLetter returns one dead letter of a webhook, or CodeNotFound.
func (s *Store) DeadLetter(ctx context.Context, id, letter int64) (DeadLetter, error) {
	l, err := scanLetter(s.reader.QueryRowContext(ctx, letterColumns+`WHERE webhook_id = ? AND id = ?`, id, letter))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return l, events.Errorf(events.CodeNotFound, "Webhook %d has no dead letter %d: it was delivered, or never was one.", id, letter)
	case err != nil:
		return l, fmt.Errorf("read dead letter %d: %w", letter, err)
	}
	return l, nil
}

// Queue has a dead letter tried again, all of the webhook's where letter is 0. It
// runs in tx, after the permission was decided. Call Reload after the commit.
func (s *Store) Queue(ctx context.Context, tx *sql.Tx, id, letter int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE webhook_dead_letters SET queued = 1 WHERE webhook_id = ?1 AND (?2 = 0 OR id = ?2)`, id, letter)
	if err != nil {
		return fmt.Errorf("replay webhook %d: %w", id, err)
	}
	return nil
}

// nextQueued returns the first dead letter that is to be tried again.
func (s *Store) nextQueued(ctx context.Context, id int64) (l DeadLetter, found bool, err error) {
	l, err = scanLetter(s.reader.QueryRowContext(ctx, letterColumns+`WHERE webhook_id = ? AND queued = 1 ORDER BY position LIMIT 1`, id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return l, false, nil
	case err != nil:
		return l, false, fmt.Errorf("read dead letters of webhook %d: %w", id, err)
	}
	return l, true, nil
}

// update writes how far the webhook is, unless its row was changed from outside
// since w was read: then it returns errStale, and nothing is written.
func (s *Store) update(ctx context.Context, w *Webhook, more func(ctx context.Context, tx *sql.Tx) error) error {
	err := s.db.UpdateRelaxed(ctx, func(ctx context.Context, tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, `UPDATE webhooks SET cursor = ?, attempts = ?, next_attempt = ?, gave_up = ?,
				last_status = ?, last_error = ?, delivered = ?, delivered_at = ? WHERE id = ? AND generation = ?`,
			w.Cursor, w.Attempts, micros(w.NextAttempt), w.GaveUp, w.LastStatus, w.LastError, w.Delivered, micros(w.DeliveredAt), w.ID, w.generation)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errStale)
		}
		if more == nil {
			return nil
		}
		return more(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("save webhook %d: %w", w.ID, err)
	}
	s.saved(*w)
	return nil
}

// delivered moves the cursor past an event that the receiver has taken. If it had
// been given up before, that is over.
func (s *Store) delivered(ctx context.Context, w *Webhook, position int64, status int) error {
	had := w.DeadLetters > 0
	w.Cursor, w.Attempts, w.NextAttempt, w.GaveUp = position, 0, time.Time{}, 0
	w.LastStatus, w.LastError = status, ""
	w.Delivered, w.DeliveredAt = w.Delivered+1, s.now()
	if !had {
		return s.update(ctx, w, nil)
	}
	return s.update(ctx, w, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM webhook_dead_letters WHERE webhook_id = ? AND position = ?`, w.ID, position)
		return err
	})
}

// failed notes an attempt that is to be repeated at a time.
func (s *Store) failed(ctx context.Context, w *Webhook, out Outcome, next time.Time) error {
	w.Attempts, w.NextAttempt = w.Attempts+1, next
	w.LastStatus, w.LastError = out.Status, out.Error
	return s.update(ctx, w, nil)
}

// giveUp makes the event a dead letter and moves the cursor past it.
func (s *Store) giveUp(ctx context.Context, w *Webhook, e *events.Envelope, out Outcome) error {
	attempts := w.Attempts + 1
	w.Cursor, w.Attempts, w.NextAttempt, w.GaveUp = e.Position, 0, time.Time{}, w.GaveUp+1
	w.LastStatus, w.LastError = out.Status, out.Error
	w.DeadLetters++
	return s.update(ctx, w, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO webhook_dead_letters (webhook_id, position, event_id, type, attempts, status, error, failed_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (webhook_id, position) DO UPDATE SET attempts = attempts + excluded.attempts, status = excluded.status,
				error = excluded.error, failed_at = excluded.failed_at`,
			w.ID, e.Position, e.ID, string(e.Type), attempts, out.Status, out.Error, micros(s.now()))
		return err
	})
}

// skip moves the cursor over events that are not for the webhook.
func (s *Store) skip(ctx context.Context, w *Webhook, position int64) error {
	w.Cursor = position
	return s.update(ctx, w, nil)
}

// replayed notes how another attempt at a dead letter went: it is gone, or stays.
// Where the receiver is absent, those still queued wait to be asked for again.
func (s *Store) replayed(ctx context.Context, w *Webhook, l DeadLetter, out Outcome) error {
	w.LastStatus, w.LastError = out.Status, out.Error
	if out.OK() {
		w.Delivered, w.DeliveredAt, w.GaveUp = w.Delivered+1, s.now(), 0
	}
	return s.update(ctx, w, func(ctx context.Context, tx *sql.Tx) error {
		if out.OK() {
			_, err := tx.ExecContext(ctx, `DELETE FROM webhook_dead_letters WHERE id = ?`, l.ID)
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE webhook_dead_letters SET queued = 0, attempts = attempts + 1, status = ?, error = ?, failed_at = ? WHERE id = ?`,
			out.Status, out.Error, micros(s.now()), l.ID)
		if err == nil && out.absent() {
			_, err = tx.ExecContext(ctx, `UPDATE webhook_dead_letters SET queued = 0 WHERE webhook_id = ?`, w.ID)
		}
		return err
	})
}

// drop removes a webhook whose board is gone.
func (s *Store) drop(ctx context.Context, id int64) error {
	err := s.db.UpdateRelaxed(ctx, func(ctx context.Context, tx *sql.Tx) error { return s.Remove(ctx, tx, id) })
	if err == nil {
		s.saved(Webhook{ID: id})
	}
	return err
}
