package commands

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/events"
)

// open is ticket WEB-<id> in a column of board 1, assigned to nobody.
func free(id, column int64, rank string) decided {
	d := ticketIn(id, column, rank)
	f := d.fact.(events.TicketCreated)
	f.Assignee = ""
	d.fact = f
	return d
}

// steps carries out commands one after the other, each by its actor, all of
// which must be accepted; the last one is judged by want or code.
type step struct {
	by   events.Actor
	cmd  Command
	code events.Code
}

func play(t *testing.T, s *scenario, steps []step) []events.Event {
	t.Helper()
	var facts []events.Event
	for i, st := range steps {
		var err error
		facts, err = s.when(by(st.by), st.cmd)
		if code := events.CodeOf(err); code != st.code {
			t.Fatalf("step %d, %s by %s: got refusal %q (%v), want %q", i, st.cmd.CommandType(), st.by.Name, code, err, st.code)
		}
		if st.code != "" && len(facts) > 0 {
			t.Fatalf("step %d: a refusal left facts: %v", i, facts)
		}
	}
	return facts
}

func (s *scenario) fence(t *testing.T, ticket int64) int64 {
	t.Helper()
	l := s.w.state.boards[1].tickets[ticket].Lease
	if l == nil {
		t.Fatalf("ticket %d is not held", ticket)
	}
	return l.Fence
}

var rob = events.Actor{Kind: events.Agent, ID: 6, Name: "rob"} // another agent on board 1

func twoAgents(t *testing.T, more ...decided) *scenario {
	t.Helper()
	s := given(t)
	s.fact(rob, decided{stream: events.UserStream(rob.ID), fact: events.UserRegistered{UserID: rob.ID, Name: rob.Name, DisplayName: rob.Name, Kind: events.Agent}})
	s.fact(pam, onBoard(0, events.MemberAdded{UserID: rob.ID, Name: rob.Name, Role: events.AgentRole}))
	for _, f := range more {
		s.fact(pam, f)
	}
	return s
}

func TestClaims(t *testing.T) {
	t.Parallel()
	claimed := events.TicketClaimed{LeaseSeconds: 900, ExpiresAt: noon.Add(15 * time.Minute), FromColumnID: 1, FromRank: "a0"}
	toDoing := events.TicketMoved{FromColumnID: 1, FromColumn: "To do", ColumnID: 2, Column: "Doing", Rank: "a0"}
	one := []decided{free(1, 1, "a0")}
	full := []decided{free(1, 1, "a0"), free(2, 2, "a0"), free(3, 2, "a1")}
	run(t, []then{
		{name: "moves a backlog ticket to the first active column", given: one, meta: by(bot), when: ClaimTicket{Ticket: "WEB-1"}, want: []events.Event{claimed, toDoing}},
		{
			name: "stays in an active column", given: []decided{free(1, 2, "a0")}, meta: by(bot), when: ClaimTicket{Ticket: "1", LeaseSeconds: 60},
			want: []events.Event{events.TicketClaimed{LeaseSeconds: 60, ExpiresAt: noon.Add(time.Minute)}},
		},
		{name: "a person may", given: one, meta: by(pam), when: ClaimTicket{Ticket: "1"}, want: []events.Event{claimed, toDoing}},
		{name: "by a viewer", given: one, meta: by(vic), when: ClaimTicket{Ticket: "1"}, code: events.CodeForbidden},
		{name: "by a stranger", given: one, meta: by(olga), when: ClaimTicket{Ticket: "1"}, code: events.CodeNotFound},
		{name: "a short lease", given: one, meta: by(bot), when: ClaimTicket{Ticket: "1", LeaseSeconds: 29}, code: events.CodeInvalid},
		{name: "a long lease", given: one, meta: by(bot), when: ClaimTicket{Ticket: "1", LeaseSeconds: 86_401}, code: events.CodeInvalid},
		{name: "a full column", given: full, meta: by(bot), when: ClaimTicket{Ticket: "1"}, code: events.CodeWIPLimit},
		{name: "a done ticket", given: []decided{free(1, 3, "a0")}, meta: by(bot), when: ClaimTicket{Ticket: "1"}, code: events.CodeConflict},
		{name: "an archived ticket", given: append(slices.Clone(one), onBoard(1, events.TicketArchived{})), meta: by(bot), when: ClaimTicket{Ticket: "1"}, code: events.CodeArchived},
		{name: "assigned to another", given: []decided{ticketIn(1, 1, "a0")}, meta: by(pam), when: ClaimTicket{Ticket: "1"}, want: []events.Event{claimed, toDoing}},
		{name: "a blocked ticket", given: []decided{free(1, 1, "a0"), free(2, 1, "a1"), onBoard(1, events.DependencyAdded{DependsOn: 2, Key: "WEB-2"})}, meta: by(bot), when: ClaimTicket{Ticket: "1"}, code: events.CodeBlocked},
		{name: "a stale If-Match", given: one, meta: Meta{Actor: bot, IfMatch: ptr(int64(1))}, when: ClaimTicket{Ticket: "1"}, code: events.CodeVersionMismatch},

		{name: "next: the first in the order of the board", given: []decided{free(1, 1, "a1"), free(2, 1, "a0")}, meta: by(bot), when: ClaimNext{Board: "WEB"}, want: []events.Event{claimed, toDoing}},
		{name: "next: nothing there", meta: by(bot), when: ClaimNext{Board: "WEB"}, code: events.CodeNothingReady},
		{name: "next: not what is assigned to another", given: []decided{ticketIn(1, 1, "a0")}, meta: by(pam), when: ClaimNext{Board: "WEB"}, code: events.CodeNothingReady},
		{name: "next: what is assigned to oneself", given: []decided{ticketIn(1, 1, "a0")}, meta: by(bot), when: ClaimNext{Board: "WEB"}, want: []events.Event{claimed, toDoing}},
		{name: "next: by label", given: one, meta: by(bot), when: ClaimNext{Board: "WEB", Labels: []string{"css"}}, code: events.CodeNothingReady},
		{name: "next: by column", given: one, meta: by(bot), when: ClaimNext{Board: "WEB", Columns: []Ref{"Done"}}, code: events.CodeNothingReady},
		{name: "next: an unknown column", given: one, meta: by(bot), when: ClaimNext{Board: "WEB", Columns: []Ref{"Nope"}}, code: events.CodeInvalid},
		{name: "next: a full column", given: full, meta: by(bot), when: ClaimNext{Board: "WEB"}, code: events.CodeWIPLimit},
		{name: "next: by a viewer", given: one, meta: by(vic), when: ClaimNext{Board: "WEB"}, code: events.CodeForbidden},
		{name: "next: by a stranger", given: one, meta: by(olga), when: ClaimNext{Board: "WEB"}, code: events.CodeNotFound},
	})
}

