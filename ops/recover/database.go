package recover

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Database reads what SQLite still can of a damaged database. It works on a copy
// that nobody else uses: SQLite writes to it when it replays the WAL.
type Database struct{ db *sql.DB }

// OpenDatabase opens the copy at path, with its WAL beside it. It succeeds for
// any file; what cannot be read is told by those who read.
func OpenDatabase(path string) (*Database, error) {
	address, err := address(path)
	if err != nil {
		return nil, fmt.Errorf("recover: open %s: %w", path, err)
	}
	db, err := sql.Open("sqlite", address+"?mode=rw&_pragma=wal_autocheckpoint(0)&_pragma=cache_size(-8000)")
	if err != nil {
		return nil, fmt.Errorf("recover: open %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	return &Database{db: db}, nil
}

// Close gives the file free.
func (d *Database) Close() error { return d.db.Close() }

// LogID returns the id of the log, "" where it cannot be read.
func (d *Database) LogID(ctx context.Context) string {
	var id string
	_ = d.db.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'log_id'").Scan(&id) // "" says it
	return id
}

// Source yields the events that SQLite finds by their positions, then those that
// were redacted once more, with what was kept of them.
func (d *Database) Source(name string) Source {
	return Source{Name: name, Rows: func(ctx context.Context) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) {
			columns := eventColumns
			if have, err := names(ctx, d.db, `SELECT name FROM pragma_table_info('events')`); err != nil || slices.Contains(have, "chain") {
				columns += ", e.chain, e.actor_sha"
			}
			stopped := false
			failed := func(err error) bool { stopped = stopped || !yield(Row{}, err); return !stopped }
			each(ctx, d.db, "SELECT "+columns+` FROM events e NOT INDEXED WHERE e.position > ? ORDER BY e.position LIMIT 500`,
				func(rowid int64, cells []any) bool {
					row, ok := envelope(rowid, columnsOf(cells))
					stopped = ok && !yield(row, nil)
					return !stopped
				}, failed)
			kept, err := names(ctx, d.db, `SELECT name FROM sqlite_schema WHERE name = 'redacted_events'`)
			if stopped || err != nil || len(kept) == 0 {
				return
			}
			each(ctx, d.db, "SELECT "+columns+`, r.schema, r.data FROM redacted_events r JOIN events e ON e.position = r.position
				WHERE r.position > ? ORDER BY r.position LIMIT 500`,
				func(rowid int64, cells []any) bool {
					own := len(cells) - 2
					row, ok := envelope(rowid, columnsOf(cells[:own]))
					schema, isNumber := cells[own].(int64)
					data, isText := cells[own+1].(string)
					if !ok || !isNumber || !isText || row.Lost || !row.Event.Redacted() {
						return true
					}
					row.Event.Kept, row.Event.KeptSchema = json.RawMessage(data), int(schema)
					stopped = !yield(row, nil)
					return !stopped
				}, failed)
		}
	}}
}

// eventColumns are those of oldEventShape.
const eventColumns = `e.position, e.stream, e.version, e.type, e.schema, e.id, e.recorded_at, e.actor_kind, e.actor_id, e.actor_name,
	e.command_id, e.correlation_id, e.causation_id, e.board_id, e.ticket_id, e.data, e.data_sha, e.hash`

// columnsOf turns what the driver gives into values, nil where a column holds
// what it cannot.
func columnsOf(cells []any) []value {
	list := make([]value, len(cells))
	for i, c := range cells {
		switch c := c.(type) {
		case nil:
			list[i].null = true
		case int64:
			list[i].number = c
		case string:
			list[i].bytes = []byte(c)
		case []byte:
			list[i].bytes = slices.Clone(c)
		default:
			return nil
		}
	}
	if len(list) != len(eventShape) && len(list) != len(oldEventShape) {
		return nil
	}
	for i, class := range eventShape[:len(list)] {
		v := list[i]
		if v.null && i > 0 && class&null == 0 || class&digest != 0 && !v.null && len(v.bytes) != 32 {
			return nil
		}
	}
	return list
}

// each runs a query that pages by rowid, its first column, and goes on behind
// what is damaged. Both functions return false to end it.
func each(ctx context.Context, db *sql.DB, query string, row func(rowid int64, cells []any) bool, failed func(error) bool) {
	after := int64(0)
	skip := int64(0) // how far the next attempt goes behind a failure
	for misses := 0; misses < 300; {
		n, last, more, err := page(ctx, db, query, after, row)
		if !more {
			return
		}
		if n > 0 {
			after, skip, misses = last, 0, 0
		}
		switch {
		case ctx.Err() != nil:
			failed(ctx.Err())
			return
		case err != nil:
			// One row after the other at first: a page that is damaged holds few.
			// Then further and further, to get over what hangs below a lost page.
			if misses++; misses == 1 && !failed(err) {
				return
			}
			if skip = max(1, skip); misses > 60 {
				skip *= 2
			}
			if after > 1<<50 {
				return
			}
			after += skip
		case n == 0:
			return
		}
	}
}

