package maintain_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops/maintain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2025, 8, 20, 12, 0, 0, 0, time.UTC)

// setup returns a database with 1,200 refresh tokens that have expired, one that
// has not, and a large table that was dropped.
func setup(t *testing.T) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(t.TempDir(), "agent_kanban.db"), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	err = db.Update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 1201)
			INSERT INTO refresh_tokens (user_id, family, token_sha, created_at, expires_at)
				SELECT 1, 'f' || i, randomblob(32), '2025-08-01 00:00:00.000000',
					CASE i WHEN 1 THEN '2025-08-20 12:00:00.000001' ELSE '2025-08-20 12:00:00.000000' END FROM n;
			CREATE TABLE large (x BLOB);
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 600) INSERT INTO large SELECT zeroblob(4000) FROM n;
			DROP TABLE large;`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func options() maintain.Options { return maintain.Options{Now: func() time.Time { return now }} }

func detail(t *testing.T, r maintain.Report, step string) string {
	t.Helper()
	for _, s := range r.Steps {
		if s.Name == step {
			return s.Detail
		}
	}
	t.Fatalf("no step %s in %+v", step, r)
	return ""
}

func TestRun(t *testing.T) {
	t.Parallel()
	db := setup(t)
	r, err := maintain.Run(t.Context(), db, options())
	if err != nil || !r.OK || len(r.Steps) != 6 {
		t.Fatalf("%+v, %v", r, err)
	}
	for step, want := range map[string]string{
		"expired_tokens": "1200 expired", "integrity": "ok", "checkpoint": "emptied", "vacuum": "--full", "analyze": "statistics of ",
	} {
		if got := detail(t, r, step); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", step, got, want)
		}
	}
	if r.WALBefore == 0 || r.WALAfter != 0 {
		t.Errorf("WAL of %d bytes, then %d, want it emptied", r.WALBefore, r.WALAfter)
	}
	var left int
	if err := db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM refresh_tokens").Scan(&left); err != nil || left != 1 {
		t.Errorf("%d tokens left (%v), want the one that has not expired", left, err)
	}
}

// The whole file is rewritten once; after that pages are given back in steps.
func TestRunFullThenIncremental(t *testing.T) {
	t.Parallel()
	db := setup(t)
	if _, err := maintain.Run(t.Context(), db, options()); err != nil {
		t.Fatal(err) // so that nothing is left in the WAL
	}
	opts := options()
	opts.Full = true
	r, err := maintain.Run(t.Context(), db, opts)
	if err != nil || r.Before-r.After < 1_500_000 {
		t.Fatalf("%d bytes before, %d after: %v", r.Before, r.After, err)
	}
	err = db.Update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `CREATE TABLE large (x BLOB);
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 600) INSERT INTO large SELECT zeroblob(4000) FROM n;
			DROP TABLE large;`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r2, err := maintain.Run(t.Context(), db, options())
	if err != nil || r2.After > r.After+65536 || !strings.Contains(detail(t, r2, "vacuum"), "given back") {
		t.Errorf("%d bytes after the first run, %d after the second: %v %q", r.After, r2.After, err, detail(t, r2, "vacuum"))
	}
}

// Others write meanwhile, in this process and in another connection, and none is
// refused.
func TestRunBesideWriters(t *testing.T) {
	t.Parallel()
	db := setup(t)
	other, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: db.Path()})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	quit := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	wrote := 0
	for i, w := range []*sqlstore.DB{db, other} {
		wg.Go(func() {
			// SQLite's lock is not fair: without a pause one process would starve
			// the other for good.
			tick := time.NewTicker(3 * time.Millisecond)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-quit:
					return
				case <-tick.C:
				}
				err := w.Update(context.Background(), func(ctx context.Context, tx *sql.Tx) error {
					_, err := tx.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES (?, '')", fmt.Sprintf("%d-%d", i, n))
					return err
				})
				if err != nil {
					t.Errorf("a writer: %v", err)
					return
				}
				mu.Lock()
				wrote++
				mu.Unlock()
			}
		})
	}
	for _, full := range []bool{false, true, false} {
		opts := options()
		opts.Full = full
		if r, err := maintain.Run(t.Context(), db, opts); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
	close(quit)
	wg.Wait()
	var n int
	if err := db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM meta WHERE value = ''").Scan(&n); err != nil || n != wrote || n == 0 {
		t.Errorf("%d rows of %d: %v", n, wrote, err)
	}
}

func TestRunFindsDamage(t *testing.T) {
	t.Parallel()
	db := setup(t)
	path := db.Path()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// An index that says something else than its table.
	raw, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"PRAGMA writable_schema = ON",
		"UPDATE sqlite_schema SET sql = 'CREATE INDEX idx_refresh_tokens_user_id ON refresh_tokens (expires_at)' WHERE name = 'idx_refresh_tokens_user_id'",
	} {
		if _, err := raw.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := raw.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = sqlstore.Open(t.Context(), sqlstore.Options{Path: path}); err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := maintain.Run(t.Context(), db, options())
	if !errors.Is(err, maintain.ErrDamaged) || r.OK {
		t.Errorf("%+v, %v, want ErrDamaged", r, err)
	}
	if !strings.Contains(detail(t, r, "checkpoint"), "emptied") {
		t.Error("what comes after a step that failed was not done")
	}
}

func TestRunRefusals(t *testing.T) {
	t.Parallel()
	db := setup(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := maintain.Run(ctx, db, options()); !errors.Is(err, context.Canceled) || len(r.Steps) != 0 {
		t.Errorf("cancelled: %+v, %v", r, err)
	}
	readOnly, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: db.Path(), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer readOnly.Close()
	if _, err := maintain.Run(t.Context(), readOnly, options()); !errors.Is(err, sqlstore.ErrReadOnly) {
		t.Errorf("read only: %v", err)
	}
	if _, err := maintain.NewSchedule(maintain.Config{DB: db}); err == nil {
		t.Error("a schedule without a time")
	}
}

// signal is a log that says when a step was reported.
type signal struct {
	slog.Handler
	steps chan string
}

func (s signal) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "step" {
			select {
			case s.steps <- a.Value.String():
			default:
			}
		}
		return true
	})
	return nil
}

func TestSchedule(t *testing.T) {
	t.Parallel()
	steps := make(chan string, 100)
	s, err := maintain.NewSchedule(maintain.Config{
		DB: setup(t), Cron: "@every 1s",
		Logger: slog.New(signal{slog.NewTextHandler(os.Stderr, nil), steps}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Stop() != nil || s.Status().Last != nil {
		t.Error("before the start")
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Status().Next.IsZero() {
		t.Error("nobody knows when the next run is")
	}
	for _, want := range []string{"expired_tokens", "optimize", "analyze", "vacuum", "integrity", "checkpoint"} {
		if got := <-steps; got != want {
			t.Errorf("step %s, want %s", got, want)
		}
	}
	for range 2 {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
	if status := s.Status(); status.Running || status.Last == nil || !status.Last.OK || status.Error != "" {
		t.Errorf("status %+v", status)
	}
}
