package recover

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

	"github.com/agent-kanban/agent-kanban/events"
)

// in yields the rows of a state in the order of their positions. One statement
// is open at a time, and none while the caller works.
func (s *Scratch) in(ctx context.Context, state int) iter.Seq2[*events.Envelope, error] {
	return func(yield func(*events.Envelope, error) bool) {
		var after, afterID int64
		for {
			page, err := s.page(ctx, state, &after, &afterID)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) == 0 {
				return
			}
			for i := range page {
				if !yield(&page[i], nil) {
					return
				}
			}
		}
	}
}

func (s *Scratch) page(ctx context.Context, state int, after, afterID *int64) (page []events.Envelope, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT rowid, position, body FROM rows WHERE state = ?1 AND (position > ?2 OR position = ?2 AND rowid > ?3)
		ORDER BY position, rowid LIMIT 200`, state, *after, *afterID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var body []byte
		var e events.Envelope
		if err := rows.Scan(afterID, after, &body); err != nil {
			return nil, err
		}
		if err := e.UnmarshalJSON(body); err != nil {
			return nil, err
		}
		page = append(page, e)
	}
	return page, rows.Err()
}

// Write appends what Plan found to the empty log of tx, with the record of the
// commands that led to it.
func (s *Scratch) Write(ctx context.Context, tx events.Tx) error {
	batch := make([]events.Envelope, 0, 200)
	var rec events.CommandRecord
	record := func() error {
		if rec.ID == "" {
			return nil
		}
		if err := s.remember(ctx, &rec); err != nil {
			return err
		}
		// A command id that comes twice was damaged; the first one stands.
		if err := tx.Record(ctx, rec); err != nil && !errors.Is(err, events.ErrConflict) {
			return err
		}
		return nil
	}
	for e, err := range s.in(ctx, stateChosen) {
		if err != nil {
			return fmt.Errorf("recover: write: %w", err)
		}
		if actor := principal(e.Actor); rec.ID != e.CommandID || rec.Actor != actor {
			if err := record(); err != nil {
				return fmt.Errorf("recover: write: %w", err)
			}
			rec = events.CommandRecord{ID: e.CommandID, Actor: actor, First: e.Position}
		}
		rec.Last, rec.Stream, rec.Version, rec.RecordedAt = e.Position, e.Stream, e.Version, e.RecordedAt
		if batch = append(batch, *e); len(batch) == cap(batch) {
			if err := tx.Append(ctx, batch); err != nil {
				return fmt.Errorf("recover: write: %w", err)
			}
			batch = batch[:0]
		}
	}
	if err := tx.Append(ctx, batch); err != nil {
		return fmt.Errorf("recover: write: %w", err)
	}
	if err := record(); err != nil {
		return fmt.Errorf("recover: write: %w", err)
	}
	return nil
}

// remember puts what was asked into a record, where the ledger could be read: a
// repeat of the command gets its first answer again. Without it a repeat is
// refused as a reused key, and not carried out either.
func (s *Scratch) remember(ctx context.Context, rec *events.CommandRecord) error {
	var sha []byte
	err := s.db.QueryRowContext(ctx, `SELECT request_sha FROM ledger
		WHERE command_id = ? AND actor = ? AND first_position = ? AND last_position = ?`, rec.ID, rec.Actor, rec.First, rec.Last).Scan(&sha)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if len(sha) == len(rec.RequestSHA) {
		copy(rec.RequestSHA[:], sha)
	}
	return err
}

// principal is how the ledger names an actor.
func principal(a events.Actor) string {
	if a.ID == 0 {
		return string(a.Kind) + ":" + a.Name
	}
	return string(a.Kind) + ":" + strconv.FormatInt(a.ID, 10)
}

// WriteBeyond writes the events that exist and cannot be in the log, one line of
// JSON each.
func (s *Scratch) WriteBeyond(ctx context.Context, w io.Writer) error {
	out := bufio.NewWriter(w)
	for e, err := range s.in(ctx, stateBeyond) {
		if err != nil {
			return fmt.Errorf("recover: save what is beyond: %w", err)
		}
		out.Write(e.JSON()) //nolint:errcheck // Flush returns it
		out.WriteByte('\n') //nolint:errcheck // the same
	}
	return out.Flush()
}