func TestClaimNextTakesTheBest(t *testing.T) {
	t.Parallel()
	s := twoAgents(t, free(1, 1, "a0"), free(2, 1, "a1"), free(3, 1, "a2"), free(4, 1, "a3"), free(5, 1, "a4"))
	for id, p := range map[int64]events.Priority{2: events.Urgent, 4: events.High, 5: events.Low} {
		s.fact(pam, onBoard(id, events.TicketUpdated{Priority: &p}))
	}
	s.fact(pam, onBoard(2, events.DependencyAdded{DependsOn: 3, Key: "WEB-3"}))
	s.fact(pam, onBoard(0, events.BoardUpdated{MaxClaims: ptr(9)}))
	s.fact(pam, onBoard(0, events.ColumnUpdated{Column: events.Column{ID: 2, Name: "Doing", Kind: events.Active}, Was: "Doing"}))
	var order []int64
	for range 4 {
		play(t, s, []step{{by: bot, cmd: ClaimNext{Board: "WEB"}}})
		order = append(order, s.w.pending[len(s.w.pending)-1].TicketID)
	}
	play(t, s, []step{
		{by: bot, cmd: ClaimNext{Board: "WEB"}, code: events.CodeNothingReady},
		{by: bot, cmd: MoveTicket{Ticket: "3", Column: "Done"}}, // WEB-2 is ready now
		{by: bot, cmd: ClaimNext{Board: "WEB"}},
	})
	order = append(order, s.w.pending[len(s.w.pending)-1].TicketID)
	if want := []int64{4, 1, 3, 5, 2}; !slices.Equal(order, want) {
		t.Errorf("claimed in the order %v, want %v: by priority, then rank; a blocked one when it is free", order, want)
	}
}

