package backup_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops/backup"
)

// ship copies what the log has now, with a new shipper.
func ship(t testing.TB, db *sqlstore.DB, sink backup.Sink, recipient string) error {
	t.Helper()
	s, err := backup.NewShipper(backup.ShipperConfig{Log: db, Sink: sink, Recipient: recipient})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ship(t.Context()); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // Follow ships once more when it is told to end, and closes
	if err := s.Follow(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	if st := s.Status(); st.Head != st.Position {
		return errors.New("it is behind")
	}
	return nil
}

// shipped fails where a copy is not the log.
func shipped(t testing.TB, db *sqlstore.DB, from backup.Shipped) {
	t.Helper()
	from.LogID = db.LogID()
	var last events.Head
	records := 0
	for row, err := range backup.ReadLog(t.Context(), from, events.Head{}) {
		if err != nil {
			t.Fatal(err)
		}
		last = row.Event.Head()
		records += len(row.Commands)
	}
	if want := head(t, db); last != want {
		t.Fatalf("the copy ends at %+v, want %+v", last, want)
	}
	var want int
	if err := db.Reader().QueryRow("SELECT count(*) FROM commands WHERE first_position > 0").Scan(&want); err != nil || records != want {
		t.Fatalf("the copy holds %d commands, want %d (%v)", records, want, err)
	}
}

// Given a shipper at work, When the log grows, Then so does the copy, and a
// backup with it restores to the last event.
func TestShipAndRestore(t *testing.T) {
	t.Parallel()
	for name, sealed := range map[string]bool{"plain": false, "sealed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			w := newWriter(t, db)
			board := w.board("WEB")
			w.tickets(board, 5)
			key, err := age.GenerateX25519Identity()
			if err != nil {
				t.Fatal(err)
			}
			recipient, ids := "", []age.Identity(nil)
			if sealed {
				recipient, ids = key.Recipient().String(), []age.Identity{key}
			}
			folder := t.TempDir()
			s, err := backup.NewShipper(backup.ShipperConfig{Log: db, Sink: backup.NewFolder(folder), Recipient: recipient})
			if err != nil {
				t.Fatal(err)
			}
			s.Start()
			w.tickets(board, 5)
			made := create(t, db)
			w.do(commands.RegisterUser{Name: "late", Kind: events.Human})
			w.tickets(board, 100)
			s.Stop()
			s.Stop()
			want := head(t, db)
			if st := s.Status(); st.Position != want.Position || st.LastError != "" {
				t.Errorf("status = %+v, want position %d", st, want.Position)
			}
			from := backup.Shipped{Dir: folder, Identities: ids}
			shipped(t, db, from)

			done, err := restore(t, made.Path, t.TempDir(), func(o *backup.RestoreOptions) { o.Log = &from })
			if err != nil {
				t.Fatal(err)
			}
			if done.Head != want || done.Replayed != want.Position-made.Manifest.Position || len(done.NoPassword) != 1 || done.NoPassword[0] != "late" {
				t.Errorf("restored: %+v, want head %+v", done, want)
			}
			at := made.Manifest.Position + 3
			done, err = restore(t, made.Path, t.TempDir(), func(o *backup.RestoreOptions) { o.Log, o.At.Position = &from, at })
			if err != nil || done.Head.Position != at {
				t.Errorf("restored to %d: %+v, %v", at, done, err)
			}
			if sealed {
				from.Identities = nil
				if _, err := restore(t, made.Path, t.TempDir(), func(o *backup.RestoreOptions) { o.Log = &from }); !errors.Is(err, backup.ErrEncrypted) {
					t.Errorf("without the key: %v, want ErrEncrypted", err)
				}
			}
		})
	}
}

