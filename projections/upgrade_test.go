package projections

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// TestADatabaseOfBeforeTheWork: columns that were added to tables with rows in
// them are in the shadows too, and the rows are made anew.
func TestADatabaseOfBeforeTheWork(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	before(t, path)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s := someTickets(t, 2)
	s.add(t, 1, 0, events.ColumnUpdated{Column: events.Column{ID: 3, Name: "Done", Kind: events.Done, Policy: events.Policy{Approval: true}}, Was: "Done"})
	s.add(t, 1, 1, events.DependencyAdded{DependsOn: 2, Key: "WEB-2"})
	s.add(t, 1, 2, events.TicketClaimed{LeaseSeconds: 60, ExpiresAt: epoch})
	log := memory(slices.Clone(s.log))
	s.store(t, db)

	// Whoever reads before the rows are made anew finds the old ones.
	q, err := readmodel.New(t.Context(), db.Reader())
	if err != nil {
		t.Fatal(err)
	}
	k, err := q.Ticket(t.Context(), "WEB-1")
	if err := errors.Join(err, q.Close()); err != nil || k.Title != "Old" || k.Blocked || k.Lease != nil || k.Checklist == nil {
		t.Errorf("before the rebuild: got %+v, %v, want the old ticket, free, with empty lists", k, err)
	}
	var stale *StaleError
	if err := NeedsRebuild(t.Context(), db.Reader(), db); !errors.As(err, &stale) {
		t.Fatalf("got %v, want a *StaleError", err)
	}
	want := columns(t, open(t).Reader())
	for range 2 { // the second time from tables that were renamed
		if _, err := Rebuild(t.Context(), RebuildConfig{DB: db.Writer(), Update: db.UpdateRelaxed, Log: db}); err != nil {
			t.Fatalf("rebuild: %v", err)
		}
		compared(t, t.Context(), db, log)
		if got := columns(t, db.Reader()); !slices.Equal(got, want) {
			t.Errorf("columns: got %v, want those of a new database, %v", got, want)
		}
	}
}

// before makes a database as the program before migration 0005 left it.
func before(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	run := func(text string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), text, args...); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE TABLE schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT")
	for i, name := range []string{"0001_log.sql", "0002_auth.sql", "0003_readmodel.sql"} {
		text, err := os.ReadFile(filepath.Join("..", "migrations", "sqlite", name))
		if err != nil {
			t.Fatal(err)
		}
		run(string(text))
		run("INSERT INTO schema_migrations VALUES (?, ?, '')", i+1, name)
	}
	at := readmodel.FormatTime(epoch)
	run("INSERT INTO boards VALUES (1, 'WEB', 'Old', '', 'private', 3, 0, 1, 'ann', ?, ?)", at, at)
	run("INSERT INTO columns VALUES (1, 1, 0, 'Not Started', 'backlog', NULL)")
	run("INSERT INTO tickets VALUES (1, 1, 1, 'WEB-1', 'Old', '', '', 'high', '[]', NULL, 1, 'Not Started', 'a', NULL, 0, 2, 'ann', ?, ?, ?)", at, at, at)
	run("INSERT INTO users VALUES (1, 'ann', 'Ann', 'human', 1, 1, ?, ?)", at, at)
	run("UPDATE checkpoints SET position = 2")
}

// columns lists those of the read model's tables, with their types.
func columns(t *testing.T, q querier) []string {
	t.Helper()
	var list []string
	for _, table := range tables {
		rows, err := q.QueryContext(t.Context(), `SELECT name || ' ' || type || ' ' || "notnull" || ' ' || coalesce(dflt_value, '') FROM pragma_table_info(?)`, table)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var column string
			if err := rows.Scan(&column); err != nil {
				t.Fatal(err)
			}
			list = append(list, table+"."+column)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return list
}
