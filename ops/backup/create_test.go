package backup_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

// Given a log that is written to all the time, When a backup is taken, Then it
// holds the log as of one moment.
func TestBackupWhileWriting(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	board := w.board("WEB")
	w.tickets(board, 20)
	before := head(t, db)

	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				w.tickets(board, 1)
			}
		}
	})
	made := create(t, db)
	close(stop)
	writing.Wait()

	m := made.Manifest
	if m.Position < before.Position || m.Position > head(t, db).Position || m.LogID != db.LogID() {
		t.Errorf("manifest = %+v, want a moment after %d", m, before.Position)
	}
	if m.Tables["events"] != m.Position || m.Schema < 6 || m.Version != "test" {
		t.Errorf("manifest = %+v, want %d events, schema and version", m, m.Position)
	}
	a, err := backup.OpenArchive(t.Context(), made.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := a.Extract(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	copied := reopen(t, dir)
	if got := head(t, copied); got != m.Head() {
		t.Errorf("head = %+v, want %+v", got, m.Head())
	}
	verify(t, copied)
	if info, err := os.Stat(made.Path); err != nil || info.Mode().Perm() != 0o600 || info.Size() != made.Size {
		t.Errorf("file %v, %v, want mode 0600 and %d bytes", info, err, made.Size)
	}
	if n, ok := backup.ParseName(filepath.Base(made.Path)); !ok || n.Position != m.Position || n.Encrypted {
		t.Errorf("name %s reads as %+v, %v", made.Path, n, ok)
	}
	names(t, filepath.Dir(made.Path), 1)
}

// names fails where a folder does not hold so many entries, hidden ones included.
func names(t *testing.T, dir string, want int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != want {
		t.Errorf("%s holds %v (%v), want %d entries", dir, entries, err, want)
	}
}

func TestEncryptedBackup(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	w.tickets(w.board("WEB"), 3)
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	made := create(t, db, func(o *backup.Options) { o.Recipient = key.Recipient().String() })
	if !strings.HasSuffix(made.Path, ".tar.zst.age") {
		t.Errorf("path = %s", made.Path)
	}
	for name, ids := range map[string][]age.Identity{"none": nil, "another": {other}} {
		if _, err := backup.OpenArchive(t.Context(), made.Path, ids); !errors.Is(err, backup.ErrEncrypted) || !strings.Contains(err.Error(), "--identity") {
			t.Errorf("with %s: %v, want ErrEncrypted and what to do", name, err)
		}
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("# mine\n"+key.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ids, err := backup.ReadIdentities(file)
	if err != nil {
		t.Fatal(err)
	}
	a, err := backup.OpenArchive(t.Context(), made.Path, ids)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := a.Extract(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	verify(t, reopen(t, dir))
}

// A backup that fails, in whatever way, leaves nothing and sweeps up after one
// that was killed.
func TestFailedBackupLeavesNothing(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	w.tickets(w.board("WEB"), 300)
	for name, c := range map[string]func(o *backup.Options) context.Context{
		"cancelled while copying": func(o *backup.Options) context.Context { return cancelIn(t, o, "copy") },
		"cancelled while packing": func(o *backup.Options) context.Context { return cancelIn(t, o, "compress") },
		"bad recipient": func(o *backup.Options) context.Context {
			o.Recipient = "age1nobody"
			return t.Context()
		},
		"no database": func(o *backup.Options) context.Context {
			o.Database = filepath.Join(t.TempDir(), "none.db")
			return t.Context()
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			left := filepath.Join(out, ".kanban-backup-killed")
			if err := os.Mkdir(left, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(left, "LOCK"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			o := backup.Options{Database: db.Path(), Out: out}
			ctx := c(&o)
			if _, err := backup.Create(ctx, o); err == nil {
				t.Fatal("it succeeded")
			}
			if name != "no database" {
				names(t, out, 0)
			}
		})
	}
}

// cancelIn returns a context that ends when the phase begins.
func cancelIn(t *testing.T, o *backup.Options, phase string) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	o.Progress = func(now string, done, total int64) {
		if now == phase {
			cancel()
		}
	}
	return ctx
}

func TestBackupOfADamagedDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	w.tickets(w.board("WEB"), 200)
	dir := t.TempDir()
	a, err := backup.OpenArchive(t.Context(), create(t, db).Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Extract(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "agent_kanban.db")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// What SQLite itself stumbles over, and what only a look at all of it finds.
	for name, at := range map[string]int{"no database": 0, "schema": 100, "middle": len(whole) / 2} {
		text := slices.Clone(whole)
		for i := at; i < at+8192; i++ {
			text[i] ^= 0x5a
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		out := t.TempDir()
		if _, err := backup.Create(t.Context(), backup.Options{Database: path, Out: out}); !errors.Is(err, backup.ErrSourceDamaged) {
			t.Errorf("%s: error = %v, want ErrSourceDamaged", name, err)
		}
		names(t, out, 0)
	}
}

// A backup that is called off while it is checked is called off: nothing is said of damage.
func TestCreateCalledOffInTheCheck(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	w.tickets(w.board("WEB"), 200)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := backup.Create(ctx, backup.Options{Database: db.Path(), Out: t.TempDir(), Progress: func(phase string, done, total int64) {
		if phase == "copy" && done == total {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || errors.Is(err, backup.ErrSourceDamaged) {
		t.Errorf("%v, want that it was called off", err)
	}
}
