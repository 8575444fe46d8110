package http

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/readmodel"
)

func TestBulkHasOutcomesPerTicket(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann := a.user("ann", false)
	for range 3 {
		a.ticket(ann, id, "T")
	}
	a.do("PUT", "/api/boards/WEB/columns", ann, `[{"id":1,"name":"Not Started"},{"id":2,"name":"In Progress","wip_limit":1},{"id":5,"name":"Done"}]`).want(200)
	r := a.do("POST", "/api/bulk/tickets/move", ann, `{"tickets":["WEB-1",2,"WEB-9","WEB-3"],"column":"In Progress"}`, "Idempotency-Key: bulk").want(200)
	var got bulkReply
	r.json(&got)
	if got.Succeeded != 1 || got.Failed != 3 || len(got.Items) != 4 || !got.Items[0].OK || got.Items[0].Ticket != "WEB-1" ||
		got.Items[0].Position == 0 || fmt.Sprint(got.Items[0].Position) != r.header.Get("Kanban-Position") {
		t.Errorf("reply is %v %s", r.header, r.body)
	}
	for i, code := range map[int]string{1: "wip_limit", 2: "not_found", 3: "wip_limit"} {
		if e := got.Items[i].Error; e == nil || string(e.Code) != code || e.Detail == "" || got.Items[i].OK {
			t.Errorf("item %d is %+v, want %s", i, got.Items[i], code)
		}
	}
	// The same request again has the same outcomes, although the column has room
	// now for what was done already; another under its key is refused.
	if again := a.do("POST", "/api/bulk/tickets/move", ann, `{"tickets":["WEB-1",2,"WEB-9","WEB-3"],"column":"In Progress"}`, "Idempotency-Key: bulk").want(200); again.body != r.body {
		t.Errorf("repeated it answers\n%s, the first time\n%s", again.body, r.body)
	}
	a.do("POST", "/api/bulk/tickets/move", ann, `{"tickets":["WEB-1"],"column":"Done"}`, "Idempotency-Key: bulk").want(422)

	a.do("POST", "/api/bulk/tickets/priority", ann, `{"tickets":["WEB-1","WEB-2"],"priority":"urgent"}`).want(200)
	a.do("POST", "/api/bulk/tickets/assign", ann, `{"tickets":["WEB-1"],"assignee":"bob"}`, "Prefer: return=minimal").want(200)
	var one readmodel.Ticket
	a.do("GET", "/api/tickets/1", ann, "", "Kanban-Min-Position: 1").want(200).json(&one)
	if one.Priority != "urgent" || one.CurrentColumn != "In Progress" {
		t.Errorf("ticket is %+v", one)
	}
	a.do("POST", "/api/bulk/tickets/assign", ann, `{"tickets":["WEB-1"],"assignee":null}`).want(200)
	a.do("GET", "/api/tickets/1", ann, "").want(200).json(&one)
	if one.Assignee != nil {
		t.Errorf("assignee is %v, want nobody", *one.Assignee)
	}
	a.run(t, []scenario{
		{name: "none", method: "POST", url: "/api/bulk/tickets/move", user: "ann", body: `{"tickets":[],"column":"Done"}`, status: 400, has: []string{`"tickets"`}},
		{name: "too many", method: "POST", url: "/api/bulk/tickets/move", user: "ann", body: `{"column":"Done","tickets":[` + strings.Repeat("1,", 100) + `1]}`, status: 400, has: []string{"100"}},
		{name: "If-Match", method: "POST", url: "/api/bulk/tickets/move", user: "ann", body: `{"tickets":[1],"column":"Done"}`, headers: []string{`If-Match: "v1"`}, status: 400, has: []string{"If-Match"}},
		{name: "no such priority", method: "POST", url: "/api/bulk/tickets/priority", user: "ann", body: `{"tickets":[1],"priority":"asap"}`, status: 200, has: []string{`"invalid"`, `"failed":1`}},
		{name: "unknown field", method: "POST", url: "/api/bulk/tickets/assign", user: "ann", body: `{"tickets":[1],"who":"bob"}`, status: 400, has: []string{`"who"`}},
	})
}

