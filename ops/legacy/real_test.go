package legacy_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/ops"
	"github.com/agent-kanban/agent-kanban/ops/legacy"
)

// card is where a ticket stands.
type card struct {
	board    int64
	title    string
	column   string
	assignee string
	priority events.Priority
}

// fold is the boards as of a time, from the log.
func fold(t *testing.T, log []told, until time.Time) (columns map[int64][]string, cards map[int64]card, names map[int64]string) {
	t.Helper()
	columns, cards, names = map[int64][]string{}, map[int64]card{}, map[int64]string{}
	for _, e := range log {
		if e.RecordedAt.After(until) {
			continue
		}
		c := cards[e.TicketID]
		switch f := e.fact.(type) {
		case events.BoardCreated:
			for _, column := range f.Columns {
				columns[e.BoardID] = append(columns[e.BoardID], column.Name)
			}
			names[e.BoardID] = f.Name
			continue
		case events.ColumnAdded:
			columns[e.BoardID] = append(columns[e.BoardID], f.Column.Name)
			continue
		case events.TicketCreated:
			c = card{board: e.BoardID, title: f.Title, column: f.Column, assignee: f.Assignee, priority: f.Priority}
		case events.TicketUpdated:
			if f.Title != nil {
				c.title = *f.Title
			}
			if f.Priority != nil {
				c.priority = *f.Priority
			}
		case events.TicketMoved:
			if f.FromColumn != c.column {
				t.Errorf("position %d moves ticket %d from %q, but it is in %q", e.Position, e.TicketID, f.FromColumn, c.column)
			}
			c.column = f.Column
		case events.TicketAssigned:
			c.assignee = f.Assignee
		default:
			continue
		}
		cards[e.TicketID] = c
	}
	return columns, cards, names
}

