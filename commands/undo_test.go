package commands_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/projections"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// undoWorld is a board with the agent bot, some tickets, and ids for commands.
type undoWorld struct {
	world
	n int
}

func undoing(t *testing.T) *undoWorld {
	t.Helper()
	u := &undoWorld{world: setup(t)}
	u.must(t, trusted, commands.RegisterUser{Name: "bot", Kind: events.Agent})
	u.must(t, trusted, commands.RegisterUser{Name: "pam", Kind: events.Human})
	u.must(t, ada, commands.SetMember{Board: "WEB", User: "bot", Role: events.AgentRole}, commands.SetMember{Board: "WEB", User: "pam", Role: events.PM},
		commands.UpdateBoard{Board: "WEB", MaxClaims: ptr(50)},
		commands.SetColumns{Board: "WEB", Columns: []commands.ColumnSpec{{Name: "To do"}, {Name: "Doing"}, {Name: "Done"}}})
	for _, title := range []string{"A", "B", "C"} {
		u.must(t, ada, commands.CreateTicket{Board: "WEB", Title: title, Assignee: "bot", Labels: []string{"x"}, Checklist: []string{"works"}})
	}
	return u
}

var pam = commands.Meta{Actor: events.Actor{Kind: events.Human, ID: 3, Name: "pam"}}

// do carries out commands under an id of their own, and returns it.
func (u *undoWorld) do(t *testing.T, m commands.Meta, cmds ...commands.Command) string {
	t.Helper()
	u.n++
	m.CommandID = fmt.Sprintf("c-%d", u.n)
	u.must(t, m, cmds...)
	return m.CommandID
}

// board is what people see of the board now: versions and times aside, which
// only ever grow.
func (u *undoWorld) board(t *testing.T) readmodel.Snapshot {
	t.Helper()
	line := projections.NewTimeline()
	for _, e := range u.log(t) {
		if err := line.Apply(&e); err != nil {
			t.Fatal(err)
		}
	}
	s, err := line.Snapshot(1)
	if err != nil {
		t.Fatal(err)
	}
	s.Position, s.Board.Version, s.Board.UpdatedAt = 0, 0, time.Time{}
	for i := range s.Tickets {
		k := &s.Tickets[i]
		k.Version, k.UpdatedAt, k.ColumnEnteredAt = 0, time.Time{}, time.Time{}
		for j := range k.Evidence { // evidence that was given again is of who gave it
			k.Evidence[j].At, k.Evidence[j].By = time.Time{}, ""
		}
	}
	slices.SortFunc(s.Tickets, func(a, b readmodel.Ticket) int { return cmp.Compare(a.ID, b.ID) })
	return s
}

func same(t *testing.T, when string, want, got readmodel.Snapshot) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("%s: the board (-want +got):\n%s", when, diff)
	}
}

func TestUndoOfEachCommand(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		by   commands.Meta
		cmds []commands.Command
	}{
		{"create", bot, []commands.Command{commands.CreateTicket{Board: "WEB", Title: "New", DependsOn: []commands.Ref{"1"}, Checklist: []string{"a"}}}},
		{"update", bot, []commands.Command{commands.UpdateTicket{Ticket: "1", Title: ptr("T"), Description: ptr("D"), AcceptanceCriteria: ptr("A"), Priority: ptr(events.Urgent), Labels: ptr([]string{}), DueAt: ptr(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))}}},
		{"move", bot, []commands.Command{commands.MoveTicket{Ticket: "2", Column: "Done"}}},
		{"reorder", bot, []commands.Command{commands.MoveTicket{Ticket: "1", After: "3"}}},
		{"assign", pam, []commands.Command{commands.AssignTicket{Ticket: "1", Assignee: "pam"}}},
		{"archive", pam, []commands.Command{commands.ArchiveTicket{Ticket: "1"}}},
		{"delete", pam, []commands.Command{commands.DeleteTicket{Ticket: "2"}}},
		{"comment", bot, []commands.Command{commands.AddComment{Ticket: "1", Text: "x"}}},
		{"claim", bot, []commands.Command{commands.ClaimTicket{Ticket: "1"}}},
		{"complete", bot, []commands.Command{commands.CompleteTicket{Ticket: "1", Evidence: []commands.EvidenceSpec{{Kind: events.Note, Text: "x"}}}}},
		{"check", bot, []commands.Command{commands.CheckItem{Ticket: "1", Item: 1, Done: true}}},
		{"depend", pam, []commands.Command{commands.AddDependency{Ticket: "1", DependsOn: "2"}}},
		{"approve", pam, []commands.Command{commands.ApproveTicket{Ticket: "1"}}},
		{"request approval", bot, []commands.Command{commands.RequestApproval{Ticket: "1"}}},
		{"board", pam, []commands.Command{commands.UpdateBoard{Board: "WEB", Name: ptr("Other"), Visibility: ptr(events.Internal)}}},
		{"freeze", pam, []commands.Command{commands.FreezeBoard{Board: "WEB"}}},
		{"archive the board", pam, []commands.Command{commands.ArchiveBoard{Board: "WEB"}}},
		{"columns", pam, []commands.Command{commands.SetColumns{Board: "WEB", Columns: []commands.ColumnSpec{{Name: "Next"}, {Name: "To do", WIPLimit: ptr(9), Policy: &commands.PolicySpec{RequireEvidence: true}}, {Name: "Done"}}}}},
		{"a list", pam, []commands.Command{
			commands.CreateTicket{Board: "WEB", Title: "New", As: "n"},
			commands.AddDependency{Ticket: "1", DependsOn: "$n"},
			commands.MoveTicket{Ticket: "$n", Column: "Done"},
			commands.DeleteTicket{Ticket: "3"},
			commands.CreateTicket{Board: "WEB", Title: "Newer", As: "m"},
			commands.AddDependency{Ticket: "$n", DependsOn: "$m"},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			u := undoing(t)
			u.do(t, pam, commands.AddComment{Ticket: "2", Text: "keep this"})
			before := u.board(t)
			id := u.do(t, row.by, row.cmds...)
			after := u.board(t)
			undo := u.do(t, ada, commands.UndoCommand{CommandID: id})
			same(t, "undone", before, u.board(t))
			if _, err := u.seq.Do(t.Context(), ada, commands.UndoCommand{CommandID: id}); events.CodeOf(err) != events.CodeConflict {
				t.Errorf("undone twice: got %v, want a conflict", err)
			}
			if row.name == "comment" || row.name == "claim" || strings.HasSuffix(row.name, "approval") || row.name == "approve" || row.name == "create" || row.name == "a list" {
				return // what is not given back, and what has another author afterwards
			}
			u.do(t, ada, commands.UndoCommand{CommandID: undo})
			if row.name == "complete" {
				after.Tickets[0].Lease = nil
			}
			same(t, "redone", after, u.board(t))
			u.do(t, ada, commands.UndoCommand{CommandID: id})
			same(t, "undone again", before, u.board(t))
		})
	}
}

