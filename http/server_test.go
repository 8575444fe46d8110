package http

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/agent-kanban/agent-kanban/readmodel"
)

func TestFirstStart(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	token, err := a.setup.Token()
	if err != nil {
		t.Fatal(err)
	}
	const who = `"username":"root","password":"correct horse battery"`
	a.do("POST", "/api/auth/register", "", "{"+who+"}").want(403)
	a.do("POST", "/api/auth/register", "", `{`+who+`,"setup_token":"wrong"}`).want(403)
	r := a.do("POST", "/api/auth/register", "", `{`+who+`,"setup_token":"`+token.Reveal()+`"}`).want(201)
	var u readmodel.User
	r.json(&u)
	if !u.Admin || u.Username != "root" {
		t.Fatalf("first user is %+v, want the admin root", u)
	}
	a.do("POST", "/api/auth/register", "", `{"username":"second","password":"correct horse battery","setup_token":"`+token.Reveal()+`"}`).want(403)
	a.do("POST", "/api/auth/register", "", `{"username":"second","password":"correct horse battery"}`).want(201)

	var s sessionReply
	a.do("POST", "/api/auth/login/", "", "{"+who+"}").want(200).json(&s)
	a.do("POST", "/api/auth/login", "", "username=root&password=correct+horse+battery", "Content-Type: application/x-www-form-urlencoded").want(200)
	a.do("POST", "/api/auth/login", "", `{"username":"root","password":"wrong wrong wrong"}`).want(401)
	a.do("GET", "/api/auth/me", s.AccessToken, "").want(200).json(&u)
	if u.Username != "root" {
		t.Errorf("me is %q, want root", u.Username)
	}
	var next sessionReply
	a.do("POST", "/api/auth/refresh", "", `{"refresh_token":"`+s.RefreshToken+`"}`).want(200).json(&next)
	a.do("POST", "/api/auth/refresh", "", `{"refresh_token":"`+s.RefreshToken+`"}`).want(401)
	a.do("POST", "/api/auth/refresh", "", `{"refresh_token":"`+next.RefreshToken+`"}`).want(401)

	a.do("POST", "/api/auth/login", "", "{"+who+"}").want(200).json(&s)
	a.do("POST", "/api/auth/logout", s.AccessToken, "").want(204)
	a.do("GET", "/api/auth/me", s.AccessToken, "").want(401)
}