func TestUndo(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann, bot := a.user("ann", false), a.agent("bot")
	a.ticket(ann, id, "First")
	before := a.do("GET", "/api/tickets/1", ann, "").body
	a.do("PATCH", "/api/tickets/1", ann, `{"title":"Changed"}`, "Idempotency-Key: change").want(200)
	r := a.do("POST", "/api/commands/change/undo", ann, "", "Idempotency-Key: back").want(200)
	var done struct {
		Position int64
		Events   []struct{ Type string }
	}
	r.json(&done)
	if len(done.Events) != 2 || done.Events[1].Type != "commands_undone" || fmt.Sprint(done.Position) != r.header.Get("Kanban-Position") {
		t.Errorf("undo answers %s", r.body)
	}
	if again := a.do("POST", "/api/commands/change/undo", ann, "", "Idempotency-Key: back").want(200); again.body != r.body {
		t.Errorf("repeated it answers\n%s, the first time\n%s", again.body, r.body)
	}
	var was, is readmodel.Ticket
	reply{t: t, body: before}.json(&was)
	a.do("GET", "/api/tickets/1", ann, "").want(200).json(&is)
	if is.Title != was.Title {
		t.Errorf("title is %q after undo, want %q", is.Title, was.Title)
	}
	head, err := a.db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		a.ticket(bot, id, fmt.Sprintf("Spree %d", i))
	}
	a.run(t, []scenario{
		{name: "nothing done", method: "POST", url: "/api/boards/WEB/undo", user: "ann", body: `{"actor":"nobody","since":0}`, status: 404},
		{name: "no actor", method: "POST", url: "/api/boards/WEB/undo", user: "ann", body: `{"since":0}`, status: 400},
		{name: "no command", method: "POST", url: "/api/commands/never/undo", user: "ann", status: 404},
		{name: "another's", method: "POST", url: "/api/commands/change/undo", user: "bot", status: 403},
	})
	a.do("POST", "/api/boards/WEB/undo", ann, fmt.Sprintf(`{"actor":"bot","since":%d}`, head.Position)).want(200)
	var l list[readmodel.Ticket]
	a.do("GET", "/api/tickets", ann, "").want(200).json(&l)
	if l.Total != 1 {
		t.Errorf("after the undo there are %d tickets, want 1", l.Total)
	}
}

// TestWorkIsReadAsWritten compares what each write about the work on a ticket
// answers with what a read gives, and with what it answers when repeated.
func TestWorkIsReadAsWritten(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("zoe:pm")
	ann, zoe := a.user("ann", false), a.user("zoe", false)
	a.ticket(ann, id, "One")
	a.ticket(ann, id, "Two")
	a.ticket(ann, id, "Three")
	for i, row := range []struct{ who, method, path, body string }{
		{ann, "POST", "/dependencies", `{"depends_on":"WEB-2"}`},
		{ann, "POST", "/dependencies", `{"depends_on":[2,"WEB-3"]}`},
		{ann, "DELETE", "/dependencies/WEB-2", ""},
		{ann, "DELETE", "/dependencies/3", ""},
		{ann, "PUT", "/checklist", `{"items":[{"text":"a"},{"text":"b","done":true}]}`},
		{ann, "POST", "/checklist", `{"item":1,"done":true}`},
		{ann, "POST", "/evidence", `{"kind":"link","text":"https://example.org/1"}`},
		{ann, "POST", "/evidence", `{"kind":"note","text":"wrong"}`},
		{ann, "DELETE", "/evidence/2", ""},
		{ann, "POST", "/request-approval", `{"note":"please"}`},
		{zoe, "POST", "/approve", `{"note":"fine"}`},
		{zoe, "POST", "/reject", `{"note":"not so fine","column":"Blocked"}`},
		{ann, "POST", "/release", ``},
	} {
		key := fmt.Sprintf("Idempotency-Key: k%d", i)
		r := a.do(row.method, "/api/tickets/WEB-1"+row.path, row.who, row.body, key).want(200)
		if again := a.do(row.method, "/api/tickets/WEB-1"+row.path, row.who, row.body, key); again.body != r.body || again.header.Get("ETag") != r.header.Get("ETag") {
			t.Errorf("%s %s repeated answers\n%s, the first time\n%s", row.method, row.path, again.body, r.body)
		}
		if got := a.do("GET", "/api/tickets/1", ann, ""); got.body != r.body || got.header.Get("ETag") != r.header.Get("ETag") {
			t.Errorf("after %s %s a read gives %s\n%s, the write gave %s\n%s", row.method, row.path, got.header.Get("ETag"), got.body, r.header.Get("ETag"), r.body)
		}
	}
	a.run(t, []scenario{
		{name: "a cycle", method: "POST", url: "/api/tickets/2/dependencies", user: "ann", body: `{"depends_on":2}`, status: 409, has: []string{`"dependency_cycle"`, "WEB-2"}},
		{name: "no dependency", method: "POST", url: "/api/tickets/2/dependencies", user: "ann", body: `{"depends_on":[]}`, status: 400, has: []string{`"depends_on"`}},
		{name: "object", method: "POST", url: "/api/tickets/2/dependencies", user: "ann", body: `{"depends_on":{}}`, status: 400},
		{name: "no kind", method: "POST", url: "/api/tickets/2/evidence", user: "ann", body: `{"kind":"rumour","text":"x"}`, status: 400, has: []string{"kind"}},
		{name: "no such evidence", method: "DELETE", url: "/api/tickets/1/evidence/2", user: "ann", status: 404, has: []string{`"not_found"`}},
		{name: "old version", method: "POST", url: "/api/tickets/1/approve", user: "zoe", body: `{"version":4}`, status: 412, has: []string{`"current_version"`, `"newer_events"`, "evidence_added"}},
		{name: "own work", method: "POST", url: "/api/tickets/1/approve", user: "zoe", headers: []string{`If-Match: "v1"`}, status: 412},
		{name: "depends", method: "POST", url: "/api/tickets/2/dependencies", user: "ann", body: `{"depends_on":3}`, status: 200, has: []string{`"blocked":true`}},
	})
	// A dependency that gets done changes the ticket's view, but not its version.
	tag := a.do("GET", "/api/tickets/2", ann, "").header.Get("ETag")
	a.do("POST", "/api/tickets/3/move", ann, `{"column":"Done"}`).want(200)
	r := a.do("GET", "/api/tickets/2", ann, "", "If-None-Match: "+tag).want(200)
	if !strings.Contains(r.body, `"blocked":false`) {
		t.Errorf("ticket is %s", r.body)
	}
	a.do("PATCH", "/api/tickets/2", ann, `{"title":"Free"}`, "If-Match: "+tag).want(200)
}

