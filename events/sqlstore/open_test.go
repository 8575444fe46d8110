package sqlstore_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/migrations"
)

// raw runs text on the file through a connection that knows nothing of us, as
// an operator with sqlite3 would.
func raw(t *testing.T, path, text string) error {
	t.Helper()
	db, err := sql.Open("sqlite", "file://"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(t.Context(), text)
	return err
}

func mustRaw(t *testing.T, path, text string) {
	t.Helper()
	if err := raw(t, path, text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	write := func(text string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name    string
		options sqlstore.Options
		prepare func(t *testing.T, path string)
		want    error
		text    string
		code    events.Code
	}{
		{name: "missing file", want: sqlstore.ErrNoDatabase, text: "no such file"},
		{name: "missing file, read only", options: sqlstore.Options{ReadOnly: true}, want: sqlstore.ErrNoDatabase},
		{name: "empty file", prepare: write(""), want: sqlstore.ErrNoDatabase, text: "empty"},
		{
			name: "a database without tables", want: sqlstore.ErrNoDatabase,
			prepare: func(t *testing.T, path string) { mustRaw(t, path, "PRAGMA user_version = 7") },
		},
		{
			name: "a database without tables, read only", options: sqlstore.Options{ReadOnly: true}, want: sqlstore.ErrNoDatabase,
			prepare: func(t *testing.T, path string) { mustRaw(t, path, "PRAGMA user_version = 7") },
		},
		{
			name: "a database of another program", options: sqlstore.Options{Create: true}, want: migrations.ErrForeign,
			prepare: func(t *testing.T, path string) { mustRaw(t, path, "CREATE TABLE boards (id INTEGER)") },
		},
		{
			name: "a newer database", want: migrations.ErrNewer,
			prepare: func(t *testing.T, path string) {
				open(t, sqlstore.Options{Path: path, Create: true}).Close()
				mustRaw(t, path, "INSERT INTO schema_migrations VALUES (9999, '9999_future.sql', '')")
			},
		},
		{name: "not a database", prepare: write(strings.Repeat("no database ", 1000)), code: events.CodeUnavailable, text: "damaged"},
		{name: "a directory", prepare: func(t *testing.T, path string) { _ = os.Mkdir(path, 0o700) }, text: "directory"},
		{name: "unknown synchronous", options: sqlstore.Options{Synchronous: "OFF"}, text: "FULL or NORMAL"},
		{name: "read only and create", options: sqlstore.Options{ReadOnly: true, Create: true}, text: "exclude"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "log.db")
			if test.prepare != nil {
				test.prepare(t, path)
			}
			_, before := os.Stat(path)
			test.options.Path = path
			db, err := sqlstore.Open(t.Context(), test.options)
			if err == nil {
				db.Close()
				t.Fatal("got no error")
			}
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %q, want %q in it", err, test.text)
			}
			if test.code != "" && events.CodeOf(err) != test.code {
				t.Errorf("code: got %q of %v, want %q", events.CodeOf(err), err, test.code)
			}
			if _, after := os.Stat(path); errors.Is(before, os.ErrNotExist) && !errors.Is(after, os.ErrNotExist) {
				t.Error("a file was created")
			}
		})
	}
}

func TestOpenCreatesPrivateFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "with space, ? and # and %41.db")
	open(t, sqlstore.Options{Path: path, Create: true})
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("mode of %q: got %v, want 0600", suffix, info.Mode().Perm())
		}
	}
}

func TestOpenWarnsAboutOpenFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	open(t, sqlstore.Options{Path: path, Create: true}).Close()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	open(t, sqlstore.Options{Path: path, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if !strings.Contains(log.String(), "chmod 600") {
		t.Errorf("log: got %q, want the warning", log.String())
	}
}

// Two servers started by accident on one new file, before either has the lock.
func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	ids := make([]string, 6)
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			db, err := sqlstore.Open(context.Background(), sqlstore.Options{Path: path, Create: true})
			if errs[i] = err; err == nil {
				ids[i] = db.LogID()
				errs[i] = db.Close()
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Errorf("log ids: got %q, want the same for all", ids)
		}
	}
}

