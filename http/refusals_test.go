package http

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// scenario is one request and what its reply must and must not contain.
type scenario struct {
	name, method, url, user, body string
	headers                       []string
	status                        int
	has, lacks                    []string
}

func (a *app) run(t *testing.T, rows []scenario) {
	t.Helper()
	for _, row := range rows {
		token := row.user
		if t, ok := a.users[row.user]; ok {
			token = t
		}
		r := a.do(row.method, row.url, token, row.body, row.headers...)
		name := row.name + " " + row.method + " " + row.url
		if r.status != row.status {
			t.Errorf("%s: status is %d, want %d; body: %s", name, r.status, row.status, r.body)
			continue
		}
		if r.status >= 400 && !strings.HasPrefix(row.url, "/health") {
			var p Problem
			if err := json.Unmarshal([]byte(r.body), &p); err != nil || p.Code == "" || p.Detail == "" || p.Status != r.status || p.RequestID == "" {
				t.Errorf("%s: not a whole problem: %v %s", name, err, r.body)
			}
			if got := r.header.Get("Content-Type"); got != problemJSON {
				t.Errorf("%s: content type is %q, want %q", name, got, problemJSON)
			}
		}
		for _, want := range row.has {
			if !strings.Contains(r.body, want) {
				t.Errorf("%s: body lacks %q: %s", name, want, r.body)
			}
		}
		for _, not := range row.lacks {
			if strings.Contains(r.body, not) {
				t.Errorf("%s: body has %q: %s", name, not, r.body)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob", "vera:viewer")
	ann := a.user("ann", false)
	a.ticket(ann, id, "One")
	a.do("POST", "/api/comments", ann, `{"ticket_id":1,"text":"Hi"}`).want(201)
	secret := "hunter2hunter2"
	long := `{"name":"` + strings.Repeat("x", maxBody) + `"}`
	a.run(t, []scenario{
		{name: "no route", method: "GET", url: "/nowhere", status: 404, has: []string{`"not_found"`}},
		{name: "no route, slash", method: "GET", url: "/api/nowhere/", status: 404},
		{name: "no method", method: "DELETE", url: "/api/boards", status: 405, has: []string{`"method_not_allowed"`, "GET"}},
		{name: "no credentials", method: "GET", url: "/api/boards", status: 401, has: []string{`"unauthenticated"`}},
		{name: "no credentials before a bad body", method: "POST", url: "/api/boards", body: "{", status: 401},
		{name: "bad credentials", method: "GET", url: "/api/boards", user: "akb_nonsense", status: 401},
		{name: "broken JSON", method: "POST", url: "/api/boards", user: "ann", body: `{"name":`, status: 400, has: []string{"not valid JSON"}},
		{name: "two values", method: "POST", url: "/api/boards", user: "ann", body: `{"name":"a"} {}`, status: 400},
		{name: "no body", method: "POST", url: "/api/boards", user: "ann", status: 400, has: []string{"body is required"}},
		{name: "list for object", method: "POST", url: "/api/boards", user: "ann", body: `[]`, status: 400, has: []string{"an object"}},
		{name: "unknown field", method: "POST", url: "/api/tickets", user: "ann", body: `{"board_id":1,"titel":"x"}`, status: 400, has: []string{`"titel"`}},
		{name: "wrong kind", method: "POST", url: "/api/tickets", user: "ann", body: `{"board_id":1,"title":12345}`, status: 400, has: []string{"title", "a string"}, lacks: []string{"12345"}},
		{name: "NUL", method: "POST", url: "/api/tickets", user: "ann", body: `{"board_id":1,"title":"a\u0000b"}`, status: 400, has: []string{"NUL"}},
		{name: "an escaped backslash is no NUL", method: "POST", url: "/api/tickets", user: "ann", body: `{"board_id":1,"title":"a\\u0000b"}`, status: 201},
		{name: "no title", method: "POST", url: "/api/tickets", user: "ann", body: `{"board_id":1,"title":" "}`, status: 400, has: []string{`"title"`}},
		{name: "no board", method: "POST", url: "/api/tickets", user: "ann", body: `{"title":"x"}`, status: 400, has: []string{"board_id"}},
		{name: "too large", method: "POST", url: "/api/boards", user: "ann", body: long, status: 413, has: []string{`"too_large"`}},
		{name: "too large with a key", method: "POST", url: "/api/boards", user: "ann", body: long, headers: []string{"Idempotency-Key: k"}, status: 413},
		{name: "bad key", method: "POST", url: "/api/boards", user: "ann", body: `{"name":"x"}`, headers: []string{"Idempotency-Key: " + strings.Repeat("k", 201)}, status: 400},
		{name: "bad If-Match", method: "PUT", url: "/api/boards/1", user: "ann", body: `{"name":"x"}`, headers: []string{"If-Match: abc"}, status: 400},
		{name: "bad limit", method: "GET", url: "/api/tickets?limit=101", user: "ann", status: 400, has: []string{"limit"}},
		{name: "bad number", method: "GET", url: "/api/tickets?limit=ten", user: "ann", status: 400, lacks: []string{"ten\""}},
		{name: "bad cursor", method: "GET", url: "/api/tickets?cursor=!!", user: "ann", status: 400},
		{name: "bad instant", method: "GET", url: "/api/boards/1/snapshot?at=yesterday", user: "ann", status: 400, has: []string{`"at"`}},
		{name: "before the board", method: "GET", url: "/api/boards/1/snapshot?at=0", user: "ann", status: 404},
		{name: "before the board in time", method: "GET", url: "/api/boards/1/snapshot?at=2020-01-01T00:00:00Z", user: "ann", status: 404},
		{name: "diff without from", method: "GET", url: "/api/boards/1/diff", user: "ann", status: 400, has: []string{"from"}},
		{name: "bad type of event", method: "GET", url: "/api/events?type=nonsense", user: "ann", status: 400},
		{name: "bad Last-Event-ID", method: "GET", url: "/api/events", user: "ann", headers: []string{"Last-Event-ID: x"}, status: 400},
		{name: "bad min position", method: "GET", url: "/api/boards", user: "ann", headers: []string{"Kanban-Min-Position: soon"}, status: 400},
		{name: "unknown command", method: "POST", url: "/api/commands", user: "ann", body: `{"type":"fly"}`, status: 400, has: []string{"fly"}},
		{name: "unknown field of a command", method: "POST", url: "/api/commands", user: "ann", body: `{"type":"move_ticket","data":{"tikcet":1}}`, status: 400, has: []string{"tikcet"}},
		{name: "account command", method: "POST", url: "/api/commands", user: "ann", body: `{"type":"register_user","data":{"name":"x","kind":"human","admin":true}}`, status: 400},
		{name: "no commands", method: "POST", url: "/api/commands", user: "ann", body: `[]`, status: 400},
		{name: "two command ids", method: "POST", url: "/api/commands", user: "ann", body: `[{"type":"archive_ticket","data":{"ticket":1},"command_id":"a"},{"type":"archive_ticket","data":{"ticket":1},"command_id":"b"}]`, status: 400},
		{name: "all or nothing", method: "POST", url: "/api/commands", user: "ann", body: `[{"type":"update_ticket","data":{"ticket":1,"title":"Changed"}},{"type":"archive_ticket","data":{"ticket":999}}]`, status: 404},
		{name: "nothing indeed", method: "GET", url: "/api/tickets/1", user: "ann", status: 200, has: []string{"One"}},
		{name: "viewer writes", method: "POST", url: "/api/tickets", user: "vera", body: `{"board_id":1,"title":"x"}`, status: 403, has: []string{`"forbidden"`}},
		{name: "agent manages", method: "PUT", url: "/api/boards/1", user: "bob", body: `{"name":"x"}`, status: 403},
		{name: "misspelt field of a login", method: "POST", url: "/api/auth/login", body: `{"username":"ann","pasword":"` + secret + `"}`, status: 400, has: []string{"pasword"}, lacks: []string{secret}},
		{name: "broken login", method: "POST", url: "/api/auth/login", body: `{"username":"ann","password":"` + secret, status: 400, lacks: []string{secret}},
		{name: "wrong kind in a login", method: "POST", url: "/api/auth/login", body: `{"username":"ann","password":["` + secret + `"]}`, status: 400, lacks: []string{secret}},
		{name: "misspelt form of a login", method: "POST", url: "/api/auth/login", body: "username=ann&pasword=" + secret, headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 400, lacks: []string{secret}},
		{name: "form elsewhere", method: "POST", url: "/api/boards", user: "ann", body: "name=x", headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 400, has: []string{"application/json"}},
		{name: "JSON that curl -d calls a form", method: "POST", url: "/api/boards", user: "ann", body: `{"name":"x","key":"CURL"}`, headers: []string{"Content-Type: application/x-www-form-urlencoded"}, status: 201},
		{name: "other media", method: "POST", url: "/api/boards", user: "ann", body: `<x/>`, headers: []string{"Content-Type: text/xml"}, status: 400},
		{name: "wrong password of a nobody", method: "POST", url: "/api/auth/login", body: `{"username":"nobody","password":"` + secret + `"}`, status: 401, lacks: []string{secret}},
		{name: "short password", method: "POST", url: "/api/auth/register", body: `{"username":"x","password":"short"}`, status: 400, has: []string{`"password"`}, lacks: []string{`"short"`}},
		{name: "taken name", method: "POST", url: "/api/auth/register", body: `{"username":"ann","password":"` + secret + `"}`, status: 409, has: []string{`"name_taken"`}},
		{name: "taken key", method: "POST", url: "/api/boards", user: "ann", body: `{"name":"x","key":"WEB"}`, status: 409, has: []string{`"name_taken"`}},
		{name: "column with tickets", method: "PUT", url: "/api/boards/1/columns", user: "ann", body: `["Done"]`, status: 409, has: []string{`"column_not_empty"`}},
		{name: "not a WebSocket", method: "GET", url: "/ws/connect", status: 400, has: []string{"WebSocket"}},
		{name: "stats through a proxy", method: "GET", url: "/ws/stats", headers: []string{"X-Forwarded-For: 127.0.0.1"}, status: 401},
		{name: "stats for a user", method: "GET", url: "/ws/stats", user: "bob", status: 403},
		{name: "stats from this machine", method: "GET", url: "/ws/stats/", status: 200, has: []string{`"active_connections":0`}},
		{name: "health", method: "GET", url: "/health", status: 200, has: []string{`"status":"healthy"`, `"degraded":[]`}},
		{name: "health, slash", method: "GET", url: "/api/health/", status: 200, has: []string{"healthy"}},
		{name: "live", method: "GET", url: "/health/live", status: 200, lacks: []string{"healthy"}},
		{name: "ready", method: "GET", url: "/health/ready", status: 200, lacks: []string{"healthy"}},
		{name: "status", method: "GET", url: "/api/status", status: 200, has: []string{"log_id"}, lacks: []string{"healthy"}},
		{name: "head", method: "GET", url: "/api/log/head", user: "bob", status: 200, has: []string{`"hash"`}},
	})
	if r := a.do("PATCH", "/health", "", ""); r.header.Get("Allow") == "" {
		t.Error("405 lacks Allow")
	}
	if r := a.do("HEAD", "/health", "", "").want(200); r.body != "" {
		t.Errorf("HEAD has the body %q", r.body)
	}
	if r := a.do("GET", "/api/boards", "", ""); r.header.Get("WWW-Authenticate") == "" {
		t.Error("401 lacks WWW-Authenticate")
	}
	if strings.Contains(a.logs.String(), secret) {
		t.Error("the log has a password")
	}
}

// TestStrangerSees404 asks every route that names a board, a ticket or a
// comment as somebody who is no member, and as a token limited to another
// board.
func TestStrangerSees404(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann := a.user("ann", false)
	a.user("eve", false)
	a.do("POST", "/api/tickets", ann, fmt.Sprintf(`{"board_id":%d,"title":"Secret plan"}`, id), "Idempotency-Key: secret-plan").want(201)
	a.agent("bot")
	var bot readmodel.Agent
	a.do("GET", "/api/agents/bot", ann, "").want(200).json(&bot)
	a.do("POST", "/api/comments", ann, `{"ticket_id":1,"text":"Secret word"}`).want(201)
	a.do("POST", "/api/boards", ann, `{"name":"Other","key":"OTH"}`).want(201)
	var issued tokenView
	a.do("POST", "/api/auth/tokens", ann, `{"name":"ci","role":"pm","boards":["OTH"]}`).want(201).json(&issued)

	seen := map[string]bool{}
	var rows []scenario
	add := func(method, url, body string) {
		for _, board := range []string{"1", "WEB"} {
			for _, ticket := range []string{"1", "WEB-1"} {
				u := strings.NewReplacer("{board}", board, "{ticket}", ticket).Replace(url)
				b := strings.NewReplacer("{board}", `"`+board+`"`, "{ticket}", `"`+ticket+`"`).Replace(body)
				if k := method + u + b; !seen[k] {
					seen[k] = true
					rows = append(rows, scenario{method: method, url: u, body: b, status: 404, has: []string{`"not_found"`}, lacks: []string{"Secret"}})
				}
			}
		}
	}
	for _, path := range []string{"", "/tickets", "/columns", "/members", "/snapshot", "/snapshot?at=99", "/snapshot?at=2099-01-01T00:00:00Z", "/diff?from=0", "/pulse", "/pulse?buckets=10"} {
		add("GET", "/api/boards/{board}"+path, "")
	}
	add("GET", "/api/tickets?board_id={board}", "")
	add("GET", "/api/tickets?board_id={board}&q=Secret", "")
	add("GET", "/api/events?board={board}", "")
	add("GET", "/api/events?board={board}&before=99", "")
	add("GET", "/api/events?ticket={ticket}", "")
	add("GET", "/api/events?ticket={ticket}&order=desc", "")
	add("GET", "/api/history/boards/{board}/activity", "")
	add("GET", "/api/history/tickets/{ticket}/history", "")
	add("GET", "/api/history/tickets/{ticket}/transitions", "")
	add("GET", "/api/statistics/boards/{board}/statistics", "")
	add("GET", "/api/statistics/boards/{board}/performance", "")
	for _, query := range []string{"", "?format=csv&table=scatter", "?from=nonsense", "?bucket=nonsense"} {
		add("GET", "/api/statistics/boards/{board}/flow"+query, "")
	}
	add("GET", "/api/statistics/tickets/{ticket}/statistics", "")
	add("GET", "/api/tickets/{ticket}", "")
	add("GET", "/api/comments/ticket/{ticket}", "")
	add("GET", "/api/comments/1", "")
	add("PUT", "/api/boards/{board}", `{"name":"x"}`)
	add("DELETE", "/api/boards/{board}", "")
	add("PUT", "/api/boards/{board}/columns", `["x"]`)
	add("PUT", "/api/boards/{board}/members", `[{"user":"eve","role":"pm"}]`)
	add("POST", "/api/boards/{board}/members", `{"user":"eve","role":"pm"}`)
	add("DELETE", "/api/boards/{board}/members/ann", "")
	for _, m := range []string{"POST", "PUT"} {
		add(m, "/api/boards/{board}/archive", "")
		add(m, "/api/boards/{board}/restore", "")
	}
	add("POST", "/api/tickets", `{"board_id":{board},"title":"x"}`)
	add("PUT", "/api/tickets/{ticket}", `{"title":"x"}`)
	add("PATCH", "/api/tickets/{ticket}", `{"title":"x"}`)
	add("PATCH", "/api/tickets/{ticket}", `{}`)
	add("DELETE", "/api/tickets/{ticket}", "")
	add("POST", "/api/tickets/{ticket}/move", `{"column":"Done"}`)
	add("POST", "/api/tickets/{ticket}/assign", `{"assignee":"eve"}`)
	add("POST", "/api/tickets/{ticket}/archive", "")
	add("POST", "/api/tickets/{ticket}/restore", "")
	add("POST", "/api/comments", `{"ticket_id":{ticket},"text":"x"}`)
	add("PUT", "/api/comments/1", `{"text":"x"}`)
	add("DELETE", "/api/comments/1", "")
	add("POST", "/api/commands", `{"type":"move_ticket","data":{"ticket":{ticket},"column":"Done"}}`)
	add("POST", "/api/auth/tokens", `{"name":"x","boards":[{board}]}`)
	for _, path := range []string{"/ready", "/usage"} {
		add("GET", "/api/boards/{board}"+path, "")
	}
	add("GET", "/api/agents?board={board}", "")
	add("GET", "/api/auth/tokens?board={board}", "")
	add("POST", "/api/boards/{board}/claim-next", `{"wait_seconds":60}`)
	add("POST", "/api/boards/{board}/freeze", `{"reason":"x"}`)
	add("POST", "/api/boards/{board}/unfreeze", "")
	add("POST", "/api/boards/{board}/undo", `{"actor":"ann","since":0}`)
	add("POST", "/api/commands/secret-plan/undo", "")
	for _, path := range []string{"/dependencies", "/usage"} {
		add("GET", "/api/tickets/{ticket}"+path, "")
	}
	for path, body := range map[string]string{
		"/claim": "", "/heartbeat": `{"fence":1}`, "/release": "", "/complete": `{"fence":1}`, "/request-approval": "",
		"/approve": "", "/reject": "", "/dependencies": `{"depends_on":{ticket}}`, "/checklist": `{"item":1,"done":true}`,
		"/evidence": `{"kind":"note","text":"x"}`, "/usage": `{"input_tokens":1}`,
	} {
		add("POST", "/api/tickets/{ticket}"+path, body)
	}
	add("PUT", "/api/tickets/{ticket}/checklist", `{"items":[{"text":"x"}]}`)
	add("DELETE", "/api/tickets/{ticket}/dependencies/1", "")
	add("DELETE", "/api/tickets/{ticket}/evidence/1", "")
	for _, agent := range []string{"bot", fmt.Sprint(bot.ID)} {
		add("GET", "/api/agents/"+agent, "")
		add("POST", "/api/agents/"+agent+"/pause", `{"reason":"x"}`)
		add("POST", "/api/agents/"+agent+"/pause", `{"board":{board}}`)
		add("POST", "/api/agents/"+agent+"/resume", "")
	}

	add("GET", "/api/boards/{board}/webhooks", "")
	add("POST", "/api/boards/{board}/webhooks", `{"url":"https://hooks.example/x"}`)
	for _, m := range []string{"GET", "PATCH", "DELETE"} {
		add(m, "/api/boards/{board}/webhooks/1", map[string]string{"PATCH": `{"active":false}`}[m])
	}
	add("GET", "/api/boards/{board}/webhooks/1/deliveries", "")
	add("POST", "/api/boards/{board}/webhooks/1/test", "")
	add("POST", "/api/boards/{board}/webhooks/1/replay", "")

	for _, who := range []string{"eve", issued.Token} {
		for i := range rows {
			rows[i].user = who
		}
		a.run(t, rows)
		a.run(t, []scenario{
			{method: "GET", url: "/api/tickets", user: who, status: 200, lacks: []string{"Secret"}},
			{method: "GET", url: "/api/tickets?q=Secret", user: who, status: 200, has: []string{`"total":0`}},
			{method: "GET", url: "/api/agents", user: who, status: 200, lacks: []string{`"bot"`}},
			{method: "POST", url: "/api/bulk/tickets/move", user: who, body: `{"tickets":["WEB-1",1],"column":"Done"}`, status: 200, has: []string{`"succeeded":0`, `"not_found"`}, lacks: []string{"Secret"}},
			{method: "POST", url: "/api/bulk/tickets/priority", user: who, body: `{"tickets":["WEB-1",1],"priority":"low"}`, status: 200, has: []string{`"succeeded":0`, `"not_found"`}, lacks: []string{"Secret"}},
			{method: "POST", url: "/api/bulk/tickets/assign", user: who, body: `{"tickets":["WEB-1",1],"assignee":"eve"}`, status: 200, has: []string{`"succeeded":0`, `"not_found"`}, lacks: []string{"Secret"}},
			{method: "GET", url: "/api/boards", user: who, status: 200, lacks: []string{`"WEB"`}},
			{method: "GET", url: "/api/events?limit=1000", user: who, status: 200, lacks: []string{"Secret", `"/boards/1"`}},
			{method: "GET", url: "/api/events?limit=1000&order=desc", user: who, status: 200, lacks: []string{"Secret", `"/boards/1"`}},
		})
	}
	// Every route with a path parameter was among them, or is about something else.
	for path, item := range a.server.api.OpenAPI().Paths {
		if !strings.Contains(path, "{") || strings.HasPrefix(path, "/api/auth/tokens/") {
			continue
		}
		for method, o := range map[string]any{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			if fmt.Sprintf("%v", o) == "<nil>" {
				continue
			}
			if !slices.ContainsFunc(rows, func(row scenario) bool { return row.method == method && like(path, row.url) }) {
				t.Errorf("no row asks %s %s as a stranger", method, path)
			}
		}
	}
}

// like reports whether a URL is one of the pattern's.
func like(pattern, url string) bool {
	url, _, _ = strings.Cut(url, "?")
	p, u := strings.Split(pattern, "/"), strings.Split(url, "/")
	return len(p) == len(u) && !slices.ContainsFunc(p, func(part string) bool {
		i := slices.Index(p, part)
		return !strings.HasPrefix(part, "{") && part != u[i]
	})
}

func TestVersions(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann := a.user("ann", false)
	a.ticket(ann, id, "One")
	read := a.do("GET", "/api/tickets/1", ann, "").want(200)
	tag := read.header.Get("ETag")
	a.do("GET", "/api/tickets/1", ann, "", "If-None-Match: "+tag).want(304)
	a.do("GET", "/api/tickets/1", ann, "", "If-None-Match: W/"+tag).want(304)
	a.do("POST", "/api/comments", ann, `{"ticket_id":1,"text":"Hi"}`).want(201)
	a.do("POST", "/api/tickets/1/move", ann, `{"column":"Done"}`, "If-Match: "+tag).want(200)
	a.do("GET", "/api/tickets/1", ann, "", "If-None-Match: "+tag).want(200)
	r := a.do("PATCH", "/api/tickets/1", ann, `{"title":"x"}`, "If-Match: "+tag).want(412)
	var p struct {
		Code           string            `json:"code"`
		CurrentVersion int64             `json:"current_version"`
		NewerEvents    []events.Envelope `json:"newer_events"`
	}
	r.json(&p)
	if len(p.NewerEvents) != 1 || p.NewerEvents[0].Type != events.TypeTicketMoved || p.CurrentVersion != p.NewerEvents[0].Version {
		t.Errorf("412 says %s, want the move and its version", r.body)
	}
	a.do("PATCH", "/api/tickets/1", ann, `{"title":"x","column":"Done"}`, "If-Match: "+tag).want(400)

	board := a.do("GET", "/api/boards/WEB", ann, "").want(200).header.Get("ETag")
	a.do("GET", "/api/boards/WEB", ann, "", "If-None-Match: "+board).want(304)
	a.do("PUT", "/api/boards/WEB", ann, `{"name":"New"}`, "If-Match: "+board).want(200)
	r = a.do("PUT", "/api/boards/WEB", ann, `{"name":"Newer"}`, "If-Match: "+board).want(412)
	if !strings.Contains(r.body, "board_updated") {
		t.Errorf("412 of a board lacks the newer event: %s", r.body)
	}
}

// stuck is a read model that never gets anywhere.
type stuck struct{}

func (stuck) Position() int64 { return 1 }

func (stuck) Wait(ctx context.Context, pos int64) error {
	if pos <= 1 {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func TestPositions(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann := a.user("ann", false)
	r := a.do("POST", "/api/tickets", ann, fmt.Sprintf(`{"board_id":%d,"title":"Quick"}`, id), "Prefer: return=minimal").want(201)
	if r.header.Get("Preference-Applied") == "" || r.body != fmt.Sprintf("{\"position\":%s}\n", r.header.Get("Kanban-Position")) {
		t.Errorf("minimal reply is %q with %v", r.body, r.header)
	}
	got := a.do("GET", "/api/tickets/WEB-1", ann, "", "Kanban-Min-Position: "+r.header.Get("Kanban-Position")).want(200)
	if got.header.Get("Kanban-Position") < r.header.Get("Kanban-Position") {
		t.Errorf("read at %s, want at least %s", got.header.Get("Kanban-Position"), r.header.Get("Kanban-Position"))
	}
	a.do("DELETE", "/api/tickets/1", ann, "", "Prefer: return=minimal").want(200)

	slow := newApp(t, func(c *Config, d *Deps) { c.Wait, d.Watermark = 10*time.Millisecond, stuck{} })
	token := slow.user("ann", false)
	r = slow.do("GET", "/api/boards", token, "", "Kanban-Min-Position: 1000000").want(503)
	if r.header.Get("Retry-After") == "" {
		t.Error("503 lacks Retry-After")
	}
	r = slow.do("POST", "/api/boards", token, `{"name":"x"}`).want(503)
	if r.header.Get("Kanban-Position") == "" {
		t.Error("503 of a write that happened lacks Kanban-Position")
	}
	slow.do("POST", "/api/boards", token, `{"name":"y"}`, "Prefer: return=minimal").want(201)
}

// broken fails as nothing that a user did.
type broken struct{ panics bool }

func (b broken) Do(context.Context, commands.Meta, ...commands.Command) (commands.Receipt, error) {
	if b.panics {
		panic("the secret of the panic")
	}
	return commands.Receipt{}, fmt.Errorf("the secret of the error")
}

func TestInternalErrorsStayInside(t *testing.T) {
	t.Parallel()
	for _, panics := range []bool{false, true} {
		a := newApp(t, func(_ *Config, d *Deps) { d.Commands = broken{panics} })
		ann := a.user("ann", false)
		r := a.do("POST", "/api/boards", ann, `{"name":"x"}`, "X-Request-ID: my-request").want(500)
		if strings.Contains(r.body, "secret") || !strings.Contains(r.body, "my-request") || r.header.Get("Content-Type") != problemJSON {
			t.Errorf("reply is %v %s", r.header, r.body)
		}
		if log := a.logs.String(); !strings.Contains(log, "secret") || !strings.Contains(log, "request_id=my-request") {
			t.Errorf("the log lacks the cause or the request id: %s", log)
		}
		a.do("GET", "/health", "", "").want(200)
	}
}

func TestBrowsers(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *Config, _ *Deps) { c.CORSOrigins = []string{"https://board.example"} })
	ann := a.user("ann", false)
	r := a.do("OPTIONS", "/api/tickets", "", "", "Origin: https://board.example", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: idempotency-key").want(204)
	if got := r.header.Get("Access-Control-Allow-Origin"); got != "https://board.example" {
		t.Errorf("preflight allows %q", got)
	}
	if got := strings.ToLower(r.header.Get("Access-Control-Allow-Headers")); !strings.Contains(got, "idempotency-key") {
		t.Errorf("preflight allows the headers %q", got)
	}
	r = a.do("GET", "/api/boards", ann, "", "Origin: https://board.example").want(200)
	if !strings.Contains(strings.ToLower(r.header.Get("Access-Control-Expose-Headers")), "kanban-position") {
		t.Errorf("exposed are %q", r.header.Get("Access-Control-Expose-Headers"))
	}
	r = a.do("GET", "/api/boards", ann, "", "Origin: https://evil.example").want(200)
	if got := r.header.Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("a foreign origin is allowed: %q", got)
	}
	for _, path := range []string{"/", "/setup", "/setup/", "/docs", "/docs/", "/docs/start.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/docs.css"} {
		r := a.do("GET", path, "", "").want(200)
		csp := r.header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "script-src 'self'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s has the policy %q", path, csp)
		}
		if strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
			if strings.Contains(r.body, "<script>") || strings.Contains(r.body, "style=") || strings.Contains(r.body, "https://") || strings.Contains(r.body, "onclick") {
				t.Errorf("%s has something inline or from outside", path)
			}
		}
		a.do("GET", path, "", "", "If-None-Match: "+r.header.Get("ETag")).want(304)
	}
	if r := a.do("GET", "/api/boards", ann, ""); r.header.Get("X-Content-Type-Options") != "nosniff" || r.header.Get("X-Request-Id") == "" {
		t.Errorf("headers are %v", r.header)
	}
}

func TestUnknownCodeIsOurFault(t *testing.T) {
	t.Parallel()
	if got := Status("unheard of"); got != http.StatusInternalServerError {
		t.Errorf("an unknown code has status %d, want 500", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Addr: "nonsense", TLSCert: "x", CORSOrigins: []string{"*"}}, Deps{})
	for _, want := range []string{"nonsense", "TLS", `"*"`, "Commands", "Timeline"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want it to name %s", err, want)
		}
	}
	a := newApp(t)
	if err := a.server.Shutdown(t.Context()); err != nil {
		t.Errorf("first shutdown: %v", err)
	}
	if err := a.server.Shutdown(t.Context()); err != nil {
		t.Errorf("second shutdown: %v", err)
	}
	w := httptest.NewRecorder()
	a.server.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/health", nil))
	if w.Code != 503 || strings.Contains(w.Body.String(), "healthy") {
		t.Errorf("health of a stopped server is %d %s", w.Code, w.Body)
	}
}
