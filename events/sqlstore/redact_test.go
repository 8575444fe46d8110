package sqlstore_test

import (
	"bytes"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// redacted is a log of which position 2 was redacted, and nothing cleaned yet. The
// text that went is long enough to fill pages of its own.
func redacted(t *testing.T, path string) (db reopenable, by int64) {
	t.Helper()
	db = open(t, sqlstore.Options{Path: path, Create: true})
	fill(t, db, 1)
	tx, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	secret, err := events.Seal(tx.Head(), events.Envelope{
		Stream: "user-9", Version: 1, ID: "secret", Actor: events.Actor{Kind: events.Human, ID: 9, Name: "Xylographer"}, CommandID: "c",
	}, events.CommentAdded{CommentID: 1, Text: strings.Repeat("Quetzalcoatlus ", 2000)})
	if err != nil {
		t.Fatal(err)
	}
	left, _, err := events.Erasure{Texts: true}.Of(&secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Append(t.Context(), []events.Envelope{secret}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	tx, err = db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	redaction, err := events.Seal(tx.Head(), events.Envelope{Stream: "user-9", Version: 2, ID: "r", Actor: events.SystemActor, CommandID: "r"},
		events.DataRedacted{Target: "user/9", Reason: "test", UserID: 9, Events: []events.Emptied{left}})
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Append(t.Context(), []events.Envelope{redaction}); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return db, redaction.Position
}

// inFiles reports whether a word is in the database's files; the store is closed.
func inFiles(t *testing.T, path, word string) bool {
	t.Helper()
	for _, name := range []string{path, path + "-wal"} {
		text, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(word)) {
			return true
		}
	}
	return false
}

func TestCleanLeavesNoByte(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	db, by := redacted(t, path)
	if position, err := db.Unclean(t.Context()); position != by || err != nil {
		t.Errorf("unclean: %d (%v), want %d", position, err, by)
	}
	if err := db.Clean(t.Context(), by); err != nil {
		t.Fatal(err)
	}
	if position, err := db.Unclean(t.Context()); position != 0 || err != nil {
		t.Errorf("unclean: %d (%v), want 0", position, err)
	}
	if err := db.Clean(t.Context(), by); err != nil {
		t.Errorf("nothing to clean: %v", err)
	}
	// The log is as it was, and goes on.
	if _, err := verify(t, db); err != nil {
		t.Error(err)
	}
	fill(t, db, 3)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"Quetzalcoatlus", "Xylographer"} {
		if inFiles(t, path, word) {
			t.Errorf("%s is still in the files", word)
		}
	}
}

// A redaction that was not cleaned is known after the next start; an earlier
// position does not settle a later one.
func TestUncleanSurvives(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	db, by := redacted(t, path)
	if err := db.Clean(t.Context(), by-1); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, sqlstore.Options{Path: path})
	if position, err := db.Unclean(t.Context()); position != by || err != nil {
		t.Errorf("unclean: %d (%v), want %d", position, err, by)
	}
}

// Somebody who reads for a long time keeps the write-ahead log, which Clean says;
// it works once that has ended.
func TestCleanWaitsForReaders(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	db, by := redacted(t, path)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, sqlstore.Options{Path: path, BusyTimeout: 1})
	read, err := db.Reader().BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := read.QueryRowContext(t.Context(), "SELECT count(*) FROM events").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if err := db.Clean(t.Context(), by); err == nil || !strings.Contains(err.Error(), "end long reads") {
		t.Errorf("beside a reader: %v, want that it is told", err)
	}
	if err := read.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := db.Clean(t.Context(), by); err != nil {
		t.Errorf("after it: %v", err)
	}
}
