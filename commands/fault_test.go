package commands_test

import (
	"context"
	"database/sql"
	"sync"
	"testing"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// A bug that panics costs its own command, not the process, and leaves neither
// an open transaction nor half a state behind.
func TestPanicIsContained(t *testing.T) {
	t.Parallel()
	hook := ada
	hook.With = func(context.Context, *sql.Tx, commands.Receipt) error { panic("in a hook") }
	for name, panics := range map[string]func(w world) error{
		"decision": func(w world) error {
			_, err := w.seq.Do(t.Context(), ada, commands.CreateTicket{Board: "WEB", Title: "Half"}, nil)
			return err
		},
		"hook": func(w world) error {
			_, err := w.seq.Do(t.Context(), hook, commands.CreateTicket{Board: "WEB", Title: "Half"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			if err := panics(w); events.CodeOf(err) != events.CodeInternal {
				t.Fatalf("got %v, want an internal error", err)
			}
			if r := w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "Whole"}); r.Ticket.Key != "WEB-1" {
				t.Errorf("the next ticket is %s, want WEB-1", r.Ticket.Key)
			}
			if got := len(w.log(t)); got != 4 {
				t.Errorf("%d events, want 4", got)
			}
		})
	}
}

// What a hook wrote is kept where the command found nothing to change: not only
// when somebody else in its batch had something.
func TestHookWithoutEvents(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := ada
	m.With = func(ctx context.Context, tx *sql.Tx, _ commands.Receipt) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES ('hook', 'ran')`)
		return err
	}
	name := "Website"
	if r := w.must(t, m, commands.UpdateBoard{Board: "WEB", Name: &name}); len(r.Events) != 0 {
		t.Fatalf("events %v, want none", r.Events)
	}
	var n int
	if err := w.store.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM meta WHERE key = 'hook'`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows of the hook, %v, want 1", n, err)
	}
}

// redact removes the data of an event, which the log allows for ever.
func (w world) redact(t *testing.T, where string) {
	t.Helper()
	err := w.store.Update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE events SET data = NULL WHERE `+where)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What the envelope alone tells holds after a redaction and a restart: ids are
// not given out again, and what was deleted or deactivated stays so.
func TestRedactionTakesNothingBack(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.must(t, trusted, commands.RegisterUser{Name: "bob", Kind: events.Human, Admin: true})
	bob := commands.Meta{Actor: events.Actor{Kind: events.Human, ID: 2, Name: "bob"}}
	w.must(t, ada, commands.CreateBoard{Name: "Gone", Key: "GONE"})
	w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "One"})
	w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "Two"})
	w.must(t, ada, commands.DeleteTicket{Ticket: "1"})
	w.must(t, ada, commands.DeleteBoard{Board: "GONE"})
	w.must(t, ada, commands.DeactivateUser{UserID: 2})
	w.must(t, ada, commands.CreateBoard{Name: "Last", Key: "LAST"})
	w.must(t, trusted, commands.RegisterUser{Name: "carl", Kind: events.Human})
	w.redact(t, `type IN ('ticket_deleted', 'board_deleted', 'user_deactivated')
		OR type = 'ticket_created' AND ticket_id = 2 OR stream = 'board-3' OR stream = 'user-3'`)
	w.seq.Stop()
	w.seq = sequence(t, commands.Config{Store: w.store})
	if _, err := w.seq.Do(t.Context(), ada, commands.MoveTicket{Ticket: "1", Column: "Done"}); events.CodeOf(err) != events.CodeNotFound {
		t.Errorf("move a deleted ticket: %v, want %s", err, events.CodeNotFound)
	}
	if _, err := w.seq.Do(t.Context(), ada, commands.AddColumn{Board: "GONE", Column: commands.ColumnSpec{Name: "More"}}); events.CodeOf(err) != events.CodeNotFound {
		t.Errorf("change a deleted board: %v, want %s", err, events.CodeNotFound)
	}
	if _, err := w.seq.Do(t.Context(), bob, commands.CreateTicket{Board: "WEB", Title: "T"}); events.CodeOf(err) != events.CodeUnauthenticated {
		t.Errorf("deactivated account: %v, want %s", err, events.CodeUnauthenticated)
	}
	if r := w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "Three"}); r.Ticket.ID != 3 {
		t.Errorf("the ticket after a redacted one has id %d, want 3", r.Ticket.ID)
	}
	if r := w.must(t, ada, commands.CreateBoard{Name: "New", Key: "NEW"}); r.Board.ID != 4 {
		t.Errorf("the board after a redacted one has id %d, want 4", r.Board.ID)
	}
	if r := w.must(t, trusted, commands.RegisterUser{Name: "dora", Kind: events.Human}); r.Stream != "user-4" {
		t.Errorf("the user after a redacted one is %s, want user-4", r.Stream)
	}
}

// A snapshot spares a fold and nothing else: a damaged one, or one of events that
// the log has lost, is as good as none.
func TestUselessSnapshotsAreNotUsed(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]string{
		"damaged": `UPDATE snapshots SET state = CAST('{"broken' AS BLOB)`,
		"ahead":   `UPDATE snapshots SET position = position + 1000, version = version + 1000`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			var wg sync.WaitGroup
			for range 30 {
				wg.Go(func() {
					for range 70 {
						w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"})
					}
				})
			}
			wg.Wait()
			var next int64
			for range 2 { // the first start stores the snapshots
				w.seq.Stop()
				w.seq = sequence(t, commands.Config{Store: w.store})
				next = w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"}).Ticket.ID + 1
			}
			w.seq.Stop()
			err := w.store.Update(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, damage)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			w.seq = sequence(t, commands.Config{Store: w.store})
			if r := w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"}); r.Ticket.ID != next || r.Ticket.Number != next {
				t.Errorf("ticket %d number %d, want %d", r.Ticket.ID, r.Ticket.Number, next)
			}
		})
	}
}

// A refused list folds the directory anew: what that cost is kept, or whoever
// sends such lists could hold everybody up.
func TestRefusedListKeepsItsFold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			for range 70 {
				w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"})
			}
		})
	}
	wg.Wait()
	_, err := w.seq.Do(t.Context(), ada, commands.CreateTicket{Board: "WEB", Title: "T"}, commands.MoveTicket{Ticket: "999999", Column: "Done"})
	if events.CodeOf(err) != events.CodeNotFound {
		t.Fatalf("got %v, want %s", err, events.CodeNotFound)
	}
	var position int64
	if err := w.store.Reader().QueryRowContext(t.Context(), `SELECT position FROM snapshots WHERE stream = 'directory'`).Scan(&position); err != nil || position != 2103 {
		t.Errorf("stored directory at %d, %v, want it at the head", position, err)
	}
	if r := w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"}); r.Ticket.ID != 2101 || r.Position != 2104 {
		t.Errorf("the next ticket is %d at %d, want 2101 at 2104", r.Ticket.ID, r.Position)
	}
}
