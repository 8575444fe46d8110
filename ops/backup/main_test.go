package backup_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/ops"
	"github.com/agent-kanban/agent-kanban/ops/backup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open makes a log in a data directory of its own.
func open(t testing.TB) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(t.TempDir(), "agent_kanban.db"), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// writer carries out commands on a log.
type writer struct {
	t   testing.TB
	seq *commands.Sequencer
	n   int
}

func newWriter(t testing.TB, db *sqlstore.DB) *writer {
	t.Helper()
	seq, err := commands.New(commands.Config{Store: db})
	if err != nil {
		t.Fatal(err)
	}
	seq.Start()
	t.Cleanup(seq.Stop)
	return &writer{t: t, seq: seq}
}

func (w *writer) do(cmds ...commands.Command) commands.Receipt {
	w.t.Helper()
	w.n++
	meta := commands.Meta{
		CommandID: fmt.Sprintf("c%05d", w.n), RequestSHA: events.Hash{byte(w.n)}, Actor: events.SystemActor,
		At: time.Now(), Trusted: true,
	}
	r, err := w.seq.Do(context.Background(), meta, cmds...)
	if err != nil {
		w.t.Fatalf("do: %v", err)
	}
	return r
}

// board makes one and returns what refers to it.
func (w *writer) board(key string) commands.Ref {
	w.t.Helper()
	return commands.RefID(events.StreamID(w.do(commands.CreateBoard{Name: "Board " + key, Key: key}).Stream))
}

// tickets makes some, with what usually happens to them.
func (w *writer) tickets(board commands.Ref, n int) {
	w.t.Helper()
	for i := range n {
		r := w.do(commands.CreateTicket{Board: board, Title: fmt.Sprintf("ticket %d", i)})
		ticket := commands.RefID(r.Events[0].TicketID)
		w.do(commands.AddComment{Ticket: ticket, Text: "ok ✅"}, commands.MoveTicket{Ticket: ticket, Column: "Done"})
	}
}

func head(t testing.TB, log events.Reader) events.Head {
	t.Helper()
	h, err := log.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// create takes a backup into a new folder.
func create(t testing.TB, db *sqlstore.DB, change ...func(*backup.Options)) backup.Made {
	t.Helper()
	o := backup.Options{Database: db.Path(), Out: filepath.Join(t.TempDir(), "backups"), Version: "test"}
	for _, c := range change {
		c(&o)
	}
	made, err := backup.Create(t.Context(), o)
	if err != nil {
		t.Fatalf("create: %v", err)
	}
	return made
}

// reopen opens an extracted database.
func reopen(t testing.TB, dir string) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(dir, "agent_kanban.db")})
	if err != nil {
		t.Fatalf("open %s: %v", dir, err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func verify(t testing.TB, db *sqlstore.DB) {
	t.Helper()
	v, err := ops.Verify(t.Context(), db, ops.VerifyOptions{})
	if err != nil || !v.OK() {
		t.Fatalf("verify: %v %+v", err, v)
	}
}
