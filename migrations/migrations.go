package migrations

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Errors of Apply and Check, each with words for the operator.
var (
	// ErrNewer: the database was brought up to date by a newer program.
	ErrNewer = errors.New("the database was made by a newer version of this program")
	// ErrPending: the database lacks migrations (Check only).
	ErrPending = errors.New("the database was made by an older version of this program and is not upgraded yet")
	// ErrEmpty: there is no schema at all (Check only).
	ErrEmpty = errors.New("the database is empty")
	// ErrForeign: the file holds tables, and none of them is ours.
	ErrForeign = errors.New("the database belongs to another program; one of the system before is read by kanban import")
)

//go:embed sqlite/*.sql
var files embed.FS

// migration is one file.
type migration struct {
	number int
	name   string // file name
	text   string
}

// Apply runs every migration that db lacks, in the order of their numbers, in
// one transaction: all or nothing. Two processes may call it at once; the second
// waits for the first, then finds nothing to do. It returns an error that wraps
// ErrNewer or ErrForeign without having changed anything where the database is
// not one that this program may touch.
func Apply(ctx context.Context, db *sql.DB) error {
	all, err := load(files, "sqlite")
	if err != nil {
		return err
	}
	return apply(ctx, db, all)
}

// Check reports whether db has exactly the schema of this program, without
// writing: nil, or an error that wraps ErrNewer, ErrPending, ErrEmpty or
// ErrForeign.
func Check(ctx context.Context, db *sql.DB) error {
	all, err := load(files, "sqlite")
	if err != nil {
		return err
	}
	return check(ctx, db, all)
}

func load(from fs.FS, dir string) ([]migration, error) {
	entries, err := fs.ReadDir(from, dir)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	var all []migration
	for _, entry := range entries {
		digits, _, found := strings.Cut(entry.Name(), "_")
		number, err := strconv.Atoi(digits)
		if err != nil || !found || len(digits) != 4 || number < 1 {
			return nil, fmt.Errorf("migration %s: want a name like 0001_what.sql", entry.Name())
		}
		text, err := fs.ReadFile(from, path.Join(dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", entry.Name(), err)
		}
		all = append(all, migration{number: number, name: entry.Name(), text: string(text)})
	}
	slices.SortFunc(all, func(a, b migration) int { return cmp.Compare(a.number, b.number) })
	for i := 1; i < len(all); i++ {
		if all[i].number == all[i-1].number {
			return nil, fmt.Errorf("migrations %s and %s have the same number", all[i-1].name, all[i].name)
		}
	}
	return all, nil
}

func apply(ctx context.Context, db *sql.DB, all []migration) (err error) {
	// In the common case there is nothing to do, and asking takes no lock.
	if err := check(ctx, db, all); err == nil || errors.Is(err, ErrNewer) || errors.Is(err, ErrForeign) {
		return err
	}
	// One connection for the whole of it. A transaction that is torn down by a
	// cancelled context half way is exactly what must not happen here.
	ctx = context.WithoutCancel(ctx)
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	restore, err := patient(ctx, conn)
	if err != nil {
		return err
	}
	defer restore()
	// BeginTx could be a deferred transaction, which two processes enter together.
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("lock the database for its migrations: %w", err)
	}
	defer func() {
		if err != nil {
			_, _ = conn.ExecContext(ctx, "ROLLBACK")
		}
	}()
	if err := run(ctx, conn, all); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit migrations: %w", err)
	}
	return nil
}

// patient makes conn wait for the other process's migrations, however the
// caller configured it, and returns what undoes that.
func patient(ctx context.Context, conn *sql.Conn) (restore func(), err error) {
	var before int
	if err := conn.QueryRowContext(ctx, "PRAGMA busy_timeout").Scan(&before); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	set := func(ms int) error {
		_, err := conn.ExecContext(ctx, "PRAGMA busy_timeout = "+strconv.Itoa(ms))
		return err
	}
	const minute = 60_000
	if err := set(minute); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	return func() { _ = set(before) }, nil
}

// run brings the schema up to date inside the transaction that conn is in.
func run(ctx context.Context, conn *sql.Conn, all []migration) error {
	// Asked again: another process may have finished while this one waited.
	switch err := check(ctx, conn, all); {
	case err == nil:
		return nil
	case !errors.Is(err, ErrPending) && !errors.Is(err, ErrEmpty):
		return err
	}
	if _, err := conn.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS schema_migrations (
		number     INTEGER PRIMARY KEY,
		name       TEXT NOT NULL,
		applied_at TEXT NOT NULL
	) STRICT`); err != nil {
		return fmt.Errorf("create schema_migrations: %w", err)
	}
	done, err := applied(ctx, conn)
	if err != nil {
		return err
	}
	for _, m := range all {
		if _, ok := done[m.number]; ok {
			continue
		}
		if _, err := conn.ExecContext(ctx, m.text); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
		if _, err := conn.ExecContext(ctx, "INSERT INTO schema_migrations (number, name, applied_at) VALUES (?, ?, ?)",
			m.number, m.name, time.Now().UTC().Format("2006-01-02 15:04:05.000000")); err != nil {
			return fmt.Errorf("record migration %s: %w", m.name, err)
		}
	}
	return nil
}

// querier is what *sql.DB and *sql.Conn share.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func check(ctx context.Context, q querier, all []migration) error {
	var ours, tables int
	err := q.QueryRowContext(ctx, `SELECT coalesce(sum(name = 'schema_migrations'), 0), count(*)
		FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'`).Scan(&ours, &tables)
	switch {
	case err != nil:
		return fmt.Errorf("read the schema: %w", err)
	case tables == 0:
		return ErrEmpty
	case ours == 0:
		return ErrForeign
	}
	done, err := applied(ctx, q)
	if err != nil {
		return err
	}
	for _, m := range all {
		if name, ok := done[m.number]; ok && name == m.name {
			delete(done, m.number)
		} else if !ok {
			err = fmt.Errorf("%s is missing: %w", m.name, ErrPending)
		}
	}
	// What is left is unknown here. It outweighs anything pending.
	for _, name := range done {
		return fmt.Errorf("it has %s, unknown here: %w", name, ErrNewer)
	}
	return err
}

func applied(ctx context.Context, q querier) (map[int]string, error) {
	rows, err := q.QueryContext(ctx, "SELECT number, name FROM schema_migrations")
	if err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", err)
	}
	defer rows.Close()
	done := make(map[int]string)
	for rows.Next() {
		var number int
		var name string
		if err := rows.Scan(&number, &name); err != nil {
			return nil, fmt.Errorf("read schema_migrations: %w", err)
		}
		done[number] = name
	}
	return done, rows.Err()
}
