package legacy

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver named "sqlite"

	"github.com/agent-kanban/agent-kanban/events"
)

// ErrNotLegacy: the file is not a database of the replaced system. Nothing was
// written.
var ErrNotLegacy = errors.New("not an agent-kanban database")

// source is everything of a file that an import needs, as it was stored.
type source struct {
	name string // base name of the file
	sha  events.Hash

	boards   []board
	tickets  []ticket
	changes  []change
	comments []comment
	users    []user
}

type board struct {
	id                         int64
	name, columns, description string
	created                    time.Time
}

type ticket struct {
	id, boardID int64
	fields      map[string]string // by the names that ticket_history uses
	created     time.Time
	updated     time.Time
}

type change struct {
	id, ticketID     int64
	field            string
	before, after    string
	by               string
	at               time.Time
	beforeNull, null bool
}

type comment struct {
	id, ticketID int64
	text, author string
	created      time.Time
}

type user struct {
	id        int64
	name      string
	role      string
	superuser bool
	inactive  bool
	created   time.Time
	updated   time.Time
}

// read loads the database at path. The file is opened immutable: neither it nor
// its folder is written to, not even for a lock.
func read(ctx context.Context, path string) (*source, error) {
	sum, err := fingerprint(path)
	if err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	dsn := url.URL{Scheme: "file", Path: absolute, RawQuery: "mode=ro&immutable=1"}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer db.Close()

	src := &source{name: filepath.Base(path), sha: sum}
	if err := src.load(ctx, db); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return src, nil
}

// fingerprint hashes the file, after refusing what can be told from outside.
func fingerprint(path string) (sum events.Hash, err error) {
	file, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer file.Close()
	const magic = "SQLite format 3\x00"
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(file, head); err != nil || string(head) != magic {
		return sum, fmt.Errorf("%s is not a SQLite file: %w", path, ErrNotLegacy)
	}
	// An immutable reader does not look into the write-ahead log, so whatever
	// the old server left there would be missing without a word.
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return sum, fmt.Errorf("%s has changes that are still in %s-wal: stop the old server, then run: sqlite3 %s 'PRAGMA wal_checkpoint(TRUNCATE)'",
			path, filepath.Base(path), path)
	}
	hash := sha256.New()
	hash.Write(head)
	if _, err := io.Copy(hash, file); err != nil {
		return sum, fmt.Errorf("read %s: %w", path, err)
	}
	return events.Hash(hash.Sum(nil)), nil
}

