package mcp

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// Each tool's ways of saying no, as the model sees them.
func TestRefusals(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	pat, token := a.board()
	other := a.person("olga")
	if _, err := pat.SetMember(t.Context(), commands.SetMember{Board: "WEB", User: "olga", Role: events.AgentRole}); err != nil {
		t.Fatal(err)
	}
	s := a.overHTTP(token)
	call[createReply](t, s, "create_tickets", args{"board": "WEB", "tickets": []args{
		{"as": "a", "title": "Mine", "assignee": "builder", "checklist": []string{"one"}},
		{"as": "b", "title": "Waits", "depends_on": []string{"$a"}},
		{"title": "Olga's"},
		{"title": "Free"},
		{"title": "Free too"},
	}})
	if _, err := other.Claim(t.Context(), "WEB-3", 0); err != nil {
		t.Fatal(err)
	}
	mine := call[claimReply](t, s, "claim_next", args{"ticket": "WEB-1"})
	proof := []args{{"kind": "link", "text": "no address"}}

	for _, test := range []struct {
		tool  string
		in    args
		code  events.Code
		field string
	}{
		{"list_boards", args{"cursor": "nonsense"}, events.CodeInvalid, "cursor"},
		{"list_boards", args{"actor": "pat"}, events.CodeInvalid, "actor"},
		{"find_tickets", args{"board": "NOPE"}, events.CodeNotFound, ""},
		{"find_tickets", args{"state": "ready"}, events.CodeInvalid, "board"},
		{"find_tickets", args{"state": "lost"}, events.CodeInvalid, "state"},
		{"find_tickets", args{"board": "WEB", "state": "ready", "text": "x"}, events.CodeInvalid, "state"},
		{"find_tickets", args{"limit": 51}, events.CodeInvalid, "limit"},
		{"find_tickets", args{"limit": "ten"}, events.CodeInvalid, "limit"},
		{"get_ticket", args{}, events.CodeInvalid, "ticket"},
		{"get_ticket", args{"ticket": "WEB-99"}, events.CodeNotFound, ""},
		{"get_ticket", args{"ticket": "WEB-1", "cursor": "!"}, events.CodeInvalid, "cursor"},
		{"board_summary", args{}, events.CodeInvalid, "board"},
		{"board_summary", args{"board": "NOPE"}, events.CodeNotFound, ""},
		{"create_tickets", args{"board": "WEB"}, events.CodeInvalid, "tickets"},
		{"create_tickets", args{"tickets": []args{{"title": "x"}}}, events.CodeInvalid, "board"},
		{"create_tickets", args{"board": "WEB", "tickets": []args{{"title": ""}}}, events.CodeInvalid, "title"},
		{"create_tickets", args{"board": "WEB", "tickets": []args{{"title": "x", "actor": "pat"}}}, events.CodeInvalid, "actor"},
		{"create_tickets", args{"board": "WEB", "tickets": []args{{"title": "x", "priority": "asap"}}}, events.CodeInvalid, "priority"},
		{"create_tickets", args{"board": "WEB", "tickets": []args{{"title": "x", "depends_on": []string{"$gone"}}}}, events.CodeInvalid, ""},
		{"update_ticket", args{"title": "x"}, events.CodeInvalid, "ticket"},
		{"update_ticket", args{"ticket": "WEB-1"}, events.CodeInvalid, ""},
		{"update_ticket", args{"ticket": "WEB-1", "note": "x", "title": "y"}, events.CodeInvalid, "note"},
		{"update_ticket", args{"ticket": "WEB-1", "due_at": "tomorrow"}, events.CodeInvalid, "due_at"},
		{"update_ticket", args{"ticket": "WEB-1", "column": "Nowhere"}, events.CodeInvalid, "column"},
		{"update_ticket", args{"ticket": "WEB-1", "column": "Done"}, events.CodePolicy, ""},
		{"update_ticket", args{"ticket": "WEB-1", "fence": 3, "title": "x"}, events.CodeStaleClaim, ""},
		{"update_ticket", args{"ticket": "WEB-1", "add_depends_on": []string{"WEB-2"}}, events.CodeCycle, ""},
		{"update_ticket", args{"ticket": "WEB-1", "check": []int{77}}, events.CodeNotFound, ""},
		{"update_ticket", args{"ticket": "WEB-1", "evidence": proof}, events.CodeInvalid, "text"},
		{"update_ticket", args{"ticket": "WEB-3", "title": "x"}, events.CodeForbidden, ""},
		{"update_ticket", args{"ticket": "WEB-4", "title": "x"}, events.CodeForbidden, ""},
		{"claim_next", args{}, events.CodeInvalid, "board"},
		{"claim_next", args{"board": "WEB", "ticket": "WEB-1"}, events.CodeInvalid, "ticket"},
		{"claim_next", args{"board": "WEB", "wait_seconds": 61}, events.CodeInvalid, "wait_seconds"},
		{"claim_next", args{"board": "WEB", "lease_seconds": 1}, events.CodeInvalid, "lease_seconds"},
		{"claim_next", args{"board": "NOPE"}, events.CodeNotFound, ""},
		{"claim_next", args{"ticket": "WEB-1"}, events.CodeClaimed, ""},
		{"claim_next", args{"ticket": "WEB-2"}, events.CodeBlocked, ""},
		{"claim_next", args{"ticket": "WEB-3"}, events.CodeClaimed, ""},
		{"heartbeat", args{}, events.CodeInvalid, "ticket"},
		{"heartbeat", args{"ticket": "WEB-4"}, events.CodeConflict, ""},
		{"heartbeat", args{"ticket": "WEB-1", "fence": 3}, events.CodeStaleClaim, ""},
		{"heartbeat", args{"ticket": "WEB-1", "fence": mine.Fence, "lease_seconds": 5}, events.CodeInvalid, "lease_seconds"},
		{"comment", args{"text": "x"}, events.CodeInvalid, "ticket"},
		{"comment", args{"ticket": "WEB-1", "text": " "}, events.CodeInvalid, "text"},
		{"comment", args{"ticket": "WEB-99", "text": "x"}, events.CodeNotFound, ""},
		{"complete_ticket", args{}, events.CodeInvalid, "ticket"},
		{"complete_ticket", args{"ticket": "WEB-1", "fence": 3}, events.CodeStaleClaim, ""},
		{"complete_ticket", args{"ticket": "WEB-1", "fence": mine.Fence, "column": "Done"}, events.CodePolicy, ""},
		{"complete_ticket", args{"ticket": "WEB-1", "evidence": proof}, events.CodeInvalid, "evidence[0].text"},
		{"complete_ticket", args{"ticket": "WEB-3"}, events.CodeForbidden, ""},
	} {
		p := refused(t, s, test.tool, test.in, test.code)
		if test.field != "" && !strings.Contains(strings.Join(keysOf(p.Fields), " "), test.field) {
			t.Errorf("%s %v: fields = %v, want %s among them", test.tool, test.in, p.Fields, test.field)
		}
	}

	// A refused plan leaves nothing behind.
	if found := call[findReply](t, s, "find_tickets", args{"board": "WEB"}); found.Total != 5 {
		t.Errorf("after the refusals there are %d tickets, want 5", found.Total)
	}
	call[claimReply](t, s, "claim_next", args{"ticket": "WEB-4"})
	refused(t, s, "claim_next", args{"board": "WEB"}, events.CodeClaimLimit)
	if _, err := pat.FreezeBoard(t.Context(), "WEB", "look at this first"); err != nil {
		t.Fatal(err)
	}
	refused(t, s, "update_ticket", args{"ticket": "WEB-1", "title": "x"}, events.CodeFrozen)
	call[claimReply](t, s, "heartbeat", args{"ticket": "WEB-1"})
	if _, err := pat.UnfreezeBoard(t.Context(), "WEB"); err != nil {
		t.Fatal(err)
	}
	if _, err := pat.PauseAgent(t.Context(), commands.PauseAgent{Agent: "builder", Board: "WEB"}); err != nil {
		t.Fatal(err)
	}
	refused(t, s, "comment", args{"ticket": "WEB-1", "text": "x"}, events.CodePaused)
	if n := len(call[boardsReply](t, s, "list_boards", nil).Boards); n != 1 {
		t.Errorf("a paused agent sees %d boards, want 1", n)
	}
}

