package sqlstore_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// A page that is overwritten in the middle of the events is found, and a sound
// file is.
func TestQuickCheck(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	db := open(t, sqlstore.Options{Path: path, Create: true})
	fill(t, db, 500)
	if faults, err := db.QuickCheck(t.Context()); err != nil || len(faults) > 0 {
		t.Fatalf("a sound file: %v, %v", faults, err)
	}
	var page int64
	err := db.Reader().QueryRowContext(t.Context(), `SELECT min(pageno) FROM dbstat WHERE name = 'events' AND pagetype = 'leaf'`).Scan(&page)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil { // the WAL is copied back
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte(strings.Repeat("?", 200)), (page-1)*4096); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, sqlstore.Options{Path: path, ReadOnly: true, TailRows: 1})
	faults, err := db.QuickCheck(t.Context())
	if err == nil && (len(faults) == 0 || !strings.HasPrefix(faults[0], "events: ")) || len(faults) > 10 {
		t.Errorf("a damaged page: %q, %v", faults, err)
	}
}
