package http

import (
	"fmt"
	"strings"
	"testing"
)

// TestWhoMay asks every route about the work on tickets without a credential, as
// a viewer, as an agent without a claim, and through tokens that are less than
// their owner. A pm passes the permissions, whatever else may be wrong.
func TestWhoMay(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("vera:viewer")
	ann := a.user("ann", false)
	a.agent("bot")
	a.agent("other")
	a.do("POST", "/api/tickets", ann, fmt.Sprintf(`{"board_id":%d,"title":"One"}`, id), "Idempotency-Key: made").want(201)
	a.ticket(ann, id, "Two")
	// A pm's token that makes a viewer, or an agent, of its owner.
	a.users["small"] = a.scoped("ann", `"role":"viewer","boards":["WEB"]`)
	a.users["worker"] = a.scoped("ann", `"role":"agent","boards":["WEB"]`)
	const (
		all    = 0 // whoever may read
		own    = 1 // contributors, to tickets that they hold or are assigned to
		any    = 2 // contributors, to any ticket
		manage = 3 // a pm
	)
	for _, row := range []struct {
		who                int
		method, path, body string
	}{
		{all, "GET", "/api/boards/WEB/ready", ""},
		{all, "GET", "/api/boards/WEB/usage", ""},
		{all, "GET", "/api/boards/WEB", ""},
		{all, "GET", "/api/boards/WEB/pulse", ""},
		{all, "GET", "/api/boards/WEB/diff?from=0", ""},
		{all, "GET", "/api/boards", ""},
		{all, "GET", "/api/events?board=WEB&order=desc", ""},
		{all, "GET", "/api/tickets/1/dependencies", ""},
		{all, "GET", "/api/tickets/1/usage", ""},
		{all, "GET", "/api/statistics/boards/WEB/statistics", ""},
		{all, "GET", "/api/statistics/boards/WEB/performance", ""},
		{all, "GET", "/api/statistics/boards/WEB/flow", ""},
		{all, "GET", "/api/statistics/boards/WEB/flow?format=csv", ""},
		{all, "GET", "/api/statistics/tickets/1/statistics", ""},
		{all, "GET", "/api/agents", ""},
		{all, "GET", "/api/agents/bot", ""},
		{any, "POST", "/api/boards/WEB/claim-next", `{"column":"Done"}`},
		{any, "POST", "/api/tickets/1/claim", `{"lease_seconds":1}`},
		{any, "POST", "/api/tickets/1/usage", `{"input_tokens":-1}`},
		{any, "POST", "/api/tickets/1/heartbeat", ""},
		{own, "POST", "/api/tickets/1/release", ""},
		{own, "POST", "/api/tickets/1/complete", `{"column":"Nowhere"}`},
		{own, "POST", "/api/tickets/1/request-approval", ""},
		{own, "POST", "/api/tickets/1/dependencies", `{"depends_on":"WEB-2"}`},
		{own, "DELETE", "/api/tickets/1/dependencies/WEB-2", ""},
		{own, "PUT", "/api/tickets/1/checklist", `{"items":[]}`},
		{own, "POST", "/api/tickets/1/checklist", `{"item":7,"done":true}`},
		{own, "POST", "/api/tickets/1/evidence", `{"kind":"note","text":""}`},
		{own, "DELETE", "/api/tickets/1/evidence/7", ""},
		{manage, "POST", "/api/tickets/1/approve", `{"version":1}`},
		{manage, "POST", "/api/tickets/1/reject", `{"version":1}`},
		{manage, "POST", "/api/boards/WEB/undo", `{"actor":"nobody","since":0}`},
		{manage, "POST", "/api/agents/other/pause", ""},
		{manage, "POST", "/api/agents/other/resume", ""},
		{manage, "POST", "/api/boards/WEB/unfreeze", ""},
		{manage, "POST", "/api/boards/WEB/freeze", ""}, // the last: it stops the others
	} {
		a.do(row.method, row.path, "", row.body).want(401)
		for _, who := range []struct {
			name string
			may  bool
		}{
			{"vera", row.who == all},
			{"small", row.who == all},
			{"bot", row.who == all || row.who == any},
			{"worker", row.who == all || row.who == any},
			{"ann", true},
		} {
			r := a.do(row.method, row.path, a.users[who.name], row.body)
			refused := r.status == 403 && strings.Contains(r.body, `"forbidden"`)
			if refused == who.may || r.status == 401 || r.status >= 500 {
				t.Errorf("%s %s as %s: %d %s, want it allowed: %v", row.method, row.path, who.name, r.status, r.body, who.may)
			}
		}
	}
	a.do("POST", "/api/boards/WEB/unfreeze", ann, "").want(200)
	a.do("POST", "/api/commands/made/undo", a.users["worker"], "").want(409) // it is ann's own
	for _, who := range []string{"vera", "bot", "small", "worker"} {
		if who != "worker" {
			a.do("POST", "/api/commands/made/undo", a.users[who], "").want(403)
		}
		for path, body := range map[string]string{"move": `"column":"Done"`, "priority": `"priority":"low"`, "assign": `"assignee":"ann"`} {
			r := a.do("POST", "/api/bulk/tickets/"+path, a.users[who], `{"tickets":["WEB-1"],`+body+`}`).want(200)
			if !strings.Contains(r.body, `"forbidden"`) {
				t.Errorf("bulk %s as %s: %s", path, who, r.body)
			}
		}
	}
	for _, path := range []string{"/api/commands/made/undo", "/api/bulk/tickets/move", "/api/bulk/tickets/priority", "/api/bulk/tickets/assign"} {
		a.do("POST", path, "", "").want(401)
	}
}
