package mcp

import (
	"testing"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// kanban mcp remembers the fence of a claim while that lasts. Afterwards it does
// not stand in the way of what the agent may do without a claim.
func TestFencesAreForgottenWithTheirClaims(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	pat, token := a.board()
	s := a.overPipe(token)
	olga := a.overPipe(a.token("olga", events.Human))
	if _, err := pat.SetMember(t.Context(), commands.SetMember{Board: "WEB", User: "olga", Role: events.AgentRole}); err != nil {
		t.Fatal(err)
	}
	for _, assignee := range []string{"builder", "olga", "builder"} {
		a.do(commands.CreateTicket{Board: "WEB", Title: "For " + assignee, Assignee: assignee})
	}

	// The agent's own move ends the claim.
	call[claimReply](t, s, "claim_next", args{"ticket": "WEB-1"})
	call[changeReply](t, s, "update_ticket", args{"ticket": "web-1", "title": "Under the claim"})
	call[changeReply](t, s, "update_ticket", args{"ticket": "WEB-1", "column": "Todo"})
	call[changeReply](t, s, "update_ticket", args{"ticket": "WEB-1", "title": "After it"})

	// A pm's move does. People hear of it once; an agent has to claim it anew,
	// says the API.
	call[claimReply](t, olga, "claim_next", args{"ticket": "WEB-2"})
	if _, err := pat.MoveTicket(t.Context(), commands.MoveTicket{Ticket: "WEB-2", Column: "Todo"}, nil); err != nil {
		t.Fatal(err)
	}
	refused(t, olga, "update_ticket", args{"ticket": "WEB-2", "title": "Late"}, events.CodeStaleClaim)
	call[changeReply](t, olga, "update_ticket", args{"ticket": "WEB-2", "title": "Knowing of it"})

	// While another session of the same agent holds it, the late one stays late.
	call[claimReply](t, s, "claim_next", args{"ticket": "WEB-3"})
	if _, err := pat.Release(t.Context(), commands.ReleaseTicket{Ticket: "WEB-3"}); err != nil {
		t.Fatal(err)
	}
	other := a.overPipe(token)
	call[claimReply](t, other, "claim_next", args{"ticket": "WEB-3"})
	for range 2 {
		refused(t, s, "update_ticket", args{"ticket": "WEB-3", "title": "Late"}, events.CodeStaleClaim)
		refused(t, s, "heartbeat", args{"ticket": "WEB-3"}, events.CodeStaleClaim)
		refused(t, s, "complete_ticket", args{"ticket": "WEB-3"}, events.CodeStaleClaim)
	}
	// A wrong fence is no reason to forget the right one.
	refused(t, other, "heartbeat", args{"ticket": "WEB-3", "fence": 1}, events.CodeStaleClaim)
	call[claimReply](t, other, "heartbeat", args{"ticket": "WEB-3"})
}

// Arguments that only look like what is meant.
func TestNearArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	a.do(commands.CreateTicket{Board: "WEB", Title: "One"})
	s := a.overHTTP(token)
	for _, test := range []struct {
		tool  string
		in    args
		field string
	}{
		{"claim_next", args{"board": "WEB", "lease_seconds": int64(1) << 62}, "lease_seconds"},
		{"heartbeat", args{"ticket": "WEB-1", "lease_seconds": -int64(1) << 62}, "lease_seconds"},
		{"update_ticket", args{"ticket": "WEB-1", "fence": "12", "title": "x"}, "fence"},
		{"update_ticket", args{"ticket": "WEB-1", "fence": 12.5, "title": "x"}, "fence"},
		{"create_tickets", args{"board": "WEB", "tickets": []args{{"title": "x", "due_at": "tomorrow"}}}, "due_at"},
	} {
		if p := refused(t, s, test.tool, test.in, events.CodeInvalid); p.Fields[test.field] == "" {
			t.Errorf("%s %v: fields = %v, want %s", test.tool, test.in, p.Fields, test.field)
		}
	}
}
