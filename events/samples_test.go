package events

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

// renamed is a fact whose shape changed twice: schema 1 had "nick", schema 2
// called it "name", schema 3 added "length".
type renamed struct {
	Name   string `json:"name"`
	Length int    `json:"length"`
}

const typeRenamed Type = "test_renamed"

func (renamed) Type() Type { return typeRenamed }
func (renamed) sealed()    {}

// TestMain adds the fact above to the codec's table before any test reads it.
func TestMain(m *testing.M) {
	shapes[typeRenamed] = of[renamed](
		func(data json.RawMessage) (json.RawMessage, error) {
			var old struct {
				Nick string `json:"nick"`
			}
			if err := json.Unmarshal(data, &old); err != nil {
				return nil, err
			}
			return json.Marshal(map[string]any{"name": old.Nick})
		},
		func(data json.RawMessage) (json.RawMessage, error) {
			var old struct {
				Name string `json:"name"`
			}
			if err := json.Unmarshal(data, &old); err != nil {
				return nil, err
			}
			return json.Marshal(renamed{Name: old.Name, Length: len(old.Name)})
		},
	)
	os.Exit(m.Run())
}

var due = time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC)

var gate = Policy{RequireChecklist: true, RequireEvidence: true, Approval: true, AllowFrom: []int64{1, 2}}

