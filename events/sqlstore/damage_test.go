package sqlstore_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// crashed returns copies of the files of a log that was never closed: some
// events in the database, more of them only in the WAL. It also returns the
// heads after each transaction.
func crashed(t *testing.T) (files map[string][]byte, heads []events.Head) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.db")
	// Two rounds: the first is checkpointed by closing, the second stays in the WAL.
	db := open(t, sqlstore.Options{Path: path, Create: true})
	heads = append(heads, fill(t, db, 10))
	db.Close()
	db = open(t, sqlstore.Options{Path: path})
	for range 30 {
		heads = append(heads, fill(t, db, 3))
	}
	files = make(map[string][]byte)
	for _, suffix := range []string{"", "-wal"} {
		// Through a copy command's eyes, at rest; os.ReadFile would drop the
		// locks of the open database, which nobody needs any more here.
		text, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		files[suffix] = text
	}
	return files, heads
}

// A WAL that lost its end or rotted somewhere: the log is one that existed, up
// to the last transaction that is whole, or the damage is reported. It is never
// a log with a hole or a changed event.
func TestDamagedWAL(t *testing.T) {
	t.Parallel()
	files, heads := crashed(t)
	known := make(map[events.Head]bool)
	for _, head := range heads {
		known[head] = true
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		wal := append([]byte(nil), files["-wal"]...)
		at := rng.IntN(len(wal))
		what := fmt.Sprintf("byte %d flipped", at)
		if i%2 == 0 {
			wal, what = wal[:at], fmt.Sprintf("cut to %d bytes", at)
		} else {
			wal[at] ^= byte(1 << rng.IntN(8))
		}
		path := filepath.Join(t.TempDir(), "log.db")
		if err := os.WriteFile(path, files[""], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+"-wal", wal, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
		if err != nil {
			t.Logf("%s: refused: %v", what, err)
			continue
		}
		head, err := verify(t, db)
		if err != nil && db.TailError() == nil {
			t.Errorf("%s: opened without a word, then %v", what, err)
		}
		if err == nil && !known[head] {
			t.Errorf("%s: the log ends at %d, which no transaction did", what, head.Position)
		}
		if err == nil {
			fill(t, db, 2)
			if _, err := verify(t, db); err != nil {
				t.Errorf("%s: after appending: %v", what, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Errorf("%s: close: %v", what, err)
		}
	}
}

// The same in the database itself. What SQLite does not notice, the chain does.
func TestDamagedFile(t *testing.T) {
	t.Parallel()
	files, _ := crashed(t)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		text := append([]byte(nil), files[""]...)
		at := rng.IntN(len(text))
		text[at] ^= byte(1 << rng.IntN(8))
		path := filepath.Join(t.TempDir(), "log.db")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
		if err != nil {
			continue
		}
		// Either nothing of the log was hit, or verify says so.
		head, err := verify(t, db)
		if err == nil && head.Position != 10 {
			t.Errorf("byte %d flipped: the log verifies but ends at %d, want 10", at, head.Position)
		}
		_ = db.Close()
	}
}
