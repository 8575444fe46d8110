package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops/backup"
	"github.com/agent-kanban/agent-kanban/ops/doctor"
)

// asleep carries out a command without a server, so that nothing is shipped.
func asleep(t *testing.T, path string, cmd commands.Command) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	sequencer, err := commands.New(commands.Config{Store: db})
	if err != nil {
		t.Fatal(err)
	}
	sequencer.Start()
	_, err = sequencer.Do(t.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true}, cmd)
	sequencer.Stop()
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorLooksAtBackups(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, t.TempDir())
	s.cfg.BackupShipTo = filepath.Join(t.TempDir(), "log")
	cfg := s.cfg
	path := filepath.Join(cfg.DataDir, dbName)
	run := func(s *server) {
		t.Helper()
		if err := s.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	run(s)
	asleep(t, path, commands.CreateBoard{Name: "Website", Key: "WEB"})
	asleep(t, path, commands.CreateTicket{Board: "WEB", Title: "secret"})
	run(newServer(cfg, false, io.Discard))
	options, err := cfg.backupOptions()
	if err != nil {
		t.Fatal(err)
	}
	made, err := backup.Create(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	look := func(when string, after time.Duration, check func(*patient) func(context.Context) doctor.Finding, level doctor.Level, says string) {
		t.Helper()
		p := &patient{a: &app{now: func() time.Time { return time.Now().Add(after) }}, cfg: cfg, path: path}
		p.cfg.BackupSchedule = "@daily" // not of the server, which would take one at midnight
		if f := check(p)(t.Context()); f.Level != level || !strings.Contains(f.Detail, says) {
			t.Errorf("%s: %+v, want %s with %q", when, f, level, says)
		}
	}
	backups := func(p *patient) func(context.Context) doctor.Finding { return p.backups }
	shipped := func(p *patient) func(context.Context) doctor.Finding { return p.shippedLog }
	redactions := func(p *patient) func(context.Context) doctor.Finding { return p.redactions }

	look("a new backup", time.Hour, backups, doctor.OK, filepath.Base(made.Path))
	look("a day and two hours", 26*time.Hour, backups, doctor.Warn, "should be at most 25h")
	look("everything is shipped", time.Hour, shipped, doctor.OK, "0 events to follow")
	look("nothing is redacted", 0, redactions, doctor.OK, "nothing was redacted")

	asleep(t, path, commands.Redact{Ticket: "WEB-1", Reason: "test"})
	look("just now", 0, shipped, doctor.OK, "1 event to follow")
	look("an hour ago", time.Hour, shipped, doctor.Warn, "lacks 1 event")
	look("a backup and a shipped log of before", 0, redactions, doctor.Warn, "1 backup in")
	look("a backup and a shipped log of before", 0, redactions, doctor.Warn, "the shipped log in")

	// What the hint says helps.
	if err := os.RemoveAll(cfg.BackupShipTo); err != nil {
		t.Fatal(err)
	}
	run(newServer(cfg, false, io.Discard))
	look("the log was shipped anew", 0, shipped, doctor.OK, "0 events to follow")
	if err := os.WriteFile(made.Path, []byte("no backup"), 0o600); err != nil {
		t.Fatal(err)
	}
	look("a damaged backup", 0, backups, doctor.Fail, "cannot be read")
	if err := os.Remove(made.Path); err != nil {
		t.Fatal(err)
	}
	look("no backup", 0, backups, doctor.Warn, "no backup")
	look("no copy of before", 0, redactions, doctor.OK, "no copy in reach")
}
