package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// mcpHouse is a server with a board that has policies, and a token of an agent.
func mcpHouse(t *testing.T) (pat *client.Client, url, token string) {
	t.Helper()
	s := newTestServer(t, t.TempDir())
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	open := func(token string) *client.Client {
		c, err := client.New(client.Config{URL: s.URL(), Token: token})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	_, setup, _ := strings.Cut(s.setup, "#token=")
	if _, err := open("").Register(t.Context(), "pat", "correct horse battery", setup); err != nil {
		t.Fatal(err)
	}
	session, err := open("").Login(t.Context(), "pat", "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	pat = open(session.AccessToken)
	if _, err := pat.CreateBoard(t.Context(), commands.CreateBoard{Name: "Website", Key: "WEB", Columns: []commands.ColumnSpec{
		{Name: "Todo", Kind: events.Backlog},
		{Name: "Doing", Kind: events.Active},
		{Name: "Review", Kind: events.Review},
		{Name: "Done", Kind: events.Done, Policy: &commands.PolicySpec{RequireChecklist: true, RequireEvidence: true, Approval: true}},
	}}); err != nil {
		t.Fatal(err)
	}
	issued, err := pat.CreateToken(t.Context(), client.NewToken{Name: "builder", Kind: events.Agent, Role: events.AgentRole, Boards: []commands.Ref{"WEB"}})
	if err != nil {
		t.Fatal(err)
	}
	return pat, s.URL(), issued.Token
}

// mcpProgram is kanban mcp, not started yet. The test binary is the program
// when it is called "kanban" (see TestMain).
func mcpProgram(t *testing.T, url, token string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "kanban")
	if err := os.Symlink(self, bin); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "mcp")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "KANBAN_URL="+url, "KANBAN_TOKEN="+token, "GORACE=atexit_sleep_ms=0 halt_on_error=1")
	stderr := &bytes.Buffer{}
	cmd.Stderr = stderr
	return cmd, stderr
}

// mcpCall calls a tool; the structured content is read into out where that is
// not nil. It returns the code of a refusal.
func mcpCall(t *testing.T, s *sdk.ClientSession, tool string, in map[string]any, out any) string {
	t.Helper()
	res, err := s.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: in})
	if err != nil {
		t.Fatalf("%s: %v", tool, err)
	}
	text, err := json.Marshal(res.StructuredContent)
	if err != nil {
		t.Fatal(err)
	}
	var refusal struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal(text, &refusal); err != nil {
		t.Fatal(err)
	}
	if res.IsError != (refusal.Error.Code != "") || res.IsError && out != nil {
		t.Fatalf("%s: %s", tool, text)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatal(err)
		}
	}
	return refusal.Error.Code
}

