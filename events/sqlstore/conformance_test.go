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

// A log for which losing the last commits is acceptable is the same otherwise.
func TestConformanceRelaxed(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) events.Store {
		return open(t, sqlstore.Options{Path: filepath.Join(t.TempDir(), "log.db"), Create: true, Synchronous: "normal", Readers: 1})
	})
}
