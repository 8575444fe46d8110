package legacy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
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

func TestBoardsWithBadColumns(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	board := func(id int, columns string) string {
		return fmt.Sprintf("INSERT INTO boards VALUES (%d, '', '%s', '2025-08-10 00:00:0%d', '2025-08-10', 'd')", id, columns, id)
	}
	report := s.load(t, oldFile(t,
		board(1, "nonsense"), board(2, "[]"), board(3, `["A","a",""," B ","7"]`), board(4, `[{"name":"To Do"},{"name":"Done"}]`),
		strings.Replace(board(5, `["X"]`), "2025-08-10 00", "never 00", 1)))
	want := []string{
		"Board 5: [X active]", // no time: it starts with the file
		"Board 1: [Not Started backlog, In Progress active, Blocked blocked, Ready for QC review, Done done]",
		"Board 2: [Not Started backlog, In Progress active, Blocked blocked, Ready for QC review, Done done]",
		"Board 3: [A backlog, B active, Column 7 active]",
		"Board 4: [To Do backlog, Done done]",
	}
	var got []string
	for _, e := range s.log(t) {
		if f, ok := e.fact.(events.BoardCreated); ok {
			var columns []string
			for _, c := range f.Columns {
				columns = append(columns, c.Name+" "+string(c.Kind))
			}
			got = append(got, f.Name+": ["+strings.Join(columns, ", ")+"]")
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("boards:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if n := report.Count(legacy.BadColumns); n != 3 {
		t.Errorf("bad columns = %d, want 3: %v", n, report.Findings)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	report := s.load(t, oldFile(t, board1,
		`INSERT INTO users VALUES (1, 'root', 'a@example.invalid', '!', 1, 1, '2025-08-01 00:00:00', '2025-08-01 00:00:00', 'ADMIN', NULL)`,
		`INSERT INTO users VALUES (2, 'gone_agent', 'b@example.invalid', '!', 0, 0, '2025-08-11 00:00:00', '2025-08-12 00:00:00', 'MEMBER', NULL)`,
		ticket(1, 1, "A", "low", "gone_agent", "Done", 1),
		history(1, 1, 1, "status", "NULL", "created", "mcp_agent"),
	))
	var got []string
	for _, e := range s.log(t) {
		switch f := e.fact.(type) {
		case events.UserRegistered:
			got = append(got, fmt.Sprintf("%s %s %s admin=%t", e.RecordedAt.Format(time.DateOnly), f.Name, f.Kind, f.Admin))
		case events.UserDeactivated:
			got = append(got, fmt.Sprintf("%s %s inactive", e.RecordedAt.Format(time.DateOnly), e.Stream))
		}
	}
	want := []string{
		"2025-08-01 root human admin=false", "2025-08-10 gone_agent human admin=false",
		"2025-08-10 mcp_agent agent admin=false", "2025-08-12 user-2 inactive",
	}
	if !slices.Equal(got, want) {
		t.Errorf("users = %q, want %q", got, want)
	}
	if fmt.Sprint(report.Privileges) != "[{root ADMIN and superuser} {gone_agent MEMBER}]" {
		t.Errorf("privileges = %v", report.Privileges)
	}
}

// In a log that has boards already, everything gets new ids, names that are
// taken stay with those who have them, and the report tells.
func TestIntoAUsedLog(t *testing.T) {
	t.Parallel()
	s := newStack(t)
	do := func(cmd commands.Command) {
		if _, err := s.Do(t.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true}, cmd); err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
	}
	do(commands.RegisterUser{Name: "Ann", Kind: events.Human, Admin: true})
	do(commands.CreateBoard{Name: "Mine"})
	do(commands.CreateTicket{Board: "1", Title: "mine"})
	path := oldFile(t, board1, ticket(1, 1, "A", "low", "bob", "Done", 1), history(1, 1, 1, "status", "NULL", "created", "ann"),
		`INSERT INTO comments VALUES (9, 1, 'hello', 'bob', '2025-08-10 00:04:45')`)
	for range 2 {
		report := s.load(t, path)
		if m := report.Mapping; m.KeptIDs || m.Boards[1] != 2 || m.Tickets[1] != 2 || m.Comments[9] != 1 || m.Users["bob"] != 2 {
			t.Errorf("mapping = %+v, want new ids", m)
		}
		if report.Count(legacy.BadName) != 1 || report.Count(legacy.NewID) != 0 {
			t.Errorf("findings = %v, want the name that was taken", report.Findings)
		}
	}
	for _, e := range s.log(t) {
		if e.TicketID == 2 && e.Type == events.TypeTicketCreated && (e.Actor.Name != "ann" || e.Actor.ID != 0) {
			t.Errorf("creator = %+v, want ann without the account of the same name", e.Actor)
		}
	}
}

// flaky carries out a number of commands and then fails.
type flaky struct {
	*stack
	left int
}

var errFlaky = errors.New("out of luck")

func (f *flaky) Do(ctx context.Context, meta commands.Meta, cmds ...commands.Command) (commands.Receipt, error) {
	if f.left--; f.left < 0 {
		return commands.Receipt{}, errFlaky
	}
	return f.stack.Do(ctx, meta, cmds...)
}

// Interrupted anywhere and run again, the import leads to the same boards.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	path := oldFile(t, board1, ticket(1, 1, "A", "2.0", "bob", "73", 1), ticket(5, 2, "B", "low", "NULL", "Parking", 1),
		history(1, 1, 1, "status", "NULL", "created", "ann"), history(2, 1, 3, "title", "a", "A", "ann"),
		`INSERT INTO comments VALUES (9, 1, 'hello', 'bob', '2025-08-10 00:04:45')`)
	whole := newStack(t)
	total := whole.load(t, path).Commands
	want := lines(whole.log(t))
	for n := range total {
		s := newStack(t)
		report, err := legacy.Import(t.Context(), path, &flaky{stack: s, left: n}, s.db, legacy.Options{})
		if !errors.Is(err, errFlaky) || report.Commands != n {
			t.Fatalf("interrupted after %d: %v, %+v", n, err, report)
		}
		report = s.load(t, path)
		if report.Repeated != n || report.Commands != total || !report.Mapping.KeptIDs {
			t.Errorf("resumed after %d: %d of %d repeated, kept ids %t", n, report.Repeated, report.Commands, report.Mapping.KeptIDs)
		}
		if got := lines(s.log(t)); !slices.Equal(got, want) {
			t.Errorf("resumed after %d:\n%s\nwant:\n%s", n, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// What is issued is trusted, timed, named and repeatable.
func TestMeta(t *testing.T) {
	t.Parallel()
	path := oldFile(t, board1, ticket(1, 1, "A", "low", "bob", "Done", 1), history(1, 1, 1, "status", "NULL", "created", "ann"))
	var runs [2][]string
	for i := range runs {
		s := newStack(t)
		r := &recording{stack: s}
		var done, total int
		report, err := legacy.Import(t.Context(), path, r, s.db, legacy.Options{Progress: func(d, n int) { done, total = d, n }})
		if err != nil || done != total || total != report.Commands {
			t.Fatalf("import: %v, progress %d of %d", err, done, total)
		}
		for _, meta := range r.metas {
			if !meta.Trusted || meta.CommandID == "" || meta.RequestSHA == (events.Hash{}) || meta.CorrelationID != "import:"+report.SHA256 {
				t.Errorf("meta = %+v", meta)
			}
			if slices.Contains(runs[i], meta.CommandID) {
				t.Errorf("command id %s twice", meta.CommandID)
			}
			runs[i] = append(runs[i], meta.CommandID)
		}
	}
	if !slices.Equal(runs[0], runs[1]) {
		t.Errorf("command ids differ between runs: %v, %v", runs[0], runs[1])
	}
}

type recording struct {
	*stack
	metas []commands.Meta
}

func (r *recording) Do(ctx context.Context, meta commands.Meta, cmds ...commands.Command) (commands.Receipt, error) {
	r.metas = append(r.metas, meta)
	return r.stack.Do(ctx, meta, cmds...)
}

func TestRefusesOtherFiles(t *testing.T) {
	t.Parallel()
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	whole, err := os.ReadFile(oldFile(t, board1))
	if err != nil {
		t.Fatal(err)
	}
	withWAL := oldFile(t, board1)
	if err := os.WriteFile(withWAL+"-wal", []byte("changes"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path, says string
		foreign    bool
	}{
		"absent":           {filepath.Join(t.TempDir(), "none.db"), "no such file", false},
		"a folder":         {t.TempDir(), "not a SQLite file", true},
		"empty":            {write("a.db", ""), "not a SQLite file", true},
		"text":             {write("a.db", "this is not a database at all"), "not a SQLite file", true},
		"cut off":          {write("a.db", string(whole[:len(whole)/2])), "damaged file", false},
		"without history":  {oldFile(t, board1, "DROP TABLE ticket_history"), `no table "ticket_history"`, true},
		"without a column": {oldFile(t, "ALTER TABLE tickets DROP COLUMN current_column"), `no column "current_column"`, true},
		"our own":          {newStack(t).db.Path(), "", false},
		"changes in a WAL": {withWAL, "wal_checkpoint", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStack(t)
			_, err := legacy.Import(t.Context(), c.path, s, s.db, legacy.Options{})
			if err == nil || !strings.Contains(err.Error(), c.says) || c.foreign != errors.Is(err, legacy.ErrNotLegacy) && c.says != "" {
				t.Errorf("error = %v, want %q", err, c.says)
			}
			if _, err := legacy.Inspect(t.Context(), c.path); err == nil {
				t.Error("inspect accepted it")
			}
			if n := len(s.log(t)); n != 0 {
				t.Errorf("%d events were written", n)
			}
		})
	}
}

func TestInspectWritesNothing(t *testing.T) {
	t.Parallel()
	path := oldFile(t, board1, ticket(1, 1, "A", "low", "NULL", "in_progress", 1))
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	report, err := legacy.Inspect(t.Context(), path)
	if err != nil || !report.DryRun || report.Count(legacy.CardColumn) != 1 || report.Commands != 3 {
		t.Errorf("inspect = %+v, %v", report, err)
	}
	var text strings.Builder
	if err := report.WriteText(&text); err != nil || !strings.HasPrefix(text.String(), "Would import") {
		t.Errorf("text = %s, %v", text.String(), err)
	}
	files, _ := os.ReadDir(filepath.Dir(path))
	after, err := os.ReadFile(path)
	if err != nil || string(before) != string(after) || len(files) != 1 {
		t.Errorf("the file or its folder changed: %v", files)
	}
}
