package legacy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/ops/legacy"
)

const (
	five   = `'["Not Started", "In Progress", "Blocked", "Ready for QC", "Done"]'`
	board1 = `INSERT INTO boards VALUES (1, 'Web', ` + five + `, '2025-08-10 00:00:00.000000', '2025-08-10 00:00:00.000000', NULL)`
)

// ticket is a row of the old table, created at minute.
func ticket(id int64, minute int, title, priority, assignee, column string, board int64) string {
	at := fmt.Sprintf("'2025-08-10T00:%02d:00.5'", minute)
	return fmt.Sprintf("INSERT INTO tickets VALUES (%d, %s, NULL, NULL, %s, %s, %s, %d, %s, %s, %s)",
		id, quote(title), quote(priority), quote(assignee), quote(column), board, at, at, at)
}

// history is a row of the old table.
func history(id, ticket int64, minute int, field, before, after, by string) string {
	return fmt.Sprintf("INSERT INTO ticket_history VALUES (%d, %d, %s, %s, %s, %s, '2025-08-10 00:%02d:30.25')",
		id, ticket, quote(field), quote(before), quote(after), quote(by), minute)
}

// quote gives NULL for the empty text where the old system did the same.
func quote(s string) string {
	if s == "NULL" {
		return "NULL"
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

// lines renders the log after the people and boards, one event per line.
func lines(log []told) []string {
	var out []string
	for _, e := range log {
		var text string
		switch f := e.fact.(type) {
		case events.ColumnAdded:
			text = fmt.Sprintf("column %s %s", f.Column.Name, f.Column.Kind)
		case events.TicketCreated:
			text = fmt.Sprintf("create %q in %s %s %v %q", f.Title, f.Column, f.Priority, f.Labels, f.Assignee)
		case events.TicketMoved:
			text = "move to " + f.Column
		case events.TicketAssigned:
			text = fmt.Sprintf("assign %q was %q", f.Assignee, f.Was)
		case events.TicketUpdated:
			text = "update"
			if f.Title != nil {
				text += " title " + *f.Title
			}
			if f.Description != nil {
				text += fmt.Sprintf(" description %d", len(*f.Description))
			}
			if f.AcceptanceCriteria != nil {
				text += " criteria " + *f.AcceptanceCriteria
			}
			if f.Priority != nil {
				text += " priority " + string(*f.Priority)
			}
			if f.Labels != nil {
				text += fmt.Sprint(" labels ", *f.Labels)
			}
		case events.CommentAdded:
			text = "comment " + f.Text[:min(len(f.Text), 40)]
		default:
			continue
		}
		out = append(out, fmt.Sprintf("%s #%d %s: %s", e.RecordedAt.Format("04:05.00"), e.TicketID, e.Actor.Name, text))
	}
	return out
}

func TestHistory(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows  []string
		want  []string
		found map[legacy.Trouble]int
	}{
		"as it should be": {
			rows: []string{
				ticket(7, 1, "Login", "high", "bob", "Done", 1),
				history(1, 7, 1, "status", "NULL", "created", "mcp_agent"),
				history(2, 7, 2, "title", "Logn", "Login", "system"),
				history(3, 7, 3, "assignee", "NULL", "bob", "bob"),
				history(4, 7, 4, "column", "Not Started", "In Progress", "bob"),
				history(5, 7, 5, "current_column", "In Progress", "Done", "system"),
				`INSERT INTO comments VALUES (9, 7, 'hello', 'ann', '2025-08-10 00:04:45')`,
			},
			want: []string{
				`01:00.50 #7 mcp_agent: create "Logn" in Not Started high [] ""`,
				`02:30.25 #7 system: update title Login`,
				`03:30.25 #7 bob: assign "bob" was ""`,
				`04:30.25 #7 bob: move to In Progress`,
				`04:45.00 #7 ann: comment hello`,
				`05:30.25 #7 system: move to Done`,
			},
			found: map[legacy.Trouble]int{},
		},
		"all tickets in the order of time": {
			rows: []string{
				ticket(1, 1, "A", "low", "NULL", "Done", 1), ticket(2, 3, "B", "low", "NULL", "Not Started", 1),
				history(1, 1, 1, "status", "NULL", "created", "system"), history(2, 2, 3, "status", "NULL", "created", "system"),
				history(3, 1, 2, "column", "Not Started", "Blocked", "system"), history(4, 1, 4, "column", "Blocked", "Done", "system"),
			},
			want: []string{
				`01:00.50 #1 system: create "A" in Not Started low [] ""`,
				`02:30.25 #1 system: move to Blocked`,
				`03:00.50 #2 system: create "B" in Not Started low [] ""`,
				`04:30.25 #1 system: move to Done`,
			},
			found: map[legacy.Trouble]int{},
		},
		"numbers for priorities stay as labels": {
			rows: []string{
				ticket(1, 1, "A", "1.0.0.1", "NULL", "Not Started", 1),
				history(1, 1, 1, "status", "NULL", "created", "system"),
				history(2, 1, 2, "priority", "2.5.1", "0.5", "system"),
				history(3, 1, 3, "priority", "0.5", "Critical", "system"),
				history(4, 1, 4, "priority", "Critical", "1.0.0.1", "system"),
			},
			want: []string{
				`01:00.50 #1 system: create "A" in Not Started medium [priority:2.5.1] ""`,
				`02:30.25 #1 system: update priority urgent labels [priority:0.5]`,
				`03:30.25 #1 system: update labels []`,
				`04:30.25 #1 system: update priority high labels [priority:1.0.0.1]`,
			},
			found: map[legacy.Trouble]int{},
		},
		"a gap is closed by the system": {
			rows: []string{
				ticket(1, 1, "D", "low", "NULL", "Not Started", 1),
				history(1, 1, 1, "status", "NULL", "created", "ann"),
				history(2, 1, 2, "title", "A", "B", "ann"), history(3, 1, 3, "title", "C", "D", "ann"),
			},
			want: []string{
				`01:00.50 #1 ann: create "A" in Not Started low [] ""`,
				`02:30.25 #1 ann: update title B`,
				`03:30.25 #1 system: update title C`,
				`03:30.25 #1 ann: update title D`,
			},
			found: map[legacy.Trouble]int{legacy.HistoryGap: 1},
		},
		"the row is right where history ends elsewhere": {
			rows: []string{
				ticket(1, 9, "Z", "low", "bob", "Done", 1),
				history(1, 1, 9, "status", "NULL", "created", "ann"),
				history(2, 1, 10, "column", "Not Started", "Blocked", "ann"), history(3, 1, 11, "assignee", "NULL", "ann", "ann"),
			},
			want: []string{
				`09:00.50 #1 ann: create "Z" in Not Started low [] ""`,
				`10:30.25 #1 ann: move to Blocked`,
				`11:30.25 #1 ann: assign "ann" was ""`,
				`11:30.25 #1 system: assign "bob" was "ann"`,
				`11:30.25 #1 system: move to Done`,
			},
			found: map[legacy.Trouble]int{legacy.StateDiffers: 2},
		},
		"lost cards": {
			rows: []string{
				ticket(1, 1, "A", "low", "NULL", "in_progress", 1), // another spelling
				ticket(2, 2, "B", "low", "NULL", "73", 1),          // dropped on a card
				ticket(3, 3, "C", "low", "NULL", "todo", 1),        // another word
				ticket(4, 4, "D", "low", "NULL", "Parking", 1),     // a column of its own
				history(1, 2, 5, "column", "Blocked", "73", "ann"),
				history(2, 4, 6, "column", "Parking lot", "Parking", "ann"),
			},
			want: []string{
				`01:00.50 #1 system: create "A" in In Progress low [] ""`,
				`02:00.50 #2 system: create "B" in Blocked low [] ""`,
				`03:00.50 #3 system: create "C" in Not Started low [] ""`,
				`04:00.50 #0 system: column Parking lot active`,
				`04:00.50 #4 system: create "D" in Parking lot low [] ""`,
				`06:30.25 #0 system: column Parking active`,
				`06:30.25 #4 ann: move to Parking`,
			},
			found: map[legacy.Trouble]int{legacy.CardColumn: 3, legacy.HistoryColumn: 3, legacy.NoChange: 1, legacy.NoCreation: 4},
		},
		"times that cannot be": {
			rows: []string{
				ticket(1, 5, "A", "low", "NULL", "Done", 1),
				history(1, 1, 9, "status", "NULL", "created", "ann"),
				history(2, 1, 1, "column", "Not Started", "Blocked", "ann"),
				strings.Replace(history(3, 1, 6, "column", "Blocked", "Done", "ann"), "2025-08-10", "someday", 1),
				`INSERT INTO comments VALUES (9, 1, 'hello', 'ann', '2025-08-09 00:00:00')`,
			},
			want: []string{
				`05:00.50 #1 ann: create "A" in Not Started low [] ""`,
				`05:00.50 #1 ann: move to Blocked`,
				`05:00.50 #1 ann: move to Done`,
				`05:00.50 #1 ann: comment hello`,
			},
			found: map[legacy.Trouble]int{legacy.BadTime: 3},
		},
		"what changes nothing is no event": {
			rows: []string{
				ticket(1, 1, "A", "low", "NULL", "In Progress", 1),
				history(1, 1, 1, "status", "NULL", "created", "ann"), history(2, 1, 2, "status", "NULL", "created", "bob"),
				history(3, 1, 3, "column", "In Progress", "in_progress", "ann"), history(4, 1, 4, "colour", "red", "blue", "ann"),
				history(5, 1, 5, "description", "NULL", "", "ann"),
			},
			want:  []string{`01:00.50 #1 ann: create "A" in In Progress low [] ""`},
			found: map[legacy.Trouble]int{legacy.NoChange: 2, legacy.HistoryColumn: 1, legacy.UnknownField: 2},
		},
		"texts too long are kept": {
			rows: []string{
				ticket(1, 1, strings.Repeat("t", 300), "low", "NULL", "Done", 1),
				`UPDATE tickets SET description = '` + strings.Repeat("ä", 40_000) + `'`,
				history(1, 1, 1, "status", "NULL", "created", "ann"),
			},
			want: []string{
				`01:00.50 #1 ann: create "` + strings.Repeat("t", 200) + `" in Done low [] ""`,
				`01:00.50 #1 system: comment The title was too long; the import kept `,
				`01:00.50 #1 system: comment The description was too long; the import`,
			},
			found: map[legacy.Trouble]int{legacy.BadText: 2},
		},
		"names": {
			rows: []string{
				ticket(1, 1, "", "low", "42", "Done", 1), ticket(2, 2, "B", "low", "BOB", "Done", 1), ticket(3, 3, "C", "low", "system", "Done", 1),
				history(1, 1, 1, "status", "NULL", "created", "Bob"), history(2, 2, 2, "status", "NULL", "created", "bob"),
				history(3, 3, 3, "status", "NULL", "created", "System"),
			},
			want: []string{
				`01:00.50 #1 Bob: create "(no title)" in Done low [] "user 42"`,
				`02:00.50 #2 Bob: create "B" in Done low [] "Bob"`,
				`03:00.50 #3 system: create "C" in Done low [] ""`,
			},
			found: map[legacy.Trouble]int{legacy.BadName: 4, legacy.BadText: 1},
		},
		"rows without their parents": {
			rows: []string{
				ticket(1, 1, "A", "low", "NULL", "Done", 8),
				history(1, 1, 1, "status", "NULL", "created", "ann"),
				history(2, 55, 1, "title", "a", "b", "ann"),
				`INSERT INTO comments VALUES (9, 66, 'hello', 'ann', '2025-08-10 00:04:45')`,
			},
			want:  []string{`01:00.50 #1 ann: create "A" in Done low [] ""`},
			found: map[legacy.Trouble]int{legacy.Orphan: 3},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			path := oldFile(t, append([]string{board1}, c.rows...)...)
			report := s.load(t, path)
			if got := lines(s.log(t)); !slices.Equal(got, c.want) {
				t.Errorf("log:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			found := map[legacy.Trouble]int{}
			for _, f := range report.Findings {
				found[f.Trouble]++
			}
			if fmt.Sprint(found) != fmt.Sprint(c.found) {
				t.Errorf("findings = %v, want %v\n%v", found, c.found, report.Findings)
			}
			if again := s.load(t, path); again.Events != 0 {
				t.Errorf("a second run made %d events", again.Events)
			}
		})
	}
}
