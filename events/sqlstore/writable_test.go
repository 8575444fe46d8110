package sqlstore_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// A write that failed is remembered until one succeeds, and one that succeeds is
// looked for, so that a disk with space again is noticed without a command.
func TestWritable(t *testing.T) {
	t.Parallel()
	db, _ := sideTable(t, sqlstore.Options{ProbeEvery: time.Nanosecond})
	head := fill(t, db, 3)
	if err := db.Writable(t.Context()); err != nil {
		t.Fatalf("a sound disk: %v", err)
	}
	pragma(t, db, "max_page_count = 1")
	for events.CodeOf(appendBatch(t.Context(), db, next(t, head, 64))) != events.CodeStorageFull {
		head, _ = db.Head(t.Context())
	}
	for range 2 { // the second time after a try of its own
		if err := db.Writable(t.Context()); events.CodeOf(err) != events.CodeStorageFull {
			t.Fatalf("a full disk: got %v, want storage_full", err)
		}
	}
	pragma(t, db, "max_page_count = 1000000")
	if err := db.Writable(t.Context()); err != nil {
		t.Errorf("with space again: %v", err)
	}
	var left int
	if err := db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM meta WHERE key = 'probe'").Scan(&left); err != nil || left != 0 {
		t.Errorf("the probe left %d rows, %v", left, err)
	}

	// An append that works is as good as a probe.
	pragma(t, db, "query_only = 1")
	if err := appendBatch(t.Context(), db, next(t, head, 1)); err == nil {
		t.Fatal("append with query_only: no error")
	}
	if _, err := db.Writer().ExecContext(t.Context(), "PRAGMA query_only = 0"); err != nil {
		t.Fatal(err)
	}
	fill(t, db, 1)
	if err := db.Writable(t.Context()); err != nil {
		t.Errorf("after an append: %v", err)
	}
}

// Probes are rare: /health may be asked much more often.
func TestWritableProbesSeldom(t *testing.T) {
	t.Parallel()
	db, _ := sideTable(t, sqlstore.Options{ProbeEvery: time.Hour})
	head := fill(t, db, 1)
	pragma(t, db, "query_only = 1")
	if err := appendBatch(t.Context(), db, next(t, head, 1)); err == nil {
		t.Fatal("append with query_only: no error")
	}
	if _, err := db.Writer().ExecContext(t.Context(), "PRAGMA query_only = 0"); err != nil {
		t.Fatal(err)
	}
	if err := db.Writable(t.Context()); events.CodeOf(err) != events.CodeUnavailable {
		t.Errorf("within the hour: got %v, want the error of the append", err)
	}
	fill(t, db, 1)
	if err := db.Writable(t.Context()); err != nil {
		t.Errorf("after an append: %v", err)
	}
}

// Events that go into a file that nobody finds again are lost, so none do.
func TestFileReplacedWhileOpen(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(t *testing.T, path string){
		"replaced": func(t *testing.T, path string) {
			other := open(t, sqlstore.Options{Path: path + ".new", Create: true})
			other.Close()
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		},
		"removed": func(*testing.T, string) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log.db")
			db := open(t, sqlstore.Options{Path: path, Create: true})
			head := fill(t, db, 3)
			if err := os.Rename(path, path+".old"); err != nil {
				t.Fatal(err)
			}
			replace(t, path)
			_, err := db.Begin(t.Context())
			for what, err := range map[string]error{"begin": err, "writable": db.Writable(t.Context())} {
				if !errors.Is(err, sqlstore.ErrMoved) || events.CodeOf(err) != events.CodeUnavailable || !strings.Contains(err.Error(), "restart the server") {
					t.Errorf("%s: got %v, want ErrMoved and what to do", what, err)
				}
			}
			if err := os.Rename(path+".old", path); err != nil {
				t.Fatal(err)
			}
			if err := db.Writable(t.Context()); err != nil {
				t.Errorf("with the old file back: %v", err)
			}
			if got := fill(t, db, 1); got.Position != head.Position+1 {
				t.Errorf("the next event has position %d, want %d", got.Position, head.Position+1)
			}
		})
	}
}

// Damage that comes while the server runs stops appends, too.
func TestCheckTailWhileOpen(t *testing.T) {
	t.Parallel()
	db, _ := sideTable(t, sqlstore.Options{TailRows: 10})
	fill(t, db, 50)
	if err := db.CheckTail(t.Context()); err != nil {
		t.Fatalf("a sound log: %v", err)
	}
	raw, err := sql.Open("sqlite", "file:"+db.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := raw.ExecContext(t.Context(), "DROP TRIGGER events_fixed; UPDATE events SET data = '{}' WHERE position = 45"); err != nil {
		t.Fatal(err)
	}
	var tail *sqlstore.TailError
	for what, err := range map[string]error{"check": db.CheckTail(t.Context()), "again": db.CheckTail(t.Context()), "writable": db.Writable(t.Context())} {
		if !errors.As(err, &tail) || tail.Position != 45 {
			t.Errorf("%s: got %v, want damage at 45", what, err)
		}
	}
	head, err := db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := appendBatch(t.Context(), db, next(t, head, 1)); !errors.As(err, &tail) {
		t.Errorf("append: got %v, want a TailError", err)
	}
}
