package sqlstore_test

import (
	"path/filepath"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/events/storetest"
)

// reopenable is a DB that the suite may close and open again.
type reopenable struct {
	*sqlstore.DB
	options sqlstore.Options
}

func (r reopenable) Reopen(t *testing.T) events.Store {
	if err := r.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	r.options.Create = false
	return open(t, r.options)
}

func open(t *testing.T, o sqlstore.Options) reopenable {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return reopenable{DB: db, options: o}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) events.Store {
		return open(t, sqlstore.Options{Path: filepath.Join(t.TempDir(), "log.db"), Create: true})
	})
}

// Reading needs one connection at a time, never a second one while it holds the
// first: the smallest pool would wait for itself.
func TestOneReader(t *testing.T) {
	t.Parallel()
	db := open(t, sqlstore.Options{Path: filepath.Join(t.TempDir(), "log.db"), Create: true, Readers: 1})
	head := fill(t, db, 50)
	for _, q := range []events.Query{
		{}, {BoardID: 1, After: 7, UpTo: 20}, {TicketID: 2, Actor: "ada"}, {Types: []events.Type{events.TypeCommentAdded}}, {Stream: "board-2", UpTo: 3},
	} {
		if _, err := db.Read(t.Context(), q); err != nil {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if got, err := verify(t, db); err != nil || got != head {
		t.Errorf("verify: got %v (%v), want %v", got, err, head)
	}
}
