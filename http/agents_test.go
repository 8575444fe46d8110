package http

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/readmodel"
)

func TestAgentsAreStopped(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("eve:pm")
	ann, eve, bot := a.user("ann", false), a.user("eve", false), a.agent("bot")
	a.ticket(ann, id, "First")
	fence := a.do("POST", "/api/tickets/1/claim", bot, "").want(200).claim().Lease.Fence
	beat := fmt.Sprintf(`{"fence":%d}`, fence)

	// Paused: found a board for it, refused whatever it asks, and said why.
	var v readmodel.Agent
	a.do("POST", "/api/agents/bot/pause", eve, `{"reason":"it loops"}`).want(200).json(&v)
	if !v.Paused || v.PauseReason != "it loops" || v.Name != "bot" || len(v.Claims) != 1 || v.Claims[0].Key != "WEB-1" {
		t.Errorf("paused agent is %+v", v)
	}
	for _, path := range []string{"/api/tickets/1/heartbeat", "/api/tickets/1/release", "/api/boards/WEB/claim-next"} {
		if r := a.do("POST", path, bot, "").want(403); !strings.Contains(r.body, `"paused"`) {
			t.Errorf("%s of a paused agent: %s", path, r.body)
		}
	}
	a.do("GET", "/api/tickets/1", bot, "").want(200)
	a.do("POST", fmt.Sprintf("/api/agents/%d/resume", v.ID), ann, `{"board":"WEB"}`).want(200).json(&v)
	if v.Paused {
		t.Errorf("resumed agent is %+v", v)
	}
	a.do("POST", "/api/tickets/1/heartbeat", bot, beat).want(200)

	// Frozen: people who are pm go on, and heartbeats are taken.
	r := a.do("POST", "/api/boards/WEB/freeze", ann, `{"reason":"release"}`).want(200)
	if got := a.do("GET", "/api/boards/WEB", ann, "").body; got != r.body || !strings.Contains(got, `"frozen":true`) {
		t.Errorf("board read gives\n%s, freeze gave\n%s", got, r.body)
	}
	if r := a.do("POST", "/api/tickets/1/complete", bot, beat).want(409); !strings.Contains(r.body, `"frozen"`) {
		t.Errorf("complete on a frozen board: %s", r.body)
	}
	a.do("POST", "/api/tickets/1/heartbeat", bot, beat).want(200)
	a.do("PATCH", "/api/tickets/1", ann, `{"title":"Better"}`).want(200)
	r = a.do("POST", "/api/boards/WEB/unfreeze", ann, "").want(200)
	if got := a.do("GET", "/api/boards/WEB", ann, "").body; got != r.body {
		t.Errorf("board read gives\n%s, unfreeze gave\n%s", got, r.body)
	}
	a.do("POST", "/api/tickets/1/complete", bot, beat).want(200)
	a.do("GET", "/api/agents/bot", ann, "").want(200).json(&v)
	if v.TicketsDone != 1 || len(v.Claims) != 0 {
		t.Errorf("agent with a ticket done is %+v", v)
	}
}

// TestBudgetOfAnAgent uses up what an agent may do in a minute.
func TestBudgetOfAnAgent(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.board()
	ann, bot := a.user("ann", false), a.agent("bot")
	r := a.do("POST", "/api/boards/WEB/claim-next", bot, "").want(200)
	if got := r.header.Get("RateLimit-Policy"); got != `"commands";q=600;w=60` {
		t.Errorf("RateLimit-Policy is %q", got)
	}
	// On a slow machine the one that was used may be back already.
	if got := r.header.Get("RateLimit"); !strings.HasPrefix(got, `"commands";r=599;t=`) && got != `"commands";r=600;t=0` {
		t.Errorf("RateLimit is %q, want 599 left", got)
	}
	list := "[" + strings.Repeat(`{"type":"add_comment","data":{"ticket":"WEB-99","text":"x"}},`, 499) + `{"type":"archive_ticket","data":{"ticket":"WEB-99"}}]`
	a.do("POST", "/api/commands", bot, list).want(404)
	refs := `{"tickets":[` + strings.Repeat("99,", 98) + `99],"priority":"low"}`
	for range 3 { // what is left, or not even that
		r = a.do("POST", "/api/bulk/tickets/priority", bot, refs)
	}
	r.want(429)
	if r.header.Get("Retry-After") == "" || !strings.HasPrefix(r.header.Get("RateLimit"), `"commands";r=`) || !strings.Contains(r.body, "600 commands in a minute") {
		t.Errorf("refusal is %v %s", r.header, r.body)
	}
	r = a.do("POST", "/api/commands", ann, list).want(404)
	if got := r.header.Get("RateLimit"); got != "" {
		t.Errorf("a person has RateLimit %q", got)
	}
	a.do("GET", "/api/boards/WEB", bot, "").want(200)
}

