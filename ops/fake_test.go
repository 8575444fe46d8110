package ops_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// writer opens the file a second time, as an operator with sqlite3 would.
func writer(t *testing.T, db *sqlstore.DB) *sql.DB {
	t.Helper()
	second, err := sql.Open("sqlite", "file:"+db.Path()+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = second.Close() })
	return second
}

// damage changes rows past the triggers that forbid it.
func damage(t *testing.T, db *sqlstore.DB, statements ...string) {
	t.Helper()
	second := writer(t, db)
	for _, s := range append([]string{"DROP TRIGGER IF EXISTS events_keep", "DROP TRIGGER IF EXISTS events_fixed"}, statements...) {
		if _, err := second.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// recorder is a log in memory that can be restored.
type recorder struct {
	id      string
	events  []events.Envelope
	records []events.CommandRecord
}

func (r *recorder) LogID() string { return "recorder" }

func (r *recorder) Head(context.Context) (events.Head, error) { return events.Head{}, nil }

func (r *recorder) Read(context.Context, events.Query) ([]events.Envelope, error) { return nil, nil }

func (r *recorder) Restore(ctx context.Context, id string, fill func(context.Context, events.Tx) error) error {
	if err := fill(ctx, recorderTx{r: r}); err != nil {
		*r = recorder{}
		return err
	}
	r.id = id
	return nil
}

type recorderTx struct {
	events.Tx // what an import does not need
	r         *recorder
}

func (tx recorderTx) Append(_ context.Context, batch []events.Envelope) error {
	tx.r.events = append(tx.r.events, batch...)
	return nil
}

func (tx recorderTx) Record(_ context.Context, rec events.CommandRecord) error {
	for _, have := range tx.r.records {
		if have.ID == rec.ID && have.Actor == rec.Actor {
			return events.ErrConflict
		}
	}
	tx.r.records = append(tx.r.records, rec)
	return nil
}