// asOf walks the old tables on their own: what each ticket's column, title and
// assignee were at a time, as the old system wrote them.
func asOf(t *testing.T, path string, until time.Time) map[int64]card {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	limit := until.UTC().Format("2006-01-02 15:04:05.000000")
	field := func(current, names string) string {
		return `coalesce(
			(SELECT coalesce(h.new_value, '') FROM ticket_history h WHERE h.ticket_id = t.id AND h.field_name IN (` + names + `)
				AND replace(h.changed_at, 'T', ' ') <= '` + limit + `' ORDER BY replace(h.changed_at, 'T', ' ') DESC, h.id DESC LIMIT 1),
			(SELECT coalesce(h.old_value, '') FROM ticket_history h WHERE h.ticket_id = t.id AND h.field_name IN (` + names + `)
				ORDER BY replace(h.changed_at, 'T', ' '), h.id LIMIT 1), t.` + current + `, '')`
	}
	rows, err := db.QueryContext(t.Context(), `SELECT t.id, t.board_id, `+field("title", "'title'")+`, `+
		field("current_column", "'column', 'current_column'")+`, `+field("assignee", "'assignee'")+`
		FROM tickets t WHERE replace(t.created_at, 'T', ' ') <= '`+limit+`'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	cards := map[int64]card{}
	for rows.Next() {
		var id int64
		var c card
		if err := rows.Scan(&id, &c.board, &c.title, &c.column, &c.assignee); err != nil {
			t.Fatal(err)
		}
		cards[id] = c
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return cards
}

// same tells whether a column of the log is what the old text meant, where it
// means one at all.
func same(text, column string) bool {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) {
				return unicode.ToLower(r)
			}
			return -1
		}, s)
	}
	switch {
	case strings.Trim(text, "0123456789") == "": // dropped on a card: it stayed
		return column == "Not Started"
	case plain(text) == "todo":
		return plain(column) == "todo" || column == "Not Started"
	default:
		return plain(text) == plain(column)
	}
}

func compare(t *testing.T, path string, log []told, until time.Time) int {
	t.Helper()
	columns, got, _ := fold(t, log, until)
	want := asOf(t, path, until)
	if !maps.EqualFunc(got, want, func(a, b card) bool { return a.board == b.board }) {
		t.Errorf("%s: %d tickets, want the same %d on the same boards", until, len(got), len(want))
	}
	for id, w := range want {
		g := got[id]
		if w.title == "" {
			w.title = "(no title)"
		}
		if g.title != w.title || !strings.EqualFold(g.assignee, w.assignee) || !same(w.column, g.column) {
			t.Errorf("%s: ticket %d = %+v, want %+v", until, id, g, w)
		}
		if !slices.Contains(columns[g.board], g.column) {
			t.Errorf("%s: ticket %d is in column %q, its board has %q", until, id, g.column, columns[g.board])
		}
	}
	return len(want)
}

func TestRealFile(t *testing.T) {
	t.Parallel()
	path := realFile(t)
	s := newStack(t)
	report := s.load(t, path)

	if got, want := report.Counts, (legacy.Counts{Boards: 276, Tickets: 2254, Comments: 25, History: 2535, Users: 2, Names: 22}); got != want {
		t.Errorf("counts = %+v, want %+v", got, want)
	}
	for trouble, want := range map[legacy.Trouble]int{
		legacy.CardColumn: 26, legacy.HistoryGap: 1, legacy.StateDiffers: 0, legacy.HistoryColumn: 28, legacy.NoChange: 11,
		legacy.NoCreation: 4, legacy.BadText: 1, legacy.BadName: 1, legacy.BadTime: 0, legacy.Orphan: 0, legacy.Refused: 0, legacy.NewID: 0,
	} {
		if got := report.Count(trouble); got != want {
			t.Errorf("%s: %d findings, want %d", trouble, got, want)
		}
	}
	if !report.Mapping.KeptIDs || len(report.Mapping.Users) != 24 {
		t.Errorf("mapping = %+v, want kept ids and 24 users", report.Mapping)
	}
	if len(report.Privileges) != 2 || report.Privileges[0].Was != "ADMIN" {
		t.Errorf("privileges = %+v, want those of testuser and testuser2", report.Privileges)
	}

	log := s.log(t)
	last := log[len(log)-1].RecordedAt
	columns, cards, names := fold(t, log, last)
	if len(columns) != 276 || names[276] != "Persistence Test Board 518021" {
		t.Errorf("%d boards, board 276 is %q", len(columns), names[276])
	}
	perBoard := map[int64]int{}
	for _, c := range cards {
		perBoard[c.board]++
	}
	if perBoard[3] == 0 || len(cards) != 2254 {
		t.Errorf("%d tickets, board 3 has %d", len(cards), perBoard[3])
	}
	day := time.Date(2025, 8, 15, 0, 0, 0, 0, time.UTC)
	if n := compare(t, path, log, day); n < 500 || n > 700 {
		t.Errorf("%d tickets on 2025-08-15, want about 590", n)
	}
	compare(t, path, log, last)
	for at := report.First; at.Before(report.Last); at = at.Add(7 * time.Hour) {
		compare(t, path, log, at)
	}

	// The last event says that there was an import.
	done, ok := log[len(log)-1].fact.(events.LogImported)
	if !ok || done.Tickets != 2254 || done.SHA256 != report.SHA256 || done.Repairs != len(report.Findings) {
		t.Errorf("last event = %+v, want the import", log[len(log)-1].fact)
	}
	v, err := ops.Verify(t.Context(), s.db, ops.VerifyOptions{})
	if err != nil || !v.OK() {
		t.Errorf("verify = %+v, %v", v, err)
	}
}

func TestRealFileActors(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	s.load(t, realFile(t))
	actors, comments := map[string]int{}, map[string]int{}
	for _, e := range s.log(t) {
		if !strings.HasPrefix(e.CorrelationID, "import:") {
			t.Errorf("position %d has correlation %q", e.Position, e.CorrelationID)
		}
		if e.Actor.Kind != events.System && e.Actor.ID == 0 {
			t.Errorf("position %d: %+v is not a registered identity", e.Position, e.Actor)
		}
		switch f := e.fact.(type) {
		case events.CommentAdded:
			comments[e.Actor.Name]++
		case events.UserRegistered:
			if f.Admin {
				t.Errorf("%s became admin", f.Name)
			}
		default:
			actors[e.Actor.Name]++
		}
	}
	if want := map[string]int{"test_agent_01": 7, "User": 6, "mcp_validator": 6, "test_user": 2, "PM": 1, "backend_test": 1, "persistence-test": 1, "test": 1}; !maps.Equal(comments, want) {
		t.Errorf("authors = %v, want %v", comments, want)
	}
	delete(actors, "system")
	if want := map[string]int{"mcp_agent": 42, "claiming_agent": 17, "test_agent_01": 7, "test_user": 5, "mcp_validator_agent": 3, "persistence-test": 3, "PM": 1, "priority-test": 1, "user123": 1}; !maps.Equal(actors, want) {
		t.Errorf("actors = %v, want %v", actors, want)
	}
}

func TestRealFileTwice(t *testing.T) {
	t.Parallel()
	path := realFile(t)
	s := newStack(t)
	first := s.load(t, path)
	second := s.load(t, path)
	if second.Events != 0 || second.Repeated != second.Commands || second.Head != first.Head {
		t.Errorf("second run: %d new events, %d of %d repeated, head %v, want nothing new at %v",
			second.Events, second.Repeated, second.Commands, second.Head, first.Head)
	}
	if !maps.Equal(first.Mapping.Users, second.Mapping.Users) || !second.Mapping.KeptIDs {
		t.Errorf("second mapping = %+v, want %+v", second.Mapping, first.Mapping)
	}
	var text, object bytes.Buffer
	if err := second.WriteText(&text); err != nil || !strings.Contains(text.String(), "Cards in a column that their board does not have: 26") {
		t.Errorf("text = %s, %v", text.String(), err)
	}
	var back legacy.Report
	if err := second.WriteJSON(&object); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(object.Bytes(), &back); err != nil || len(back.Findings) != len(second.Findings) {
		t.Errorf("json: %d findings, want %d (%v)", len(back.Findings), len(second.Findings), err)
	}
}
