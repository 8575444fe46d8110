package backup

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"modernc.org/sqlite/vfs"

	"github.com/agent-kanban/agent-kanban/events"
)

// survey reads what the manifest says about a database that nobody else uses.
func survey(ctx context.Context, p *pace, path string) (m Manifest, err error) {
	query := "mode=ro&immutable=1"
	if p.share > 0 {
		name, files, err := vfs.New(p.files())
		if err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, files.Close()) }()
		query += "&vfs=" + name
	}
	db, err := sql.Open("sqlite", address(path, query))
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // a pace is for one goroutine
	m.Format, m.Tables = Format, map[string]int64{}
	var state string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&state); err != nil {
		if ctx.Err() != nil {
			return m, ctx.Err()
		}
		return m, fmt.Errorf("%w: %w", ErrSourceDamaged, err)
	}
	if state != "ok" {
		return m, fmt.Errorf("%w: %s", ErrSourceDamaged, strings.Join(strings.Fields(state), " "))
	}
	if err := db.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'log_id'").Scan(&m.LogID); err != nil {
		return m, fmt.Errorf("read log id: %w", err)
	}
	var hash []byte
	err = db.QueryRowContext(ctx, "SELECT position, hash FROM events ORDER BY position DESC LIMIT 1").Scan(&m.Position, &hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return m, fmt.Errorf("read head: %w", err)
	}
	if err == nil && copy(m.Hash[:], hash) != len(m.Hash) {
		return m, fmt.Errorf("%w: the hash of position %d has %d bytes", ErrSourceDamaged, m.Position, len(hash))
	}
	if err := db.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) FROM schema_migrations").Scan(&m.Schema); err != nil {
		return m, fmt.Errorf("read schema: %w", err)
	}
	m.Tables, err = countRows(ctx, db)
	return m, err
}

// countRows counts the rows of every table.
func countRows(ctx context.Context, db *sql.DB) (map[string]int64, error) {
	names, err := tables(ctx, db)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	counts := make(map[string]int64, len(names))
	for _, name := range names {
		var n int64
		quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		if err := db.QueryRowContext(ctx, "SELECT count(*) FROM "+quoted).Scan(&n); err != nil {
			return nil, fmt.Errorf("count %s: %w", name, err)
		}
		counts[name] = n
	}
	return counts, nil
}

func tables(ctx context.Context, db *sql.DB) (names []string, err error) {
	rows, err := db.QueryContext(ctx, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// sumFile returns the size and the SHA-256 of a file that no database uses.
func sumFile(ctx context.Context, path string) (size int64, sum events.Hash, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, sum, err
	}
	defer file.Close()
	hash := sha256.New()
	size, err = io.Copy(hash, easy(ctx).reader(file))
	return size, events.Hash(hash.Sum(nil)), err
}
