package backup_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/backup"
)

var fixed = time.Date(2026, 8, 15, 2, 30, 0, 0, time.UTC)

// told is a logger that hands over what it is told.
type told chan string

func (c told) Enabled(context.Context, slog.Level) bool { return true }

func (c told) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	c <- text
	return nil
}
func (c told) WithAttrs([]slog.Attr) slog.Handler { return c }
func (c told) WithGroup(string) slog.Handler      { return c }

// Given a server that was down when a backup was due, When it starts, Then the
// backup is taken; where none was due, none is.
func TestMissedRunIsMadeUpFor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		last time.Time
		due  bool
	}{
		"no backup yet":   {time.Time{}, true},
		"missed one":      {fixed.Add(-25 * time.Hour), true},
		"missed many":     {fixed.Add(-2000 * time.Hour), true},
		"nothing was due": {fixed.Add(-10 * time.Minute), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t)
			newWriter(t, db).board("WEB")
			out := t.TempDir()
			if !c.last.IsZero() {
				if err := os.WriteFile(filepath.Join(out, backup.Name{Time: c.last}.String()), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			log := make(told, 100)
			s, err := backup.NewScheduler(backup.SchedulerConfig{
				Schedule: "0 2 * * *", Logger: slog.New(log),
				Create: backup.Options{Database: db.Path(), Out: out, Now: func() time.Time { return fixed }},
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			if c.due {
				if text := <-log; !strings.Contains(text, "backup taken") {
					t.Errorf("log: %s", text)
				}
			}
			s.Stop()
			st := s.Status()
			want := fixed
			if !c.due {
				want = c.last
			}
			if !st.LastSuccess.Equal(want) || !st.Scheduled || st.Running || st.Age != fixed.Sub(want) || st.LastError != "" || st.Overdue(fixed) {
				t.Errorf("status = %+v, want last success at %s", st, want)
			}
			if next := time.Date(2026, 8, 16, 2, 0, 0, 0, time.UTC); !st.Next.Equal(next) {
				t.Errorf("next = %s, want %s", st.Next, next)
			}
		})
	}
}

func TestRunRetainsAndUploads(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	w.tickets(w.board("WEB"), 5)
	out := t.TempDir()
	for _, name := range []string{
		backup.Name{Time: fixed.AddDate(-3, 0, 0)}.String(), backup.Name{Time: fixed.AddDate(-3, 0, 0).Add(-time.Hour)}.String(),
		"mine.tar.zst",
	} {
		if err := os.WriteFile(filepath.Join(out, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store := newStore(t)
	s, err := backup.NewScheduler(backup.SchedulerConfig{
		Create: backup.Options{Database: db.Path(), Out: out, Now: func() time.Time { return fixed }},
		Bucket: store.bucket(t, "/some/folder"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	made, err := s.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names(t, out, 3) // the older one of that day is gone
	want, err := os.ReadFile(made.Path)
	if err != nil || !bytes.Equal(store.get("some/folder/"+filepath.Base(made.Path)), want) {
		t.Errorf("the bucket holds something else than the file (%v)", err)
	}

	// An upload that is refused is a failure, but the backup is there.
	store.mu.Lock()
	store.refuse = "folder"
	store.mu.Unlock()
	_, err = s.Run(t.Context())
	if err == nil || strings.Contains(err.Error(), "very-secret") || !strings.Contains(err.Error(), "bucket kanban") {
		t.Errorf("refused upload: %v", err)
	}
	st := s.Status()
	if st.LastError == "" || st.Failures != 1 || !st.LastSuccess.Equal(fixed) || st.Size == 0 || st.Position != made.Manifest.Position {
		t.Errorf("status = %+v", st)
	}
	names(t, out, 4)
}

// What is larger than a part goes in parts: memory stays bounded.
func TestUploadInParts(t *testing.T) {
	t.Parallel()
	store := newStore(t)
	file := filepath.Join(t.TempDir(), "large")
	text := bytes.Repeat([]byte("0123456789abcdef"), 40<<20/16)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := store.bucket(t, "").Upload(t.Context(), file, "large"); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(store.get("large"), text) || store.largest > 16<<20 {
		t.Errorf("stored %d bytes, the largest request had %d", len(store.get("large")), store.largest)
	}
}

func TestBucketRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]backup.BucketConfig{
		"no bucket":              {Address: "https://s3.example.com/", KeyID: "a", Secret: "very-secret"},
		"credentials in address": {Address: "https://a:very-secret@s3.example.com/bucket", KeyID: "a", Secret: "very-secret"},
		"no credentials":         {Address: "https://s3.example.com/bucket"},
		"no address":             {Address: "bucket", KeyID: "a", Secret: "very-secret"},
	} {
		if _, err := backup.NewBucket(c); err == nil || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("%s: %v, want a refusal without the secret", name, err)
		}
	}
}
