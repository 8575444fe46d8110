package backup

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// side is a table of what is never in an event: sums of passwords and tokens,
// addresses and secrets of webhooks. Its rows are shipped when they are new or
// changed, which a column tells that only grows.
type side struct {
	table   string
	key     string
	cursor  string // the column that grows
	integer bool   // its type; else text, a time as operators read it
	overlap time.Duration
}

// Times are taken before a write waits for its turn, so a row may appear behind
// the cursor; ids are given in the transaction.
const overlap = 10 * time.Second

var sides = []side{
	{table: "api_tokens", key: "id", cursor: "id", integer: true},
	{table: "credentials", key: "user_id", cursor: "updated_at", overlap: overlap},
	{table: "webhooks", key: "id", cursor: "updated_at", integer: true, overlap: overlap},
}

const sideTime = "2006-01-02 15:04:05.000000"

// since is where to read from, given how far the rows were shipped.
func (s *side) since(cursor string) any {
	if s.integer {
		n, _ := strconv.ParseInt(cursor, 10, 64)
		return n - s.overlap.Microseconds()
	}
	at, err := time.Parse(sideTime, cursor)
	if err != nil {
		return "" // all of it
	}
	return at.Add(-s.overlap).Format(sideTime)
}

// sideRow is a line of a record.
type sideRow struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
	Values  []any    `json:"values"` // text, number, null, or bytes as {"base64": …}
}

// sideReader remembers what was shipped.
type sideReader struct {
	cursors map[string]string            // by table
	recent  map[string]map[string]string // by table: key to cursor, within the overlap
	due     time.Time
	pending map[string]string // the cursors of the rows read last
}

// next returns how far the tables are shipped once those rows are.
func (r *sideReader) next(beside []sideRow) map[string]string {
	if len(beside) == 0 {
		return r.cursors
	}
	return r.pending
}

// sideEvery is how often the tables are looked at: with the time between two
// records it stays below a second.
const sideEvery = 500 * time.Millisecond

// read returns the rows that are new or changed since the last time; it moves no
// cursor before keep is called.
func (r *sideReader) read(ctx context.Context, db *sql.DB) (rows []sideRow, keep func(), err error) {
	keep = func() {}
	if now := time.Now(); now.Before(r.due) {
		return nil, keep, nil
	}
	cursors, recent := map[string]string{}, map[string]map[string]string{}
	for i := range sides {
		s := &sides[i]
		seen := map[string]string{}
		found, last, err := s.rows(ctx, db, r.cursors[s.table], func(key, cursor string) bool {
			seen[key] = cursor
			return r.recent[s.table][key] == cursor
		})
		if err != nil {
			return nil, keep, fmt.Errorf("read %s: %w", s.table, err)
		}
		rows = append(rows, found...)
		cursors[s.table], recent[s.table] = last, seen
	}
	r.pending = cursors
	return rows, func() {
		r.cursors, r.recent, r.due = cursors, recent, time.Now().Add(sideEvery)
	}, nil
}

// rows reads one table from a cursor on and returns the new cursor.
func (s *side) rows(ctx context.Context, db *sql.DB, cursor string, known func(key, cursor string) bool) (found []sideRow, last string, err error) {
	last = cursor
	rows, err := db.QueryContext(ctx, "SELECT * FROM "+s.table+" WHERE "+s.cursor+" > ? ORDER BY "+s.cursor, s.since(cursor))
	if err != nil {
		return nil, last, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, last, err
	}
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, last, err
		}
		var key string
		for i, name := range columns {
			if name == s.key {
				key = fmt.Sprint(values[i])
			}
			if name == s.cursor {
				last = fmt.Sprint(values[i])
			}
			if b, ok := values[i].([]byte); ok {
				values[i] = map[string]any{"base64": base64.StdEncoding.EncodeToString(b)}
			}
		}
		if !known(key, last) {
			found = append(found, sideRow{s.table, columns, values})
		}
	}
	return found, last, rows.Err()
}

// apply puts a row into a database, unless what is there is as new.
func (row *sideRow) apply(ctx context.Context, tx *sql.Tx) error {
	var s *side
	for i := range sides {
		if sides[i].table == row.Table {
			s = &sides[i]
		}
	}
	if s == nil || len(row.Columns) != len(row.Values) {
		return fmt.Errorf("%w: a row of the table %q", ErrDamaged, row.Table)
	}
	var updates []string
	values := make([]any, len(row.Values))
	for i, name := range row.Columns {
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_0123456789") != "" {
			return fmt.Errorf("%w: a column %q", ErrDamaged, name)
		}
		updates = append(updates, name+" = excluded."+name)
		values[i] = row.Values[i]
		switch v := values[i].(type) {
		case map[string]any:
			text, _ := v["base64"].(string)
			b, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrDamaged, err)
			}
			values[i] = b
		case float64:
			values[i] = int64(v) // ids and microseconds fit
		}
	}
	text := fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s) ON CONFLICT (%s) DO UPDATE SET %s WHERE excluded.%s > %s.%s",
		s.table, strings.Join(row.Columns, ", "), strings.TrimSuffix(strings.Repeat("?, ", len(values)), ", "),
		s.key, strings.Join(updates, ", "), s.cursor, s.table, s.cursor)
	_, err := tx.ExecContext(ctx, text, values...)
	return err
}

// SettleSides makes the tables fit a log that was replayed: what an event ended
// is ended, and what no event began is gone, for the rows may be ahead of the
// events where the copy stops. The read models must be up to date.
func SettleSides(ctx context.Context, db *sqlstore.DB) error {
	return db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, text := range []string{
			`UPDATE api_tokens SET revoked = 1 WHERE id IN (SELECT data ->> 'token_id' FROM events WHERE type = 'token_revoked' AND data IS NOT NULL)
				OR user_id IN (SELECT id FROM users WHERE active = 0)`,
			`DELETE FROM api_tokens WHERE user_id NOT IN (SELECT id FROM users)
				OR id > (SELECT coalesce(max(data ->> 'token_id'), 0) FROM events WHERE type = 'token_issued' AND data IS NOT NULL)`,
			`DELETE FROM credentials WHERE user_id NOT IN (SELECT id FROM users WHERE active = 1)`,
			`UPDATE refresh_tokens SET revoked = 1 WHERE user_id NOT IN (SELECT id FROM users WHERE active = 1)`,
			`DELETE FROM webhooks WHERE id IN (SELECT data ->> 'webhook_id' FROM events WHERE type = 'webhook_removed' AND data IS NOT NULL)
				OR id > (SELECT coalesce(max(data ->> 'webhook_id'), 0) FROM events WHERE type = 'webhook_added' AND data IS NOT NULL)`,
		} {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
		}
		return nil
	})
}