func (s *source) load(ctx context.Context, db *sql.DB) error {
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return fmt.Errorf("damaged file: %w (try: sqlite3 FILE .recover)", err)
	}
	if verdict != "ok" {
		return fmt.Errorf("damaged file: %s (try: sqlite3 FILE .recover)", verdict)
	}
	if own, err := columnsOf(ctx, db, "events"); err != nil {
		return err
	} else if slices.Contains(own, "position") {
		return fmt.Errorf("this is a database of this program, not of the replaced system: %w", ErrNotLegacy)
	}

	err := table{
		name: "boards", need: []string{"id", "name", "columns"},
		take: []string{"id", "name", "columns", "description", "created_at"},
	}.each(ctx, db, func(c cells) {
		s.boards = append(s.boards, board{
			id: c.int(0), name: c.text(1), columns: c.text(2), description: c.text(3), created: c.time(4),
		})
	})
	if err != nil {
		return err
	}
	err = table{
		name: "tickets", need: []string{"id", "title", "board_id", "current_column"},
		take: []string{
			"id", "board_id", "title", "description", "acceptance_criteria", "priority", "assignee",
			"current_column", "created_at", "updated_at",
		},
	}.each(ctx, db, func(c cells) {
		s.tickets = append(s.tickets, ticket{
			id: c.int(0), boardID: c.int(1), created: c.time(8), updated: c.time(9),
			fields: map[string]string{
				fieldTitle: c.text(2), fieldDescription: c.text(3), fieldAcceptance: c.text(4),
				fieldPriority: c.text(5), fieldAssignee: c.text(6), fieldColumn: c.text(7),
			},
		})
	})
	if err != nil {
		return err
	}
	err = table{
		name: "ticket_history", need: []string{"id", "ticket_id", "field_name"},
		take: []string{"id", "ticket_id", "field_name", "old_value", "new_value", "changed_by", "changed_at"},
	}.each(ctx, db, func(c cells) {
		s.changes = append(s.changes, change{
			id: c.int(0), ticketID: c.int(1), field: c.text(2), before: c.text(3), after: c.text(4),
			by: c.text(5), at: c.time(6), beforeNull: !c[3].Valid, null: !c[4].Valid,
		})
	})
	if err != nil {
		return err
	}
	err = table{
		name: "comments", need: []string{"id", "ticket_id", "text"},
		take: []string{"id", "ticket_id", "text", "author", "created_at"},
	}.each(ctx, db, func(c cells) {
		s.comments = append(s.comments, comment{
			id: c.int(0), ticketID: c.int(1), text: c.text(2), author: c.text(3), created: c.time(4),
		})
	})
	if err != nil {
		return err
	}
	// Installations from before accounts existed have no such table.
	return table{
		name: "users", optional: true, need: []string{"id", "username"},
		take: []string{"id", "username", "role", "is_superuser", "is_active", "created_at", "updated_at"},
	}.each(ctx, db, func(c cells) {
		s.users = append(s.users, user{
			id: c.int(0), name: c.text(1), role: c.text(2), superuser: c.text(3) == "1",
			inactive: c.text(4) == "0", created: c.time(5), updated: c.time(6),
		})
	})
}

// table says what is read of a table: need must exist, other columns of take
// read as NULL where an older version of the system did not have them.
type table struct {
	name       string
	optional   bool
	need, take []string
}

func (t table) each(ctx context.Context, db *sql.DB, add func(cells)) error {
	have, err := columnsOf(ctx, db, t.name)
	if err != nil {
		return err
	}
	if len(have) == 0 && t.optional {
		return nil
	}
	if len(have) == 0 {
		return fmt.Errorf("it has no table %q: %w", t.name, ErrNotLegacy)
	}
	for _, name := range t.need {
		if !slices.Contains(have, name) {
			return fmt.Errorf("its table %q has no column %q: %w", t.name, name, ErrNotLegacy)
		}
	}
	take := make([]string, len(t.take))
	for i, name := range t.take {
		take[i] = "NULL"
		if slices.Contains(have, name) {
			// The cast drops the declared type: the driver would turn a
			// DATETIME into a time of its own reading.
			take[i] = "CAST(" + name + " AS TEXT)"
		}
	}
	rows, err := db.QueryContext(ctx, "SELECT "+strings.Join(take, ", ")+" FROM "+t.name+" ORDER BY id")
	if err != nil {
		return fmt.Errorf("table %s: %w", t.name, err)
	}
	defer rows.Close()
	row := make(cells, len(take))
	targets := make([]any, len(take))
	for i := range row {
		targets[i] = &row[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return fmt.Errorf("table %s: %w", t.name, err)
		}
		add(row)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("table %s: %w", t.name, err)
	}
	return nil
}

func columnsOf(ctx context.Context, db *sql.DB, table string) ([]string, error) {
	rows, err := db.QueryContext(ctx, "SELECT name FROM pragma_table_info(?)", table)
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", table, err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, fmt.Errorf("table %s: %w", table, err)
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// cells is one row as text.
type cells []sql.NullString

func (c cells) text(i int) string { return c[i].String }

func (c cells) int(i int) (n int64) {
	_, _ = fmt.Sscan(c[i].String, &n)
	return n
}

func (c cells) time(i int) time.Time { return parseTime(c[i].String) }

// parseTime reads the forms that the old system wrote over the years; without
// a zone it is UTC. It returns the zero time where the text is none of them.
func parseTime(text string) time.Time {
	text = strings.Replace(strings.TrimSpace(text), " ", "T", 1)
	for _, layout := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Microsecond)
		}
	}
	return time.Time{}
}