// samples holds one fact of each type with every field filled; codec_test.go
// fails when one is missing or has an empty field.
var samples = []Event{
	BoardCreated{
		Key: "WEB", Name: "Website", Description: "All about <the> site & \"more\", 世界 🙂", Visibility: Private, MaxClaims: 3,
		Columns: []Column{{ID: 1, Name: "Not Started", Kind: Backlog, WIPLimit: new(9), Policy: gate}, {ID: 2, Name: "Done", Kind: Done, WIPLimit: new(4), Policy: gate}},
	},
	BoardUpdated{Name: new("Website 2"), Description: new("New"), Visibility: new(Internal), MaxClaims: new(5)},
	BoardArchived{},
	BoardRestored{},
	BoardDeleted{},
	ColumnAdded{Column: Column{ID: 3, Name: "Ready for QC", Kind: Review, WIPLimit: new(2), Policy: gate}, Index: 1},
	ColumnUpdated{Column: Column{ID: 3, Name: "QC", Kind: Review, WIPLimit: new(2), Policy: gate}, Was: "Ready for QC"},
	ColumnMoved{ColumnID: 3, Index: 2},
	ColumnRemoved{ColumnID: 3, Name: "QC"},
	MemberAdded{UserID: 7, Name: "ada", Role: AgentRole},
	MemberUpdated{UserID: 7, Name: "ada", Role: PM, Was: AgentRole},
	MemberRemoved{UserID: 7, Name: "ada"},
	TicketCreated{
		Number: 12, Key: "WEB-12", Title: "Fix the footer", Description: "It overlaps.\nOn phones.", AcceptanceCriteria: "It does not.",
		Priority: High, Labels: []string{"bug", "css"}, Assignee: "ada", DueAt: &due, ColumnID: 1, Column: "Not Started", Rank: "a0", OverLimit: true,
	},
	TicketUpdated{
		Title: new("Fix the footer now"), Description: new("Still."), AcceptanceCriteria: new("None"), Priority: new(Urgent),
		Labels: new([]string{"bug"}), DueAt: &due, ClearDue: true,
	},
	TicketMoved{FromColumnID: 1, FromColumn: "Not Started", ColumnID: 2, Column: "Done", Rank: "a1", OverLimit: true},
	TicketAssigned{Assignee: "bot", Was: "ada"},
	TicketArchived{},
	TicketRestored{ColumnID: 2, Column: "Done", Rank: "a2", OverLimit: true},
	TicketDeleted{},
	CommentAdded{CommentID: 4, Text: "Looks good"},
	CommentUpdated{CommentID: 4, Text: "Looks better"},
	CommentDeleted{CommentID: 4},
	UserRegistered{UserID: 7, Name: "ada", DisplayName: "Ada Lovelace", Kind: Human, Admin: true},
	UserUpdated{UserID: 7, DisplayName: new("Ada"), Admin: new(true)},
	UserDeactivated{UserID: 7},
	TokenIssued{TokenID: 2, UserID: 7, Name: "ci", Role: AgentRole, Boards: []int64{1, 2}, ExpiresAt: &due},
	TokenRevoked{TokenID: 2, UserID: 7},
	BoardFrozen{Reason: "runaway"},
	BoardUnfrozen{},
	CommandsUndone{CommandIDs: []string{"command-0"}, Actor: "bot", Since: 4},
	WebhookAdded{WebhookID: 3, Host: "hooks.example", Types: []Type{TypeTicketMoved}},
	WebhookUpdated{WebhookID: 3, Host: "hooks.example", Types: []Type{TypeTicketMoved}, Active: true},
	WebhookRemoved{WebhookID: 3, Host: "hooks.example"},
	TicketClaimed{LeaseSeconds: 900, ExpiresAt: due, FromColumnID: 1, FromRank: "a0"},
	TicketReleased{Fence: 40, Holder: "bot", HolderID: 8, Reason: Completed, Note: "merged"},
	LeaseExpired{Fence: 40, Holder: "bot", HolderID: 8},
	DependencyAdded{DependsOn: 7, Key: "WEB-7"},
	DependencyRemoved{DependsOn: 7, Key: "WEB-7"},
	ChecklistChanged{Items: []ChecklistItem{{ID: 1, Text: "It does not overlap", Done: true}}},
	EvidenceAdded{EvidenceID: 1, Kind: TestOutput, Text: "ok 12 tests"},
	EvidenceRemoved{EvidenceID: 1, Kind: TestOutput},
	ApprovalRequested{Version: 9, Note: "ready"},
	TicketApproved{Version: 9, Note: "fine"},
	TicketRejected{Version: 9, Note: "not on phones"},
	ApprovalWithdrawn{},
	UsageRecorded{InputTokens: 1200, OutputTokens: 300, CostMicros: 4500, Model: "some-model", Session: "s-1"},
	TicketRecovered{
		TicketCreated: TicketCreated{
			Number: 12, Key: "WEB-12", Title: "Fix the footer", Description: "It overlaps.", AcceptanceCriteria: "It does not.",
			Priority: High, Labels: []string{"bug"}, Assignee: "ada", DueAt: &due, ColumnID: 1, Column: "Not Started", Rank: "a0", OverLimit: true,
		},
		Archived: true, Checklist: []ChecklistItem{{ID: 1, Text: "It does not overlap", Done: true}},
		Evidence:  []Evidence{{ID: 1, Kind: Commit, Text: "0123abc", By: "bot", At: due}},
		DependsOn: []Dependency{{ID: 7, Key: "WEB-7"}},
		Comments:  []RecoveredComment{{ID: 4, Text: "Looks good", Author: Actor{Kind: Human, ID: 7, Name: "ada"}, CreatedAt: due, UpdatedAt: due}},
		CreatedAt: due, CreatedBy: "ada", ColumnEnteredAt: due,
	},
	AgentPaused{UserID: 8, Reason: "runaway"},
	AgentResumed{UserID: 8},
	DataRedacted{
		Target: "ticket/12", Reason: "a customer's address", UserID: 3,
		Events: []Emptied{{Position: 7, Schema: 1, SHA: Hash{1, 2}}, {Position: 9, Schema: 2, SHA: Hash{0xff}}},
	},
	LogImported{Source: "old.db", SHA256: "00ff", Boards: 1, Tickets: 2, Comments: 3, History: 4, Repairs: 5},
}

// sealed returns the fact as the event after head, with every column filled.
func sealedSample(t testing.TB, head Head, fact Event) Envelope {
	t.Helper()
	e, err := Seal(head, Envelope{
		Stream: BoardStream(1), Version: head.Position + 1, ID: "01890a5d-ac96-774b-bcce-b302099a8057",
		RecordedAt: time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("", 3600)),
		Actor:      Actor{Kind: Agent, ID: 8, Name: "bot"}, CommandID: "command-1",
		CorrelationID: "work-1", CausationID: "cause-1", BoardID: 1, TicketID: 12,
	}, fact)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
