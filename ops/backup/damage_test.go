package backup_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

// Given an archive that was changed in any region, or cut off anywhere, When it
// is restored, Then it is refused in clear words, or it was no change of what is
// in it; and the data directory is as it was.
func TestDamagedArchivesAreRefused(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	w.tickets(w.board("WEB"), 5)
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, recipient := range map[string]string{"plain": "", "sealed": key.Recipient().String()} {
		made := create(t, db, func(o *backup.Options) { o.Recipient = recipient })
		good, err := os.ReadFile(made.Path)
		if err != nil {
			t.Fatal(err)
		}
		type damage struct {
			what string
			text []byte
		}
		var all []damage
		for i := range 40 {
			at := i * (len(good) - 1) / 39
			bad := bytes.Clone(good)
			bad[at] ^= 1 << (i % 8)
			all = append(all, damage{fmt.Sprintf("a bit at %d", at), bad}, damage{fmt.Sprintf("cut at %d", at), good[:at]})
			bad = bytes.Clone(good)
			for j := at; j < min(at+200, len(bad)); j++ {
				bad[j] = 0
			}
			if !bytes.Equal(bad, good) {
				all = append(all, damage{fmt.Sprintf("zeros at %d", at), bad})
			}
		}
		all = append(all, damage{"more at the end", append(bytes.Clone(good), "more"...)}, damage{"twice", append(bytes.Clone(good), good...)})
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, d := range all {
				refused(t, d.what, d.text, made.Manifest, key)
			}
		})
	}
}

// refused restores a damaged archive over something that must stay.
func refused(t *testing.T, what string, text []byte, want backup.Manifest, key age.Identity) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(t.TempDir(), "kanban-20260815T020000Z-1.tar.zst")
	for path, text := range map[string][]byte{file: text, filepath.Join(dir, "agent_kanban.db"): []byte("old"), filepath.Join(dir, "agent_kanban.db-wal"): []byte("older")} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := backup.OpenArchive(t.Context(), file, []age.Identity{key})
	var done backup.Restored
	if err == nil {
		done, err = backup.Restore(t.Context(), backup.RestoreOptions{Archive: a, DataDir: dir, Database: filepath.Join(dir, "agent_kanban.db"), Folds: folds()})
	}
	if err == nil {
		if done.Head != want.Head() {
			t.Errorf("%s: restored to %+v", what, done.Head)
		}
		return
	}
	if !errors.Is(err, backup.ErrDamaged) && !errors.Is(err, backup.ErrEncrypted) {
		t.Errorf("%s: %v, want ErrDamaged", what, err)
	}
	names(t, dir, 2)
	if got, err := os.ReadFile(filepath.Join(dir, "agent_kanban.db")); string(got) != "old" {
		t.Errorf("%s: the database is %q now (%v)", what, got, err)
	}
}

// An archive whose parts are whole, but do not belong together.
func TestArchiveThatContradictsItself(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	board := w.board("WEB")
	w.tickets(board, 2)
	// Rows that were changed behind the program's back go into the backup as they
	// are: SQLite finds nothing wrong with them, the chain does.
	for _, text := range []string{"DROP TRIGGER events_fixed", "UPDATE events SET data = replace(data, 'ticket 1', 'ticket 7') WHERE type = 'ticket_created'"} {
		if _, err := db.Writer().Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	made := create(t, db)
	a, err := backup.OpenArchive(t.Context(), made.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Check(t.Context(), t.TempDir(), folds()); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("check: %v, want ErrDamaged", err)
	}
	dir := t.TempDir()
	if _, err := restore(t, made.Path, dir); !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("restore: %v, want ErrDamaged", err)
	}
	names(t, dir, 0)
}