func TestWayThroughTheHouse(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann, bob := a.user("ann", false), a.user("bob", false)
	first := a.ticket(bob, id, "First")
	if first.Key != "WEB-1" || first.CurrentColumn != "Not Started" || first.Labels == nil || first.CreatedBy != "bob" {
		t.Errorf("ticket is %+v", first)
	}
	// What a write answers is what a read answers, byte for byte.
	r := a.do("PATCH", "/api/tickets/WEB-1", ann, `{"title":"Better","labels":["a","b"],"assignee":"bob","due_at":"2027-01-02T03:04:05Z"}`).want(200)
	if got := a.do("GET", "/api/tickets/1", ann, ""); got.body != r.body || got.header.Get("ETag") != r.header.Get("ETag") {
		t.Errorf("read gives\n%s, write gave\n%s", got.body, r.body)
	}
	r = a.do("POST", "/api/tickets/1/move", bob, `{"column":"In Progress"}`).want(200)
	if got := a.do("GET", "/api/tickets/WEB-1", bob, "").body; got != r.body {
		t.Errorf("read gives\n%s, write gave\n%s", got, r.body)
	}
	for _, path := range []string{"archive", "restore"} {
		r = a.do("POST", "/api/tickets/1/"+path, ann, "").want(200)
		if got := a.do("GET", "/api/tickets/1", ann, "").body; got != r.body {
			t.Errorf("after %s read gives\n%s, write gave\n%s", path, got, r.body)
		}
	}
	r = a.do("PUT", "/api/boards/WEB", ann, `{"name":"Website","visibility":"internal"}`).want(200)
	if got := a.do("GET", "/api/boards/1", ann, "").body; got != r.body {
		t.Errorf("board read gives\n%s, write gave\n%s", got, r.body)
	}
	r = a.do("PUT", "/api/boards/WEB/columns", ann, `["Not Started",{"name":"In Progress","wip_limit":3},"Done"]`)
	if r.status != 200 && r.status != 409 {
		t.Errorf("set columns: %d %s", r.status, r.body)
	}
	r = a.do("PUT", "/api/boards/WEB/members", ann, `[{"user":"ann","role":"pm"},{"user":"bob","role":"viewer"}]`).want(200)
	if got := a.do("GET", "/api/boards/WEB/members", ann, "").body; got != r.body {
		t.Errorf("members read gives\n%s, write gave\n%s", got, r.body)
	}
	c := a.do("POST", "/api/comments", ann, `{"ticket_id":1,"text":"Looks good"}`).want(201)
	if got := a.do("GET", c.header.Get("Location"), ann, "").body; got != c.body {
		t.Errorf("comment read gives\n%s, write gave\n%s", got, c.body)
	}
	c = a.do("PUT", c.header.Get("Location"), ann, `{"text":"Looks fine"}`).want(200)
	if got := a.do("GET", "/api/comments/ticket/WEB-1", ann, "").body; !strings.Contains(got, strings.TrimSpace(c.body)) {
		t.Errorf("comments read gives\n%s, write gave\n%s", got, c.body)
	}
	for _, path := range []string{
		"/api/history/tickets/1/history", "/api/history/tickets/WEB-1/transitions", "/api/history/boards/WEB/activity",
	} {
		if got := a.do("GET", path, ann, "").want(200).body; !strings.Contains(got, "bob") || !strings.Contains(got, "In Progress") {
			t.Errorf("%s lacks the move by bob: %s", path, got)
		}
	}
	a.do("DELETE", "/api/tickets/1", ann, "").want(204)
	a.do("GET", "/api/tickets/1", ann, "").want(404)
	if got := a.do("GET", "/api/history/tickets/1/history", ann, "").want(200).body; !strings.Contains(got, "deleted") {
		t.Errorf("history of a deleted ticket lacks the deletion: %s", got)
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann := a.user("ann", false)
	seed := a.ticket(ann, id, "Seed")
	for _, row := range []struct{ method, path, body string }{
		{"POST", "/api/tickets", fmt.Sprintf(`{"board_id":%d,"title":"Once","labels":["x"],"assignee":"ann"}`, id)},
		{"PATCH", "/api/tickets/WEB-1", `{"description":"changed"}`},
		{"POST", "/api/tickets/1/move", `{"column":"Done"}`},
		{"POST", "/api/tickets/1/move", `{"column":"Done"}`}, // changes nothing
		{"POST", "/api/tickets/1/archive", ``},
		{"POST", "/api/tickets/1/restore", ``},
		{"POST", "/api/comments", `{"ticket_id":"WEB-1","text":"Once"}`},
		{"PUT", "/api/comments/1", `{"text":"Twice"}`},
		{"POST", "/api/boards", `{"name":"Again"}`},
		{"PUT", "/api/boards/WEB", `{"description":"d"}`},
		{"PUT", "/api/boards/WEB/columns", `["Not Started","In Progress","Blocked","Done"]`},
		{"POST", "/api/boards/WEB/members", `{"user":"zoe","role":"viewer"}`},
		{"POST", "/api/commands", `[{"type":"update_ticket","data":{"ticket":1,"title":"T"}},{"type":"add_comment","data":{"ticket":1,"text":"c"}}]`},
		{"DELETE", "/api/comments/1", ``},
		{"DELETE", "/api/tickets/1", ``},
	} {
		a.user("zoe", false)
		key := "Idempotency-Key: " + row.method + row.path + row.body[:min(len(row.body), 40)]
		if row.body == `{"column":"Done"}` {
			key += fmt.Sprint(a.mark.Position())
		}
		before, _ := a.db.Head(t.Context())
		replies := make([]reply, 20)
		var wg sync.WaitGroup
		for i := range replies {
			wg.Go(func() { replies[i] = a.do(row.method, row.path, ann, row.body, key) })
		}
		wg.Wait()
		after, _ := a.db.Head(t.Context())
		for i, r := range replies {
			if r.status/100 != 2 || r.status != replies[0].status || r.body != replies[0].body {
				t.Fatalf("%s %s: reply %d is %d\n%s\nthe first is %d\n%s", row.method, row.path, i, r.status, r.body, replies[0].status, replies[0].body)
			}
			for _, h := range []string{"ETag", "Location", "Kanban-Position"} {
				if r.header.Get(h) != replies[0].header.Get(h) {
					t.Errorf("%s %s: %s is %q, of the first %q", row.method, row.path, h, r.header.Get(h), replies[0].header.Get(h))
				}
			}
		}
		// Later, when more has happened, it is still the first reply.
		if row.path != "/api/tickets/1" && row.method != "DELETE" && !strings.HasSuffix(row.path, "archive") {
			a.do("PATCH", "/api/tickets/1", ann, fmt.Sprintf(`{"description":"at %d"}`, after.Position)).want(200)
			if again := a.do(row.method, row.path, ann, row.body, key); again.body != replies[0].body {
				t.Errorf("%s %s: later the reply is\n%s\nthe first was\n%s", row.method, row.path, again.body, replies[0].body)
			}
		}
		if row.body != "" {
			other := row.body + " "
			a.do(row.method, row.path, ann, other, key).want(422)
		}
		if n := after.Position - before.Position; n > 4 {
			t.Errorf("%s %s: %d events, want those of one command", row.method, row.path, n)
		}
	}
	_ = seed
}
