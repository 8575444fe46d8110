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
		default: // only users count here
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