// TestUndoOfASpree: an agent spoils forty tickets, and one command makes it good.
func TestUndoOfASpree(t *testing.T) {
	t.Parallel()
	u := undoing(t)
	for range 37 {
		u.do(t, ada, commands.CreateTicket{Board: "WEB", Title: "Fine", Assignee: "bot"})
	}
	before := u.board(t)
	since := int64(len(u.log(t)))
	for id := int64(1); id <= 40; id++ {
		ref := commands.RefID(id)
		u.do(t, bot, commands.UpdateTicket{Ticket: ref, Title: ptr("Spoiled"), Labels: ptr([]string{"spam"})})
		switch id % 4 {
		case 0:
			u.do(t, bot, commands.ClaimTicket{Ticket: ref})
			u.do(t, bot, commands.CompleteTicket{Ticket: ref, Evidence: []commands.EvidenceSpec{{Kind: events.Note, Text: "trust me"}}})
		case 1:
			u.do(t, bot, commands.MoveTicket{Ticket: ref, Column: "Done"})
		case 2:
			u.do(t, bot, commands.AddComment{Ticket: ref, Text: "spam"})
			u.do(t, bot, commands.ClaimTicket{Ticket: ref})
		case 3:
			u.do(t, bot, commands.CreateTicket{Board: "WEB", Title: "Spam", DependsOn: []commands.Ref{ref}})
		}
	}
	made := len(u.log(t)) - int(since)
	r := u.must(t, pam, commands.UndoActor{Board: "WEB", Actor: "bot", Since: since})
	same(t, "undone", before, u.board(t))
	log := u.log(t)
	if last := log[len(log)-1]; last.Type != events.TypeCommandsUndone || last.Actor.Name != "pam" || len(r.Events) != len(log)-int(since)-made {
		t.Errorf("the log ends with %s by %s, want both the spree and what undid it", last.Type, last.Actor.Name)
	}
	if len(u.comments(t)) != 0 {
		t.Errorf("comments left: %v", u.comments(t))
	}
	if _, err := u.seq.Do(t.Context(), pam, commands.UndoActor{Board: "WEB", Actor: "bot", Since: since}); events.CodeOf(err) != events.CodeConflict {
		t.Errorf("undone twice: got %v, want a conflict", err)
	}
}

func (u *undoWorld) comments(t *testing.T) []readmodel.Comment {
	t.Helper()
	line := projections.NewTimeline()
	for _, e := range u.log(t) {
		if err := line.Apply(&e); err != nil {
			t.Fatal(err)
		}
	}
	var all []readmodel.Comment
	for id := int64(1); id < 100; id++ {
		all = append(all, line.Comments(id)...)
	}
	return all
}

