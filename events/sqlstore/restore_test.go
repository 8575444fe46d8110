package sqlstore_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

func TestRestore(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	db := open(t, sqlstore.Options{Path: path, Create: true})
	own := db.LogID()
	rows := next(t, events.Head{}, 3)
	mine := errors.New("mine")
	err := db.Restore(t.Context(), "the-other", func(ctx context.Context, tx events.Tx) error {
		return errors.Join(tx.Append(ctx, rows), mine)
	})
	if head, _ := db.Head(t.Context()); !errors.Is(err, mine) || db.LogID() != own || head != (events.Head{}) {
		t.Fatalf("failed restore: got %v, log id %q, head %v; want nothing kept", err, db.LogID(), head)
	}
	err = db.Restore(t.Context(), "the-other", func(ctx context.Context, tx events.Tx) error { return tx.Append(ctx, rows) })
	if err != nil || db.LogID() != "the-other" {
		t.Fatalf("restore: got %v, log id %q", err, db.LogID())
	}
	db.Close()
	db = open(t, sqlstore.Options{Path: path})
	if head, err := verify(t, db); err != nil || head != rows[2].Head() || db.LogID() != "the-other" {
		t.Errorf("reopened: got head %v (%v), log id %q", head, err, db.LogID())
	}
	err = db.Restore(t.Context(), "a-third", func(context.Context, events.Tx) error { return nil })
	if !errors.Is(err, events.ErrConflict) || db.LogID() != "the-other" {
		t.Errorf("restore over a log: got %v, log id %q; want ErrConflict", err, db.LogID())
	}
}
