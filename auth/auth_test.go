package auth

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/migrations"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey  = "3f1c9a7be2d84506a1b2c3d4e5f60718293a4b5c6d7e8f90" // nobody else's
	password = "correct horse battery"
)

// database is an Updater over a file of its own.
type database struct {
	*sql.DB
	mu      sync.Mutex
	updates atomic.Int64
	broken  atomic.Bool
}

func (d *database) Update(ctx context.Context, fn func(context.Context, *sql.Tx) error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.broken.Load() {
		return errors.New("disk on fire")
	}
	d.updates.Add(1)
	ctx = context.WithoutCancel(ctx)
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(ctx, tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// people is a Users in memory.
type people struct {
	mu      sync.Mutex
	users   map[int64]User
	lookups atomic.Int64
}

func (p *people) UserByID(_ context.Context, id int64) (User, error) {
	p.lookups.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	if u, ok := p.users[id]; ok {
		return u, nil
	}
	return User{}, events.Errorf(events.CodeNotFound, "no user %d", id)
}

func (p *people) UserByName(_ context.Context, name string) (User, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range p.users {
		if u.Name == name {
			return u, nil
		}
	}
	return User{}, events.Errorf(events.CodeNotFound, "no user %q", name)
}

func (p *people) change(id int64, fn func(*User)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.users[id]
	fn(&u)
	p.users[id] = u
}

// clock is a time that only tests move.
type clock struct{ nano atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(0, c.nano.Load()).UTC() }
func (c *clock) advance(d time.Duration) { c.nano.Add(int64(d)) }

type fixture struct {
	*Service
	db    *database
	users *people
	clock *clock
}

// Users of every fixture: ada is an admin, bob is not, robot is an agent.
const ada, bob, robot = int64(1), int64(2), int64(3)

func setup(t testing.TB, change ...func(*Config)) *fixture {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.db")
	open := func(options string) *sql.DB {
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)"+options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	db := &database{DB: open("&_txlock=immediate")}
	db.SetMaxOpenConns(1)
	if err := migrations.Apply(t.Context(), db.DB); err != nil {
		t.Fatalf("migrate: %v", err)
	}
	users := &people{users: map[int64]User{
		ada:   {ID: ada, Name: "ada", Kind: events.Human, Admin: true, Active: true},
		bob:   {ID: bob, Name: "bob", Kind: events.Human, Active: true},
		robot: {ID: robot, Name: "robot", Kind: events.Agent, Active: true},
	}}
	c := &clock{}
	c.nano.Store(time.Date(2025, 8, 20, 12, 0, 0, 123456000, time.UTC).UnixNano())
	cfg := Config{Key: Secret{testKey}, Reader: open(""), Now: c.now}
	for _, fn := range change {
		fn(&cfg)
	}
	s, err := New(cfg, db, users)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return &fixture{Service: s, db: db, users: users, clock: c}
}

// givePassword stores the test password for a user.
func (f *fixture) givePassword(t *testing.T, id int64) {
	t.Helper()
	hash, err := f.HashPassword(t.Context(), password)
	if err != nil {
		t.Fatalf("HashPassword: %v", err)
	}
	f.update(t, func(ctx context.Context, tx *sql.Tx) error { return f.SetPassword(ctx, tx, id, hash) })
}

func (f *fixture) update(t *testing.T, fn func(context.Context, *sql.Tx) error) {
	t.Helper()
	if err := f.db.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func (f *fixture) start(t *testing.T, id int64) Session {
	t.Helper()
	user, err := f.users.UserByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	session, err := f.StartSession(t.Context(), user)
	if err != nil {
		t.Fatalf("StartSession: %v", err)
	}
	return session
}

func (f *fixture) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	f.update(t, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
}

// mustBe fails the test unless err has the code, and its words contain the text.
func mustBe(t *testing.T, what string, err error, code events.Code, text string) {
	t.Helper()
	if got := events.CodeOf(err); got != code {
		t.Errorf("%s: code %q (%v), want %q", what, got, err, code)
	} else if err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %q does not say %q", what, err, text)
	}
}

func (f *fixture) mustAuthenticate(t *testing.T, what string, token Secret) Principal {
	t.Helper()
	p, err := f.Authenticate(t.Context(), token.Reveal())
	if err != nil {
		t.Fatalf("Authenticate %s: %v", what, err)
	}
	return p
}

func (f *fixture) mustRefuse(t *testing.T, what string, token Secret, text string) {
	t.Helper()
	_, err := f.Authenticate(t.Context(), token.Reveal())
	mustBe(t, "Authenticate "+what, err, events.CodeUnauthenticated, text)
}

func TestNewRefusesBadConfig(t *testing.T) {
	t.Parallel()
	f := setup(t)
	good := f.cfg
	for name, row := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"weak key":       {func(c *Config) { c.Key = Secret{"short"} }, "too short"},
		"no key":         {func(c *Config) { c.Key = Secret{} }, "too short"},
		"no reader":      {func(c *Config) { c.Reader = nil }, "no reader"},
		"negative life":  {func(c *Config) { c.AccessTTL = -1 }, "access token life is negative"},
		"long access":    {func(c *Config) { c.AccessTTL = 8 * 24 * time.Hour }, "outlive"},
		"negative cache": {func(c *Config) { c.CacheSize = -1 }, "cache size is negative"},
		"empty limit":    {func(c *Config) { c.Registrations = Limit{Burst: 5} }, "registrations needs"},
	} {
		cfg := good
		row.change(&cfg)
		if _, err := New(cfg, f.db, f.users); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", name, err, row.want)
		}
	}
	_, err := New(Config{}, nil, nil)
	for _, want := range []string{"too short", "no reader", "no updater", "no users"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New of nothing: %v does not join %q", err, want)
		}
	}
}

func TestStopWritesLastUses(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.Stop() // before Start: nothing happens
	if err := f.Start(t.Context()); err != nil {
		t.Fatalf("Start: %v", err)
	}
	if err := f.Start(t.Context()); err == nil {
		t.Error("a second Start: got nil, want an error")
	}
	secret := f.issue(t, 7, robot, nil)
	f.mustAuthenticate(t, "api token", secret)
	f.Stop()
	f.Stop()
	token, err := f.TokenByID(t.Context(), 7)
	if err != nil || token.LastUsedAt == nil || !token.LastUsedAt.Equal(f.clock.now()) {
		t.Errorf("after Stop: last used %v (%v), want %v", token.LastUsedAt, err, f.clock.now())
	}
}

func TestUpkeepRunsByTheClock(t *testing.T) {
	t.Parallel()
	reader, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	synctest.Test(t, func(t *testing.T) {
		updates := make(updater, 4)
		s, err := New(Config{Key: Secret{testKey}, Reader: reader}, updates, &people{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now() // of the bubble: no real time passes
		s.uses.note(1, began)
		for i, want := range []time.Duration{
			upkeep, upkeep, // last uses, expired tokens
			upkeep + time.Hour, // after an idle hour: expired tokens
		} {
			if got := (<-updates).Sub(began); got != want {
				t.Errorf("transaction %d: after %v, want %v", i+1, got, want)
			}
		}
		synctest.Wait()
		s.Stop()
		if n := len(updates); n != 0 {
			t.Errorf("%d transactions too many", n)
		}
	})
}

// updater carries nothing out; it says when it should have.
type updater chan time.Time

func (u updater) Update(context.Context, func(context.Context, *sql.Tx) error) error {
	u <- time.Now()
	return nil
}
