package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

func sideTable(t *testing.T, o sqlstore.Options) (db reopenable, count func() int) {
	t.Helper()
	o.Path, o.Create = filepath.Join(t.TempDir(), "log.db"), true
	db = open(t, o)
	err := db.Update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "CREATE TABLE side (n INTEGER PRIMARY KEY, text TEXT)")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return db, func() (n int) {
		t.Helper()
		if err := db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM side").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

func insertSide(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO side (text) VALUES ('x')")
	return err
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	db, count := sideTable(t, sqlstore.Options{})
	mine := errors.New("mine")
	for name, update := range map[string]func(context.Context, func(context.Context, *sql.Tx) error) error{
		"Update": db.Update, "UpdateRelaxed": db.UpdateRelaxed,
	} {
		before := count()
		if err := update(t.Context(), insertSide); err != nil || count() != before+1 {
			t.Errorf("%s: got %d rows (%v), want %d", name, count(), err, before+1)
		}
		err := update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			return errors.Join(insertSide(ctx, tx), mine)
		})
		if !errors.Is(err, mine) || count() != before+1 {
			t.Errorf("%s with an error: got %d rows (%v), want %d", name, count(), err, before+1)
		}
		func() {
			defer func() {
				if got := recover(); got != "mine" {
					t.Errorf("%s with a panic: got %v, want it passed on", name, got)
				}
			}()
			_ = update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				_ = insertSide(ctx, tx)
				panic("mine")
			})
		}()
		if count() != before+1 {
			t.Errorf("%s with a panic: got %d rows, want %d", name, count(), before+1)
		}
		// The caller leaves half way; the others in the transaction must not notice.
		ctx, cancel := context.WithCancel(t.Context())
		err = update(ctx, func(ctx context.Context, tx *sql.Tx) error {
			cancel()
			return insertSide(ctx, tx)
		})
		if err != nil || count() != before+2 {
			t.Errorf("%s cancelled inside: got %d rows (%v), want %d", name, count(), err, before+2)
		}
		if err := update(ctx, insertSide); !errors.Is(err, context.Canceled) || count() != before+2 {
			t.Errorf("%s cancelled before: got %d rows (%v)", name, count(), err)
		}
	}
}

func TestUpdateRefusesEvents(t *testing.T) {
	t.Parallel()
	db, _ := sideTable(t, sqlstore.Options{})
	err := db.Update(t.Context(), func(context.Context, *sql.Tx) error {
		return events.Errorf(events.CodeForbidden, "no")
	})
	if events.CodeOf(err) != events.CodeForbidden {
		t.Errorf("code of fn's error: got %q of %v, want forbidden", events.CodeOf(err), err)
	}
}

// Both writing connections and the readers at once: nobody meets SQLITE_BUSY.
func TestWritersTakeTurns(t *testing.T) {
	t.Parallel()
	db, count := sideTable(t, sqlstore.Options{BusyTimeout: time.Millisecond})
	stmt, err := db.Writer().PrepareContext(t.Context(), "INSERT INTO side (text) VALUES (?)")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	const rounds = 30
	errs := make(chan error, 4*rounds)
	var wg sync.WaitGroup
	loop := func(f func() error) {
		wg.Go(func() {
			for range rounds {
				errs <- f()
			}
		})
	}
	ctx := t.Context()
	loop(func() error { return db.Update(ctx, insertSide) })
	loop(func() error {
		return db.UpdateRelaxed(ctx, func(ctx context.Context, tx *sql.Tx) error {
			_, err := tx.StmtContext(ctx, stmt).ExecContext(ctx, "y")
			return err
		})
	})
	loop(func() error {
		head, err := db.Head(ctx)
		if err != nil {
			return err
		}
		return appendBatch(ctx, db, next(t, head, 3))
	})
	loop(func() error {
		_, err := db.Read(ctx, events.Query{BoardID: 1})
		return err
	})
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	if head, err := verify(t, db); err != nil || head.Position != 3*rounds || count() != 2*rounds {
		t.Errorf("got %d events and %d rows (%v), want %d and %d", head.Position, count(), err, 3*rounds, 2*rounds)
	}
}

