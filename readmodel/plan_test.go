package readmodel

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// TestPlans: what Ready reads it finds by an index, in the order that is wanted,
// so that the size of a board does not matter.
func TestPlans(t *testing.T) {
	t.Parallel()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(t.TempDir(), "test.db"), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	// What may be read from end to end: lists that the query made itself.
	lists := []string{"json_each", "j ", "dead", "(subquery", "made"}
	const byID, bySearch = "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)", "SEARCH t USING INDEX idx_tickets_blocked (board_id=?)"
	for name, c := range map[string]struct {
		text   string
		args   []any
		want   []string
		sorted bool // it may sort what it found
	}{
		"ready":         {readyRange, []any{1, 1, 3, 100}, []string{"SEARCH t USING INDEX idx_tickets_ready (board_id=? AND column_id=? AND weight=?)"}, false},
		"ready, count":  {readyCount, []any{1, 1}, []string{"SEARCH tickets USING INDEX idx_tickets_ready (board_id=? AND column_id=?)"}, false},
		"waiting":       {waitingAlive, []any{1, "[]", 100}, []string{bySearch}, false},
		"waiting count": {waitingCount, []any{1}, []string{bySearch}, false},
		"dead":          {deadTickets, []any{1, "[]", 100}, []string{byID}, false},
		"dead, count":   {deadCount, []any{1, "[]"}, []string{byID}, false},
		"dead-blocked": {deadBlocked, []any{1}, []string{
			"SEARCH d USING COVERING INDEX idx_dependencies_board_id (board_id=?)", "SEARCH d USING COVERING INDEX idx_dependencies_depends_on (depends_on=?)",
			"SEARCH p USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN",
		}, true},
		"claims":          {"SELECT t.id FROM tickets t WHERE " + held, []any{1}, []string{"SEARCH t USING INDEX idx_tickets_lease_holder_id (lease_holder_id>?)"}, true},
		"figures":         {figuredTickets + ofBoard, []any{1}, []string{"SEARCH tickets USING INDEX idx_tickets_board_id (board_id=?)"}, false},
		"figures, one":    {figuredTickets + itself, []any{1}, []string{"SEARCH tickets USING INTEGER PRIMARY KEY (rowid=?)"}, false},
		"arrivals":        {figuredArrivals + ofBoard, []any{1}, []string{"SEARCH ticket_history USING INDEX idx_ticket_history_column_id (board_id=? AND column_id>?)"}, false},
		"arrivals, one":   {figuredArrivals + ofTicket, []any{1}, []string{"SEARCH ticket_history USING INDEX idx_ticket_history_ticket_id (ticket_id=?)"}, false},
		"claims of board": {fmt.Sprintf(figuredClaims, ofBoard), []any{1}, []string{"SEARCH claims USING PRIMARY KEY (board_id=?)"}, false},
		"claims, one":     {fmt.Sprintf(figuredClaims, claimsOfTicket), []any{1}, []string{"SEARCH claims USING PRIMARY KEY (board_id=? AND ticket_id=?)"}, false},
		"stays of column": {finishedStays, []any{1, 1}, []string{
			"SEARCH h USING INDEX idx_ticket_history_column_id (board_id=? AND column_id=?)", "SEARCH t USING INTEGER PRIMARY KEY (rowid=?)",
			"SEARCH n USING INDEX idx_ticket_history_ticket_id (ticket_id=? AND rowid>?)", "SEARCH p USING INDEX idx_ticket_history_ticket_id (ticket_id=? AND rowid<?)",
		}, false},
		"blockers": {blockersOf, []any{"[]"}, []string{"SEARCH d USING PRIMARY KEY (ticket_id=?)"}, true},
		"board counts": {boardCounts, []any{"[1,2]"}, []string{
			"SEARCH tickets USING INDEX idx_tickets_ready (board_id=?)", "SEARCH tickets USING INDEX idx_tickets_blocked (board_id=?)",
			"SEARCH tickets USING INDEX idx_tickets_lease_holder_id (lease_holder_id>?)",
		}, true},
		"last events": {lastEvents, []any{"[1,2]", 9}, []string{"SEARCH e USING INDEX events_stream (stream=? AND version=?)", "SEARCH events USING COVERING INDEX events_stream (stream=?)"}, false},
		"a version":   {versionMoment, []any{"board-1", 9}, []string{"SEARCH events USING INDEX events_stream (stream=? AND version=?)"}, false},
		"roles":       {rolesOf, []any{"[1,2]", 9}, []string{"SEARCH m USING PRIMARY KEY (board_id=? AND user_id=?)"}, false},
		"flow, frame": {flowFrame, []any{1, 1}, []string{
			"SEARCH e USING INDEX events_frame (board_id=? AND rowid<?)", "SEARCH r USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN",
		}, false},
		"flow, deleted": {goneArrivals, []any{"[]"}, []string{"SEARCH ticket_history USING INDEX idx_ticket_history_ticket_id (ticket_id=?)"}, true},
		"flow, titles":  {flowTitles, []any{"[]"}, []string{"SEARCH tickets USING INTEGER PRIMARY KEY (rowid=?)"}, false},
		"flow, actors":  {flowActors, []any{"[]"}, []string{"SEARCH events USING INTEGER PRIMARY KEY (rowid=?)"}, false},
		"flow, users":   {flowUsers, []any{"[]"}, []string{"SEARCH users USING INTEGER PRIMARY KEY (rowid=?)"}, false},
		"flow, usage":   {flowUsage, []any{1, "", ""}, []string{"SEARCH usage USING INDEX idx_usage_board_id (board_id=?)"}, false},
	} {
		rows, err := db.Reader().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+c.text, c.args...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
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
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		_ = rows.Close()
		for _, want := range c.want {
			if !slices.Contains(plan, want) {
				t.Errorf("%s: got %q, want %q in it", name, plan, want)
			}
		}
		for _, step := range plan {
			table, scan := strings.CutPrefix(step, "SCAN ")
			if scan && !slices.ContainsFunc(lists, func(list string) bool { return strings.HasPrefix(table, list) }) {
				t.Errorf("%s: it scans: %q", name, plan)
			}
			if !c.sorted && strings.Contains(step, "USE TEMP B-TREE") {
				t.Errorf("%s: it sorts: %q", name, plan)
			}
		}
	}
}
