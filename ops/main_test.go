package ops_test

import (
	"bytes"
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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	_ ops.Restorer = (*sqlstore.DB)(nil)
	_ events.Store = (*sqlstore.DB)(nil)
)

// open returns an empty log.
func open(t *testing.T) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(t.TempDir(), "log.db"), Create: true})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// fill puts boards, tickets, comments and people into a log, with texts that
// JSON must escape.
func fill(t *testing.T, db *sqlstore.DB, tickets int) {
	t.Helper()
	seq, err := commands.New(commands.Config{Store: db})
	if err != nil {
		t.Fatalf("sequencer: %v", err)
	}
	seq.Start()
	defer seq.Stop()
	at := time.Date(2025, 8, 10, 0, 0, 0, 123456000, time.UTC)
	n := 0
	do := func(cmds ...commands.Command) commands.Receipt {
		n++
		receipt, err := seq.Do(context.Background(), commands.Meta{
			CommandID: fmt.Sprintf("c%04d", n), RequestSHA: events.Hash{byte(n)}, Actor: events.SystemActor,
			At: at.Add(time.Duration(n) * time.Millisecond), Trusted: true,
		}, cmds...)
		if err != nil {
			t.Fatalf("do %v: %v", cmds, err)
		}
		return receipt
	}
	do(commands.RegisterUser{Name: "Zoë <&>", Kind: events.Human})
	board := do(commands.CreateBoard{Name: "Straße \"1\" ✅", Description: "line\nline\u2028"}).Stream
	ref := commands.RefID(events.StreamID(board))
	for i := range tickets {
		r := do(commands.CreateTicket{Board: ref, Title: fmt.Sprintf("ticket <%d> & \\ more", i), Description: "a\tb"})
		ticket := commands.RefID(r.Events[0].TicketID)
		do(commands.AddComment{Ticket: ticket, Text: "ok ✅"}, commands.MoveTicket{Ticket: ticket, Column: "Done"})
		do(commands.MoveTicket{Ticket: ticket, Column: "Done"}) // changes nothing, but is recorded
	}
}

func export(t *testing.T, log events.Reader) []byte {
	t.Helper()
	var out bytes.Buffer
	if _, err := ops.Export(t.Context(), log, &out, ops.ExportOptions{}); err != nil {
		t.Fatalf("export: %v", err)
	}
	return out.Bytes()
}

func count(t *testing.T, db *sqlstore.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.Reader().QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}
