package projections

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// TestWhatIsBlockedFollowsItsBlocker: whatever changes whether a ticket is done
// changes who waits for it, the rare ways included.
func TestWhatIsBlockedFollowsItsBlocker(t *testing.T) {
	t.Parallel()
	done := events.Column{ID: 3, Name: "Done", Kind: events.Done}
	moved := func(from, to int64) events.TicketMoved {
		names := []string{"", "Not Started", "In Progress", "Done"}
		return events.TicketMoved{FromColumnID: from, FromColumn: names[from], ColumnID: to, Column: names[to], Rank: "b"}
	}
	for name, c := range map[string]struct {
		facts []given // after ticket 1 began to wait for ticket 2
		want  bool    // blocked
	}{
		"done":                      {[]given{{1, 2, moved(1, 3), false}}, false},
		"done and opened again":     {[]given{{1, 2, moved(1, 3), false}, {1, 2, moved(3, 1), false}}, true},
		"moved unseen, then sorted": {[]given{{1, 2, moved(1, 3), true}, {1, 2, moved(3, 3), false}}, false},
		"done and archived":         {[]given{{1, 2, moved(1, 3), false}, {1, 2, events.TicketArchived{}, false}}, false},
		"done and deleted":          {[]given{{1, 2, moved(1, 3), false}, {1, 2, events.TicketDeleted{}, false}}, true},
		"restored into done":        {[]given{{1, 2, events.TicketArchived{}, false}, {1, 2, events.TicketRestored{ColumnID: 3, Column: "Done", Rank: "b"}, false}}, false},
		"its column becomes done":   {[]given{{1, 0, events.ColumnUpdated{Column: events.Column{ID: 1, Name: "Not Started", Kind: events.Done}, Was: "Not Started"}, false}}, false},
		"its column goes": {[]given{
			{1, 2, moved(1, 3), false}, {1, 2, events.TicketArchived{}, false}, {1, 0, events.ColumnRemoved{ColumnID: 3, Name: "Done"}, false},
		}, true},
		"its column comes back": {[]given{
			{1, 2, moved(1, 3), false},
			{1, 2, events.TicketArchived{}, false},
			{1, 0, events.ColumnRemoved{ColumnID: 3, Name: "Done"}, false},
			{1, 0, events.ColumnAdded{Column: done, Index: 2}, false},
		}, false},
		"deleted and recovered as done": {[]given{
			{1, 2, events.TicketDeleted{}, false},
			{1, 2, events.TicketRecovered{TicketCreated: events.TicketCreated{Number: 2, Key: "WEB-2", Priority: events.Low, ColumnID: 3, Column: "Done", Rank: "b"}}, false},
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, s := open(t), newScript()
			facts := append([]given{
				{1, 0, defaultBoard(), false},
				{1, 1, ticketCreated(1), false},
				{1, 2, ticketCreated(2), false},
				{1, 1, events.DependencyAdded{DependsOn: 2, Key: "WEB-2"}, false},
			}, c.facts...)
			for _, g := range facts {
				if e := s.add(t, g.board, g.ticket, g.fact); g.redacted {
					redact(e)
				}
			}
			deliver(t, prepared(t, config(db)), s.log)
			want, got := fromTimeline(t, s.log), fromRows(t.Context(), t, db.Reader(), s.log)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rows differ from the timeline (-timeline +rows):\n%s", diff)
			}
			for _, k := range got.Snapshots[0].Tickets {
				if k.ID == 1 && k.Blocked != c.want {
					t.Errorf("ticket 1 blocked: got %v, want %v", k.Blocked, c.want)
				}
			}
		})
	}
}

