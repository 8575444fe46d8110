package auth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/alexedwards/argon2id"

	"github.com/agent-kanban/agent-kanban/events"
)

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	secret := NewAPIToken()
	random := secret.text[len(apiPrefix):]
	session := Session{Access: secret, Refresh: secret}
	cfg := Config{Key: secret}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+" "+verb+"\n", secret, &secret, session, cfg)
	}
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	logger.Info("text", "secret", secret, "session", session)
	slog.New(slog.NewTextHandler(&out, nil)).Info("text", "secret", secret, "session", session)
	if err := json.NewEncoder(&out).Encode([]any{secret, session, map[string]Secret{"a": secret}}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&out, errors.Join(fmt.Errorf("with %v", secret)))
	hex := fmt.Sprintf("%x", random)
	if s := out.String(); strings.Contains(s, random) || strings.Contains(strings.ToLower(s), hex) || !strings.Contains(s, redacted) {
		t.Errorf("the secret %s was printed:\n%s", random, s)
	}
	if secret.IsZero() || !(Secret{}).IsZero() {
		t.Error("IsZero: wrong")
	}
}

func TestKeyRefusals(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{
		"your-super-secret-key-here":                       "well-known",
		"your-super-secret-key-here-change-in-production":  "well-known",
		"Your-Super-Secret-Key-Here-0123456789-0123456789": "well-known",
		"secret":   "well-known",
		"changeme": "well-known",
		"changemechangemechangemechangemechangeme":             "well-known",
		"0123456789abcdef0123456789abcdef":                     "well-known",
		"k3jh5g2k3j5h2g3k5jh2g3k5jh2g35k":                      "31 bytes, at least 32",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": "repeats",
	} {
		_, err := LoadOrCreateKey(t.TempDir(), key)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "SECRET_KEY") {
			t.Errorf("key of %d bytes: %v, want %q and the variable's name", len(key), err, want)
		}
		if err != nil && key != "secret" && strings.Contains(err.Error(), key) {
			t.Errorf("the error contains the key: %v", err)
		}
	}
	if key, err := LoadOrCreateKey(t.TempDir(), testKey); err != nil || key.Reveal() != testKey {
		t.Errorf("a good key: %v", err)
	}
}

func TestKeyIsGeneratedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := make([]Secret, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := LoadOrCreateKey(dir, "")
			if err != nil {
				t.Errorf("LoadOrCreateKey: %v", err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, key := range keys {
		if key != keys[0] || len(key.text) != 64 {
			t.Fatalf("keys differ, or are not 64 digits")
		}
	}
	path := filepath.Join(dir, KeyFile)
	mustHaveMode(t, path)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if key, err := LoadOrCreateKey(dir, ""); err != nil || key != keys[0] {
		t.Errorf("a key that others could read: %v, want the same key", err)
	}
	mustHaveMode(t, path)
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("files left behind: %v", left)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadOrCreateKey(dir, ""); err == nil || !strings.Contains(err.Error(), "delete the file") {
		t.Errorf("an empty key file: %v, want what to do", err)
	}
	if _, err := LoadOrCreateKey(filepath.Join(dir, "absent"), ""); err == nil {
		t.Error("no directory: got nil")
	}
	if _, err := LoadOrCreateKey(linkDir(t), ""); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a symbolic link: %v, want a refusal", err)
	}
}

func linkDir(t *testing.T) string {
	dir := t.TempDir()
	if err := os.Symlink("/dev/null", filepath.Join(dir, KeyFile)); err != nil {
		t.Skip(err)
	}
	return dir
}

func mustHaveMode(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of %s: %v (%v), want 0600", filepath.Base(path), info.Mode(), err)
	}
}