func keysOf(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// Nothing ready is an answer, not a refusal.
func TestNothingReadyIsNoRefusal(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	got := call[claimReply](t, a.overHTTP(token), "claim_next", args{"board": "WEB"})
	if got.Claimed || got.Detail == "" || got.Ticket != nil {
		t.Errorf("claim_next = %+v, want none claimed and why", got)
	}
}

// Faults of the server and of the way to it are errors of the protocol: there is
// nothing that the model could change about them.
func TestFaultsAreProtocolErrors(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"internal":    `{"code":"internal","detail":"Something went wrong."}`,
		"unavailable": `{"code":"unavailable","detail":"Try again."}`,
	}
	for name, body := range answers {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = w.Write([]byte(body))
		}))
		transport := &http.Transport{}
		c, err := client.New(client.Config{URL: srv.URL, HTTP: &http.Client{Transport: transport}, Retries: -1})
		if err != nil {
			t.Fatal(err)
		}
		s := servePipe(t, c)
		wantFault(t, s, name, "")
		srv.Close()
		wantFault(t, s, "unreachable", "kanban serve")
		transport.CloseIdleConnections()
	}
}

func wantFault(t *testing.T, s *sdk.ClientSession, name, contains string) {
	t.Helper()
	_, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: "list_boards"})
	var rpc *jsonrpc.Error
	if !errors.As(err, &rpc) || rpc.Code != jsonrpc.CodeInternalError || !strings.Contains(rpc.Message, contains) {
		t.Errorf("%s: %v, want an error of the protocol that mentions %q", name, err, contains)
	}
}

// The budget of commands is the API's own: a runaway is told to slow down.
func TestRunawayIsTold(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	a.do(commands.CreateTicket{Board: "WEB", Title: "Talk"})
	s := a.overHTTP(token)
	for range 5000 {
		res, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: "comment", Arguments: args{"ticket": "WEB-1", "text": "again"}})
		if err != nil {
			t.Fatal(err)
		}
		if res.IsError {
			p := read[struct{ Error problem }](t, res).Error
			if p.Code != events.CodeRateLimited || p.RetryAfter < 1 {
				t.Errorf("refused with %+v, want rate_limited and how long to wait", p)
			}
			return
		}
	}
	t.Error("5000 commands were never too many")
}

// A panic of one call is not the end of the server.
func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	s := servePipe(t, nil)
	wantFault(t, s, "panic", "went wrong")
	wantFault(t, s, "panic", "went wrong")
}