// TestRetryOfWork: events about work that were parked find what happened since.
func TestRetryOfWork(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string][]given{
		"the board went": {
			{2, 0, defaultBoard(), false},
			{1, 2, events.TicketClaimed{ExpiresAt: epoch}, false},
			{1, 2, events.UsageRecorded{InputTokens: 1}, false},
			{1, 2, events.DependencyAdded{DependsOn: 1, Key: "WEB-1"}, false},
			{1, 0, events.BoardDeleted{}, false},
		},
		"others waited for it": {
			{1, 1, events.DependencyAdded{DependsOn: 2, Key: "WEB-2"}, false},
			{1, 2, events.TicketMoved{FromColumnID: 3, FromColumn: "Done", ColumnID: 3, Column: "Done", Rank: "b"}, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, s := open(t), newScript()
			s.add(t, 1, 0, defaultBoard())
			s.add(t, 1, 1, ticketCreated(1))
			inDone := ticketCreated(2)
			inDone.ColumnID, inDone.Column = 3, "Done"
			s.add(t, 1, 2, inDone)
			for _, g := range rest {
				s.add(t, g.board, g.ticket, g.fact)
			}
			c, broken := config(db), true
			c.Log = memory(s.log)
			c.wrap = func(apply applyFunc) applyFunc {
				return func(ctx context.Context, tx *Tx, e *events.Envelope) error {
					if broken && e.TicketID == 2 {
						return coded(1)
					}
					return apply(ctx, tx, e)
				}
			}
			r := prepared(t, c)
			deliver(t, r, s.log)
			broken = false
			if _, left, err := r.Retry(t.Context()); err != nil || left != 0 {
				t.Fatalf("retry: got %d left, %v, want none", left, err)
			}
			compared(t, t.Context(), db, s.log)
		})
	}
}

// TestRecoveredInOrder: a ticket comes back with what it waits for in the order
// in which that was said.
func TestRecoveredInOrder(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 4)
	s.add(t, 1, 1, events.TicketDeleted{})
	s.add(t, 1, 1, events.TicketRecovered{
		TicketCreated: ticketCreated(1), DependsOn: []events.Dependency{{ID: 4, Key: "WEB-4"}, {ID: 2, Key: "WEB-2"}},
	})
	s.add(t, 1, 1, events.DependencyAdded{DependsOn: 3, Key: "WEB-3"})
	deliver(t, prepared(t, config(db)), s.log)
	want := []string{"WEB-4", "WEB-2", "WEB-3"}
	q, err := readmodel.New(t.Context(), db.Reader())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	k, err := q.Ticket(t.Context(), "1")
	if err != nil || !slices.Equal(k.DependsOn, want) {
		t.Errorf("rows: got %v, %v, want %v", k.DependsOn, err, want)
	}
	d, err := q.Dependencies(t.Context(), 1)
	if err != nil || len(d.DependsOn) != 3 || d.DependsOn[0].Key != "WEB-4" || d.DependsOn[2].Key != "WEB-3" {
		t.Errorf("dependencies: got %+v, %v, want %v", d.DependsOn, err, want)
	}
}

// TestNothingArchivedIsReady: the filter says what claim-next could take.
func TestNothingArchivedIsReady(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 2)
	s.add(t, 1, 2, events.TicketArchived{})
	deliver(t, prepared(t, config(db)), s.log)
	q, err := readmodel.New(t.Context(), db.Reader())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	for _, archived := range []bool{false, true} {
		page, err := q.Tickets(t.Context(), readmodel.Viewer{Admin: true}, readmodel.TicketFilter{BoardID: 1, Ready: true, Archived: archived})
		if err != nil {
			t.Fatal(err)
		}
		if want := map[bool]int64{false: 1, true: 0}[archived]; page.Total != want {
			t.Errorf("ready, archived %v: got %d tickets, want %d", archived, page.Total, want)
		}
	}
}

// TestPlanOfDependents: a move asks the index of dependencies who waits for the
// ticket, and nothing else.
func TestPlanOfDependents(t *testing.T) {
	t.Parallel()
	db := open(t)
	text := tableNames("").Replace(recountOpen + whoseBlocker)
	rows, err := db.Writer().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
		if strings.HasPrefix(detail, "SCAN") {
			t.Errorf("it scans: %s", detail)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"SEARCH tickets USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH dependencies USING COVERING INDEX idx_dependencies_depends_on (depends_on=?)",
		"SEARCH d USING PRIMARY KEY (ticket_id=?)",
	} {
		if !slices.Contains(plan, want) {
			t.Errorf("got %q, want %q in it", plan, want)
		}
	}
}
