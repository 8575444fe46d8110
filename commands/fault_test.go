package commands_test

import (
	"context"
	"database/sql"
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