// An agent works on a board through the real program, up to what needs a
// person: the fence is remembered for it. It ends with its input.
func TestMCPOverStdio(t *testing.T) {
	t.Parallel()
	pat, url, token := mcpHouse(t)
	cmd, stderr := mcpProgram(t, url, token)
	s, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), &sdk.CommandTransport{Command: cmd}, nil)
	if err != nil {
		t.Fatalf("connect: %v\n%s", err, stderr)
	}
	mcpCall(t, s, "create_tickets", map[string]any{"board": "WEB", "tickets": []map[string]any{
		{"as": "a", "title": "First", "checklist": []string{"works"}, "assignee": "builder"},
		{"title": "Second", "depends_on": []string{"$a"}},
	}}, nil)
	var found struct{ Tickets []struct{ Key string } }
	mcpCall(t, s, "find_tickets", map[string]any{"board": "WEB", "state": "ready"}, &found)
	if len(found.Tickets) != 1 || found.Tickets[0].Key != "WEB-1" {
		t.Fatalf("ready: %+v", found)
	}
	type working struct {
		Fence  int64
		Ticket struct {
			Key, Column, Approval, Checklist string
			Untrusted                        struct{ Checklist []struct{ ID int64 } }
		}
	}
	var claim, change working
	mcpCall(t, s, "claim_next", map[string]any{"board": "WEB"}, &claim)
	mcpCall(t, s, "heartbeat", map[string]any{"ticket": "WEB-1"}, nil)
	if code := mcpCall(t, s, "complete_ticket", map[string]any{"ticket": "WEB-1", "fence": claim.Fence - 1}, nil); code != "stale_claim" {
		t.Errorf("with another fence: %q, want stale_claim", code)
	}
	mcpCall(t, s, "update_ticket", map[string]any{
		"ticket": "WEB-1", "check": []int64{claim.Ticket.Untrusted.Checklist[0].ID},
		"evidence": []map[string]any{{"kind": "test_output", "text": "ok"}},
	}, &change)
	if change.Ticket.Checklist != "1/1" {
		t.Errorf("checklist: %+v", change)
	}
	mcpCall(t, s, "complete_ticket", map[string]any{"ticket": "WEB-1", "note": "please look"}, &change)
	if change.Ticket.Column != "Review" || change.Ticket.Approval != "requested" {
		t.Errorf("completed: %+v", change)
	}
	if code := mcpCall(t, s, "update_ticket", map[string]any{"ticket": "WEB-1", "column": "Done"}, nil); code != "policy" {
		t.Errorf("done without an approval: %q, want policy", code)
	}
	if _, err := pat.Approve(t.Context(), commands.ApproveTicket{Ticket: "WEB-1"}); err != nil {
		t.Fatal(err)
	}
	mcpCall(t, s, "update_ticket", map[string]any{"ticket": "WEB-1", "column": "Done"}, &change)
	if change.Ticket.Column != "Done" {
		t.Errorf("approved: %+v", change)
	}
	read, err := s.ReadResource(t.Context(), &sdk.ReadResourceParams{URI: "kanban://tickets/WEB-1"})
	if err != nil || !strings.Contains(read.Contents[0].Text, `"title":"First"`) {
		t.Errorf("resource: %+v, %v", read, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("the program ended with %v", err)
	}
	if stderr.Len() > 0 {
		t.Errorf("standard error: %s", stderr)
	}
}

// SIGINT ends it as its input does; nothing but the protocol was on standard
// output.
func TestMCPEndsCleanly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		end  func(*exec.Cmd, io.Closer) error
	}{
		{"SIGINT", func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Signal(os.Interrupt) }},
		{"end of input", func(_ *exec.Cmd, in io.Closer) error { return in.Close() }},
	} {
		cmd, stderr := mcpProgram(t, "http://127.0.0.1:1", "akb_none")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		const hello = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}` + "\n"
		if _, err := io.WriteString(in, hello); err != nil {
			t.Fatal(err)
		}
		dec := json.NewDecoder(out)
		var answer struct {
			Result struct{ ServerInfo struct{ Name string } }
		}
		if err := dec.Decode(&answer); err != nil || answer.Result.ServerInfo.Name != "agent-kanban" {
			t.Errorf("%s: answered %+v, %v", test.name, answer, err)
		}
		if err := test.end(cmd, in); err != nil {
			t.Fatal(err)
		}
		killed := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		rest, _ := io.ReadAll(io.MultiReader(dec.Buffered(), out))
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: ended with %v\n%s", test.name, err, stderr)
		}
		killed.Stop()
		if len(bytes.TrimSpace(rest)) > 0 || stderr.Len() > 0 {
			t.Errorf("%s: said %q and %q", test.name, rest, stderr)
		}
	}
}

// The server of kanban serve has /mcp.
func TestServerServesMCP(t *testing.T) {
	t.Parallel()
	_, url, token := mcpHouse(t)
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"mcp", "--help"}, strings.NewReader(""), &out, &errs); code != exitOK {
		t.Errorf("kanban mcp --help: exit %d: %s", code, errs.String())
	}
	for _, want := range []string{"KANBAN_TOKEN", "mcpServers", "claude mcp add", "/mcp"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the help does not mention %s", want)
		}
	}
	s, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), &sdk.StreamableClientTransport{
		Endpoint: url + "/mcp", HTTPClient: withBearer(token), DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list, err := s.ListTools(t.Context(), nil)
	if err != nil || !slices.ContainsFunc(list.Tools, func(tool *sdk.Tool) bool { return tool.Name == "claim_next" }) {
		t.Errorf("tools: %+v, %v", list, err)
	}
}

type bearer string

func withBearer(token string) *http.Client { return &http.Client{Transport: bearer(token)} }

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}