func TestUsageAddsUp(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann, bot := a.user("ann", false), a.agent("bot")
	a.ticket(ann, id, "One")
	tag := a.do("GET", "/api/tickets/1", ann, "").header.Get("ETag")
	first := a.do("POST", "/api/tickets/1/usage", bot, `{"input_tokens":100,"cost_micros":5,"model":"m","session":"s"}`, "Idempotency-Key: u1").want(200)
	r := a.do("POST", "/api/tickets/WEB-1/usage", ann, `{"output_tokens":7}`).want(200)
	var sum readmodel.Usage
	r.json(&sum)
	if sum != (readmodel.Usage{InputTokens: 100, OutputTokens: 7, CostMicros: 5, Reports: 2}) {
		t.Errorf("sums are %+v", sum)
	}
	if again := a.do("POST", "/api/tickets/1/usage", bot, `{"input_tokens":100,"cost_micros":5,"model":"m","session":"s"}`, "Idempotency-Key: u1").want(200); again.body != first.body {
		t.Errorf("repeated it answers %s, the first time %s", again.body, first.body)
	}
	if got := a.do("GET", "/api/tickets/1/usage", ann, "").want(200).body; got != r.body {
		t.Errorf("read gives %s, write gave %s", got, r.body)
	}
	a.do("GET", "/api/tickets/1", ann, "", "If-None-Match: "+tag).want(304)
	var board readmodel.BoardUsage
	a.do("GET", "/api/boards/WEB/usage", ann, "").want(200).json(&board)
	if board.Total != sum || len(board.Agents) != 2 || board.Agents[0].Name != "bot" || len(board.Tickets) != 1 || board.Tickets[0].Key != "WEB-1" {
		t.Errorf("usage of the board is %+v", board)
	}
	a.do("POST", "/api/tickets/1/usage", bot, `{"input_tokens":0}`).want(400)
	empty := a.do("POST", "/api/boards", ann, `{"name":"Empty","key":"EMP"}`).want(201)
	_ = empty
	if got := a.do("GET", "/api/boards/EMP/usage", ann, "").want(200).body; strings.Contains(got, "null") {
		t.Errorf("usage of an empty board is %s", got)
	}
}

func TestReady(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann, bot := a.user("ann", false), a.agent("bot")
	if got := a.do("GET", "/api/boards/WEB/ready", ann, "").want(200).body; strings.Contains(got, "null") {
		t.Errorf("ready of an empty board is %s", got)
	}
	for _, title := range []string{"One", "Two", "Three", "Four"} {
		a.ticket(ann, id, title)
	}
	a.do("PATCH", "/api/tickets/2", ann, `{"priority":"urgent"}`).want(200)
	a.do("POST", "/api/tickets/3/dependencies", ann, `{"depends_on":1}`).want(200)
	a.do("POST", "/api/tickets/1/archive", ann, "").want(200)
	var r readmodel.Ready
	a.do("GET", "/api/boards/WEB/ready", ann, "").want(200).json(&r)
	if len(r.Ready) != 2 || r.Ready[0].Key != "WEB-2" || len(r.DeadBlocked) != 1 || r.DeadBlocked[0].Key != "WEB-3" || r.DeadBlocked[0].By[0].State != "archived" {
		t.Errorf("ready is %+v", r)
	}
	if got := a.do("POST", "/api/boards/WEB/claim-next", bot, "").want(200).claim().Ticket.Key; got != r.Ready[0].Key {
		t.Errorf("claim-next took %s, want the first of ready, %s", got, r.Ready[0].Key)
	}
	a.do("GET", "/api/boards/WEB/ready?limit=1", ann, "").want(200).json(&r)
	if len(r.Ready) != 1 || r.ReadyTotal != 1 {
		t.Errorf("one of ready is %+v", r)
	}
	if got := a.do("GET", "/api/tickets/3/dependencies", ann, "").want(200).body; !strings.Contains(got, `"WEB-1"`) || strings.Contains(got, "null") {
		t.Errorf("dependencies are %s", got)
	}
	a.do("GET", "/api/boards/WEB/ready?limit=1000", ann, "").want(400)
}