func TestUndoIsRefused(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		by     commands.Meta // of what is undone
		cmds   []commands.Command
		then   func(t *testing.T, u *undoWorld)
		undoer commands.Meta
		code   events.Code
		says   string
	}{
		{"where another built on it", bot, []commands.Command{commands.UpdateTicket{Ticket: "1", Title: ptr("T")}}, func(t *testing.T, u *undoWorld) {
			u.do(t, pam, commands.UpdateTicket{Ticket: "1", Title: ptr("Better")})
		}, ada, events.CodeBuiltOn, "pam"},
		{"where the author built on it", bot, []commands.Command{commands.UpdateTicket{Ticket: "1", Title: ptr("T")}}, func(t *testing.T, u *undoWorld) {
			u.do(t, bot, commands.MoveTicket{Ticket: "1", Column: "Done"})
		}, ada, events.CodeBuiltOn, "ticket_moved"},
		{"where a comment would go", bot, []commands.Command{commands.CreateTicket{Board: "WEB", Title: "New"}}, func(t *testing.T, u *undoWorld) {
			u.do(t, pam, commands.AddComment{Ticket: "WEB-4", Text: "good idea"})
		}, ada, events.CodeBuiltOn, "pam"},
		{"where another ticket waits for it", bot, []commands.Command{commands.CreateTicket{Board: "WEB", Title: "New"}}, func(t *testing.T, u *undoWorld) {
			u.do(t, pam, commands.AddDependency{Ticket: "1", DependsOn: "WEB-4"})
		}, ada, events.CodeBuiltOn, "WEB-1"},
		{"where the column is gone", pam, []commands.Command{
			commands.AddColumn{Board: "WEB", Column: commands.ColumnSpec{Name: "Extra"}},
			commands.MoveTicket{Ticket: "1", Column: "Extra"},
			commands.MoveTicket{Ticket: "2", Column: "Extra"},
		}, func(t *testing.T, u *undoWorld) {
			u.do(t, ada, commands.CreateTicket{Board: "WEB", Title: "In the way", Column: "Extra"})
		}, ada, events.CodeColumnNotEmpty, "Extra"},
		{"for a deleted comment", pam, []commands.Command{commands.AddComment{Ticket: "1", Text: "x"}}, func(t *testing.T, u *undoWorld) {
			u.do(t, pam, commands.DeleteComment{Ticket: "1", CommentID: 1})
		}, ada, "", ""},
		{"to another agent", pam, []commands.Command{commands.UpdateTicket{Ticket: "1", Title: ptr("T")}}, nil, bot, events.CodeForbidden, "pm"},
		{"for accounts", trusted, []commands.Command{commands.RegisterUser{Name: "zoe", Kind: events.Agent}}, nil, ada, events.CodeInvalid, "accounts"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			u := undoing(t)
			id := u.do(t, row.by, row.cmds...)
			if row.then != nil {
				row.then(t, u)
			}
			head := len(u.log(t))
			_, err := u.seq.Do(t.Context(), row.undoer, commands.UndoCommand{CommandID: id})
			if events.CodeOf(err) != row.code || row.says != "" && !strings.Contains(err.Error(), row.says) {
				t.Errorf("got %v, want %s that says %q", err, row.code, row.says)
			}
			if now := len(u.log(t)); row.code != "" && now != head {
				t.Errorf("a refused undo left %d events", now-head)
			}
		})
	}
}

func TestWhoMayUndo(t *testing.T) {
	t.Parallel()
	u := undoing(t)
	id := u.do(t, bot, commands.UpdateTicket{Ticket: "1", Title: ptr("T")})
	u.do(t, bot, commands.UndoCommand{CommandID: id}) // its own
	u.must(t, trusted, commands.RegisterUser{Name: "olga", Kind: events.Human})
	olga := commands.Meta{Actor: events.Actor{Kind: events.Human, ID: 4, Name: "olga"}}
	second := u.do(t, bot, commands.UpdateTicket{Ticket: "1", Title: ptr("T2")})
	for _, cmd := range []commands.Command{
		commands.UndoCommand{CommandID: second}, commands.UndoCommand{CommandID: "nothing"}, commands.UndoActor{Board: "WEB", Actor: "bot"},
	} {
		if _, err := u.seq.Do(t.Context(), olga, cmd); events.CodeOf(err) != events.CodeNotFound {
			t.Errorf("%#v by a stranger: got %v, want not_found", cmd, err)
		}
	}
	if _, err := u.seq.Do(t.Context(), bot, commands.UndoActor{Board: "WEB", Actor: "ada"}); events.CodeOf(err) != events.CodeForbidden {
		t.Errorf("an agent undoes what another did: got %v, want forbidden", err)
	}
	u.do(t, pam, commands.FreezeBoard{Board: "WEB"})
	if _, err := u.seq.Do(t.Context(), bot, commands.UndoCommand{CommandID: second}); events.CodeOf(err) != events.CodeFrozen {
		t.Errorf("an agent on a frozen board: got %v, want frozen", err)
	}
	u.do(t, pam, commands.UndoActor{Board: "WEB", Actor: "bot"}) // people clear up while agents stand still
}
