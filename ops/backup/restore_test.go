package backup_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
	"github.com/agent-kanban/agent-kanban/ops/backup"
	"github.com/agent-kanban/agent-kanban/projections"
)

// folds are those of the program.
func folds() backup.Folds {
	return backup.Folds{
		Settle: func(ctx context.Context, db *sqlstore.DB, anew bool) error {
			err := projections.NeedsRebuild(ctx, db.Writer(), db)
			if err == nil && !anew {
				return nil
			}
			_, err = projections.Rebuild(ctx, projections.RebuildConfig{DB: db.Writer(), Update: db.UpdateRelaxed, Log: db})
			return err
		},
		Verify: func(ctx context.Context, db *sqlstore.DB) (*ops.Verification, error) {
			return ops.Verify(ctx, db, ops.VerifyOptions{Compare: func(ctx context.Context) ([]string, error) {
				c, err := projections.Compare(ctx, projections.CompareConfig{Live: db.Reader(), Log: db})
				var lines []string
				for _, d := range c.Differences {
					lines = append(lines, d.Table+" "+d.Key+" "+d.Column)
				}
				return lines, err
			}})
		},
	}
}

// restore puts an archive into a data directory.
func restore(t testing.TB, file, dir string, change ...func(*backup.RestoreOptions)) (backup.Restored, error) {
	t.Helper()
	a, err := backup.OpenArchive(t.Context(), file, nil)
	if err != nil {
		return backup.Restored{}, err
	}
	o := backup.RestoreOptions{Archive: a, DataDir: dir, Database: filepath.Join(dir, "agent_kanban.db"), Folds: folds()}
	for _, c := range change {
		c(&o)
	}
	return backup.Restore(t.Context(), o)
}

// Given a history of two boards, When it is restored to random positions, Then
// each board is what the Timeline says it was.
func TestRestoreToAnyPosition(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	web, api := w.board("WEB"), w.board("API")
	w.tickets(web, 8)
	w.tickets(api, 8)
	w.tickets(web, 4)
	made := create(t, db)
	last := head(t, db).Position
	random := rand.New(rand.NewPCG(4, 2))
	for range 20 {
		at := 1 + random.Int64N(last)
		dir := t.TempDir()
		done, err := restore(t, made.Path, dir, func(o *backup.RestoreOptions) { o.At.Position = at })
		if err != nil {
			t.Fatalf("restore to %d: %v", at, err)
		}
		if done.Head.Position != at || done.Cut != last-at || !done.NewLogID || done.LogID == db.LogID() {
			t.Errorf("restored to %d: %+v", at, done)
		}
		copied := reopen(t, dir)
		for _, board := range []int64{1, 2} {
			want, errWant := projections.BoardAt(t.Context(), db, board, projections.At{Position: at})
			got, errGot := projections.BoardAt(t.Context(), copied, board, projections.At{})
			want.Position, got.Position = 0, 0
			if diff := cmp.Diff(want, got); diff != "" || events.CodeOf(errWant) != events.CodeOf(errGot) {
				t.Errorf("board %d at %d (%v, %v):\n%s", board, at, errWant, errGot, diff)
			}
		}
		// It is a log like any other: it goes on from there.
		next := newWriter(t, copied)
		next.n = 100_000
		next.board("NEW")
		if got := head(t, copied).Position; got <= at {
			t.Errorf("after a command the log ends at %d, want more than %d", got, at)
		}
		if _, err := copied.Writer().Exec("DELETE FROM events"); err == nil {
			t.Error("events can be deleted after the cut")
		}
		_ = copied.Close()
	}
}

func TestRestoreToATime(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	board := w.board("WEB")
	w.tickets(board, 3)
	page, err := db.Read(t.Context(), events.Query{After: 4, UpTo: 5})
	if err != nil {
		t.Fatal(err)
	}
	made := create(t, db)
	done, err := restore(t, made.Path, t.TempDir(), func(o *backup.RestoreOptions) { o.At.Time = page[0].RecordedAt })
	if err != nil || done.Head.Position < 5 || done.Head.Position == made.Manifest.Position {
		t.Errorf("restored to the time of position 5: %+v, %v", done, err)
	}
	for name, at := range map[string]backup.At{
		"after the backup": {Time: made.Manifest.Time.Add(time.Hour)},
		"before the log":   {Time: time.Unix(1, 0)},
		"beyond its end":   {Position: made.Manifest.Position + 1},
	} {
		dir := t.TempDir()
		if _, err := restore(t, made.Path, dir, func(o *backup.RestoreOptions) { o.At = at }); !errors.Is(err, backup.ErrNoMoment) {
			t.Errorf("%s: %v, want ErrNoMoment", name, err)
		}
		names(t, dir, 0)
	}
}

