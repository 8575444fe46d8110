package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
	"github.com/agent-kanban/agent-kanban/ops/backup"
)

// burnt is an installation of which the database and the stream are gone, and
// what is left of it elsewhere.
type burnt struct {
	cfg     config
	archive string
	at      int64 // position of the archive
	head    events.Head
	lines   []string // of every event
}

// burn runs a server with a shipped log, takes a backup, writes on, redacts a
// ticket of before the backup, and destroys everything in the data directory.
func burn(t *testing.T) *burnt {
	t.Helper()
	dir := t.TempDir()
	s := newTestServer(t, dir)
	s.cfg.BackupShipTo, s.cfg.BackupDir = filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "backups")
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close(context.Background()) }()
	_, setup, _ := strings.Cut(s.setup, "#token=")
	admin := signedIn(t, s, "pat", setup)
	mustRun(t, admin, commands.CreateBoard{Name: "Website", Key: "WEB"})
	mustRun(t, admin, commands.CreateTicket{Board: "WEB", Title: "Quetzalcoatlus", Description: "Quetzalcoatlus"})
	for i := range 5 {
		mustRun(t, admin, commands.CreateTicket{Board: "WEB", Title: fmt.Sprintf("before %d", i)})
	}
	options, err := s.cfg.backupOptions()
	if err != nil {
		t.Fatal(err)
	}
	made, err := backup.Create(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		mustRun(t, admin, commands.CreateTicket{Board: "WEB", Title: fmt.Sprintf("after %d", i)})
	}
	// What follows is in another record of the shipped log than what came before.
	for shipped, tick := s.shipper.Status().Position, time.Tick(time.Millisecond); shipped < mustHead(t, s.db).Position; shipped = s.shipper.Status().Position {
		select {
		case <-tick:
		case <-t.Context().Done():
			t.Fatalf("shipped %d", shipped)
		}
	}
	if done, err := admin.Redact(t.Context(), commands.Redact{Ticket: "WEB-1", Reason: "test"}, false); err != nil || !done.Clean {
		t.Fatalf("redact: %+v (%v)", done, err)
	}
	signedIn(t, s, "ada", "")
	b := &burnt{cfg: s.cfg, archive: made.Path, at: made.Manifest.Position}
	b.lines = eventLines(t, s.db)
	if b.head, err = s.db.Head(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dbName, walName, dbName + "-shm", "jetstream"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func mustHead(t *testing.T, db *sqlstore.DB) events.Head {
	t.Helper()
	head, err := db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return head
}

func eventLines(t *testing.T, db *sqlstore.DB) (lines []string) {
	t.Helper()
	for e, err := range events.All(t.Context(), db, events.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(e.JSON()))
	}
	return lines
}

// recovered runs recover and opens what it made.
func (b *burnt) recovered(t *testing.T, from copies) (db *sqlstore.DB, report string, err error) {
	t.Helper()
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: io.Discard, now: time.Now, dataDir: b.cfg.DataDir}
	err = a.recover(t.Context(), b.cfg, from, false)
	db, openErr := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(b.cfg.DataDir, dbName), ReadOnly: true})
	if openErr != nil {
		t.Fatalf("%v after %v\n%s", openErr, err, out.String())
	}
	t.Cleanup(func() { _ = db.Close() })
	v, verifyErr := ops.Verify(t.Context(), db, verifyOptions(db, nil, nil))
	if verifyErr != nil || !v.OK() {
		t.Errorf("verify: %v %+v\n%s", verifyErr, v, out.String())
	}
	return db, out.String(), err
}

