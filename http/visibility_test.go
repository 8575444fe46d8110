package http

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/http/live"
)

// scoped issues an API token of the user with these fields of the order.
func (a *app) scoped(user, fields string) string {
	a.t.Helper()
	var v tokenView
	a.do("POST", "/api/auth/tokens", a.user(user, false), `{"name":"t",`+fields+`}`).want(201).json(&v)
	return v.Token
}

// TestRepeatsObeyPermissions repeats writes as somebody who may not see the
// board any more, and through a token that is limited to another board.
func TestRepeatsObeyPermissions(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann, bob := a.user("ann", false), a.user("bob", false)
	a.do("POST", "/api/boards", bob, `{"name":"Elsewhere","key":"ELSE"}`).want(201)
	token := a.scoped("bob", `"boards":["ELSE"]`)
	writes := []struct{ method, path, body string }{
		{"POST", "/api/tickets", fmt.Sprintf(`{"board_id":%d,"title":"Secret","assignee":"bob"}`, id)},
		{"PATCH", "/api/tickets/WEB-1", `{"description":"Secret"}`},
		{"POST", "/api/tickets/1/move", `{"column":"Not Started"}`}, // changes nothing
		{"POST", "/api/comments", `{"ticket_id":"WEB-1","text":"Secret"}`},
		{"PUT", "/api/comments/1", `{"text":"Secrets"}`},
		{"POST", "/api/commands", `{"type":"add_comment","data":{"ticket":"WEB-1","text":"Secret"}}`},
		{"POST", "/api/commands", `{"type":"update_ticket","data":{"ticket":"WEB-1","title":"Secret"}}`},
	}
	key := func(i int) string { return fmt.Sprintf("Idempotency-Key: k%d", i) }
	for i, w := range writes {
		first := a.do(w.method, w.path, bob, w.body, key(i))
		if again := a.do(w.method, w.path, bob, w.body, key(i)); first.status/100 != 2 || again.body != first.body {
			t.Fatalf("%s %s: %d %s, repeated %d %s", w.method, w.path, first.status, first.body, again.status, again.body)
		}
		if r := a.do(w.method, w.path, token, w.body, key(i)); r.status != 404 && strings.Contains(r.body, "Secret") {
			t.Errorf("%s %s repeated through a token of another board: %d %s", w.method, w.path, r.status, r.body)
		}
	}
	a.do("DELETE", "/api/boards/WEB/members/bob", ann, "").want(204)
	for i, w := range writes {
		if r := a.do(w.method, w.path, bob, w.body, key(i)); r.status != 404 && strings.Contains(r.body, "Secret") {
			t.Errorf("%s %s repeated after losing the board: %d %s", w.method, w.path, r.status, r.body)
		}
	}
	// What ends one's own access is answered again all the same.
	a.do("POST", "/api/boards/WEB/members", ann, `{"user":"bob","role":"pm"}`).want(200)
	for i, body := range []string{
		`{"type":"remove_member","data":{"board":"WEB","user":"ann"},"command_id":"leave"}`,
		`{"type":"delete_board","data":{"board":"WEB"},"command_id":"delete"}`,
	} {
		who := []string{ann, bob}[i]
		first := a.do("POST", "/api/commands", who, body).want(200)
		if again := a.do("POST", "/api/commands", who, body).want(200); again.body != first.body {
			t.Errorf("%s repeated: %s, first %s", body, again.body, first.body)
		}
	}
}

// TestCommandIDBelongsToOneCommand uses a command_id again for another command
// about the same ticket.
func TestCommandIDBelongsToOneCommand(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board()
	ann := a.user("ann", false)
	a.ticket(ann, id, "One")
	body := func(kind string) string {
		return fmt.Sprintf(`{"type":%q,"data":{"ticket":"WEB-1"},"command_id":"same"}`, kind)
	}
	a.do("POST", "/api/commands", ann, body("archive_ticket")).want(200)
	a.do("POST", "/api/commands", ann, body("archive_ticket")).want(200)
	a.do("POST", "/api/commands", ann, body("restore_ticket")).want(422)
	a.do("POST", "/api/commands", ann, body("delete_ticket")).want(422)
}

