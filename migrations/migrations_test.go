package migrations

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	_ "modernc.org/sqlite"
)

func connect(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file://"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func fresh(t *testing.T) *sql.DB {
	t.Helper()
	return connect(t, filepath.Join(t.TempDir(), "log.db"))
}

func steps(names ...string) []migration {
	var all []migration
	for i, name := range names {
		all = append(all, migration{number: i + 1, name: name, text: "CREATE TABLE " + strings.Trim(name, "0123456789_.sql") + " (n INTEGER)"})
	}
	return all
}

func tables(t *testing.T, db *sql.DB) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return names
}

// The files themselves: they apply, and applying them again changes nothing.
func TestApply(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	if err := Check(t.Context(), db); !errors.Is(err, ErrEmpty) {
		t.Errorf("check before: got %v, want ErrEmpty", err)
	}
	for range 2 {
		if err := Apply(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		if err := Check(t.Context(), db); err != nil {
			t.Errorf("check after: %v", err)
		}
	}
	got := tables(t, db)
	for _, want := range []string{"commands", "events", "meta", "schema_migrations", "snapshots"} {
		if !slices.Contains(got, want) {
			t.Errorf("tables: got %v, want %s among them", got, want)
		}
	}
}

// Servers that start together: each waits, none fails, each file runs once.
func TestApplyAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		db := connect(t, path)
		wg.Go(func() { errs[i] = Apply(context.Background(), db) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// A branch merged after a later number was applied.
func TestApplyLateFile(t *testing.T) {
	t.Parallel()
	db, all := fresh(t), steps("0001_a.sql", "0002_b.sql", "0003_c.sql")
	if err := apply(t.Context(), db, []migration{all[0], all[2]}); err != nil {
		t.Fatal(err)
	}
	if err := check(t.Context(), db, all); !errors.Is(err, ErrPending) || !strings.Contains(err.Error(), "0002_b.sql") {
		t.Errorf("check: got %v, want ErrPending that names 0002_b.sql", err)
	}
	if err := apply(t.Context(), db, all); err != nil {
		t.Fatal(err)
	}
	if got, want := tables(t, db), []string{"a", "b", "c", "schema_migrations"}; !slices.Equal(got, want) {
		t.Errorf("tables: got %v, want %v", got, want)
	}
}

func TestApplyRefusesNewer(t *testing.T) {
	t.Parallel()
	db, all := fresh(t), steps("0001_a.sql", "0002_b.sql", "0003_c.sql")
	if err := apply(t.Context(), db, all[:2]); err != nil {
		t.Fatal(err)
	}
	// Newer in one file and lacking another: touching it would mix two programs.
	err := apply(t.Context(), db, []migration{all[0], all[2]})
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "0002_b.sql") {
		t.Errorf("apply: got %v, want ErrNewer that names 0002_b.sql", err)
	}
	renamed := []migration{all[0], {number: 2, name: "0002_other.sql", text: all[1].text}}
	if err := apply(t.Context(), db, renamed); !errors.Is(err, ErrNewer) {
		t.Errorf("apply with another file of that number: got %v, want ErrNewer", err)
	}
	if got, want := tables(t, db), []string{"a", "b", "schema_migrations"}; !slices.Equal(got, want) {
		t.Errorf("tables: got %v, want %v", got, want)
	}
}

func TestApplyRefusesForeign(t *testing.T) {
	t.Parallel()
	db := fresh(t)
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE boards (id INTEGER)"); err != nil {
		t.Fatal(err)
	}
	if err := Apply(t.Context(), db); !errors.Is(err, ErrForeign) {
		t.Errorf("apply: got %v, want ErrForeign", err)
	}
	if err := Check(t.Context(), db); !errors.Is(err, ErrForeign) {
		t.Errorf("check: got %v, want ErrForeign", err)
	}
	if got, want := tables(t, db), []string{"boards"}; !slices.Equal(got, want) {
		t.Errorf("tables: got %v, want %v", got, want)
	}
}

// All or nothing, and the connection is fit for use afterwards.
func TestApplyRollsBack(t *testing.T) {
	t.Parallel()
	db, all := fresh(t), steps("0001_a.sql", "0002_b.sql")
	db.SetMaxOpenConns(1)
	broken := []migration{all[0], {number: 2, name: "0002_b.sql", text: "CREATE TABLE b (n INTEGER); CREATE TABLE a (n INTEGER)"}}
	if err := apply(t.Context(), db, broken); err == nil || !strings.Contains(err.Error(), "0002_b.sql") {
		t.Errorf("apply: got %v, want an error that names 0002_b.sql", err)
	}
	if got := tables(t, db); len(got) != 0 {
		t.Errorf("tables: got %v, want none", got)
	}
	if err := apply(t.Context(), db, all); err != nil {
		t.Errorf("apply after the repair: %v", err)
	}
	var timeout int
	if err := db.QueryRowContext(t.Context(), "PRAGMA busy_timeout").Scan(&timeout); err != nil || timeout != 0 {
		t.Errorf("busy_timeout: got %d (%v), want it as it was", timeout, err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	file := &fstest.MapFile{Data: []byte("SELECT 1")}
	all, err := load(fstest.MapFS{"d/0010_b.sql": file, "d/0002_a.sql": file}, "d")
	if err != nil || len(all) != 2 || all[0].number != 2 || all[1].number != 10 {
		t.Errorf("load: got %v (%v), want 2 and 10 in order", all, err)
	}
	for name, from := range map[string]fstest.MapFS{
		"no number":   {"d/first.sql": file},
		"short":       {"d/1_a.sql": file},
		"no name":     {"d/0001.sql": file},
		"zero":        {"d/0000_a.sql": file},
		"number used": {"d/0001_a.sql": file, "d/0001_b.sql": file},
	} {
		if all, err := load(from, "d"); err == nil {
			t.Errorf("%s: got %v, want an error", name, all)
		}
	}
}
