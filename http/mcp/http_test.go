package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

const ping = `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`

// Who is let in, and what those are told who are not.
func TestDoor(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	for _, test := range []struct {
		name, method, token string
		headers             []string
		status              int
		contains            string
	}{
		{"a token", "POST", token, nil, 200, "claim_next"},
		{"no token", "POST", "", nil, 401, `"code":"unauthenticated"`},
		{"a wrong token", "POST", "akb_wrong", nil, 401, `"code":"unauthenticated"`},
		{"a trailing slash", "POST", token, nil, 200, "claim_next"},
		{"the same origin", "POST", token, []string{"Origin: " + a.url}, 200, "claim_next"},
		{"a configured origin", "POST", token, []string{"Origin: https://board.example"}, 200, "claim_next"},
		{"a foreign origin", "POST", token, []string{"Origin: https://evil.example"}, 403, `"code":"forbidden"`},
		{"a foreign origin without token", "POST", "", []string{"Origin: https://evil.example"}, 403, `"code":"forbidden"`},
		{"a foreign GET", "GET", token, []string{"Origin: https://evil.example"}, 403, `"code":"forbidden"`},
		{"no origin", "POST", token, []string{"Origin: null"}, 403, `"code":"forbidden"`},
		{"another page of a browser", "POST", token, []string{"Sec-Fetch-Site: cross-site"}, 403, `"code":"forbidden"`},
		{"GET", "GET", token, nil, 405, ""},
		{"DELETE", "DELETE", token, nil, 405, ""},
		{"behind a proxy", "POST", token, []string{"Host: board.example"}, 200, "claim_next"},
		{"no media type", "POST", token, []string{"Content-Type: text/plain"}, 415, ""},
	} {
		path, body := "/mcp", ping
		if strings.Contains(test.name, "slash") {
			path += "/"
		}
		if test.method != "POST" {
			body = ""
		}
		got := a.send(test.method, path, test.token, body, test.headers...)
		if got.status != test.status || !strings.Contains(got.body, test.contains) {
			t.Errorf("%s: %d %.200s, want %d with %s", test.name, got.status, got.body, test.status, test.contains)
		}
		challenge := got.header.Get("WWW-Authenticate")
		want := `resource_metadata="` + a.url + `/.well-known/oauth-protected-resource"`
		if test.status == 401 && (!strings.HasPrefix(challenge, "Bearer ") || !strings.HasSuffix(challenge, want)) {
			t.Errorf("%s: WWW-Authenticate: %s, want %s", test.name, challenge, want)
		}
		if invalid := strings.Contains(challenge, `error="invalid_token"`); invalid != (test.token == "akb_wrong") {
			t.Errorf("%s: WWW-Authenticate: %s", test.name, challenge)
		}
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	for _, path := range []string{"/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"} {
		got := a.send("GET", path, "", "")
		var doc struct {
			Resource string   `json:"resource"`
			Methods  []string `json:"bearer_methods_supported"`
			Docs     string   `json:"resource_documentation"`
		}
		if err := json.Unmarshal([]byte(got.body), &doc); err != nil {
			t.Fatalf("%s: %v", got.body, err)
		}
		if doc.Resource != a.url+"/mcp" || len(doc.Methods) != 1 || doc.Methods[0] != "header" || doc.Docs != a.url+"/docs" {
			t.Errorf("%s: %s", path, got.body)
		}
		got = a.send("GET", path, "", "", "Host: board.example", "X-Forwarded-Proto: https")
		if !strings.Contains(got.body, `"https://board.example/mcp"`) {
			t.Errorf("behind a proxy: %s", got.body)
		}
	}
}

// Older clients of the protocol and newer ones, each request on its own.
func TestEveryRevisionIsServed(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	for _, revision := range []string{"", "2025-03-26", "2025-06-18", "2025-11-25"} {
		var headers []string
		if revision != "" {
			headers = append(headers, "Mcp-Protocol-Version: "+revision)
		}
		got := a.post(token, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_boards","arguments":{}}}`, headers...)
		if got.status != 200 || !strings.Contains(got.body, `"you":"builder"`) || got.header.Get("Mcp-Session-Id") != "" {
			t.Errorf("revision %q: %d %s", revision, got.status, got.body)
		}
	}
}

// The descriptions keep to the protocol: titles, four annotations, schemas; and
// every reply keeps to its output schema, refusals too.
func TestToolsAreDescribed(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	s := a.overHTTP(token)
	list, err := s.ListTools(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if list.CacheScope == "private" {
		t.Error("the tools are the same for everybody")
	}
	schemas := map[string]*jsonschema.Resolved{}
	for _, tool := range list.Tools {
		wire, _ := json.Marshal(tool.Annotations)
		for _, hint := range []string{"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"} {
			if !strings.Contains(string(wire), hint) {
				t.Errorf("%s has no %s", tool.Name, hint)
			}
		}
		if tool.Title == "" || tool.Description == "" || tool.InputSchema == nil || tool.OutputSchema == nil {
			t.Errorf("%s lacks something: %+v", tool.Name, tool)
		}
		text, _ := json.Marshal(tool.OutputSchema)
		var schema jsonschema.Schema
		if err := json.Unmarshal(text, &schema); err != nil {
			t.Fatal(err)
		}
		if schemas[tool.Name], err = schema.Resolve(nil); err != nil {
			t.Fatal(err)
		}
	}
	call := func(tool string, in args) {
		res, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: in})
		if err != nil {
			t.Fatal(err)
		}
		if err := schemas[tool].Validate(res.StructuredContent); err != nil {
			t.Errorf("%s: %v", tool, err)
		}
		if len(res.Content) != 2 {
			t.Errorf("%s has %d contents, want a sentence and the data", tool, len(res.Content))
		}
	}
	call("create_tickets", args{"board": "WEB", "tickets": []args{{"title": "a", "as": "a", "checklist": []string{"x"}}, {"title": "b", "depends_on": []string{"$a"}}}})
	call("claim_next", args{"board": "WEB"})
	call("claim_next", args{"board": "WEB"})
	for tool := range schemas {
		call(tool, args{"board": "WEB"})
		call(tool, args{"ticket": "WEB-1"})
		call(tool, args{"ticket": "WEB-1", "text": "x", "detailed": true})
		call(tool, args{"ticket": "WEB-1", "text": "x"})
	}
}

func TestResources(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	a.do(commands.CreateTicket{Board: "WEB", Title: "Say hello", Description: strings.Repeat("much to say ", 5000)})
	for _, s := range []*sdk.ClientSession{a.overHTTP(token), a.overPipe(token)} {
		templates, err := s.ListResourceTemplates(t.Context(), nil)
		if err != nil || len(templates.ResourceTemplates) != 2 {
			t.Fatalf("templates = %+v, %v", templates, err)
		}
		list, err := s.ListResources(t.Context(), nil)
		if err != nil || len(list.Resources) != 1 || list.Resources[0].URI != "kanban://boards/WEB" || list.CacheScope != "private" {
			t.Fatalf("resources = %+v, %v", list, err)
		}
		for uri, want := range map[string]string{"kanban://boards/WEB": `"wip_limit":3`, "kanban://tickets/WEB-1": `"title":"Say hello"`} {
			got, err := s.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: uri})
			if err != nil {
				t.Fatalf("%s: %v", uri, err)
			}
			c := got.Contents[0]
			if !strings.Contains(c.Text, want) || c.MIMEType != "application/json" || got.CacheScope != "private" {
				t.Errorf("%s = %.300s, want %s in it", uri, c.Text, want)
			}
			if n := count(t, c.Text); n > 8000 {
				t.Errorf("%s has %d tokens", uri, n)
			}
		}
		for _, uri := range []string{"kanban://boards/NOPE", "kanban://tickets/WEB-99", "kanban://nothing/1"} {
			_, err := s.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: uri})
			var rpc *jsonrpc.Error
			if !errors.As(err, &rpc) || rpc.Code != jsonrpc.CodeInvalidParams {
				t.Errorf("%s: %v, want not found", uri, err)
			}
		}
	}
}