func page(ctx context.Context, db *sql.DB, query string, after int64, row func(int64, []any) bool) (n int, last int64, more bool, err error) {
	rows, err := db.QueryContext(ctx, query, after)
	if err != nil {
		return 0, 0, true, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return 0, 0, true, err
	}
	cells := make([]any, len(columns))
	to := make([]any, len(columns))
	for i := range cells {
		to[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			return n, last, true, err
		}
		id, ok := cells[0].(int64)
		if !ok || id <= after {
			return n, last, true, errors.New("the rows are out of order")
		}
		n, last = n+1, id
		if !row(id, cells) {
			return n, last, false, nil
		}
	}
	return n, last, true, rows.Err()
}

// Ledger keeps what can be read of the record of commands.
func (s *Scratch) Ledger(ctx context.Context, d *Database) {
	const columns = `command_id, actor, request_sha, first_position, last_position, stream, version, recorded_at`
	// From both ends: the tree may be broken in the middle.
	for _, order := range []string{"ASC", "DESC"} {
		rows, err := d.db.QueryContext(ctx, `SELECT `+columns+` FROM commands ORDER BY command_id `+order+`, actor `+order)
		if err != nil {
			continue
		}
		if s.ledger(ctx, rows) {
			return
		}
	}
}

// ledger keeps what rows give, closes them, and reports whether that was all.
func (s *Scratch) ledger(ctx context.Context, rows *sql.Rows) (whole bool) {
	defer rows.Close()
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return false
	}
	defer func() { _ = tx.Rollback() }()
	var cells [8]any
	var to [8]any
	for i := range cells {
		to[i] = &cells[i]
	}
	for rows.Next() {
		if rows.Scan(to[:]...) != nil {
			break
		}
		// A row that does not fit is damaged.
		_, _ = tx.ExecContext(ctx, `INSERT OR IGNORE INTO ledger VALUES (?,?,?,?,?,?,?,?)`, cells[:]...)
	}
	return tx.Commit() == nil && rows.Err() == nil
}

// CopyTables copies what can be read of every table that both databases have,
// but for those in skip, into the new one in tx. It returns how many rows were
// copied and, by table, the first error: what was behind it may be missing.
func (d *Database) CopyTables(ctx context.Context, tx *sql.Tx, skip []string) (copied map[string]int64, errs map[string]error, err error) {
	copied, errs = map[string]int64{}, map[string]error{}
	tables, err := names(ctx, tx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
		AND sql NOT LIKE '%WITHOUT ROWID%' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name`)
	if err != nil {
		return nil, nil, fmt.Errorf("recover: copy tables: %w", err)
	}
	own, _ := names(ctx, d.db, `SELECT name FROM sqlite_schema WHERE name = 'events'`) // an error comes again below
	for _, table := range tables {
		if slices.Contains(skip, table) {
			continue
		}
		want, err := names(ctx, tx, `SELECT name FROM pragma_table_info(?)`, table)
		if err != nil {
			return nil, nil, fmt.Errorf("recover: copy %s: %w", table, err)
		}
		have, err := names(ctx, d.db, `SELECT name FROM pragma_table_info(?)`, table)
		if err != nil {
			errs[table] = err
			continue
		}
		columns := slices.DeleteFunc(want, func(name string) bool { return !slices.Contains(have, name) })
		if len(columns) == 0 && len(own) == 0 {
			errs[table] = errors.New("there is no such table, nor a log")
		}
		if len(columns) == 0 {
			continue // a newer table
		}
		list := `"` + strings.Join(columns, `","`) + `"`
		insert := fmt.Sprintf(`INSERT OR IGNORE INTO "%s" (%s) VALUES (?%s)`, table, list, strings.Repeat(",?", len(columns)-1))
		each(ctx, d.db, fmt.Sprintf(`SELECT rowid, %s FROM "%s" WHERE rowid > ? ORDER BY rowid LIMIT 500`, list, table),
			func(_ int64, cells []any) bool {
				// A row that the new table does not take is damaged.
				if _, err := tx.ExecContext(ctx, insert, cells[1:]...); err == nil {
					copied[table]++
				} else if errs[table] == nil {
					errs[table] = err
				}
				return true
			}, func(err error) bool { errs[table] = err; return true })
	}
	return copied, errs, ctx.Err()
}

type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func names(ctx context.Context, q queryer, query string, args ...any) (list []string, err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		list = append(list, name)
	}
	return list, rows.Err()
}