// Given a data directory that went on after the backup, When the backup is
// restored, Then the log has a new id, and what was there is set aside whole.
func TestRestoreSetsAside(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	board := w.board("WEB")
	w.tickets(board, 2)
	dir := filepath.Dir(db.Path())
	made := create(t, db)

	// The same log, no further: its id stays.
	id := db.LogID()
	w.seq.Stop()
	_ = db.Close()
	done, err := restore(t, made.Path, dir)
	if err != nil || done.NewLogID || done.LogID != id || done.Aside == "" {
		t.Fatalf("restored over itself: %+v, %v", done, err)
	}
	if err := os.RemoveAll(done.Aside); err != nil {
		t.Fatal(err)
	}

	db = reopen(t, dir)
	w = newWriter(t, db)
	w.n = 1000
	w.tickets(board, 2)
	went := head(t, db)
	w.seq.Stop()
	_ = db.Close()
	for name, text := range map[string]string{"jetstream/stream": "copy", "recovered/events-8-9.jsonl": "{}\n", "secret": "stays"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	done, err = restore(t, made.Path, dir)
	if err != nil || !done.NewLogID || done.LogID == id || done.Head != made.Manifest.Head() {
		t.Fatalf("restored: %+v, %v", done, err)
	}
	names(t, dir, 3) // the database, the secret, what was set aside
	for _, name := range []string{"jetstream/stream", "recovered/events-8-9.jsonl"} {
		if _, err := os.Stat(filepath.Join(done.Aside, filepath.FromSlash(name))); err != nil {
			t.Errorf("set aside: %v", err)
		}
	}
	if got := head(t, reopen(t, done.Aside)); got != went {
		t.Errorf("the database set aside ends at %+v, want %+v", got, went)
	}
}

// What only the stream held after an accident is in the backup, and comes back.
func TestRestoreBringsBackRecoveredFiles(t *testing.T) {
	t.Parallel()
	db := open(t)
	newWriter(t, db).board("WEB")
	folder := filepath.Join(filepath.Dir(db.Path()), "recovered")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"events-8-9.jsonl": "{\"a\":1}\n", "notes.txt": "no"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if _, err := restore(t, create(t, db).Path, dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "recovered", "events-8-9.jsonl"))
	if err != nil || string(text) != "{\"a\":1}\n" {
		t.Errorf("recovered file: %q, %v", text, err)
	}
	names(t, filepath.Join(dir, "recovered"), 1)
}

// Numbers that come free by a cut are given again: what belonged to them must be
// gone.
func TestCutTakesSecretsAlong(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	w.do(commands.RegisterUser{Name: "ada", Kind: events.Human})
	at := head(t, db).Position
	w.do(commands.RegisterUser{Name: "bob", Kind: events.Human})
	for _, text := range []string{
		"INSERT INTO credentials VALUES (1, 'ada', ''), (2, 'bob', '')",
		"INSERT INTO refresh_tokens (user_id, family, token_sha, created_at, expires_at) VALUES (1, 'a', randomblob(32), '', ''), (2, 'b', randomblob(32), '', '')",
		"INSERT INTO heartbeats VALUES (1, 1, 0, 0), (2, 99, 0, 0)",
	} {
		if _, err := db.Writer().Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if _, err := restore(t, create(t, db).Path, dir, func(o *backup.RestoreOptions) { o.At.Position = at }); err != nil {
		t.Fatal(err)
	}
	copied := reopen(t, dir)
	for _, c := range []struct {
		query string
		want  int
	}{
		{"SELECT count(*) FROM credentials WHERE user_id = 1", 1},
		{"SELECT count(*) FROM credentials", 1},
		{"SELECT count(*) FROM refresh_tokens", 1},
		{"SELECT count(*) FROM heartbeats", 1},
		{"SELECT count(*) FROM commands", 1},
		{"SELECT count(*) FROM users", 1},
	} {
		var n int
		if err := copied.Reader().QueryRow(c.query).Scan(&n); err != nil || n != c.want {
			t.Errorf("%s = %d, %v, want %d", c.query, n, err, c.want)
		}
	}
}
