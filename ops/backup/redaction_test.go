package backup_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops/backup"
)

const secretWord, personName = "Quetzalcoatlus", "Xylographer"

// secrets fills a log with a word and a name.
func (w *writer) secrets() (first int64) {
	w.t.Helper()
	board := w.board("WEB")
	user := w.do(commands.RegisterUser{Name: personName, Kind: events.Human})
	meta := commands.Meta{
		CommandID: "own", Actor: events.Actor{Kind: events.Human, ID: events.StreamID(user.Stream), Name: personName},
		Trusted: true,
	}
	if _, err := w.seq.Do(w.t.Context(), meta, commands.CreateBoard{Name: "Own", Key: "OWN"}); err != nil {
		w.t.Fatal(err)
	}
	w.do(commands.SetMember{Board: board, User: personName, Role: events.PM})
	for range 3 {
		r := w.do(commands.CreateTicket{Board: board, Title: "Made of " + secretWord, Description: secretWord, Assignee: personName, Labels: []string{secretWord}})
		ticket := commands.RefID(r.Events[0].TicketID)
		w.do(commands.AddComment{Ticket: ticket, Text: secretWord + " 1"}, commands.AddComment{Ticket: ticket, Text: "ok"})
		w.do(commands.AssignTicket{Ticket: ticket, Assignee: ""})
	}
	return user.Events[0].Position
}

// log returns every event in its JSON form, with what was kept of redacted ones.
func log(t *testing.T, db *sqlstore.DB) (lines []string) {
	t.Helper()
	for e, err := range events.All(t.Context(), db, events.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(e.JSON()))
	}
	return lines
}

// Given an archive from before redactions of every kind, When it is restored with
// the shipped log, Then they are carried out again: each event is what it is in
// the log that went on, and the file holds no word of what went.
func TestRestoreCarriesOutRedactions(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	span := w.secrets()
	to := filepath.Join(t.TempDir(), "log")
	copyLog := func() {
		t.Helper()
		if err := ship(t, db, backup.NewFolder(to), ""); err != nil {
			t.Fatal(err)
		}
	}
	copyLog()
	made := create(t, db)
	before := head(t, db)

	w.do(commands.Redact{Comment: 1, Reason: "first"})
	w.do(commands.Redact{Ticket: "1", Reason: "the same comment again"})
	w.do(commands.Redact{Ticket: "2", Reason: "test"})
	w.do(commands.Redact{From: span, To: before.Position, Reason: "test"})
	w.do(commands.Redact{User: personName, Texts: true, Reason: "asked to be forgotten"})
	last := head(t, db)
	w.board("NEW")
	copyLog()

	dir := t.TempDir()
	done, err := restore(t, made.Path, dir, func(o *backup.RestoreOptions) { o.Log = &backup.Shipped{Dir: to} })
	if err != nil {
		t.Fatal(err)
	}
	if done.Head != head(t, db) || done.Verification.Redacted == 0 {
		t.Errorf("restored %+v, want the head %+v and redacted events", done, head(t, db))
	}
	copied := reopen(t, dir)
	if diff := cmp.Diff(log(t, db), log(t, copied)); diff != "" {
		t.Errorf("the events differ:\n%s", diff)
	}
	if position, err := copied.Unclean(t.Context()); position != 0 || err != nil {
		t.Errorf("unclean at %d (%v), want it finished", position, err)
	}
	if err := copied.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "agent_kanban.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{secretWord, personName} {
		if bytes.Contains(bytes.ToLower(text), bytes.ToLower([]byte(word))) {
			t.Errorf("%q is in the restored database", word)
		}
	}

	// Where the log is to end before the redactions, the archive has all of it; an
	// archive from after them cannot end there.
	dir = t.TempDir()
	at := func(o *backup.RestoreOptions) { o.At.Position, o.Log = before.Position-1, &backup.Shipped{Dir: to} }
	if done, err := restore(t, made.Path, dir, at); err != nil || done.Head.Position != before.Position-1 || done.Verification.Redacted != 0 {
		t.Errorf("restored to before the redactions: %+v, %v", done, err)
	}
	if _, err := restore(t, create(t, db).Path, t.TempDir(), at); !errors.Is(err, backup.ErrNoMoment) {
		t.Errorf("an archive from after the redactions: %v, want ErrNoMoment", err)
	}
	between := func(o *backup.RestoreOptions) { o.At.Position = last.Position }
	if done, err := restore(t, create(t, db).Path, t.TempDir(), between); err != nil || done.Head != last {
		t.Errorf("restored to right after them: %+v, %v", done, err)
	}
}

// A backup of after a redaction, and segments that are shipped after it, do not
// hold what went. Segments from before it are copies that stay.
func TestBackupsAfterARedaction(t *testing.T) {
	t.Parallel()
	db := open(t)
	w := newWriter(t, db)
	w.secrets()
	w.do(commands.Redact{User: personName, Texts: true, Reason: "test"})
	w.do(commands.Redact{From: 1, To: head(t, db).Position, Reason: "test"})
	if err := folds().Settle(t.Context(), db, true); err != nil {
		t.Fatal(err)
	}
	if err := db.Clean(t.Context(), head(t, db).Position); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "log")
	if err := ship(t, db, backup.NewFolder(to), ""); err != nil {
		t.Fatal(err)
	}
	archive, err := backup.OpenArchive(t.Context(), create(t, db).Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := archive.Extract(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "agent_kanban.db"))
	if err != nil {
		t.Fatal(err)
	}
	for row, err := range backup.ReadLog(t.Context(), backup.Shipped{Dir: to, LogID: db.LogID()}, events.Head{}) {
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, row.Event.JSON()...)
	}
	for _, word := range []string{secretWord, personName} {
		if bytes.Contains(bytes.ToLower(text), bytes.ToLower([]byte(word))) {
			t.Errorf("%q is in a backup of after the redaction", word)
		}
	}
}
