package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/migrations"
)

// older makes a data directory whose database lacks the last migration.
func older(t *testing.T) (dir string, head events.Head) {
	t.Helper()
	dir = t.TempDir()
	s := newTestServer(t, dir)
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := s.sequencer.Do(t.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true}, commands.CreateBoard{Name: "Old", Key: "OLD"})
	if err != nil {
		t.Fatal(err)
	}
	if head, err = s.db.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	downgrade(t, dir)
	return dir, head
}

func downgrade(t *testing.T, dir string) {
	t.Helper()
	raw(t, filepath.Join(dir, dbName), func(db *sql.DB) {
		if _, err := db.Exec("DROP INDEX idx_ticket_history_column_id; DELETE FROM schema_migrations WHERE number = 12"); err != nil {
			t.Fatal(err)
		}
		if err := migrations.Check(t.Context(), db); !errors.Is(err, migrations.ErrPending) {
			t.Fatalf("the database is not older: %v", err)
		}
	})
}

// raw opens a file as SQLite does.
func raw(t *testing.T, path string, do func(*sql.DB)) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	do(db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// Given a database of an older version, When a server starts, Then there is a
// copy of it as it was before, for its owner only; the newest three are kept, and
// a start with nothing to migrate makes none.
func TestUpgradeLeavesACopy(t *testing.T) {
	t.Parallel()
	dir, head := older(t)
	copies := func() []string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(dir, "backups", "before-upgrade-*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	start := func() {
		t.Helper()
		s := newTestServer(t, dir)
		if err := s.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		// What follows differs from the copy before.
		if _, err := s.sequencer.Do(t.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true}, commands.UpdateBoard{Board: "OLD", Name: new("later")}); err != nil {
			t.Fatal(err)
		}
		if err := s.close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	start()
	found := copies()
	if len(found) != 1 {
		t.Fatalf("copies: %v, want one", found)
	}
	if info, err := os.Stat(found[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v, want it for its owner only", info, err)
	}
	raw(t, found[0], func(db *sql.DB) {
		var position int64
		if err := db.QueryRow("SELECT max(position) FROM events").Scan(&position); err != nil || position != head.Position {
			t.Errorf("the copy ends at %d (%v), want %d", position, err, head.Position)
		}
		if err := migrations.Check(t.Context(), db); !errors.Is(err, migrations.ErrPending) {
			t.Errorf("the schema of the copy: %v, want it as it was", err)
		}
	})

	s := newTestServer(t, dir)
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := len(copies()); n != 1 {
		t.Errorf("%d copies after a start with nothing to migrate, want 1", n)
	}
	for i := range 4 { // of years ago
		name := filepath.Join(dir, "backups", fmt.Sprintf("before-upgrade-2020010%dT000000Z-1.db", i+1))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	downgrade(t, dir)
	start()
	if found := copies(); len(found) != 3 || filepath.Base(found[0]) != "before-upgrade-20200104T000000Z-1.db" {
		t.Errorf("kept: %v, want the newest three", found)
	}
}

// Where there is no room for a copy the server does not start, and the database
// stays as it is.
func TestNoUpgradeWithoutACopy(t *testing.T) {
	t.Parallel()
	dir, _ := older(t)
	if err := os.WriteFile(filepath.Join(dir, "backups"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, dir)
	err := s.start(t.Context())
	var hint *hinted
	if !errors.As(err, &hint) {
		t.Fatalf("start: %v, want an error that says what to do", err)
	}
	raw(t, filepath.Join(dir, dbName), func(db *sql.DB) {
		if err := migrations.Check(t.Context(), db); !errors.Is(err, migrations.ErrPending) {
			t.Errorf("the database: %v, want it as it was", err)
		}
	})
}
