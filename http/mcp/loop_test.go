package mcp

import (
	"strings"
	"testing"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// A plan, its first ticket worked on and approved, on both transports: find,
// claim, heartbeat, checklist, evidence, complete, review, done.
func TestWholeLoop(t *testing.T) {
	t.Parallel()
	for name, dial := range map[string]func(*app, string) *sdk.ClientSession{"http": (*app).overHTTP, "pipe": (*app).overPipe} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			pat, token := a.board()
			s := dial(a, token)

			boards := call[boardsReply](t, s, "list_boards", args{"detailed": true})
			if boards.You != "builder" || len(boards.Boards) != 1 || boards.Boards[0].Key != "WEB" || len(boards.Boards[0].Columns) != 4 {
				t.Fatalf("list_boards = %+v", boards)
			}
			plan := call[createReply](t, s, "create_tickets", args{"board": "WEB", "tickets": []args{
				{"as": "schema", "title": "Schema", "checklist": []string{"migrates", "rolls back"}, "priority": "high"},
				{"as": "api", "title": "API", "depends_on": []string{"$schema"}, "assignee": "builder"},
				{"title": "Page", "depends_on": []string{"$api"}, "due_at": "2030-01-31T12:00:00Z"},
			}})
			if len(plan.Created) != 3 || plan.Created[0] != (created{"schema", "WEB-1"}) || plan.Created[2].Key != "WEB-3" {
				t.Fatalf("create_tickets = %+v", plan)
			}
			found := call[findReply](t, s, "find_tickets", args{"board": "WEB", "state": "ready"})
			if len(found.Tickets) != 1 || found.Tickets[0].Key != "WEB-1" {
				t.Errorf("ready = %+v", found)
			}
			found = call[findReply](t, s, "find_tickets", args{"board": "WEB", "state": "blocked"})
			if found.Total != 2 || strings.Join(found.Tickets[0].BlockedBy, " ") != "WEB-1" {
				t.Errorf("blocked = %+v", found)
			}

			claim := call[claimReply](t, s, "claim_next", args{"board": "WEB", "lease_seconds": 60})
			if !claim.Claimed || claim.Fence == 0 || claim.Ticket.Key != "WEB-1" || claim.Ticket.Column != "Doing" || len(claim.Ticket.Untrusted.Checklist) != 2 {
				t.Fatalf("claim_next = %+v", claim)
			}
			beat := call[claimReply](t, s, "heartbeat", args{"ticket": "WEB-1", "fence": claim.Fence, "lease_seconds": 3600})
			if !beat.ExpiresAt.After(*claim.ExpiresAt) {
				t.Errorf("after a heartbeat the claim ends at %v, before at %v", beat.ExpiresAt, claim.ExpiresAt)
			}
			items := claim.Ticket.Untrusted.Checklist
			refusal := refused(t, s, "update_ticket", args{"ticket": "WEB-1", "fence": claim.Fence, "column": "Done"}, events.CodePolicy)
			if len(refusal.Fields) != 3 {
				t.Errorf("fields = %v, want the three rules of the column", refusal.Fields)
			}
			change := call[changeReply](t, s, "update_ticket", args{
				"ticket": "WEB-1", "fence": claim.Fence, "check": []int64{items[0].ID, items[1].ID},
				"evidence": []args{{"kind": "test_output", "text": "ok  ./..."}},
			})
			if change.Ticket.Checklist != "2/2" || change.Ticket.Evidence != 1 {
				t.Errorf("update_ticket = %+v", change)
			}
			call[any](t, s, "comment", args{"ticket": "WEB-1", "text": "Used the old migration."})
			change = call[changeReply](t, s, "complete_ticket", args{"ticket": "WEB-1", "fence": claim.Fence, "evidence": []args{{"kind": "commit", "text": "abc123"}}, "note": "please look"})
			if change.Ticket.Column != "Review" || change.Ticket.Approval != "requested" || change.Ticket.Holder != "" {
				t.Errorf("complete_ticket = %+v, want it in review with the approval requested", change)
			}

			// It is not the agent's to call it done.
			p := refused(t, a.overHTTP(token), "complete_ticket", args{"ticket": "WEB-1", "column": "Done"}, events.CodeForbidden)
			if p.Message == "" {
				t.Error("no message")
			}
			if _, err := pat.Approve(t.Context(), commands.ApproveTicket{Ticket: "WEB-1"}); err != nil {
				t.Fatal(err)
			}
			if _, err := pat.Complete(t.Context(), commands.CompleteTicket{Ticket: "WEB-1"}); err != nil {
				t.Fatal(err)
			}
			claim = call[claimReply](t, s, "claim_next", args{"board": "WEB"})
			if claim.Ticket.Key != "WEB-2" {
				t.Errorf("then claim_next gave %+v, want WEB-2", claim.Ticket)
			}
			summary := call[summaryReply](t, s, "board_summary", args{"board": "WEB"})
			if len(summary.Holding) != 1 || summary.Holding[0].Key != "WEB-2" || summary.Holding[0].Holder != "builder" || summary.Blocked != 1 {
				t.Errorf("board_summary = %+v", summary)
			}
			if c := summary.Board.Columns; *c[1].Tickets != 1 || *c[1].WIPLimit != 3 || *c[3].Tickets != 1 || len(c[3].Policy) != 3 {
				t.Errorf("columns = %+v", c)
			}
			read := call[ticketReply](t, s, "get_ticket", args{"ticket": "web-1", "detailed": true})
			if u := read.Ticket.Untrusted; len(u.Comments) != 1 || u.Comments[0].By != "builder" || len(u.Evidence) != 2 || u.Approval == nil {
				t.Errorf("get_ticket = %+v", read)
			}
		})
	}
}
