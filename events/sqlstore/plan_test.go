package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Every query goes by the index that narrows it most and needs no sorting.
func TestPlans(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "log.db"), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, test := range []struct {
		name     string
		query    events.Query
		versions span
		want     string
	}{
		{"after", events.Query{After: 5}, span{}, "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"},
		{"between", events.Query{After: 5, UpTo: 9}, span{}, "SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"},
		{"types", events.Query{After: 5, Types: []events.Type{"a"}, Actor: "b"}, span{}, "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)"},
		{"stream", events.Query{Stream: "board-1"}, span{}, "SEARCH events USING INDEX events_stream (stream=?)"},
		{"stream after", events.Query{Stream: "board-1"}, span{above: 3}, "SEARCH events USING INDEX events_stream (stream=? AND version>?)"},
		{"stream between", events.Query{Stream: "board-1", TicketID: 4}, span{3, 9}, "SEARCH events USING INDEX events_stream (stream=? AND version>? AND version<?)"},
		{"ticket", events.Query{TicketID: 4, Until: time.Now()}, span{}, "SEARCH events USING INDEX events_ticket (ticket_id=?)"},
		{"stream, back", events.Query{Stream: "board-1", Descending: true}, span{3, 9}, "SEARCH events USING INDEX events_stream (stream=? AND version>? AND version<?)"},
		{"ticket, back", events.Query{TicketID: 4, UpTo: 3, Descending: true}, span{}, "SEARCH events USING INDEX events_ticket (ticket_id=? AND position<?)"},
		{"before", events.Query{UpTo: 9, Descending: true}, span{}, "SEARCH events USING INTEGER PRIMARY KEY (rowid<?)"},
		{"ticket after", events.Query{TicketID: 4, After: 3}, span{}, "SEARCH events USING INDEX events_ticket (ticket_id=? AND position>?)"},
	} {
		text, args := selectSQL(&test.query, test.versions, 10)
		rows, err := db.readers.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, args...)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			t.Fatal(err)
		}
		if len(plan) == 0 || plan[0] != test.want || strings.Contains(strings.Join(plan, " "), "TEMP B-TREE") {
			t.Errorf("%s: got %q, want %q", test.name, plan, test.want)
		}
	}
}

// The same page comes together whatever the size of the windows.
func TestWindows(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), Options{Path: filepath.Join(t.TempDir(), "log.db"), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for n := range int64(40) {
		e, err := events.Seal(tx.Head(), events.Envelope{
			Stream: "system", Version: n + 1, Actor: events.Actor{Name: []string{"ada", "bot", "eve"}[n%3]},
		}, events.LogImported{})
		if err != nil {
			t.Fatal(err)
		}
		if err := tx.Append(t.Context(), []events.Envelope{e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
		return db.readers.QueryContext(ctx, text, args...)
	}
	for _, size := range []int64{1, 2, 3, 7, 39, 40, 41, window} {
		q := events.Query{Actor: "bot", After: 4, UpTo: 37, Limit: 9}
		page, err := readWindows(t.Context(), q, size, run)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) != 9 || page[0].Position != 5 || page[8].Position != 29 {
			t.Errorf("windows of %d: got %d events, want the 9 from 5 to 29", size, len(page))
		}
		q.Limit = 100
		if page, err = readWindows(t.Context(), q, size, run); err != nil || len(page) != 11 {
			t.Errorf("windows of %d: got %d events (%v), want 11", size, len(page), err)
		}
		q.Descending, q.Limit = true, 9
		if page, err = readWindows(t.Context(), q, size, run); err != nil || len(page) != 9 || page[0].Position != 35 || page[8].Position != 11 {
			t.Errorf("windows of %d: back came %d events (%v), want the 9 from 35 to 11", size, len(page), err)
		}
	}
}

func TestVersionError(t *testing.T) {
	t.Parallel()
	for version, ok := range map[string]bool{
		"3.51.3": true, "3.51.4": true, "3.52.0": true, "4.0": true, "4": true, "3.60": true,
		"3.51.2": false, "3.51": false, "3.8.11": false, "2.99.99": false, "": false, "new": false,
	} {
		if err := versionError(version); (err == nil) != ok || (err != nil && !errors.Is(err, ErrOldSQLite)) {
			t.Errorf("%q: got %v, want accepted %v", version, err, ok)
		}
	}
}