// pragma sets one on the durable connection; it stays beyond the transaction.
func pragma(t *testing.T, db reopenable, text string) {
	t.Helper()
	tx, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	var result any
	if err := tx.SQL().QueryRowContext(t.Context(), "PRAGMA "+text).Scan(&result); err != nil && !errors.Is(err, sql.ErrNoRows) {
		t.Fatalf("%s: %v", text, err)
	}
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	db, _ := sideTable(t, sqlstore.Options{})
	head := fill(t, db, 3)
	// As good as a full disk: SQLite reports both as SQLITE_FULL.
	pragma(t, db, "max_page_count = 1")
	var err error
	for range 100 {
		if err = appendBatch(t.Context(), db, next(t, head, 64)); err != nil {
			break
		}
		head, _ = db.Head(t.Context())
	}
	if events.CodeOf(err) != events.CodeStorageFull {
		t.Fatalf("append on a full disk: got %q of %v, want storage_full", events.CodeOf(err), err)
	}
	var told *events.Error
	if !errors.As(err, &told) || !strings.Contains(told.Message, "free some space") {
		t.Errorf("message: got %v, want what to do", told)
	}
	if got, err := verify(t, db); err != nil || got != head {
		t.Errorf("the log: got %v (%v), want %v", got, err, head)
	}
	pragma(t, db, "max_page_count = 1000000")
	last := fill(t, db, 64)
	if got, err := verify(t, db); err != nil || got != last {
		t.Errorf("with space again: got %v (%v), want %v", got, err, last)
	}
}

func TestDiskReadOnly(t *testing.T) {
	t.Parallel()
	db, _ := sideTable(t, sqlstore.Options{})
	head := fill(t, db, 3)
	pragma(t, db, "query_only = 1") // the same SQLITE_READONLY
	if err := appendBatch(t.Context(), db, next(t, head, 1)); events.CodeOf(err) != events.CodeUnavailable {
		t.Errorf("append: got %q of %v, want unavailable", events.CodeOf(err), err)
	}
	if got, err := verify(t, db); err != nil || got != head {
		t.Errorf("the log: got %v (%v), want %v", got, err, head)
	}
}

func TestBusyElsewhere(t *testing.T) {
	t.Parallel()
	db, _ := sideTable(t, sqlstore.Options{BusyTimeout: 10 * time.Millisecond})
	head := fill(t, db, 1)
	other, err := sql.Open("sqlite", "file://"+db.Path()+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tx, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Begin(t.Context()); events.CodeOf(err) != events.CodeUnavailable {
		t.Errorf("begin: got %q of %v, want unavailable", events.CodeOf(err), err)
	}
	if got, err := db.Head(t.Context()); err != nil || got != head {
		t.Errorf("head: got %v (%v), want %v", got, err, head)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	fill(t, db, 1)
}

// Another process that writes to the same log is seen by the next transaction.
func TestTwoStoresOnOneFile(t *testing.T) {
	t.Parallel()
	a, _ := sideTable(t, sqlstore.Options{})
	b := open(t, sqlstore.Options{Path: a.Path()})
	for i := range 5 {
		fill(t, a, 1+i)
		fill(t, b, 2)
	}
	headA, errA := verify(t, a)
	headB, errB := verify(t, b)
	if errA != nil || errB != nil || headA != headB || headA.Position != 25 {
		t.Errorf("heads: got %v (%v) and %v (%v), want 25 events", headA, errA, headB, errB)
	}
}

func TestWALStaysBounded(t *testing.T) {
	t.Parallel()
	db, _ := sideTable(t, sqlstore.Options{Checkpoint: 50})
	for range 60 {
		fill(t, db, 64)
	}
	// 100 pages on the durable connection, plus one commit beyond.
	if size := fileSize(t, db.Path()+"-wal"); size > 300*4096 {
		t.Errorf("WAL: got %d bytes after %d events, want it cut back", size, 64*60)
	}
}

func TestCloseTwice(t *testing.T) {
	t.Parallel()
	db, _ := sideTable(t, sqlstore.Options{})
	for range 2 {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := db.Begin(t.Context()); err == nil {
		t.Error("begin after close: got no error")
	}
	if _, err := db.Head(t.Context()); err == nil {
		t.Error("head after close: got no error")
	}
	if fmt.Sprint(db.TailError()) != "<nil>" {
		t.Errorf("tail: got %v, want a nil interface", db.TailError())
	}
}

// Appended hears of what was committed and of nothing else.
func TestAppendedIsTold(t *testing.T) {
	t.Parallel()
	var counts []int
	db := open(t, sqlstore.Options{
		Path: filepath.Join(t.TempDir(), "log.db"), Create: true,
		Appended: func(count int, insert, commit time.Duration) {
			counts = append(counts, count)
			if commit <= 0 || insert <= 0 {
				t.Errorf("%d events: insert %s, commit %s", count, insert, commit)
			}
		},
	})
	for _, row := range []struct {
		events int
		commit bool
	}{{2, true}, {3, false}, {0, true}} {
		tx, err := db.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Append(t.Context(), next(t, tx.Head(), row.events)); err != nil {
			t.Fatal(err)
		}
		end := tx.Rollback
		if row.commit {
			end = tx.Commit
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int{2, 0}; !slices.Equal(counts, want) {
		t.Errorf("told of %v, want %v", counts, want)
	}
}