// Given more events than a record holds, When the copy ends after any of its
// records, Then it ends with a whole command.
func TestRecordsHoldWholeCommands(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	board := w.board("WEB")
	w.tickets(board, 20)
	many := make([]commands.Command, 1000) // one command that fills a record
	for i := range many {
		many[i] = commands.CreateTicket{Board: board, Title: "one of many"}
	}
	w.do(many[:700]...)
	w.do(many[:700]...)
	w.do(many...)
	w.tickets(board, 20)
	folder := t.TempDir()
	if err := ship(t, db, backup.NewFolder(folder), ""); err != nil {
		t.Fatal(err)
	}
	shipped(t, db, backup.Shipped{Dir: folder})
	end := head(t, db).Position
	segment := filepath.Join(folder, db.LogID(), "log-000000000001.kseg")
	text, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	// Without its last byte the copy lacks its last record, and is sound.
	if err := os.WriteFile(segment, text[:len(text)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	var last events.Head
	open := map[string]bool{}
	for row, err := range backup.ReadLog(t.Context(), backup.Shipped{Dir: folder, LogID: db.LogID()}, events.Head{}) {
		if err != nil {
			t.Fatal(err)
		}
		last = row.Event.Head()
		open[row.Event.CommandID] = true
		for _, rec := range row.Commands {
			delete(open, rec.ID)
		}
	}
	if len(open) > 0 || last.Position == 0 || last.Position >= end {
		t.Errorf("the copy ends at %d of %d inside of %v", last.Position, end, open)
	}
}

// Given a copy that was cut at any byte, as kill -9 or a power cut leaves it,
// When shipping goes on, Then the copy is whole again; and what is read before
// that is a beginning of the log.
func TestShippingGoesOnAfterATornWrite(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	board := w.board("WEB")
	whole := t.TempDir()
	for range 4 { // a record each
		w.tickets(board, 2)
		if err := ship(t, db, backup.NewFolder(whole), ""); err != nil {
			t.Fatal(err)
		}
	}
	segment := filepath.Join(db.LogID(), "log-000000000001.kseg")
	text, err := os.ReadFile(filepath.Join(whole, segment))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	cuts := []int{0, 1, 7, 8, 9, len(text) - 1}
	for range 40 {
		cuts = append(cuts, random.IntN(len(text)))
	}
	for i, at := range cuts {
		dir := t.TempDir()
		torn := append([]byte{}, text[:at]...)
		if i%3 == 0 { // the file system gave it its length, but not its bytes
			torn = append(torn, make([]byte, random.IntN(500))...)
		}
		if err := os.MkdirAll(filepath.Join(dir, db.LogID()), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, segment), torn, 0o600); err != nil {
			t.Fatal(err)
		}
		for row, err := range backup.ReadLog(t.Context(), backup.Shipped{Dir: dir, LogID: db.LogID()}, events.Head{}) {
			if err != nil {
				t.Fatalf("read after a cut at %d: %v", at, err)
			}
			_ = row
		}
		if err := ship(t, db, backup.NewFolder(dir), ""); err != nil {
			t.Fatalf("ship after a cut at %d: %v", at, err)
		}
		shipped(t, db, backup.Shipped{Dir: dir})
	}
}

// A byte that was changed in a copy is found when it is read, wherever it is.
func TestDamagedCopyIsRefused(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	board := w.board("WEB")
	folder := t.TempDir()
	for range 3 {
		w.tickets(board, 2)
		if err := ship(t, db, backup.NewFolder(folder), ""); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(folder, db.LogID(), "log-000000000001.kseg")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := head(t, db)
	for at := 0; at < len(text); at += 41 {
		bad := append([]byte{}, text...)
		bad[at] ^= 0x10
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		var last events.Head
		var failed error
		for row, err := range backup.ReadLog(t.Context(), backup.Shipped{Dir: folder, LogID: db.LogID()}, events.Head{}) {
			if failed = err; err == nil {
				last = row.Event.Head()
			}
		}
		if last == want && failed == nil {
			t.Fatalf("a changed byte at %d of %d went unseen", at, len(text))
		}
		if failed != nil && !errors.Is(failed, backup.ErrDamaged) {
			t.Fatalf("a changed byte at %d: %v, want ErrDamaged", at, failed)
		}
	}
}

func TestShippingRefusesAnotherHistory(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	board := w.board("WEB")
	w.tickets(board, 2)
	made := create(t, db)
	w.tickets(board, 2)
	folder := t.TempDir()
	if err := ship(t, db, backup.NewFolder(folder), ""); err != nil {
		t.Fatal(err)
	}
	// The same log, restored without its copy, and kept under its id.
	dir := t.TempDir()
	if _, err := restore(t, made.Path, dir, func(o *backup.RestoreOptions) { o.KeepID = true }); err != nil {
		t.Fatal(err)
	}
	s, err := backup.NewShipper(backup.ShipperConfig{Log: reopen(t, dir), Sink: backup.NewFolder(folder)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Follow(t.Context()); !errors.Is(err, backup.ErrDiverged) {
		t.Errorf("shipping: %v, want ErrDiverged", err)
	}
	shipped(t, db, backup.Shipped{Dir: folder}) // and it is as it was
	if err := os.Remove(filepath.Join(folder, db.LogID(), "log-000000000001.kseg")); err != nil {
		t.Fatal(err)
	}
}

func TestTwoShippersOfOneFolder(t *testing.T) {
	t.Parallel()
	db := open(t)
	newWriter(t, db).board("WEB")
	folder := t.TempDir()
	first, err := backup.NewShipper(backup.ShipperConfig{Log: db, Sink: backup.NewFolder(folder)})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Ship(t.Context()); err != nil {
		t.Fatal(err)
	}
	second, err := backup.NewShipper(backup.ShipperConfig{Log: db, Sink: backup.NewFolder(folder)})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Ship(t.Context()); err == nil {
		t.Error("a second shipper was let in")
	}
	first.Start()
	first.Stop()
	if err := second.Ship(t.Context()); err != nil {
		t.Errorf("after the first ended: %v", err)
	}
	second.Start()
	second.Stop()
}

func TestShipToABucket(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	board := w.board("WEB")
	store := newStore(t)
	for range 3 {
		w.tickets(board, 3)
		if err := ship(t, db, store.bucket(t, "/log").Ship(), ""); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := store.bucket(t, "/log").Fetch(t.Context(), db.LogID(), dir); err != nil {
		t.Fatal(err)
	}
	names(t, filepath.Join(dir, db.LogID()), 3)
	shipped(t, db, backup.Shipped{Dir: dir})

	// What is refused is tried again, and nothing is skipped.
	store.mu.Lock()
	store.refuse = "log-"
	store.mu.Unlock()
	w.tickets(board, 1)
	s, err := backup.NewShipper(backup.ShipperConfig{Log: db, Sink: store.bucket(t, "/log").Ship()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ship(t.Context()); err == nil {
		t.Error("a refused upload went unseen")
	}
	store.mu.Lock()
	store.refuse = ""
	store.mu.Unlock()
	if err := s.Ship(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := store.bucket(t, "/log").Fetch(t.Context(), db.LogID(), dir); err != nil {
		t.Fatal(err)
	}
	shipped(t, db, backup.Shipped{Dir: dir})
}

// Passwords, tokens and webhooks are in no event, and are shipped all the same:
// with the event that they belong to, or alone; what an event has ended stays
// ended, whatever the rows say.
func TestAccountsAreShipped(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	folder, fetched := t.TempDir(), t.TempDir()
	for name, sink := range map[string]func() backup.Sink{
		"folder": func() backup.Sink { return backup.NewFolder(folder) },
		"bucket": func() backup.Sink { return store.bucket(t, "").Ship() },
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t)
			w := newWriter(t, db)
			exec := func(text string) {
				t.Helper()
				if _, err := db.Writer().Exec(text); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
			}
			ship := func() {
				t.Helper()
				if err := ship(t, db, sink(), ""); err != nil {
					t.Fatal(err)
				}
			}
			user := func(name string) {
				t.Helper()
				w.do(commands.RegisterUser{Name: name, Kind: events.Human})
			}
			user("ada")
			exec("INSERT INTO credentials VALUES (1, 'old', '2026-08-15 02:00:00.000000')")
			ship()
			made := create(t, db)
			user("bob")
			exec("INSERT INTO credentials VALUES (2, 'bob''s', '2026-08-15 02:00:01.000000')")
			ship()
			// Without any event; and one whose commit came late.
			exec("UPDATE credentials SET password_hash = 'new', updated_at = '2026-08-15 02:00:09.000000' WHERE user_id = 1")
			ship()
			exec("UPDATE credentials SET password_hash = 'newer', updated_at = '2026-08-15 02:00:08.500000' WHERE user_id = 2")
			exec("INSERT INTO api_tokens VALUES (7, 2, 'ci', 'akb_', x'" + hex64 + "', '', '[]', '', NULL, NULL, 0)")
			exec("INSERT INTO credentials VALUES (3, 'nobody''s', '2026-08-15 02:00:09.000000')")
			ship()
			user("carol") // who has the number 3, and whose password never came
			exec("UPDATE credentials SET password_hash = '' WHERE user_id = 3")
			ship()

			from := backup.Shipped{Dir: folder}
			if name == "bucket" {
				from.Dir = fetched
				if err := store.bucket(t, "").Fetch(t.Context(), db.LogID(), fetched); err != nil {
					t.Fatal(err)
				}
			}
			shipped(t, db, from)
			dir := t.TempDir()
			done, err := restore(t, made.Path, dir, func(o *backup.RestoreOptions) { o.Log = &from })
			if err != nil {
				t.Fatal(err)
			}
			if done.Head != head(t, db) || len(done.NoPassword) != 0 {
				t.Errorf("restored: %+v", done)
			}
			copied := reopen(t, dir)
			for query, want := range map[string]string{
				"SELECT group_concat(password_hash, ' ') FROM (SELECT * FROM credentials ORDER BY user_id LIMIT 2)": "new newer",
				// No event has issued it.
				"SELECT count(*) FROM api_tokens": "0",
			} {
				var got string
				if err := copied.Reader().QueryRow(query).Scan(&got); err != nil || got != want {
					t.Errorf("%s = %q, %v, want %q", query, got, err, want)
				}
			}
			// Rows of somebody whom the log does not know any more are gone.
			at := made.Manifest.Position
			dir = t.TempDir()
			if _, err := restore(t, made.Path, dir, func(o *backup.RestoreOptions) { o.Log, o.At.Position = &from, at }); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := reopen(t, dir).Reader().QueryRow("SELECT count(*) FROM credentials").Scan(&n); err != nil || n != 1 {
				t.Errorf("%d passwords at position %d, want 1 (%v)", n, at, err)
			}
		})
	}
}

// hex64 is a sum of 32 bytes.
const hex64 = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