// Over a pipe the fence is remembered, over HTTP it is not; a late holder is
// refused on both.
func TestFences(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	pat, token := a.board()
	a.do(commands.CreateTicket{Board: "WEB", Title: "One"})
	pipe, web := a.overPipe(token), a.overHTTP(token)
	old := call[claimReply](t, pipe, "claim_next", args{"board": "WEB"})
	if _, err := pat.Release(t.Context(), commands.ReleaseTicket{Ticket: "WEB-1"}); err != nil {
		t.Fatal(err)
	}
	call[claimReply](t, web, "claim_next", args{"ticket": "WEB-1"})
	// The same agent holds it, by another claim: what began before must not go on.
	for _, ticket := range []string{"WEB-1", "web-1", "1"} {
		refused(t, pipe, "heartbeat", args{"ticket": ticket}, events.CodeStaleClaim)
		refused(t, pipe, "update_ticket", args{"ticket": ticket, "title": "late"}, events.CodeStaleClaim)
		refused(t, pipe, "complete_ticket", args{"ticket": ticket}, events.CodeStaleClaim)
	}
	refused(t, web, "heartbeat", args{"ticket": "WEB-1", "fence": old.Fence}, events.CodeStaleClaim)
	call[claimReply](t, web, "heartbeat", args{"ticket": "WEB-1"})

	// A release ends what is remembered.
	call[changeReply](t, web, "update_ticket", args{"ticket": "WEB-1", "release": true, "note": "no time"})
	again := call[claimReply](t, pipe, "claim_next", args{"ticket": "1"})
	if again.Fence <= old.Fence {
		t.Errorf("the new fence is %d, not above the old one %d", again.Fence, old.Fence)
	}
	got := call[changeReply](t, pipe, "update_ticket", args{"ticket": "WEB-1", "release": true})
	if got.Ticket.Holder != "" || got.Ticket.Column != "Todo" {
		t.Errorf("after a release: %+v", got.Ticket)
	}
	call[claimReply](t, web, "claim_next", args{"ticket": "WEB-1"})
	call[claimReply](t, pipe, "heartbeat", args{"ticket": "WEB-1"})
}

