package sqlstore_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

func TestTriggers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	db := open(t, sqlstore.Options{Path: path, Create: true})
	head := fill(t, db, 5)
	for _, text := range []string{
		"DELETE FROM events",
		"DELETE FROM events WHERE position = 5",
		"UPDATE events SET data = '{}'",
		"UPDATE events SET data = NULL, stream = 'board-2' WHERE position = 3",
		"UPDATE events SET position = 9 WHERE position = 5",
		"UPDATE events SET stream = 'board-2'",
		"UPDATE events SET version = 9 WHERE position = 5",
		"UPDATE events SET type = 'comment_deleted'",
		"UPDATE events SET schema = 2",
		"UPDATE events SET id = ''",
		"UPDATE events SET recorded_at = 0",
		"UPDATE events SET actor_kind = 'system'",
		"UPDATE events SET actor_id = 1",
		"UPDATE events SET actor_name = 'bob'",
		"UPDATE events SET command_id = ''",
		"UPDATE events SET correlation_id = 'x'",
		"UPDATE events SET causation_id = 'x'",
		"UPDATE events SET board_id = NULL",
		"UPDATE events SET ticket_id = NULL",
		"UPDATE events SET data_sha = x'00'",
		"UPDATE events SET hash = x'00'",
		"UPDATE events SET chain = 1",
		"UPDATE events SET actor_sha = zeroblob(32)",
		"UPDATE events SET actor_sha = zeroblob(32), actor_name = 'bob'",
		"UPDATE events SET actor_name = 'deleted user ' || actor_id",
		"UPDATE events SET actor_sha = x'00', actor_name = 'deleted user ' || actor_id",
		"UPDATE events SET chain = 1, actor_sha = zeroblob(32), actor_name = 'deleted user ' || actor_id",
	} {
		if err := raw(t, path, text); err == nil || !strings.Contains(err.Error(), "events ") {
			t.Errorf("%s: got %v, want the trigger's error", text, err)
		}
	}
	if got, err := verify(t, db); err != nil || got != head {
		t.Errorf("the log: got %v (%v), want %v", got, err, head)
	}
}

// Our own connections run the triggers for replaced rows too.
func TestReplace(t *testing.T) {
	t.Parallel()
	db := open(t, sqlstore.Options{Path: filepath.Join(t.TempDir(), "log.db"), Create: true})
	fill(t, db, 2)
	tx, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	_, err = tx.SQL().ExecContext(t.Context(), `INSERT OR REPLACE INTO events
		SELECT position, stream, version, 'comment_deleted', schema, id, recorded_at, actor_kind, actor_id, actor_name,
			command_id, correlation_id, causation_id, board_id, ticket_id, data, data_sha, hash, chain, actor_sha FROM events WHERE position = 1`)
	if err == nil || !strings.Contains(err.Error(), "never deleted") {
		t.Errorf("replace: got %v, want the trigger's error", err)
	}
}

func TestRedaction(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	db := open(t, sqlstore.Options{Path: path, Create: true})
	head := fill(t, db, 5)
	mustRaw(t, path, "UPDATE events SET data = NULL WHERE position IN (2, 5)")
	if got, err := verify(t, db); err != nil || got != head {
		t.Errorf("the chain: got %v (%v), want %v", got, err, head)
	}
	page, err := db.Read(t.Context(), events.Query{After: 1, UpTo: 2})
	if err != nil || len(page) != 1 || !page[0].Redacted() {
		t.Fatalf("read: got %v (%v), want one redacted event", page, err)
	}
	if err := raw(t, path, "UPDATE events SET data = '{}' WHERE position = 2"); err == nil {
		t.Error("redacted data could be written again")
	}
	// A redacted tail is a sound tail.
	db.Close()
	db = open(t, sqlstore.Options{Path: path})
	if err := db.TailError(); err != nil {
		t.Errorf("tail: got %v, want nil", err)
	}
	fill(t, db, 1)
}

func TestTail(t *testing.T) {
	t.Parallel()
	const drop = "DROP TRIGGER events_fixed; DROP TRIGGER events_keep; "
	for _, test := range []struct {
		name, text string
		at         int64 // 0 = nothing to find
	}{
		{"sound", "SELECT 1", 0},
		{"data changed in the last row", `UPDATE events SET data = replace(data, 'comment 50', 'comment 51') WHERE position = 50`, 50},
		{"data changed a few rows back", `UPDATE events SET data = '{}' WHERE position = 45`, 45},
		{"time changed", "UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 44", 44},
		{"hash changed", "UPDATE events SET hash = zeroblob(32) WHERE position = 50", 50},
		{"hash cut", "UPDATE events SET hash = x'00' WHERE position = 50", 50},
		{"sum cut", "UPDATE events SET data_sha = x'00' WHERE position = 47", 47},
		{"row missing", "DELETE FROM events WHERE position = 48", 48},
		{"before the rows that are checked", `UPDATE events SET data = '{}' WHERE position = 5`, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log.db")
			db := open(t, sqlstore.Options{Path: path, Create: true})
			fill(t, db, 50)
			db.Close()
			mustRaw(t, path, drop+test.text)

			db = open(t, sqlstore.Options{Path: path, TailRows: 10})
			if page, err := db.Read(t.Context(), events.Query{UpTo: 40}); err != nil || len(page) != 40 {
				t.Errorf("read: got %d events (%v), want 40", len(page), err)
			}
			if test.at == 0 {
				if db.TailError() != nil {
					t.Errorf("tail: got %v, want nil", db.TailError())
				}
				fill(t, db, 1)
				return
			}
			var tail *sqlstore.TailError
			if err := db.TailError(); !errors.As(err, &tail) || tail.Position != test.at || !errors.Is(err, events.ErrChainBroken) {
				t.Fatalf("tail: got %v, want position %d", err, test.at)
			}
			tx, err := db.Begin(t.Context())
			if err == nil { // else not even the head could be read
				defer func() { _ = tx.Rollback() }()
				err = tx.Append(t.Context(), next(t, tx.Head(), 1))
			}
			if !errors.As(err, &tail) || events.CodeOf(err) != events.CodeUnavailable {
				t.Errorf("append: got %v, want a TailError for the user", err)
			}
		})
	}
}