// Given a database and stream that are gone, a backup and the shipped log, When
// they are recovered, Then every event comes back as it was, with the accounts,
// and what was redacted after the backup stays redacted.
func TestRecoverFromBackupAndShippedLog(t *testing.T) {
	t.Parallel()
	for name, named := range map[string]bool{"named": true, "found": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := burn(t)
			var from copies
			if named {
				from = copies{backups: []string{b.archive}, log: b.cfg.BackupShipTo}
				b.cfg.BackupDir, b.cfg.BackupShipTo = t.TempDir(), ""
			}
			db, report, err := b.recovered(t, from)
			if err != nil {
				t.Fatalf("%v\n%s", err, report)
			}
			if got, want := strings.Join(eventLines(t, db), "\n"), strings.Join(b.lines, "\n"); got != want {
				t.Errorf("recovered\n%s\nwant\n%s\n%s", got, want, report)
			}
			var passwords int
			if err := db.Reader().QueryRow("SELECT count(*) FROM credentials").Scan(&passwords); err != nil || passwords != 2 {
				t.Errorf("%d passwords (%v), want those of both\n%s", passwords, err, report)
			}
			_ = db.Close()
			if files := found(t, b.cfg.DataDir, secretWord); len(files) > 0 {
				t.Errorf("what was redacted is in %v", files)
			}
			s := newServer(b.cfg, false, io.Discard)
			if err := s.start(t.Context()); err != nil {
				t.Fatalf("start: %v", err)
			}
			if err := s.close(context.Background()); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
}

// With the backup alone the log ends where it does, and the report says so.
func TestRecoverFromBackupAlone(t *testing.T) {
	t.Parallel()
	b := burn(t)
	b.cfg.BackupShipTo = ""
	db, report, err := b.recovered(t, copies{})
	head, headErr := db.Head(t.Context())
	if err != nil || headErr != nil || head.Position != b.at {
		t.Errorf("the log ends at %d (%v, %v), want %d\n%s", head.Position, err, headErr, b.at, report)
	}
	for _, want := range []string{
		fmt.Sprintf("positions 1 to %d from the backup %s", b.at, filepath.Base(b.archive)),
		fmt.Sprintf("anything was recorded after position %d", b.at),
		"as of the backup: ",
	} {
		if !strings.Contains(report, want) {
			t.Errorf("the report lacks %q:\n%s", want, report)
		}
	}
}

// damageLog damages the record of the first event that the backup does not have, or
// of all that it does not have.
func (b *burnt) damageLog(t *testing.T, all bool) {
	t.Helper()
	segments, err := filepath.Glob(filepath.Join(b.cfg.BackupShipTo, "*", "*.kseg"))
	if err != nil || len(segments) != 1 {
		t.Fatalf("segments %v (%v), want one", segments, err)
	}
	text, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := false
	for _, at := range regexp.MustCompile(`"first":(\d+),"last":(\d+),`).FindAllSubmatchIndex(text, -1) {
		first, _ := strconv.ParseInt(string(text[at[2]:at[3]]), 10, 64)
		last, _ := strconv.ParseInt(string(text[at[4]:at[5]]), 10, 64)
		if (first <= b.at+1 || all) && b.at < last {
			text[at[1]] ^= 1
			damaged = true
		}
	}
	if !damaged {
		t.Fatalf("no record has position %d", b.at+1)
	}
	if err := os.WriteFile(segments[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Given a shipped log of which nothing behind the backup can be read, When it is
// recovered, Then the report says that there was something, and that it is lost.
func TestRecoverFromALogThatEndsInDamage(t *testing.T) {
	t.Parallel()
	b := burn(t)
	b.damageLog(t, true)
	db, report, err := b.recovered(t, copies{})
	var incomplete *foundError
	if head := mustHead(t, db); !errors.As(err, &incomplete) || head.Position != b.at {
		t.Errorf("the log ends at %d (%v), want %d", head.Position, err, b.at)
	}
	want := fmt.Sprintf("LOST events after position %d: the shipped log ends in a place that could not be read", b.at)
	if !strings.Contains(report, want) || strings.Contains(report, "Nothing tells") {
		t.Errorf("the report lacks %q:\n%s", want, report)
	}
}

// Given a shipped log that is damaged behind the backup, When it is recovered,
// Then the report names the gap, and what lies behind it is kept.
func TestRecoverFromADamagedShippedLog(t *testing.T) {
	t.Parallel()
	b := burn(t)
	b.damageLog(t, false)
	db, report, err := b.recovered(t, copies{})
	var incomplete *foundError
	if head := mustHead(t, db); !errors.As(err, &incomplete) || head.Position != b.at {
		t.Errorf("the log ends at %d (%v), want %d\n%s", head.Position, err, b.at, report)
	}
	if want := fmt.Sprintf("GAP  positions %d to ", b.at+1); !strings.Contains(report, want) || !strings.Contains(report, "the shipped log: 1 place could not be read") {
		t.Errorf("the report lacks %q or the place:\n%s", want, report)
	}
	if saved, err := filepath.Glob(filepath.Join(b.cfg.DataDir, "recovered", "*.jsonl")); err != nil || len(saved) != 1 {
		t.Errorf("saved %v (%v), want one file", saved, err)
	}
}

// A backup that nobody named and that needs a key is passed over, and the report
// says so; the shipped log alone brings back every event, and the accounts.
func TestRecoverPassesOverAnEncryptedBackup(t *testing.T) {
	t.Parallel()
	b := burn(t)
	sealed := filepath.Join(b.cfg.BackupDir, "kanban-20990101T000000Z-9.tar.zst.age")
	if err := os.WriteFile(sealed, []byte("age-encryption.org/v1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, report, err := b.recovered(t, copies{})
	var incomplete *foundError
	if !errors.As(err, &incomplete) || !strings.Contains(report, "the newest backup was not used: ") || !strings.Contains(report, "--identity") {
		t.Errorf("%v: the report does not say what to do about the key:\n%s", err, report)
	}
	if got, want := strings.Join(eventLines(t, db), "\n"), strings.Join(b.lines, "\n"); got != want {
		t.Errorf("recovered\n%s\nwant\n%s\n%s", got, want, report)
	}
	var passwords int
	if err := db.Reader().QueryRow("SELECT count(*) FROM credentials").Scan(&passwords); err != nil || passwords != 2 {
		t.Errorf("%d passwords (%v), want those of both\n%s", passwords, err, report)
	}
}
