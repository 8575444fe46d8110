package legacy_test

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops/legacy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ legacy.Commands = (*commands.Sequencer)(nil)

// stack is a log with its Sequencer.
type stack struct {
	*commands.Sequencer
	db *sqlstore.DB
}

func newStack(t *testing.T) *stack {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(t.TempDir(), "log.db"), Create: true})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	seq, err := commands.New(commands.Config{Store: db})
	if err != nil {
		t.Fatalf("sequencer: %v", err)
	}
	seq.Start()
	t.Cleanup(func() {
		seq.Stop()
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return &stack{Sequencer: seq, db: db}
}

func (s *stack) load(t *testing.T, path string) *legacy.Report {
	t.Helper()
	report, err := legacy.Import(t.Context(), path, s, s.db, legacy.Options{})
	if err != nil {
		t.Fatalf("import: %v", err)
	}
	return report
}

// log returns every event with its fact.
func (s *stack) log(t *testing.T) []told {
	t.Helper()
	var all []told
	for e, err := range events.All(t.Context(), s.db, events.Query{}) {
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		fact, err := e.Payload()
		if err != nil {
			t.Fatalf("position %d: %v", e.Position, err)
		}
		all = append(all, told{Envelope: *e, fact: fact})
	}
	return all
}

type told struct {
	events.Envelope
	fact events.Event
}

// realFile is a database that the replaced system left behind.
func realFile(t *testing.T) string {
	t.Helper()
	path := "../../../shared/data/original_agent_kanban.db"
	if _, err := os.Stat(path); err != nil {
		t.Skip("the real file is not here")
	}
	return path
}

const oldSchema = `
CREATE TABLE boards (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR NOT NULL, columns VARCHAR NOT NULL,
	created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL, description VARCHAR);
CREATE TABLE tickets (id INTEGER NOT NULL PRIMARY KEY, title VARCHAR(200) NOT NULL, description VARCHAR,
	acceptance_criteria VARCHAR, priority VARCHAR NOT NULL, assignee VARCHAR, current_column VARCHAR NOT NULL,
	board_id INTEGER NOT NULL, created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL, column_entered_at DATETIME NOT NULL);
CREATE TABLE comments (id INTEGER NOT NULL PRIMARY KEY, ticket_id INTEGER NOT NULL, text VARCHAR NOT NULL,
	author VARCHAR NOT NULL, created_at DATETIME NOT NULL);
CREATE TABLE ticket_history (id INTEGER NOT NULL PRIMARY KEY, ticket_id INTEGER NOT NULL, field_name VARCHAR NOT NULL,
	old_value VARCHAR, new_value VARCHAR, changed_by VARCHAR NOT NULL, changed_at DATETIME NOT NULL);
CREATE TABLE users (id INTEGER NOT NULL PRIMARY KEY, username VARCHAR NOT NULL, email VARCHAR NOT NULL,
	hashed_password VARCHAR NOT NULL, is_active BOOLEAN NOT NULL, is_superuser BOOLEAN NOT NULL,
	created_at DATETIME NOT NULL, updated_at DATETIME NOT NULL, role VARCHAR(6) NOT NULL, last_login DATETIME);`

// oldFile makes a database in the shape of the replaced system's.
func oldFile(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old #1?.db") // characters that an address must escape
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(filepath.Dir(path), "plain.db")
	db, err := sql.Open("sqlite", plain)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append([]string{oldSchema}, statements...) {
		if _, err := db.ExecContext(context.Background(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(plain, path); err != nil {
		t.Fatal(err)
	}
	return path
}
