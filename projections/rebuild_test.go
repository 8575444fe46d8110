package projections

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

func TestRebuildKeepsTheOldRowsUntilTheSwap(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 50)
	r := prepared(t, config(db))
	deliver(t, r, s.log[:30])
	before := schema(t, db.Reader())
	pages := 0
	update := func(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
		if pages++; pages == 5 {
			return errCrash
		}
		return db.UpdateRelaxed(ctx, fn)
	}
	_, err := Rebuild(t.Context(), RebuildConfig{DB: db.Writer(), Update: update, Log: memory(s.log), PageSize: 10})
	if !errors.Is(err, errCrash) {
		t.Fatalf("rebuild: got %v, want the crash", err)
	}
	if got := count(t, db, "tickets"); got != 29 {
		t.Errorf("after the crash: got %d tickets, want the 29 of before", got)
	}

	var seen []int64
	done, err := Rebuild(t.Context(), RebuildConfig{
		DB: db.Writer(), Update: db.UpdateRelaxed, Log: memory(s.log), PageSize: 20,
		Progress: func(p Progress) { seen = append(seen, p.Position, p.Head) },
	})
	if err != nil {
		t.Fatalf("rebuild: %v", err)
	}
	if want := []int64{20, 51, 40, 51, 51, 51}; !slices.Equal(seen, want) {
		t.Errorf("progress: got %v, want %v", seen, want)
	}
	if done.Position != 51 || done.PerSecond <= 0 {
		t.Errorf("got %+v, want position 51 and a speed", done)
	}
	if got := count(t, db, "tickets"); got != 50 {
		t.Errorf("got %d tickets, want 50", got)
	}
	if after := schema(t, db.Reader()); !slices.Equal(before, after) {
		t.Errorf("schema: got %v, want %v", after, before)
	}
	compared(t, t.Context(), db, s.log)

	// And the rows can be followed on, by whoever starts next.
	s.add(t, 1, 51, ticketCreated(51))
	c := config(db)
	c.Log = memory(s.log)
	deliver(t, prepared(t, c), s.log[51:])
	compared(t, t.Context(), db, s.log)
}

// schema lists the tables and indexes of the read model.
func schema(t *testing.T, q querier) []string {
	t.Helper()
	all, err := definitions(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range all {
		names = append(names, d.kind+" "+d.name+" on "+d.table)
	}
	slices.Sort(names)
	return names
}

func TestContractNames(t *testing.T) {
	t.Parallel()
	db := open(t)
	names := schema(t, db.Reader())
	for _, want := range []string{
		"index idx_tickets_board_id on tickets", "index idx_tickets_assignee on tickets",
		"index idx_comments_ticket_id on comments", "index idx_ticket_history_ticket_id on ticket_history",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("got %v, want %s", names, want)
		}
	}
}

func TestLeftOverShadowsGoAtTheNextStart(t *testing.T) {
	t.Parallel()
	db := open(t)
	err := db.UpdateRelaxed(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		all, err := definitions(ctx, tx)
		if err != nil {
			return err
		}
		return createTables(ctx, tx, all, shadow)
	})
	if err != nil {
		t.Fatal(err)
	}
	prepared(t, config(db))
	if got := count(t, db, "sqlite_schema WHERE name LIKE '%shadow'"); got != 0 {
		t.Errorf("got %d shadow tables and indexes, want 0", got)
	}
}

func TestRowsAheadOfTheLogAreStale(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 5)
	deliver(t, prepared(t, config(db)), s.log)
	older := memory(s.log[:3])
	c := config(db)
	c.Log = older
	r, err := NewRunner(c)
	if err != nil {
		t.Fatal(err)
	}
	var stale *StaleError
	if err := r.Start(t.Context()); !errors.As(err, &stale) || stale.Position != 6 || stale.Head != 3 {
		t.Errorf("start: got %v, want a *StaleError from 6 to 3", err)
	}
	if _, err := Compare(t.Context(), CompareConfig{Live: db.Reader(), Log: older}); !errors.As(err, &stale) {
		t.Errorf("compare: got %v, want a *StaleError", err)
	}
	if _, err := Rebuild(t.Context(), RebuildConfig{DB: db.Writer(), Update: db.UpdateRelaxed, Log: older}); err != nil {
		t.Fatalf("rebuild: %v", err)
	}
	if err := NeedsRebuild(t.Context(), db.Reader(), older); err != nil {
		t.Errorf("after the rebuild: got %v, want nil", err)
	}
	compared(t, t.Context(), db, older)
}

