package readmodel_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func TestActivityIsInPlainWordsNewestFirst(t *testing.T) {
	t.Parallel()
	title := "x"
	q := setup(
		t, board(1, "B1", events.Private), member(1, 7, events.AgentRole), ticket(1, 1, 1, nil),
		fact{1, 1, events.TicketMoved{FromColumnID: 1, FromColumn: "To Do", ColumnID: 2, Column: "Done", Rank: "a", OverLimit: true}},
		fact{1, 1, events.TicketUpdated{Title: &title, Labels: &[]string{"a"}, ClearDue: true}},
		board(2, "B2", events.Private), ticket(1, 2, 2, nil), fact{1, 2, events.TicketDeleted{}},
	)
	var got []string
	cursor := ""
	for {
		page, err := q.Activity(t.Context(), 1, 2, cursor)
		if err != nil {
			t.Fatal(err)
		}
		if page.Total != 7 {
			t.Errorf("total: got %d, want 7", page.Total)
		}
		for _, e := range page.Items {
			got = append(got, fmt.Sprintf("%d %s %s", e.Position, e.Actor, e.Summary))
		}
		if page.NextCursor == nil {
			break
		}
		cursor = *page.NextCursor
	}
	want := []string{
		"8 ann deleted ticket 2", "7 ann created ticket 2 in To Do: Ticket 2",
		"5 ann changed the title, labels and due date of B1-1",
		"4 ann moved B1-1 from To Do to Done, past the WIP limit", "3 ann created B1-1 in To Do: Ticket 1",
		"2 ann added user7 as agent", "1 ann created the board Board B1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	empty := setup(t)
	if has, err := empty.HasUsers(t.Context()); err != nil || has {
		t.Errorf("empty log: got %v, %v, want no users", has, err)
	}
	q := setup(
		t, fact{0, 0, events.UserRegistered{UserID: 1, Name: "Ann", DisplayName: "Ann A.", Kind: events.Human, Admin: true}},
		fact{0, 0, events.UserRegistered{UserID: 2, Name: "bot", Kind: events.Agent}},
	)
	if has, err := q.HasUsers(t.Context()); err != nil || !has {
		t.Errorf("got %v, %v, want users", has, err)
	}
	u, err := q.UserByName(t.Context(), "ann")
	if err != nil || u.ID != 1 || u.Username != "Ann" || !u.Admin || !u.Active || !u.CreatedAt.Equal(epoch) {
		t.Errorf("by name: got %+v, %v", u, err)
	}
	if same, err := q.UserByID(t.Context(), 1); err != nil || same != u {
		t.Errorf("by id: got %+v, %v, want %+v", same, err, u)
	}
	if _, err := q.UserByName(t.Context(), "nobody"); events.CodeOf(err) != events.CodeNotFound {
		t.Errorf("nobody: got %v, want not_found", err)
	}
	page, err := q.Users(t.Context(), readmodel.UserFilter{Kind: events.Agent})
	if err != nil || page.Total != 1 || len(page.Items) != 1 || page.Items[0].ID != 2 {
		t.Errorf("agents: got %+v, %v, want user 2", page, err)
	}
}

func TestTimesOfRows(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{
		epoch, epoch.Add(123456 * time.Microsecond), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
	} {
		text := readmodel.FormatTime(at)
		if want := at.Format("2006-01-02 15:04:05.000000"); text != want {
			t.Errorf("format: got %q, want %q", text, want)
		}
		if got, err := readmodel.ParseTime(text); err != nil || !got.Equal(at) {
			t.Errorf("parse %q: got %v, %v", text, got, err)
		}
	}
	for _, bad := range []string{"", "2026-03-01", "2026-03-01 09:00:0x.000000"} {
		if _, err := readmodel.ParseTime(bad); err == nil {
			t.Errorf("parse %q: want an error", bad)
		}
	}
}

func TestActivityTellsOfWork(t *testing.T) {
	t.Parallel()
	on := func(f events.Event) fact { return fact{1, 1, f} }
	q := setup(
		t, board(1, "B1", events.Private), ticket(1, 1, 1, nil),
		on(events.TicketClaimed{}), on(events.LeaseExpired{Holder: "bot"}),
		on(events.TicketReleased{Holder: "bot", Reason: events.Released, Note: "no access"}),
		on(events.TicketReleased{Holder: "bot", Reason: events.Completed}), on(events.TicketReleased{Holder: "bot", Reason: events.Revoked}),
		on(events.TicketReleased{Holder: "bot", Reason: events.Archived}),
		on(events.DependencyAdded{Key: "B1-2"}), on(events.DependencyRemoved{Key: "B1-2"}),
		on(events.ChecklistChanged{Items: []events.ChecklistItem{{ID: 1, Done: true}, {ID: 2}}}),
		on(events.EvidenceAdded{Kind: events.Link}), on(events.EvidenceRemoved{Kind: events.Link}),
		on(events.ApprovalRequested{}), on(events.TicketApproved{Note: "fine"}), on(events.TicketRejected{}), on(events.ApprovalWithdrawn{}),
		on(events.UsageRecorded{InputTokens: 2, OutputTokens: 3}), on(events.TicketDeleted{}),
		on(events.TicketRecovered{TicketCreated: events.TicketCreated{Number: 1, Key: "B1-1", Priority: events.Low}}),
		fact{1, 0, events.BoardFrozen{Reason: "runaway"}}, fact{1, 0, events.BoardUnfrozen{}},
		fact{1, 0, events.CommandsUndone{CommandIDs: []string{"a", "b"}, Actor: "bot"}},
		fact{1, 0, events.WebhookAdded{Host: "h"}}, fact{1, 0, events.WebhookUpdated{Host: "h"}}, fact{1, 0, events.WebhookRemoved{Host: "h"}},
	)
	page, err := q.Activity(t.Context(), 1, 0, "")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range page.Items[:len(page.Items)-2] {
		got = append(got, e.Summary)
	}
	slices.Reverse(got)
	want := []string{
		"claimed B1-1", "took B1-1 from bot, whose lease ran out", "gave B1-1 back: no access", "completed B1-1", "took B1-1 from bot",
		"ended the claim of bot on B1-1", "made B1-1 wait for B1-2", "made B1-1 wait no longer for B1-2",
		"changed the checklist of B1-1: 1 of 2 done", "added evidence to B1-1: link", "took evidence from B1-1: link",
		"asked for approval of B1-1", "approved B1-1: fine", "rejected B1-1", "withdrew the word on the approval of B1-1",
		"recorded usage on B1-1: 5 tokens", "deleted B1-1", "brought B1-1 back", "froze the board: runaway", "unfroze the board",
		"undid 2 commands of bot", "added a webhook to h", "changed the webhook to h", "removed the webhook to h",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