func TestPragmas(t *testing.T) {
	t.Parallel()
	pragma := func(t *testing.T, name string, update func(context.Context, func(context.Context, *sql.Tx) error) error) (value string) {
		t.Helper()
		err := update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
			return tx.QueryRowContext(ctx, "PRAGMA "+name).Scan(&value)
		})
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	for synchronous, level := range map[string]string{"": "2", "FULL": "2", "NORMAL": "1"} {
		db := open(t, sqlstore.Options{Path: filepath.Join(t.TempDir(), "log.db"), Create: true, Synchronous: synchronous})
		if got := pragma(t, "synchronous", db.Update); got != level {
			t.Errorf("synchronous of appends with %q: got %s, want %s", synchronous, got, level)
		}
		if got := pragma(t, "synchronous", db.UpdateRelaxed); got != "1" {
			t.Errorf("synchronous of projections: got %s, want 1", got)
		}
		if got := pragma(t, "journal_mode", db.Update); got != "wal" {
			t.Errorf("journal_mode: got %s, want wal", got)
		}
		if got := pragma(t, "busy_timeout", db.UpdateRelaxed); got != "5000" {
			t.Errorf("busy_timeout: got %s, want 5000", got)
		}
	}
}

func TestReaderCannotWrite(t *testing.T) {
	t.Parallel()
	db := open(t, sqlstore.Options{Path: filepath.Join(t.TempDir(), "log.db"), Create: true})
	for _, text := range []string{"INSERT INTO meta VALUES ('a', 'b')", "CREATE TABLE a (b)", "DELETE FROM commands"} {
		if _, err := db.Reader().ExecContext(t.Context(), text); err == nil {
			t.Errorf("%s: got no error", text)
		}
	}
}

func TestReadOnlyBesideAServer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	server := open(t, sqlstore.Options{Path: path, Create: true})
	first := fill(t, server, 3)
	db := open(t, sqlstore.Options{Path: path, ReadOnly: true})
	if db.LogID() != server.LogID() {
		t.Errorf("log id: got %q, want %q", db.LogID(), server.LogID())
	}
	if head, err := db.Head(t.Context()); err != nil || head != first {
		t.Errorf("head: got %v (%v), want %v", head, err, first)
	}
	last := fill(t, server, 3)
	if head, err := db.Head(t.Context()); err != nil || head != last {
		t.Errorf("head after the server went on: got %v (%v), want %v", head, err, last)
	}
	if _, err := db.Begin(t.Context()); !errors.Is(err, sqlstore.ErrReadOnly) || events.CodeOf(err) != events.CodeUnavailable {
		t.Errorf("begin: got %v, want ErrReadOnly", err)
	}
	nothing := func(context.Context, *sql.Tx) error { return nil }
	if err := errors.Join(db.Update(t.Context(), nothing)); !errors.Is(err, sqlstore.ErrReadOnly) {
		t.Errorf("update: got %v, want ErrReadOnly", err)
	}
	// With the server gone there is neither -wal nor -shm.
	if err := errors.Join(db.Close(), server.Close()); err != nil {
		t.Fatal(err)
	}
	db = open(t, sqlstore.Options{Path: path, ReadOnly: true})
	if head, err := db.Head(t.Context()); err != nil || head != last {
		t.Errorf("head without a server: got %v (%v), want %v", head, err, last)
	}
}

func TestReadOnlyNeedsUpgrade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	open(t, sqlstore.Options{Path: path, Create: true}).Close()
	mustRaw(t, path, "DELETE FROM schema_migrations WHERE number > 1")
	_, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, ReadOnly: true})
	if !errors.Is(err, migrations.ErrPending) {
		t.Errorf("open: got %v, want ErrPending", err)
	}
}