func TestCompareFindsEveryKindOfDifference(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 5)
	deliver(t, prepared(t, config(db)), s.log)
	err := db.UpdateRelaxed(t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		for _, text := range []string{
			"UPDATE tickets SET title = 'forged' WHERE id = 2", "DELETE FROM tickets WHERE id = 4",
			"INSERT INTO members VALUES (1, 7, 'eve', 'pm')", "DELETE FROM ticket_history WHERE ticket_id > 1",
		} {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Compare(t.Context(), CompareConfig{Live: db.Reader(), Log: memory(s.log), MaxDifferences: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := []Difference{
		{Table: "members", Key: "1/7", Live: "present", Log: "absent"},
		{Table: "tickets", Key: "2", Column: "title", Live: "forged", Log: "Ticket 2"},
		{Table: "tickets", Key: "4", Live: "absent", Log: "present"},
		{Table: "ticket_history", Key: "48", Live: "absent", Log: "present"},
		{Table: "ticket_history", Key: "64", Live: "absent", Log: "present"},
	}
	if !slices.Equal(got.Differences, want) {
		t.Errorf("got %+v, want %+v", got.Differences, want)
	}
	if got.Differing["ticket_history"] != 4 || got.Equal() || got.Rows["tickets"] != 5 {
		t.Errorf("got %+v, want 4 differing history rows, 5 tickets", got)
	}
}

func TestTravel(t *testing.T) {
	t.Parallel()
	s := someTickets(t, 2) // board at 1, tickets at 2 and 3
	s.add(t, 2, 0, defaultBoard())
	created := s.now
	s.add(t, 1, 1, events.TicketMoved{FromColumnID: 1, FromColumn: "Not Started", ColumnID: 3, Column: "Done", Rank: "a"}) // 5
	s.add(t, 1, 0, events.BoardDeleted{})                                                                                  // 6
	log := memory(s.log)

	for _, c := range []struct {
		name     string
		at       At
		position int64
		columns  []string // of the tickets, in order
	}{
		{"before the move", At{Position: 4}, 4, []string{"Not Started", "Not Started"}},
		{"after it", At{Position: 5}, 5, []string{"Not Started", "Done"}},
		{"one ticket", At{Position: 2}, 2, []string{"Not Started"}},
		{"by time", At{Time: created}, 3, []string{"Not Started", "Not Started"}},
	} {
		got, err := BoardAt(t.Context(), log, 1, c.at)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var columns []string
		for _, k := range got.Tickets {
			columns = append(columns, k.CurrentColumn)
		}
		if got.Position != c.position || !slices.Equal(columns, c.columns) {
			t.Errorf("%s: got %v at %d, want %v at %d", c.name, columns, got.Position, c.columns, c.position)
		}
	}
	for name, at := range map[string]At{"deleted": {}, "not yet": {Time: epoch}} {
		if _, err := BoardAt(t.Context(), log, 1, at); events.CodeOf(err) != events.CodeNotFound {
			t.Errorf("%s: got %v, want not_found", name, err)
		}
	}
	if k, err := TicketAt(t.Context(), log, 1, 1, 5); err != nil || k.CurrentColumn != "Done" {
		t.Errorf("ticket: got %+v, %v, want it in Done", k, err)
	}
	if _, err := TicketAt(t.Context(), log, 1, 2, 2); events.CodeOf(err) != events.CodeNotFound {
		t.Errorf("ticket before its creation: got %v, want not_found", err)
	}
}