// TestStreamsEndWithTheirSession ends sessions without an event in the log.
func TestStreamsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	a := newApp(t, func(c *Config, _ *Deps) { c.Heartbeat = 20 * time.Millisecond })
	id := a.board("bob")
	socket, stays := a.connect("bob"), a.connect("ann")
	var ticket wsTicket
	a.do("POST", "/api/auth/ws-ticket", a.user("bob", false), "").want(201).json(&ticket)
	second, _, err := a.dial("?ticket=" + ticket.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	second.want("connected")
	stream := a.follow("bob", "?board=WEB")
	a.do("POST", "/api/auth/logout", a.user("bob", false), "").want(204)
	socket.wantClose(live.CloseUnauthenticated)
	second.wantClose(live.CloseUnauthenticated)
	for stream.scan.Scan() { // to its end
	}
	stays.send(fmt.Sprintf(`{"type":"subscribe_board","board_id":%d}`, id))
	stays.want("subscribed")
}

func TestQueriesThatCannotBe(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.board()
	var rows []scenario
	for _, query := range []string{"q=%00", "q=a%00b", "label=%00", "assignee=%00", "column=%00", "q=" + strings.Repeat("x", 60_000), "q=" + strings.Repeat("%25", 30_000)} {
		for _, path := range []string{"/api/tickets?", "/api/boards/WEB/tickets?"} {
			rows = append(rows, scenario{name: "query", method: "GET", url: path + query, user: "ann", status: 400})
		}
	}
	rows = append(rows, scenario{name: "a percent sign before 00", method: "GET", url: "/api/tickets?q=%2500", user: "ann", status: 200})
	a.run(t, rows)
}

// TestTokenIsAlwaysShown asks for a reply that would not have the secret.
func TestTokenIsAlwaysShown(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	var v tokenView
	a.do("POST", "/api/auth/tokens", a.user("ann", false), `{"name":"t"}`, "Prefer: return=minimal").want(201).json(&v)
	if !strings.HasPrefix(v.Token, "akb_") {
		t.Errorf("the reply is %+v", v)
	}
}

// TestIfMatchIsForOneChange has several changes of a board in one request: the
// first moves the version on, so none could match.
func TestIfMatchIsForOneChange(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.board("bob", "eve")
	ann := a.user("ann", false)
	tag := "If-Match: " + a.do("GET", "/api/boards/WEB", ann, "").want(200).header.Get("ETag")
	a.run(t, []scenario{
		{name: "several", method: "PUT", url: "/api/boards/WEB/members", user: "ann", headers: []string{tag}, status: 400, body: `[{"user":"ann","role":"pm"},{"user":"bob","role":"viewer"},{"user":"eve","role":"viewer"}]`, has: []string{"If-Match"}},
		{name: "list", method: "POST", url: "/api/commands", user: "ann", headers: []string{tag}, status: 400, body: `[{"type":"update_board","data":{"board":"WEB","name":"A"}},{"type":"update_board","data":{"board":"WEB","name":"B"}}]`, has: []string{"If-Match"}},
		{name: "one of three", method: "PUT", url: "/api/boards/WEB/members", user: "ann", headers: []string{tag}, status: 200, body: `[{"user":"ann","role":"pm"},{"user":"bob","role":"viewer"},{"user":"eve","role":"agent"}]`},
		{name: "none of three, but stale", method: "PUT", url: "/api/boards/WEB/members", user: "ann", headers: []string{tag}, status: 412, body: `[{"user":"ann","role":"pm"},{"user":"bob","role":"viewer"},{"user":"eve","role":"agent"}]`},
		{name: "stale", method: "POST", url: "/api/boards/WEB/members", user: "ann", headers: []string{tag}, status: 412, body: `{"user":"bob","role":"agent"}`},
	})
}