func TestFences(t *testing.T) {
	t.Parallel()
	s := twoAgents(t, free(1, 1, "a0"), free(2, 1, "a1"))
	play(t, s, []step{{by: bot, cmd: ClaimTicket{Ticket: "1"}}})
	fence := s.fence(t, 1)
	play(t, s, []step{
		{by: bot, cmd: ClaimTicket{Ticket: "1"}, code: events.CodeClaimed},
		{by: rob, cmd: ClaimTicket{Ticket: "1"}, code: events.CodeClaimed},
		{by: bot, cmd: ClaimTicket{Ticket: "2"}, code: events.CodeClaimLimit},
		{by: bot, cmd: ClaimNext{Board: "WEB"}, code: events.CodeClaimLimit},
		{by: rob, cmd: UpdateTicket{Ticket: "1", Title: ptr("Mine")}, code: events.CodeForbidden},
		{by: rob, cmd: Heartbeat{Ticket: "1"}, code: events.CodeConflict},
		{by: rob, cmd: Heartbeat{Ticket: "1", Fence: fence}, code: events.CodeStaleClaim},
		{by: bot, cmd: Heartbeat{Ticket: "1", Fence: fence + 1}, code: events.CodeStaleClaim},
		{by: bot, cmd: Heartbeat{Ticket: "1", Fence: fence, LeaseSeconds: 5}, code: events.CodeInvalid},
		{by: bot, cmd: Heartbeat{Ticket: "1", Fence: fence}},
		{by: bot, cmd: UpdateTicket{Ticket: "1", Title: ptr("Better"), Fence: fence}},
		{by: rob, cmd: ReleaseTicket{Ticket: "1"}, code: events.CodeForbidden},
		{by: rob, cmd: CompleteTicket{Ticket: "1"}, code: events.CodeForbidden},
	})
	// The lease runs out, and the ticket goes back to where it was.
	s.w.at = noon.Add(time.Hour)
	system := Meta{Actor: events.SystemActor, Trusted: true}
	got, err := s.when(system, ExpireLease{Ticket: "1", Fence: fence})
	want := []events.Event{
		events.LeaseExpired{Fence: fence, Holder: "bot", HolderID: bot.ID},
		events.TicketMoved{FromColumnID: 2, FromColumn: "Doing", ColumnID: 1, Column: "To do", Rank: "a0"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatalf("expiry: %v (-want +got):\n%s", err, diff)
	}
	for _, cmd := range []Command{
		UpdateTicket{Ticket: "1", Title: ptr("Late")},
		MoveTicket{Ticket: "1", Column: "Done"},
		CompleteTicket{Ticket: "1", Fence: fence},
		ReleaseTicket{Ticket: "1", Fence: fence},
		Heartbeat{Ticket: "1", Fence: fence},
		Heartbeat{Ticket: "1"},
		CheckItem{Ticket: "1", Item: 1, Done: true},
		AddEvidence{Ticket: "1", EvidenceSpec: EvidenceSpec{Kind: events.Note, Text: "x"}},
		RemoveEvidence{Ticket: "1", Evidence: 1},
		RequestApproval{Ticket: "1"},
		RecordUsage{Ticket: "1", Fence: fence, InputTokens: 1},
	} {
		if _, err := s.when(by(bot), cmd); events.CodeOf(err) != events.CodeStaleClaim {
			t.Errorf("%s by the late holder: got %v, want stale_claim", cmd.CommandType(), err)
		}
	}
	play(t, s, []step{{by: rob, cmd: ClaimTicket{Ticket: "1"}}})
	if next := s.fence(t, 1); next <= fence {
		t.Errorf("the next fence is %d, want more than %d", next, fence)
	}
	play(t, s, []step{
		{by: bot, cmd: UpdateTicket{Ticket: "1", Title: ptr("Late")}, code: events.CodeStaleClaim},
		{by: pam, cmd: ReleaseTicket{Ticket: "1", Note: "wrong one"}},
		{by: rob, cmd: CompleteTicket{Ticket: "1"}, code: events.CodeStaleClaim}, // taken from it
		{by: bot, cmd: ClaimTicket{Ticket: "1"}},
		{by: bot, cmd: UpdateTicket{Ticket: "1", Title: ptr("Again")}}, // a new claim makes good
	})
}

func TestAClaimEndsWithTheWork(t *testing.T) {
	t.Parallel()
	released := func(s *scenario, why events.ReleaseReason) events.TicketReleased {
		return events.TicketReleased{Fence: s.fence(t, 1), Holder: "bot", HolderID: bot.ID, Reason: why}
	}
	for _, row := range []struct {
		name string
		by   events.Actor
		cmd  Command
		want func(s *scenario) []events.Event
	}{
		{"completed", bot, CompleteTicket{Ticket: "1", Evidence: []EvidenceSpec{{Kind: events.Commit, Text: "abc"}}}, func(s *scenario) []events.Event {
			return []events.Event{
				events.EvidenceAdded{EvidenceID: 1, Kind: events.Commit, Text: "abc"},
				events.TicketMoved{FromColumnID: 2, FromColumn: "Doing", ColumnID: 3, Column: "Done", Rank: "a0"},
				released(s, events.Completed),
			}
		}},
		{"moved to done by its holder", bot, MoveTicket{Ticket: "1", Column: "Done"}, func(s *scenario) []events.Event {
			return []events.Event{events.TicketMoved{FromColumnID: 2, FromColumn: "Doing", ColumnID: 3, Column: "Done", Rank: "a0"}, released(s, events.Completed)}
		}},
		{"moved to the backlog by a pm", pam, MoveTicket{Ticket: "1", Column: "To do"}, func(s *scenario) []events.Event {
			return []events.Event{events.TicketMoved{FromColumnID: 2, FromColumn: "Doing", ColumnID: 1, Column: "To do", Rank: "a0"}, released(s, events.Moved)}
		}},
		{"archived", pam, ArchiveTicket{Ticket: "1"}, func(s *scenario) []events.Event {
			return []events.Event{released(s, events.Archived), events.TicketArchived{}}
		}},
		{"released", bot, ReleaseTicket{Ticket: "1"}, func(s *scenario) []events.Event {
			return []events.Event{released(s, events.Released), events.TicketMoved{FromColumnID: 2, FromColumn: "Doing", ColumnID: 1, Column: "To do", Rank: "a0"}}
		}},
		{"released by a pm", pam, ReleaseTicket{Ticket: "1"}, func(s *scenario) []events.Event {
			return []events.Event{released(s, events.Revoked), events.TicketMoved{FromColumnID: 2, FromColumn: "Doing", ColumnID: 1, Column: "To do", Rank: "a0"}}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := given(t, free(1, 1, "a0"))
			play(t, s, []step{{by: bot, cmd: ClaimTicket{Ticket: "1"}}})
			want := row.want(s)
			got := play(t, s, []step{{by: row.by, cmd: row.cmd}})
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("facts (-want +got):\n%s", diff)
			}
			if b := s.w.state.boards[1]; b.tickets[1].Lease != nil || len(b.work.held) != 0 || len(s.w.state.directory.Leases) != 0 {
				t.Errorf("the claim is still there: %+v, %v, %v", b.tickets[1].Lease, b.work.held, s.w.state.directory.Leases)
			}
		})
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	doing := events.Column{ID: 2, Name: "Doing", Kind: events.Active}
	review := events.Column{ID: 4, Name: "Review", Kind: events.Review}
	done := func(p events.Policy) decided {
		return onBoard(0, events.ColumnUpdated{Column: events.Column{ID: 3, Name: "Done", Kind: events.Done, Policy: p}, Was: "Done"})
	}
	check := func(id int64, done bool) events.ChecklistItem {
		return events.ChecklistItem{ID: id, Text: "item", Done: done}
	}
	open := onBoard(0, events.ColumnUpdated{Column: doing, Was: "Doing"})
	toReview := onBoard(0, events.ColumnAdded{Column: review, Index: 2})
	in := free(1, 2, "a0")
	moved := events.TicketMoved{FromColumnID: 2, FromColumn: "Doing", ColumnID: 3, Column: "Done", Rank: "a0"}
	move := MoveTicket{Ticket: "1", Column: "Done"}
	approval := events.Policy{Approval: true}
	run(t, []then{
		{name: "no checklist", given: []decided{in, done(events.Policy{RequireChecklist: true})}, meta: by(pam), when: move, code: events.CodePolicy},
		{name: "an open item", given: []decided{in, done(events.Policy{RequireChecklist: true}), onBoard(1, events.ChecklistChanged{Items: []events.ChecklistItem{check(1, true), check(2, false)}})}, meta: by(pam), when: move, code: events.CodePolicy},
		{name: "all done", given: []decided{in, done(events.Policy{RequireChecklist: true}), onBoard(1, events.ChecklistChanged{Items: []events.ChecklistItem{check(1, true)}})}, meta: by(pam), when: move, want: []events.Event{moved}},
		{name: "no evidence", given: []decided{in, done(events.Policy{RequireEvidence: true})}, meta: by(pam), when: move, code: events.CodePolicy},
		{name: "evidence", given: []decided{in, done(events.Policy{RequireEvidence: true}), onBoard(1, events.EvidenceAdded{EvidenceID: 1, Kind: events.Note, Text: "x"})}, meta: by(pam), when: move, want: []events.Event{moved}},
		{
			name: "evidence that comes with the completion", given: []decided{in, done(events.Policy{RequireEvidence: true})}, meta: by(pam),
			when: CompleteTicket{Ticket: "1", Evidence: []EvidenceSpec{{Kind: events.Link, Text: "https://ci.example/7"}}},
			want: []events.Event{events.EvidenceAdded{EvidenceID: 1, Kind: events.Link, Text: "https://ci.example/7"}, moved},
		},
		{name: "from the wrong column", given: []decided{in, done(events.Policy{AllowFrom: []int64{1}})}, meta: by(pam), when: move, code: events.CodePolicy},
		{name: "from the right column", given: []decided{in, done(events.Policy{AllowFrom: []int64{1, 2}})}, meta: by(pam), when: move, want: []events.Event{moved}},
		{name: "created behind the gate", given: []decided{done(approval)}, meta: by(pam), when: CreateTicket{Board: "1", Title: "x", Column: "Done"}, code: events.CodePolicy},
		{name: "not approved", given: []decided{in, done(approval)}, meta: by(pam), when: move, code: events.CodePolicy},
		{name: "rejected", given: []decided{in, done(approval), onBoard(1, events.TicketRejected{Version: 6})}, meta: by(pam), when: move, code: events.CodePolicy},
		{name: "approved", given: []decided{in, done(approval), onBoard(1, events.TicketApproved{Version: 6})}, meta: by(pam), when: move, want: []events.Event{moved}},
		{name: "changed after it was approved", given: []decided{in, done(approval), onBoard(1, events.TicketApproved{Version: 6}), onBoard(1, events.TicketUpdated{Title: ptr("Other")})}, meta: by(pam), when: move, code: events.CodePolicy},
		{name: "complete goes to review where done needs approval", given: []decided{in, open, toReview, done(approval)}, meta: by(pam), when: CompleteTicket{Ticket: "1", Note: "ready"}, want: []events.Event{
			events.TicketMoved{FromColumnID: 2, FromColumn: "Doing", ColumnID: 4, Column: "Review", Rank: "a0"},
			events.ApprovalRequested{Version: 5, Note: "ready"},
		}},
		{name: "claims obey policies", given: []decided{free(1, 1, "a0"), onBoard(0, events.ColumnUpdated{Column: events.Column{ID: 2, Name: "Doing", Kind: events.Active, Policy: events.Policy{RequireChecklist: true}}, Was: "Doing"})}, meta: by(bot), when: ClaimNext{Board: "1"}, code: events.CodePolicy},

		{name: "approve", given: []decided{in}, meta: by(pam), when: ApproveTicket{Ticket: "1", Version: 5, Note: "fine"}, want: []events.Event{events.TicketApproved{Version: 5, Note: "fine"}}},
		{name: "approve another version", given: []decided{in}, meta: by(pam), when: ApproveTicket{Ticket: "1", Version: 4}, code: events.CodeVersionMismatch},
		{name: "approve by an agent", given: []decided{in}, meta: by(bot), when: ApproveTicket{Ticket: "1"}, code: events.CodeForbidden},
		{name: "approve by its assignee", given: []decided{in, onBoard(1, events.TicketAssigned{Assignee: "pam"})}, meta: by(pam), when: ApproveTicket{Ticket: "1"}, code: events.CodeForbidden},
		{name: "approve by who held it last", given: []decided{in, onBoard(1, events.TicketClaimed{LeaseSeconds: 60}), onBoard(1, events.TicketReleased{Reason: events.Released})}, meta: by(pam), when: ApproveTicket{Ticket: "1"}, code: events.CodeForbidden},
		{name: "reject and send back", given: []decided{in}, meta: by(pam), when: RejectTicket{Ticket: "1", Note: "no", Column: "To do"}, want: []events.Event{
			events.TicketRejected{Version: 5, Note: "no"}, events.TicketMoved{FromColumnID: 2, FromColumn: "Doing", ColumnID: 1, Column: "To do", Rank: "a0"},
		}},
		{name: "reject by an agent", given: []decided{in}, meta: by(bot), when: RejectTicket{Ticket: "1"}, code: events.CodeForbidden},
		{name: "reject another version", given: []decided{in}, meta: by(pam), when: RejectTicket{Ticket: "1", Version: 1}, code: events.CodeVersionMismatch},
		{name: "request approval twice", given: []decided{in, onBoard(1, events.ApprovalRequested{Version: 5})}, meta: by(pam), when: RequestApproval{Ticket: "1"}},
	})
}

func TestAPolicyRefusalNamesEveryRule(t *testing.T) {
	t.Parallel()
	s := given(t, free(1, 2, "a0"), onBoard(0, events.ColumnUpdated{Was: "Done", Column: events.Column{
		ID: 3, Name: "Done", Kind: events.Done, Policy: events.Policy{RequireChecklist: true, RequireEvidence: true, Approval: true, AllowFrom: []int64{1}},
	}}))
	_, err := s.when(by(pam), MoveTicket{Ticket: "1", Column: "Done"})
	var e *events.Error
	if ok := asError(err, &e); !ok || len(e.Fields) != 4 || !strings.Contains(e.Message, `"To do"`) {
		t.Errorf("got %v with fields %v, want all four rules and what would satisfy them", err, e)
	}
}

func asError(err error, e **events.Error) bool {
	return errors.As(err, e)
}

func TestEvidenceIsTakenBackByWhoShowedIt(t *testing.T) {
	t.Parallel()
	s := given(t, ticketIn(1, 2, "a0"), onBoard(1, events.EvidenceAdded{EvidenceID: 1, Kind: events.Note, Text: "by pam"}))
	got := play(t, s, []step{
		{by: bot, cmd: AddEvidence{Ticket: "1", EvidenceSpec: EvidenceSpec{Kind: events.Commit, Text: "abc"}}},
		{by: bot, cmd: RemoveEvidence{Ticket: "1", Evidence: 1}, code: events.CodeForbidden},
		{by: pam, cmd: ApproveTicket{Ticket: "1"}},
		{by: bot, cmd: RemoveEvidence{Ticket: "1", Evidence: 2}},
	})
	if diff := cmp.Diff([]events.Event{events.EvidenceRemoved{EvidenceID: 2, Kind: events.Commit}}, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if ticket := s.w.state.boards[1].tickets[1]; ticket.Approval != nil || len(ticket.Evidence) != 1 {
		t.Errorf("the approval %v holds without what it was given for; the evidence is %v", ticket.Approval, ticket.Evidence)
	}
}

func TestAcceptance(t *testing.T) {
	t.Parallel()
	mine := []decided{ticketIn(1, 2, "a0"), free(2, 1, "a0"), onBoard(1, events.ChecklistChanged{Items: []events.ChecklistItem{{ID: 1, Text: "one"}, {ID: 2, Text: "two", Done: true}}})}
	shown := append(slices.Clone(mine), onBoard(1, events.EvidenceAdded{EvidenceID: 1, Kind: events.Note, Text: "by pam"}))
	items := func(list ...events.ChecklistItem) []events.Event {
		return []events.Event{events.ChecklistChanged{Items: list}}
	}
	run(t, []then{
		{name: "check an item", given: mine, meta: by(bot), when: CheckItem{Ticket: "1", Item: 1, Done: true}, want: items(events.ChecklistItem{ID: 1, Text: "one", Done: true}, events.ChecklistItem{ID: 2, Text: "two", Done: true})},
		{name: "check it again", given: mine, meta: by(bot), when: CheckItem{Ticket: "1", Item: 2, Done: true}},
		{name: "check what is not there", given: mine, meta: by(bot), when: CheckItem{Ticket: "1", Item: 3, Done: true}, code: events.CodeNotFound},
		{name: "check on another's ticket", given: mine, meta: by(bot), when: CheckItem{Ticket: "2", Item: 1, Done: true}, code: events.CodeForbidden},
		{name: "an agent adds an item", given: mine, meta: by(bot), when: SetChecklist{Ticket: "1", Items: []ChecklistItemSpec{{Text: "one"}, {ID: 2, Text: "two", Done: true}, {Text: "three"}}}, want: items(events.ChecklistItem{ID: 1, Text: "one"}, events.ChecklistItem{ID: 2, Text: "two", Done: true}, events.ChecklistItem{ID: 3, Text: "three"})},
		{name: "an agent drops an item", given: mine, meta: by(bot), when: SetChecklist{Ticket: "1", Items: []ChecklistItemSpec{{ID: 2, Text: "two"}}}, code: events.CodeForbidden},
		{name: "an agent rewords an item", given: mine, meta: by(bot), when: SetChecklist{Ticket: "1", Items: []ChecklistItemSpec{{ID: 1, Text: "easier"}, {ID: 2, Text: "two"}}}, code: events.CodeForbidden},
		{name: "a pm drops an item", given: mine, meta: by(pam), when: SetChecklist{Ticket: "1", Items: []ChecklistItemSpec{{ID: 2, Text: "2"}}}, want: items(events.ChecklistItem{ID: 2, Text: "2"})},
		{name: "an item of another list", given: mine, meta: by(pam), when: SetChecklist{Ticket: "1", Items: []ChecklistItemSpec{{ID: 9, Text: "two"}}}, code: events.CodeInvalid},
		{name: "an empty item", given: mine, meta: by(pam), when: SetChecklist{Ticket: "1", Items: []ChecklistItemSpec{{Text: " "}}}, code: events.CodeInvalid},

		{name: "evidence", given: mine, meta: by(bot), when: AddEvidence{Ticket: "1", EvidenceSpec: EvidenceSpec{Kind: events.TestOutput, Text: "ok\n"}}, want: []events.Event{events.EvidenceAdded{EvidenceID: 1, Kind: events.TestOutput, Text: "ok"}}},
		{name: "evidence of no kind", given: mine, meta: by(bot), when: AddEvidence{Ticket: "1", EvidenceSpec: EvidenceSpec{Text: "ok"}}, code: events.CodeInvalid},
		{name: "a link that is none", given: mine, meta: by(bot), when: AddEvidence{Ticket: "1", EvidenceSpec: EvidenceSpec{Kind: events.Link, Text: "javascript:alert(1)"}}, code: events.CodeInvalid},
		{name: "a link with a password", given: mine, meta: by(bot), when: AddEvidence{Ticket: "1", EvidenceSpec: EvidenceSpec{Kind: events.Link, Text: "https://u:p@ci.example/"}}, code: events.CodeInvalid},
		{name: "evidence that is too long", given: mine, meta: by(bot), when: AddEvidence{Ticket: "1", EvidenceSpec: EvidenceSpec{Kind: events.Note, Text: strings.Repeat("x", MaxEvidenceText+1)}}, code: events.CodeInvalid},

		{name: "take another's evidence back", given: shown, meta: by(bot), when: RemoveEvidence{Ticket: "1", Evidence: 1}, code: events.CodeForbidden},
		{name: "a pm takes evidence back", given: shown, meta: by(pam), when: RemoveEvidence{Ticket: "1", Evidence: 1}, want: []events.Event{events.EvidenceRemoved{EvidenceID: 1, Kind: events.Note}}},
		{name: "evidence that is not there", given: shown, meta: by(pam), when: RemoveEvidence{Ticket: "1", Evidence: 3}, code: events.CodeNotFound},
		{name: "evidence by a viewer", given: shown, meta: by(vic), when: RemoveEvidence{Ticket: "1", Evidence: 1}, code: events.CodeForbidden},

		{name: "usage", given: mine, meta: by(bot), when: RecordUsage{Ticket: "2", InputTokens: 5, CostMicros: 7, Model: "m"}, want: []events.Event{events.UsageRecorded{InputTokens: 5, CostMicros: 7, Model: "m"}}},
		{name: "usage of nothing", given: mine, meta: by(bot), when: RecordUsage{Ticket: "2"}, code: events.CodeInvalid},
		{name: "usage below zero", given: mine, meta: by(bot), when: RecordUsage{Ticket: "2", InputTokens: -5}, code: events.CodeInvalid},
		{name: "usage by a viewer", given: mine, meta: by(vic), when: RecordUsage{Ticket: "2", InputTokens: 5}, code: events.CodeForbidden},

		{name: "depend on another", given: mine, meta: by(pam), when: AddDependency{Ticket: "1", DependsOn: "WEB-2"}, want: []events.Event{events.DependencyAdded{DependsOn: 2, Key: "WEB-2"}}},
		{name: "depend on oneself", given: mine, meta: by(pam), when: AddDependency{Ticket: "1", DependsOn: "1"}, code: events.CodeCycle},
		{name: "depend on what is not there", given: mine, meta: by(pam), when: AddDependency{Ticket: "1", DependsOn: "WEB-9"}, code: events.CodeInvalid},
		{name: "depend twice", given: append(slices.Clone(mine), onBoard(1, events.DependencyAdded{DependsOn: 2, Key: "WEB-2"})), meta: by(pam), when: AddDependency{Ticket: "1", DependsOn: "2"}},
		{name: "a cycle", given: append(slices.Clone(mine), onBoard(1, events.DependencyAdded{DependsOn: 2, Key: "WEB-2"})), meta: by(pam), when: AddDependency{Ticket: "2", DependsOn: "1"}, code: events.CodeCycle},
		{name: "depend by an agent on what is not its own", given: mine, meta: by(bot), when: AddDependency{Ticket: "2", DependsOn: "1"}, code: events.CodeForbidden},
		{name: "depend no more", given: append(slices.Clone(mine), onBoard(1, events.DependencyAdded{DependsOn: 2, Key: "WEB-2"})), meta: by(bot), when: RemoveDependency{Ticket: "1", DependsOn: "web-2"}, want: []events.Event{events.DependencyRemoved{DependsOn: 2, Key: "WEB-2"}}},
		{name: "deleting a done ticket frees those that waited", given: append(slices.Clone(mine), free(3, 3, "a0"), onBoard(1, events.DependencyAdded{DependsOn: 3, Key: "WEB-3"})), meta: by(pam), when: DeleteTicket{Ticket: "3"}, want: []events.Event{
			events.DependencyRemoved{DependsOn: 3, Key: "WEB-3"}, events.TicketDeleted{},
		}},
	})
}

func TestTheCycleIsNamed(t *testing.T) {
	t.Parallel()
	s := given(t, free(1, 1, "a0"), free(2, 1, "a1"), free(3, 1, "a2"),
		onBoard(1, events.DependencyAdded{DependsOn: 2, Key: "WEB-2"}), onBoard(2, events.DependencyAdded{DependsOn: 3, Key: "WEB-3"}))
	_, err := s.when(by(pam), AddDependency{Ticket: "3", DependsOn: "1"})
	if err == nil || !strings.Contains(err.Error(), "WEB-3 → WEB-1 → WEB-2 → WEB-3") {
		t.Errorf("got %v, want the path of the cycle", err)
	}
}

func TestStops(t *testing.T) {
	t.Parallel()
	mine := []decided{ticketIn(1, 2, "a0"), onBoard(0, events.BoardFrozen{Reason: "stop"})}
	paused := []decided{ticketIn(1, 2, "a0"), {stream: events.UserStream(bot.ID), fact: events.AgentPaused{UserID: bot.ID, Reason: "runaway"}}}
	run(t, []then{
		{name: "freeze", meta: by(pam), when: FreezeBoard{Board: "WEB", Reason: "stop"}, want: []events.Event{events.BoardFrozen{Reason: "stop"}}},
		{name: "freeze twice", given: mine, meta: by(pam), when: FreezeBoard{Board: "WEB"}},
		{name: "freeze by an agent", meta: by(bot), when: FreezeBoard{Board: "WEB"}, code: events.CodeForbidden},
		{name: "unfreeze", given: mine, meta: by(pam), when: UnfreezeBoard{Board: "WEB"}, want: []events.Event{events.BoardUnfrozen{}}},
		{name: "an agent on a frozen board", given: mine, meta: by(bot), when: UpdateTicket{Ticket: "1", Title: ptr("x")}, code: events.CodeFrozen},
		{name: "a comment on a frozen board", given: mine, meta: by(bot), when: AddComment{Ticket: "1", Text: "x"}, code: events.CodeFrozen},
		{name: "claim-next on a frozen board", given: mine, meta: by(bot), when: ClaimNext{Board: "1"}, code: events.CodeFrozen},
		{name: "a person who is pm on a frozen board", given: mine, meta: by(pam), when: MoveTicket{Ticket: "1", Column: "Done"}, want: []events.Event{
			events.TicketMoved{FromColumnID: 2, FromColumn: "Doing", ColumnID: 3, Column: "Done", Rank: "a0"},
		}},
		{name: "pause by an admin", meta: by(ada), when: PauseAgent{Agent: "bot", Reason: "runaway"}, want: []events.Event{events.AgentPaused{UserID: bot.ID, Reason: "runaway"}}},
		{name: "pause by a pm of its board", meta: by(pam), when: PauseAgent{Agent: "3", Board: "WEB"}, want: []events.Event{events.AgentPaused{UserID: bot.ID}}},
		{name: "pause by a pm who names no board", meta: by(pam), when: PauseAgent{Agent: "bot"}, code: events.CodeForbidden},
		{name: "pause by itself", meta: by(bot), when: PauseAgent{Agent: "bot", Board: "WEB"}, code: events.CodeForbidden},
		{name: "pause by a stranger", meta: by(olga), when: PauseAgent{Agent: "bot", Board: "WEB"}, code: events.CodeForbidden},
		{name: "pause a person", meta: by(ada), when: PauseAgent{Agent: "vic"}, code: events.CodeNotFound},
		{name: "resume", given: paused, meta: by(pam), when: ResumeAgent{Agent: "bot", Board: "1"}, want: []events.Event{events.AgentResumed{UserID: bot.ID}}},
		{name: "resume who works", meta: by(ada), when: ResumeAgent{Agent: "bot"}},
	})
	s := given(t, paused...)
	if err := s.w.authorise(by(bot)); events.CodeOf(err) != events.CodePaused {
		t.Errorf("a paused agent: got %v, want paused", err)
	}
}
