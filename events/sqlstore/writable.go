package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/agent-kanban/agent-kanban/events"
)

// trouble remembers the last write that failed because of the disk or the file,
// until one succeeds.
type trouble struct {
	mu    sync.Mutex
	last  error
	tried time.Time // when something was written, or tried to be

	probing sync.Mutex
}

func (t *trouble) set(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last, t.tried = err, time.Now()
}

func (t *trouble) over() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = nil
}

func (t *trouble) get() (since time.Duration, last error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return time.Since(t.tried), t.last
}

// note remembers err where it is one that other writes would meet too, and
// returns it.
func (db *DB) note(err error) error {
	var cause *sqlite.Error
	if !errors.As(err, &cause) {
		return err
	}
	switch cause.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_BUSY:
		db.trouble.set(err)
	}
	return err
}

// Writable returns nil while events can be written, else why not: with an
// *events.Error in its chain that says what to do. Where the last write has
// failed it tries one of its own, at most once in Options.ProbeEvery, so that the
// end of the trouble is noticed although nobody sends a command.
func (db *DB) Writable(ctx context.Context) error {
	if db.options.ReadOnly {
		return fmt.Errorf("write: %w: %w", events.Errorf(events.CodeUnavailable, "%s", ErrReadOnly.Error()), ErrReadOnly)
	}
	if err := errors.Join(db.moved(), db.TailError()); err != nil {
		return err
	}
	since, last := db.trouble.get()
	if last == nil || since < db.options.ProbeEvery || !db.trouble.probing.TryLock() {
		return last
	}
	defer db.trouble.probing.Unlock()
	return db.probe(ctx)
}

// probeText is more than what a small commit needs: where it fits, so does the
// next command.
var probeText = strings.Repeat(".", 16<<10)

// probe writes something and takes it away again.
func (db *DB) probe(ctx context.Context) error {
	for _, statement := range []string{
		`INSERT INTO meta (key, value) VALUES ('probe', ?1) ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
		`DELETE FROM meta WHERE key = 'probe' AND ?1 <> ''`,
	} {
		err := db.Update(ctx, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, statement, probeText)
			return err
		})
		if err != nil {
			return err
		}
	}
	db.trouble.over()
	return nil
}

// moved returns an error where the path no longer leads to the file that is
// open: what is written there would be in no file that anybody finds again.
func (db *DB) moved() error {
	now, err := os.Stat(db.path)
	if err == nil && os.SameFile(now, db.file) || err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil // any other error is told better by the write
	}
	what := "another file was put in the place of the database while the server runs"
	if err != nil {
		what = "the database file was moved away or deleted while the server runs"
	}
	return fmt.Errorf("%w: %w", events.Errorf(events.CodeUnavailable,
		"%s: nothing is written any more; put the old file back, or restart the server to use what is there now", what), ErrMoved)
}
