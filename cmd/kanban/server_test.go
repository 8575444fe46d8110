package main

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/bus"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// newTestServer is the server of kanban serve, on a directory of its own and
// any free port.
func newTestServer(t *testing.T, dir string) *server {
	t.Helper()
	cfg := config{
		Host: "127.0.0.1", DataDir: dir, DatabaseURL: "sqlite:///./agent_kanban.db", Synchronous: "NORMAL",
		AccessMinutes: 30, RefreshDays: 7, Registration: "open", LogLevel: 8,
	}
	return newServer(cfg, false, t.Output())
}

// What start begins close ends: no goroutine stays, the directory is free, a
// second server goes on where the first one stopped. It does not run beside
// others, whose goroutines it would see.
func TestServerStartsAndStops(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	defer http.DefaultClient.CloseIdleConnections()
	dir := t.TempDir()
	first := newTestServer(t, dir)
	if err := first.start(t.Context()); err != nil {
		t.Fatalf("start: %v", err)
	}
	if !strings.HasPrefix(first.setup, first.URL()+"/setup#token=") {
		t.Errorf("setup = %q, want an address below %s", first.setup, first.URL())
	}
	c, err := client.New(client.Config{URL: first.URL()})
	if err != nil {
		t.Fatal(err)
	}
	if h, err := c.Health(t.Context()); err != nil || h.Status != "healthy" || len(h.Degraded) > 0 {
		t.Errorf("health = %+v, %v", h, err)
	}
	_, token, _ := strings.Cut(first.setup, "#token=")
	if _, err := c.Register(t.Context(), "pat", "correct horse battery", token); err != nil {
		t.Errorf("register: %v", err)
	}

	var locked *sqlstore.LockedError
	if err := newTestServer(t, dir).start(t.Context()); !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Errorf("a second server: %v, want a *LockedError with pid %d", err, os.Getpid())
	}
	for range 2 {
		if err := first.close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "agent_kanban.db-wal")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the WAL is still there: %v", err)
	}

	second := newTestServer(t, dir)
	if err := second.start(t.Context()); err != nil {
		t.Fatalf("start again: %v", err)
	}
	if second.setup != "" {
		t.Errorf("setup = %q although there is a user", second.setup)
	}
	if err := second.close(context.Background()); err != nil {
		t.Errorf("close again: %v", err)
	}
}

// A start that fails at the last step gives back what it took.
func TestServerStartFails(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	s := newTestServer(t, dir)
	s.cfg.Port = taken.Addr().(*net.TCPAddr).Port
	if err := s.start(t.Context()); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Fatalf("start on a taken port: %v", err)
	}
	s = newTestServer(t, dir)
	if err := s.start(t.Context()); err != nil {
		t.Fatalf("start after that: %v", err)
	}
	if err := s.close(context.Background()); err != nil {
		t.Errorf("close: %v", err)
	}
}

// A first start that was interrupted, a lost database and a mistyped path must
// not look alike.
func TestServerExpectsItsDatabase(t *testing.T) {
	t.Parallel()
	for _, trace := range []string{"jetstream", "secret-key", "agent_kanban.db-wal"} {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, trace), 0o700); err != nil {
			t.Fatal(err)
		}
		err := newTestServer(t, dir).start(t.Context())
		if err == nil || !strings.Contains(err.Error(), "is missing, but a server has run here before") {
			t.Errorf("start beside %s without a database: %v", trace, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "agent_kanban.db")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("beside %s a database was made all the same", trace)
		}
	}
}

// The stream is a copy: a folder that cannot be used does not stop the server,
// and is kept.
func TestServerPutsADamagedStreamAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTestServer(t, dir)
	s.create = true // the folder alone would look like a lost database
	s.natsTimeout = 2 * time.Second
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), []byte("no folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.start(t.Context()); err != nil {
		t.Fatalf("start: %v", err)
	}
	if err := s.close(context.Background()); err != nil {
		t.Errorf("close: %v", err)
	}
	aside, err := filepath.Glob(filepath.Join(dir, "jetstream.damaged-*"))
	if err != nil || len(aside) != 1 {
		t.Errorf("put aside: %v, %v, want one", aside, err)
	}
}

// A read model that does not get on is told of, also while the relay has
// something to tell, and so is a log that lacks what the stream held.
func TestServerTellsWhatIsDegraded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "recovered"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "recovered", "events-1-2.jsonl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newTestServer(t, dir)
	if err := s.start(t.Context()); err != nil {
		t.Fatalf("start: %v", err)
	}
	defer func() {
		if err := s.close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	err := s.db.Update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DROP TABLE ticket_history`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	system := commands.Meta{Actor: events.SystemActor, Trusted: true}
	for _, cmd := range []commands.Command{
		commands.CreateBoard{Name: "Website", Key: "WEB"}, commands.CreateTicket{Board: "WEB", Title: "Stuck"},
	} {
		if _, err := s.sequencer.Do(t.Context(), system, cmd); err != nil {
			t.Fatal(err)
		}
	}
	for s.runner.Status().Retries == 0 {
		<-time.After(time.Millisecond)
	}
	s.nats.Stop()
	for s.relay.Status().State != bus.StateFailing {
		<-time.After(time.Millisecond)
	}
	want := []string{"recovered_events", "bus", "read_model"}
	if got := s.degraded(); !slices.Equal(got, want) {
		t.Errorf("degraded = %v, want %v", got, want)
	}
}