// A call that waits gets the ticket as soon as there is one; a caller that went
// away gets none.
func TestWaiting(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	_, token := a.board()
	s := a.overHTTP(token)
	got := make(chan claimReply, 1)
	go func() {
		got <- call[claimReply](t, s, "claim_next", args{"board": "WEB", "wait_seconds": 60})
	}()
	a.do(commands.CreateTicket{Board: "WEB", Title: "At last"})
	if claim := <-got; !claim.Claimed || claim.Ticket.Key != "WEB-1" {
		t.Errorf("claim_next = %+v, want WEB-1", claim)
	}

	for _, wait := range []func(context.Context) error{
		func(ctx context.Context) error {
			_, err := s.CallTool(ctx, &sdk.CallToolParams{Name: "claim_next", Arguments: args{"board": "WEB", "wait_seconds": 60}})
			return err
		},
		func(ctx context.Context) error { // of an older revision, where the SDK lets a call go on
			const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"claim_next","arguments":{"board":"WEB","wait_seconds":60}}}`
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/mcp", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return err
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("Accept", "application/json, text/event-stream")
			res, err := a.http.Do(req)
			if err == nil {
				res.Body.Close()
			}
			return err
		},
	} {
		ctx, leave := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		before := a.seen.Load()
		go func() { gone <- wait(ctx) }()
		for a.seen.Load() == before {
			<-time.After(time.Millisecond)
		}
		<-time.After(50 * time.Millisecond) // most likely it waits by now
		leave()
		if err := <-gone; err == nil {
			t.Error("a cancelled call succeeded")
		}
		for a.busy.Load() > 0 {
			<-time.After(time.Millisecond)
		}
	}
	a.do(commands.CreateTicket{Board: "WEB", Title: "For nobody"})
	found := call[findReply](t, s, "find_tickets", args{"board": "WEB", "state": "ready"})
	if found.Total != 1 || found.Tickets[0].Holder != "" {
		t.Errorf("after its caller had gone a call claimed a ticket: %+v", found)
	}
}
