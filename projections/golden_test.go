package projections

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// given is a fact and what it is about; data is taken away where redacted.
type given struct {
	board, ticket int64
	fact          events.Event
	redacted      bool
}

// TestGivenEventsThenRows shows for each view which rows events lead to.
func TestGivenEventsThenRows(t *testing.T) {
	t.Parallel()
	five, text, high, labels := 5, "New words", events.High, []string{"bug", "a,b"}
	due := time.Date(2026, 4, 1, 12, 30, 0, 123456789, time.FixedZone("", 7200))
	internal, yes := events.Internal, true
	board, first, second := given{board: 1, fact: defaultBoard()}, given{1, 1, ticketCreated(1), false}, given{1, 2, ticketCreated(2), false}
	move := events.TicketMoved{FromColumnID: 1, FromColumn: "Not Started", ColumnID: 3, Column: "Done", Rank: "b", OverLimit: true}
	for name, events := range map[string][]given{
		"boards": {
			board,
			{2, 0, defaultBoard(), false},
			{3, 0, defaultBoard(), true},
			{4, 0, defaultBoard(), false},
			{1, 0, events.BoardUpdated{Name: &text, Visibility: &internal, MaxClaims: &five}, false},
			{1, 0, events.ColumnAdded{Column: events.Column{ID: 4, Name: "Review", Kind: events.Review}, Index: 2}, false},
			{1, 0, events.ColumnMoved{ColumnID: 1, Index: 3}, false},
			{1, 0, events.ColumnUpdated{Column: events.Column{ID: 3, Name: "Shipped", Kind: events.Done, WIPLimit: &five}, Was: "Done"}, false},
			{1, 0, events.ColumnRemoved{ColumnID: 2, Name: "In Progress"}, false},
			{1, 0, events.MemberAdded{UserID: 1, Name: "ann", Role: events.PM}, false},
			{1, 0, events.MemberAdded{UserID: 2, Name: "bot", Role: events.ViewerRole}, false},
			{1, 0, events.MemberUpdated{UserID: 2, Name: "bot", Role: events.AgentRole, Was: events.ViewerRole}, false},
			{1, 0, events.MemberRemoved{UserID: 1, Name: "ann"}, false},
			{2, 0, events.BoardArchived{}, false},
			{4, 0, events.BoardArchived{}, true},
			{2, 0, events.BoardUpdated{Name: &text}, true}, // cannot be told, so the version stays
			{4, 0, events.BoardDeleted{}, false},
		},
		"tickets": {
			board, first, second,
			{1, 3, ticketCreated(3), true},
			{1, 4, ticketCreated(4), false},
			{1, 5, ticketCreated(5), false},
			{1, 1, events.TicketUpdated{Title: &text, Priority: &high, Labels: &labels, DueAt: &due}, false},
			{1, 1, move, false},
			{1, 1, events.TicketAssigned{Assignee: "bot"}, false},
			{1, 2, events.TicketArchived{}, false},
			{1, 4, events.TicketDeleted{}, false},
			{1, 7, ticketCreated(7), false},
			{1, 7, events.TicketClaimed{LeaseSeconds: 60, ExpiresAt: due}, false},
			{1, 7, events.ChecklistChanged{Items: []events.ChecklistItem{{ID: 1, Text: "<it> works", Done: true}}}, false},
			{1, 7, events.EvidenceAdded{EvidenceID: 1, Kind: events.Note, Text: "it's \"fine\" <b>"}, false},
			{1, 7, events.EvidenceAdded{EvidenceID: 2, Kind: events.Commit, Text: "abc"}, false},
			{1, 7, events.EvidenceRemoved{EvidenceID: 1, Kind: events.Note}, false},
			{1, 7, events.DependencyAdded{DependsOn: 2, Key: "WEB-2"}, false},
			{1, 7, events.ApprovalRequested{Version: 9, Note: "ready"}, false},
			{1, 8, ticketCreated(8), false},
			{1, 8, events.TicketClaimed{LeaseSeconds: 60, ExpiresAt: due}, false},
			{1, 8, events.TicketReleased{Reason: events.Released}, true},
			{1, 4, events.TicketRecovered{
				TicketCreated: ticketCreated(4), Archived: true, CreatedAt: due, CreatedBy: "bot", ColumnEnteredAt: due,
				DependsOn: []events.Dependency{{ID: 1, Key: "WEB-1"}, {ID: 2, Key: "WEB-2"}},
			}, false},
			{1, 5, events.TicketArchived{}, true},
			{1, 5, events.TicketRestored{ColumnID: 2, Column: "In Progress", Rank: "c"}, false},
			{1, 0, events.ColumnUpdated{Column: events.Column{ID: 3, Name: "Shipped", Kind: events.Done}, Was: "Done"}, false},
			{2, 0, defaultBoard(), false},
			{2, 6, ticketCreated(6), false},
			{2, 0, events.BoardDeleted{}, false},
		},
		"comments": {
			board, first, second,
			{1, 1, events.CommentAdded{CommentID: 1, Text: "First"}, false},
			{1, 1, events.CommentAdded{CommentID: 2, Text: "Secret"}, true},
			{1, 1, events.CommentAdded{CommentID: 3, Text: "Gone"}, false},
			{1, 1, events.CommentUpdated{CommentID: 1, Text: "First, better"}, false},
			{1, 1, events.CommentDeleted{CommentID: 3}, false},
			{1, 2, events.CommentAdded{CommentID: 4, Text: "With its ticket"}, false},
			{1, 2, events.TicketDeleted{}, false},
		},
		"history": {
			board,
			{1, 1, events.TicketCreated{Title: "Over", Priority: events.Low, ColumnID: 2, Column: "In Progress", OverLimit: true}, false},
			second,
			{1, 1, events.TicketUpdated{
				Title: &text, Description: &text, AcceptanceCriteria: &text, Priority: &high, Labels: &labels, DueAt: &due,
			}, false},
			{1, 1, events.TicketUpdated{Labels: &[]string{}, ClearDue: true}, false},
			{1, 1, move, false},
			{1, 1, events.TicketMoved{FromColumnID: 3, FromColumn: "Done", ColumnID: 3, Column: "Done", Rank: "c"}, false},
			{1, 2, events.TicketAssigned{Assignee: "bot"}, false},
			{1, 2, events.TicketAssigned{Was: "bot"}, false},
			{1, 2, events.TicketArchived{}, false},
			{1, 2, events.TicketRestored{ColumnID: 1, Column: "Not Started", OverLimit: true}, false},
			{1, 2, move, true},
			{1, 2, events.TicketUpdated{Title: &text}, true},
			{1, 2, events.TicketAssigned{Assignee: "x"}, true},
			{1, 2, events.CommentAdded{CommentID: 1, Text: "no line"}, false},
			{1, 2, events.TicketClaimed{}, false},
			{1, 2, events.TicketReleased{Holder: "ann", HolderID: 1, Reason: events.Completed}, false},
			{1, 2, events.LeaseExpired{Holder: "bot"}, false},
			{1, 2, events.ChecklistChanged{Items: []events.ChecklistItem{{ID: 1, Text: "a"}, {ID: 2, Text: "b", Done: true}}}, false},
			{1, 2, events.ChecklistChanged{Items: []events.ChecklistItem{{ID: 1, Text: "a", Done: true}, {ID: 2, Text: "b", Done: true}}}, false},
			{1, 2, events.EvidenceAdded{EvidenceID: 1, Kind: events.Link, Text: "https://ci.example"}, false},
			{1, 2, events.EvidenceRemoved{EvidenceID: 1, Kind: events.Link}, false},
			{1, 2, events.DependencyAdded{DependsOn: 1, Key: "WEB-1"}, false},
			{1, 2, events.DependencyRemoved{DependsOn: 1, Key: "WEB-1"}, false},
			{1, 2, events.ApprovalRequested{}, false},
			{1, 2, events.TicketRejected{}, false},
			{1, 2, events.TicketApproved{}, false},
			{1, 2, events.ApprovalWithdrawn{}, false},
			{1, 2, events.EvidenceAdded{EvidenceID: 1, Kind: events.Link, Text: "secret"}, true},
			{1, 2, events.UsageRecorded{InputTokens: 1}, false},
			{1, 2, events.TicketDeleted{}, false},
			{1, 2, events.TicketRecovered{TicketCreated: ticketCreated(2), CreatedAt: due, ColumnEnteredAt: due}, false},
		},
		"dependencies": {
			board, first, second,
			{1, 3, ticketCreated(3), false},
			{1, 1, events.DependencyAdded{DependsOn: 2, Key: "WEB-2"}, false},
			{1, 1, events.DependencyAdded{DependsOn: 3, Key: "WEB-3"}, false},
			{1, 2, events.DependencyAdded{DependsOn: 3, Key: "WEB-3"}, false},
			{1, 1, events.DependencyRemoved{DependsOn: 2, Key: "WEB-2"}, false},
			{1, 2, events.TicketDeleted{}, false},
		},
		"claims": {
			board, first, second,
			{1, 3, ticketCreated(3), true},
			{1, 1, events.TicketClaimed{}, false},
			{1, 1, move, false},
			{1, 1, events.TicketMoved{FromColumnID: 3, FromColumn: "Done", ColumnID: 3, Column: "Done", Rank: "c"}, false},
			{1, 1, events.TicketReleased{Holder: "ann", HolderID: 1, Reason: events.Completed}, false},
			{1, 2, events.TicketClaimed{}, true},
			{1, 2, events.TicketArchived{}, false},
			{1, 2, events.LeaseExpired{Holder: "ann", HolderID: 1}, false},
			{1, 2, events.TicketRestored{ColumnID: 1, Column: "Not Started"}, false},
			{1, 2, move, true}, // nobody knows where to
			{1, 2, events.TicketMoved{FromColumnID: 1, FromColumn: "Not Started", ColumnID: 2, Column: "In Progress", Rank: "c"}, false},
			{1, 2, events.TicketClaimed{}, false},
			{1, 2, events.TicketDeleted{}, false},
			{1, 2, events.TicketRecovered{TicketCreated: ticketCreated(2), CreatedAt: due, ColumnEnteredAt: due}, false},
			{2, 0, defaultBoard(), false},
			{2, 4, ticketCreated(4), false},
			{2, 4, events.TicketClaimed{}, false},
			{2, 0, events.BoardDeleted{}, false},
		},
		"work": {
			board, first,
			{1, 1, events.TicketClaimed{}, false},
			{1, 1, events.LeaseExpired{Holder: "ann", HolderID: 1}, false},
			{1, 1, events.TicketClaimed{}, false},
			{1, 1, events.UsageRecorded{InputTokens: 10, OutputTokens: 20, CostMicros: 30, Model: "m", Session: "s"}, false},
			{1, 1, events.TicketReleased{Holder: "ann", HolderID: 1, Reason: events.Completed}, false},
			{1, 1, events.TicketReleased{Holder: "ann", HolderID: 1, Reason: events.Released}, false},
		},
		"users": {
			{0, 0, events.UserRegistered{UserID: 4, Name: "rob", DisplayName: "Rob", Kind: events.Agent}, false},
			{0, 0, events.AgentPaused{UserID: 4, Reason: "runaway"}, false},
			{0, 0, events.UserRegistered{UserID: 1, Name: "ann", DisplayName: "Ann", Kind: events.Human, Admin: true}, false},
			{0, 0, events.UserRegistered{UserID: 2, Name: "bot", DisplayName: "", Kind: events.Agent}, false},
			{0, 0, events.UserRegistered{UserID: 3, Name: "x", DisplayName: "X", Kind: events.Agent}, true},
			{0, 0, events.UserUpdated{UserID: 2, DisplayName: &text, Admin: &yes}, false},
			{0, 0, events.UserDeactivated{UserID: 1}, false},
			{0, 0, events.UserDeactivated{UserID: 3}, true},
			{0, 0, events.TokenIssued{TokenID: 1, UserID: 2}, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, s := open(t), newScript()
			for _, g := range events {
				if e := s.add(t, g.board, g.ticket, g.fact); g.redacted {
					redact(e)
				}
			}
			r := prepared(t, config(db))
			deliver(t, r, s.log)
			got := ""
			for _, p := range r.views.projectors {
				if p.Name() == name {
					for _, table := range p.Tables() {
						got += dump(t, db, table)
					}
				}
			}
			golden(t, filepath.Join("testdata", name+".txt"), got)
		})
	}
}

// dump writes a table as text, a line per row.
func dump(t *testing.T, db *sqlstore.DB, table string) string {
	t.Helper()
	s, err := openSide(t.Context(), db.Reader(), table)
	if err != nil {
		t.Fatal(err)
	}
	defer s.rows.Close()
	lines := []string{table, strings.Join(s.columns, " | ")}
	for s.ok {
		var cells []string
		for _, v := range s.values {
			cells = append(cells, shown(v))
		}
		lines = append(lines, strings.Join(cells, " | "))
		if err := s.next(); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Join(lines, "\n") + "\n\n"
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(fmt.Errorf("%w; write it with: go test ./projections -update", err))
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