func TestSetup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	setup := NewSetup(dir)
	token, err := setup.Token()
	noError(t, err)
	mustHaveMode(t, filepath.Join(dir, SetupFile))
	if again, err := NewSetup(dir).Token(); err != nil || again != token {
		t.Errorf("after a restart: another token (%v), want the same", err)
	}
	never := func() error { t.Error("register was called"); return nil }
	mustBe(t, "wrong token", setup.Use(newSecret(setupPrefix).text, never), events.CodeForbidden, "not the setup token")
	mustBe(t, "no token", setup.Use("", never), events.CodeForbidden, "not the setup token")
	failed := errors.New("name taken")
	if err := setup.Use(token.text, func() error { return failed }); !errors.Is(err, failed) {
		t.Errorf("failed registration: %v, want its own error", err)
	}

	var wg sync.WaitGroup
	var mu sync.Mutex
	admins := 0
	for range 8 {
		wg.Go(func() {
			if err := setup.Use(token.text, func() error { mu.Lock(); admins++; mu.Unlock(); return nil }); err != nil {
				mustBe(t, "loser", err, events.CodeForbidden, "already used")
			}
		})
	}
	wg.Wait()
	if admins != 1 {
		t.Errorf("%d admins were made with one token, want 1", admins)
	}
	if _, err := os.Stat(filepath.Join(dir, SetupFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of a used token: %v, want it gone", err)
	}
	mustBe(t, "used token", NewSetup(dir).Use(token.text, never), events.CodeForbidden, "already used")
	noError(t, setup.Discard())
}

func TestSetupReplacesATruncatedToken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, SetupFile)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	setup := NewSetup(dir)
	never := func() error { t.Error("register was called"); return nil }
	mustBe(t, "an empty token against an empty file", setup.Use("", never), events.CodeForbidden, "not the setup token")
	token, err := setup.Token()
	if err != nil || !wellFormed(setupPrefix, token.text) {
		t.Errorf("Token: %v, want a new one", err)
	}
	noError(t, setup.Discard())
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Discard: %v, want no file", err)
	}
}

func TestPasswordPolicy(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]string{
		"1234567":                            "at least 8",
		"":                                   "at least 8",
		"äöüßäöü":                            "at least 8", // 14 bytes, 7 characters
		strings.Repeat("x", 129):             "at most 128",
		"nul\x00 inside":                     "NUL",
		"bad \xff\xfe utf-8":                 "UTF-8",
		"         ":                          "blank",
		"12345678":                           "",
		strings.Repeat("ä", 128):             "",
		"🔑🔑🔑🔑🔑🔑🔑🔑":                           "",
		"spaces inside and around are kept ": "",
	} {
		err := CheckPasswordPolicy(password)
		code := events.CodeInvalid
		if want == "" {
			code = ""
		}
		mustBe(t, fmt.Sprintf("%d bytes", len(password)), err, code, want)
		var e *events.Error
		if errors.As(err, &e) && e.Fields["password"] == "" {
			t.Errorf("%v: want the field named", err)
		}
	}
	f := setup(t)
	_, err := f.HashPassword(t.Context(), "short")
	mustBe(t, "HashPassword", err, events.CodeInvalid, "too short")
}

func TestHashParameters(t *testing.T) {
	t.Parallel()
	f := setup(t)
	hash, err := f.HashPassword(t.Context(), password)
	noError(t, err)
	for name, h := range map[string]string{"new hash": hash, "dummy": nobody} {
		params, _, _, err := argon2id.DecodeHash(h)
		if err != nil || *params != hashParams {
			t.Errorf("%s: %+v (%v), want %+v: an unknown user must cost the same", name, params, err, hashParams)
		}
	}
	tx, err := f.db.BeginTx(t.Context(), nil)
	noError(t, err)
	if err := f.SetPassword(t.Context(), tx, bob, password); err == nil || strings.Contains(err.Error(), password) {
		t.Errorf("SetPassword of a clear password: %v, want an error without it", err)
	}
	noError(t, tx.Rollback())
}

func TestHashingIsBounded(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *Config) { c.HashConcurrency, c.HashQueue = 1, 1 })
	release, err := f.hashing(t.Context())
	noError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	queued := make(chan error)
	go func() { _, err := f.hashing(ctx); queued <- err }()
	for f.hashQueue.Load() < 2 { // until it queues
		runtime.Gosched()
	}
	_, err = f.HashPassword(t.Context(), password)
	mustBe(t, "a full queue", err, events.CodeUnavailable, "Too many people")
	var e *events.Error
	if !errors.As(err, &e) || e.RetryAfter <= 0 {
		t.Errorf("%v: want RetryAfter", err)
	}
	cancel()
	mustBe(t, "a caller that left the queue", <-queued, events.CodeUnavailable, "")
	release()
	_, err = f.HashPassword(t.Context(), password)
	noError(t, err)
}