// TestNoSumOfAPassword looks for the sum of a request that has a password: it
// could be guessed far faster than the password's own hash.
func TestNoSumOfAPassword(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	ann := a.user("ann", false)
	const key = "Idempotency-Key: secret"
	for _, row := range []struct {
		method, path, body, token string
		first, other              int
	}{
		{"POST", "/api/auth/register", `{"username":"zoe","password":"correct horse"}`, "", 201, 422},
		{"PUT", "/api/auth/me", `{"display_name":"Ann","current_password":"correct horse"}`, ann, 200, 422},
	} {
		a.do(row.method, row.path, row.token, row.body, key).want(row.first)
		a.do(row.method, row.path, row.token, row.body, key).want(row.first)
		a.do(row.method, row.path, row.token, strings.Replace(row.body, "horse", "mouse", 1), key).want(row.other)
		plain := sumOf(row.method, row.path, []byte(row.body))
		var n int
		err := a.db.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM commands WHERE request_sha = ?`, plain[:]).Scan(&n)
		if err != nil || n != 0 {
			t.Errorf("%s: %d rows have the plain sum, %v", row.path, n, err)
		}
	}
}

// TestLeavingByTheList has a pm who gives the board away in one request, and
// whose name comes before those of the others.
func TestLeavingByTheList(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.board("bob", "eve", "zoe")
	ann := a.user("ann", false)
	a.do("PUT", "/api/boards/WEB/members", ann, `[{"user":"ann","role":"viewer"},{"user":"bob","role":"viewer"},{"user":"zoe","role":"pm"}]`).want(200)
	zoe := a.user("zoe", false)
	a.do("PUT", "/api/boards/WEB/members", zoe, `[{"user":"zoe","role":"pm"},{"user":"ann","role":"pm"},{"user":"bob","role":"agent"}]`).want(200)
	a.do("PUT", "/api/boards/WEB/members", ann, `[{"user":"zoe","role":"pm"}]`).want(200)
	if r := a.do("GET", "/api/boards/WEB/members", zoe, "").want(200); !strings.Contains(r.body, `"total":1`) {
		t.Errorf("the members are %s", r.body)
	}
}

// TestTokensOfABoard lists the tokens of a board's agents for a pm: those that it may
// revoke, and no others.
func TestTokensOfABoard(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.board("eve:pm", "bob", "zoe:viewer")
	ann, eve := a.user("ann", false), a.user("eve", false)
	a.do("POST", "/api/boards", ann, `{"name":"Elsewhere","key":"ELSE"}`).want(201)
	issue := func(name, boards string) int64 {
		t.Helper()
		var v tokenView
		a.do("POST", "/api/auth/tokens", ann, fmt.Sprintf(`{"name":%q,"kind":"agent","boards":[%s]}`, name, boards)).want(201).json(&v)
		return v.ID
	}
	here, both := issue("here", `"WEB"`), issue("both", `"WEB","ELSE"`)
	issue("there", `"ELSE"`)
	a.scoped("ann", `"boards":["WEB"]`) // a person's own
	listed := func(who, board string) []int64 {
		t.Helper()
		var v list[tokenView]
		a.do("GET", "/api/auth/tokens?board="+board, who, "").want(200).json(&v)
		var ids []int64
		for _, x := range v.Items {
			if x.Token != "" {
				t.Errorf("the list has a secret: %+v", x)
			}
			ids = append(ids, x.ID)
		}
		slices.Sort(ids)
		return ids
	}
	if got := listed(ann, "WEB"); !slices.Equal(got, []int64{here, both}) {
		t.Errorf("a pm of both boards sees %v, wanted %v", got, []int64{here, both})
	}
	if got := listed(eve, "WEB"); !slices.Equal(got, []int64{here}) {
		t.Errorf("a pm of one board sees %v, wanted %v", got, []int64{here})
	}
	if got := listed(a.user("root", true), "WEB"); len(got) != 3 {
		t.Errorf("an admin sees %v, wanted all three that are limited to the board", got)
	}
	a.run(t, []scenario{
		{name: "an agent of the board", method: "GET", url: "/api/auth/tokens?board=WEB", user: "bob", status: 403},
		{name: "a viewer of the board", method: "GET", url: "/api/auth/tokens?board=WEB", user: "zoe", status: 403},
		{name: "a pm's token that is capped", method: "GET", url: "/api/auth/tokens?board=WEB", user: a.scoped("eve", `"role":"agent"`), status: 403},
		{name: "a pm elsewhere", method: "GET", url: "/api/auth/tokens?board=ELSE", user: "eve", status: 404},
		{name: "own ones as before", method: "GET", url: "/api/auth/tokens", user: "bob", status: 200, has: []string{`"total":0`}},
	})
	a.do("DELETE", fmt.Sprintf("/api/auth/tokens/%d", here), eve, "").want(204)
	a.do("DELETE", fmt.Sprintf("/api/auth/tokens/%d", both), eve, "").want(404)
}
