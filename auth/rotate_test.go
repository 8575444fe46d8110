package auth

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/agent-kanban/agent-kanban/events"
)

// The key was replaced: what the old one signed is good for the grace, and no
// longer, and signs nothing new.
func TestPreviousKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	session := f.start(t, ada)
	old := f.cfg.Key
	f.cfg.Key = newSecret("")
	f.mustRefuse(t, "without a previous key", session.Access, "not valid")
	f.cfg.PreviousKey, f.cfg.PreviousUntil = old, f.clock.now().Add(10*time.Minute)
	p := f.mustAuthenticate(t, "during the grace", session.Access)
	next := f.start(t, ada)
	same := func(c *claims) { c.Session = p.session }
	f.mustRefuse(t, "a third key", forge(t, jwt.SigningMethodHS256, []byte(strings.Repeat("kx", 20)), same), "not valid")
	f.clock.advance(10 * time.Minute)
	f.mustRefuse(t, "after the grace", session.Access, "not valid")
	f.mustAuthenticate(t, "signed with the new key", next.Access)
	if _, err := f.Refresh(t.Context(), session.Refresh.text); err != nil {
		t.Errorf("the session of an old access token: %v", err)
	}
}

func TestPreviousKeyMustBeStrong(t *testing.T) {
	t.Parallel()
	f := setup(t)
	cfg := f.cfg
	cfg.PreviousKey = SecretOf("your-super-secret-key-here")
	if _, err := New(cfg, f.db, f.users); err == nil || !strings.Contains(err.Error(), "SECRET_KEY_PREVIOUS") || strings.Contains(err.Error(), "your-super") {
		t.Errorf("a known key: %v", err)
	}
}

// Whoever has the key and a session of their own is not everybody.
func TestForgedUserOfAnotherSession(t *testing.T) {
	t.Parallel()
	f := setup(t)
	p := f.mustAuthenticate(t, "bob", f.start(t, bob).Access)
	f.mustRefuse(t, "bob's session in ada's name",
		forge(t, jwt.SigningMethodHS256, []byte(testKey), func(c *claims) { c.Session = p.session }), "session has ended")
}

func TestRotateKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Date(2025, 8, 20, 12, 0, 0, 0, time.UTC)
	first, err := LoadOrCreateKey(dir, "")
	noError(t, err)
	noError(t, RotateKey(dir, now, true))
	second, err := LoadOrCreateKey(dir, "")
	noError(t, err)
	if first == second {
		t.Fatal("the key is the same")
	}
	for _, name := range []string{KeyFile, PreviousKeyFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v, want mode 0600", name, info, err)
		}
	}
	key, until, err := LoadPreviousKey(dir, now.Add(29*time.Minute), 30*time.Minute)
	if err != nil || key != first || !until.Equal(now.Add(30*time.Minute)) {
		t.Errorf("until %v, %v; want the first key for half an hour", until, err)
	}
	key, _, err = LoadPreviousKey(dir, now.Add(30*time.Minute), 30*time.Minute)
	if err != nil || !key.IsZero() {
		t.Errorf("after the grace: a key, %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, PreviousKeyFile)); !os.IsNotExist(err) {
		t.Errorf("the old key is still there: %v", err)
	}
	noError(t, RotateKey(dir, now, true))
	noError(t, RotateKey(dir, now, false))
	if key, _, err := LoadPreviousKey(dir, now, 30*time.Minute); err != nil || !key.IsZero() {
		t.Errorf("without grace: a key, %v", err)
	}
	for name, text := range map[string]string{"no time": "abc\n", "in the future": "abc\n2026-01-01T00:00:00Z\n"} {
		noError(t, os.WriteFile(filepath.Join(dir, PreviousKeyFile), []byte(text), 0o600))
		if key, _, err := LoadPreviousKey(dir, now, 30*time.Minute); err != nil || !key.IsZero() {
			t.Errorf("%s: a key, %v", name, err)
		}
	}
}

func TestListAndEndSessions(t *testing.T) {
	t.Parallel()
	f := setup(t)
	a, b, c := f.start(t, ada), f.start(t, bob), f.start(t, bob)
	f.clock.advance(time.Hour)
	_, err := f.Refresh(t.Context(), b.Refresh.text)
	noError(t, err)
	list, err := ListSessions(t.Context(), f.cfg.Reader, f.clock.now())
	if err != nil || len(list) != 3 || list[1].UserID != bob || list[1].Refreshed.Sub(list[1].Started) != time.Hour {
		t.Errorf("%+v, %v", list, err)
	}
	for _, row := range []struct{ user, want int64 }{{bob, 2}, {0, 1}, {0, 0}} {
		var ended int64
		f.update(t, func(ctx context.Context, tx *sql.Tx) (err error) {
			ended, err = EndSessions(ctx, tx, row.user, f.clock.now())
			return err
		})
		if ended != row.want {
			t.Errorf("user %d: %d ended, want %d", row.user, ended, row.want)
		}
	}
	if list, err := ListSessions(t.Context(), f.cfg.Reader, f.clock.now()); err != nil || len(list) != 0 {
		t.Errorf("after all have ended: %+v, %v", list, err)
	}
	for _, s := range []Session{a, c} {
		_, err := f.Refresh(t.Context(), s.Refresh.text)
		mustBe(t, "refresh", err, events.CodeUnauthenticated, "session has ended")
	}
}