func TestPoliciesOfColumns(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	ann := a.user("ann", false)
	r := a.do("POST", "/api/boards", ann, `{"name":"Web","key":"WEB","max_claims":2,"columns":["To do",
		{"name":"Doing","kind":"active"},
		{"name":"Done","kind":"done","policy":{"require_evidence":true,"approval":true,"allow_from":["Doing"]}}]}`).want(201)
	if got := a.do("GET", "/api/boards/WEB", ann, "").body; got != r.body || !strings.Contains(got, `"max_claims":2`) {
		t.Errorf("board read gives\n%s, write gave\n%s", got, r.body)
	}
	columns := a.do("GET", "/api/boards/WEB/columns", ann, "").want(200)
	var l list[readmodel.Column]
	columns.json(&l)
	if p := l.Items[2].Policy; !p.RequireEvidence || !p.Approval || len(p.AllowFrom) != 1 || p.AllowFrom[0] != l.Items[1].ID {
		t.Errorf("policy is %+v", p)
	}
	// What is read can be written back as it is.
	items := columns.body[strings.Index(columns.body, "[") : strings.LastIndex(columns.body, "]")+1]
	if again := a.do("PUT", "/api/boards/WEB/columns", ann, items).want(200); again.body != columns.body {
		t.Errorf("written back the columns are\n%s, they were\n%s", again.body, columns.body)
	}
	a.ticket(ann, l.Items[0].ID, "One")
	r = a.do("POST", "/api/tickets/WEB-1/move", ann, `{"column":"Done"}`).want(409)
	for _, want := range []string{`"policy"`, `"require_evidence":"`, `"approval":"`, `"allow_from":"`} {
		if !strings.Contains(r.body, want) {
			t.Errorf("refusal lacks %s: %s", want, r.body)
		}
	}
	a.run(t, []scenario{
		{name: "unknown rule", method: "PUT", url: "/api/boards/WEB/columns", user: "ann", body: `[{"name":"Done","policy":{"require_luck":true}}]`, status: 400, has: []string{"require_luck"}},
		{name: "unknown column", method: "PUT", url: "/api/boards/WEB/columns", user: "ann", body: `[{"name":"To do"},{"name":"Done","policy":{"allow_from":["Nowhere"]}}]`, status: 400},
	})
}

// TestMCPIsMounted has a handler that calls back into the API.
func TestMCPIsMounted(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(_ *Config, d *Deps) {
		d.MCP = func(api http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/mcp" {
					_, _ = io.WriteString(w, "metadata of "+r.URL.Path)
					return
				}
				inner := r.Clone(r.Context())
				inner.Method, inner.URL.Path, inner.Body = http.MethodGet, "/api/boards", http.NoBody
				api.ServeHTTP(w, inner)
			})
		}
	})
	a.board()
	ann := a.user("ann", false)
	for _, method := range []string{"POST", "GET", "DELETE"} {
		if r := a.do(method, "/mcp/", ann, "").want(200); !strings.Contains(r.body, `"WEB"`) {
			t.Errorf("%s /mcp does not reach the API: %s", method, r.body)
		}
	}
	a.do("PUT", "/mcp", ann, "").want(405)
	a.do("POST", "/mcp", "", "").want(401)
	if r := a.do("GET", "/.well-known/oauth-protected-resource/mcp", "", "").want(200); !strings.HasSuffix(r.body, "/mcp") || r.header.Get("X-Request-Id") == "" {
		t.Errorf("metadata is %v %s", r.header, r.body)
	}
	newApp(t).do("POST", "/mcp", "", "").want(404)
}
