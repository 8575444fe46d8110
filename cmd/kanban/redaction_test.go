package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/ops"
)

// forgettable are the words of the test that must be gone, in lower case.
const (
	secretWord = "quetzalcoatlus"
	personName = "xylographer"
)

// found lists the files below dir that hold a word, in either case.
func found(t *testing.T, dir, word string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() { // links lead to files that are here too
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(bytes.ToLower(text), []byte(word)) {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// foundLive is found while a server has the files open: reading its database in
// this process would drop the locks that SQLite holds on it.
func foundLive(t *testing.T, dir, word string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "grep", "-rliaF", word, dir).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil
	}
	if err != nil {
		t.Fatalf("grep: %s (%v)", out, err)
	}
	return strings.Fields(string(out))
}

// signedIn is a client of a person who registers.
func signedIn(t *testing.T, s *server, name, setup string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: s.URL()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Register(t.Context(), name, "correct horse battery", setup); err != nil {
		t.Fatalf("register %s: %v", name, err)
	}
	session, err := c.Login(t.Context(), name, "correct horse battery")
	if err != nil {
		t.Fatalf("sign in %s: %v", name, err)
	}
	if c, err = client.New(client.Config{URL: s.URL(), Token: session.AccessToken}); err != nil {
		t.Fatal(err)
	}
	return c
}

func mustRun(t *testing.T, c *client.Client, cmds ...commands.Command) client.Done {
	t.Helper()
	done, err := c.Run(t.Context(), cmds...)
	if err != nil {
		t.Fatalf("%s: %v", cmds[0].CommandType(), err)
	}
	return done
}

// saturate writes the word into everything that can be said about a ticket.
func saturate(t *testing.T, c *client.Client, ticket commands.Ref) {
	t.Helper()
	text := func(what string) string { return what + " Quetzalcoatlus" }
	title, description, criteria, labels := text("Title"), text("Description"), text("Criteria"), []string{"quetzalcoatlus"}
	mustRun(t, c, commands.UpdateTicket{Ticket: ticket, Title: &title, Description: &description, AcceptanceCriteria: &criteria, Labels: &labels})
	mustRun(t, c, commands.AddComment{Ticket: ticket, Text: text("First")}, commands.AddComment{Ticket: ticket, Text: text("Second")})
	comments, err := c.Comments(t.Context(), ticket, client.Paging{})
	if err != nil || len(comments.Items) != 2 {
		t.Fatalf("comments: %v (%v)", comments, err)
	}
	mustRun(t, c, commands.UpdateComment{Ticket: ticket, CommentID: comments.Items[0].ID, Text: text("Edited")})
	mustRun(t, c, commands.DeleteComment{Ticket: ticket, CommentID: comments.Items[1].ID})
	mustRun(t, c, commands.SetChecklist{Ticket: ticket, Items: []commands.ChecklistItemSpec{{Text: text("Item")}}})
	mustRun(t, c, commands.AddEvidence{Ticket: ticket, EvidenceSpec: commands.EvidenceSpec{Kind: events.Note, Text: text("Evidence")}})
	mustRun(t, c, commands.ClaimTicket{Ticket: ticket})
	mustRun(t, c, commands.RecordUsage{Ticket: ticket, InputTokens: 1, Model: "quetzalcoatlus", Session: "quetzalcoatlus"})
	mustRun(t, c, commands.ReleaseTicket{Ticket: ticket, Note: text("Released")})
	mustRun(t, c, commands.RequestApproval{Ticket: ticket, Note: text("Please")})
	mustRun(t, c, commands.RejectTicket{Ticket: ticket, Note: text("No")})
	mustRun(t, c, commands.AssignTicket{Ticket: ticket, Assignee: "Xylographer"})
}

// body is the reply to GET path.
func body(t *testing.T, s *server, c *client.Client, token, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d %s (%v)", path, resp.StatusCode, text, err)
	}
	return string(text)
}

// What was redacted is in no reply and no file, the board's history can still be
// read, and the log verifies.
func TestRedactionLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTestServer(t, dir)
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.close(context.Background()) }()
	_, setup, _ := strings.Cut(s.setup, "#token=")
	admin := signedIn(t, s, "pat", setup)
	person := signedIn(t, s, "Xylographer", "")

	// Given a ticket that says the word everywhere, one that was deleted and
	// brought back, one that stays, and a person who is mentioned everywhere.
	mustRun(t, admin, commands.CreateBoard{Name: "Website", Key: "WEB"})
	mustRun(t, admin, commands.SetMember{Board: "WEB", User: personName, Role: events.PM})
	mustRun(t, person, commands.CreateTicket{Board: "WEB", Title: "Made of Quetzalcoatlus", Description: "Quetzalcoatlus", Labels: []string{"quetzalcoatlus"}, Assignee: personName})
	mustRun(t, person, commands.CreateTicket{Board: "WEB", Title: "Quetzalcoatlus again"})
	mustRun(t, admin, commands.CreateTicket{Board: "WEB", Title: "This one stays"})
	saturate(t, person, "WEB-1")
	saturate(t, person, "WEB-2")
	deleted := mustRun(t, person, commands.DeleteTicket{Ticket: "WEB-2"})
	if _, err := admin.UndoCommand(t.Context(), deleted.Events[0].CommandID); err != nil {
		t.Fatalf("bring back: %v", err)
	}
	mustRun(t, person, commands.MoveTicket{Ticket: "WEB-1", Column: "In Progress"})
	token, err := admin.CreateToken(t.Context(), client.NewToken{Name: "reader"})
	if err != nil {
		t.Fatal(err)
	}
	before, err := admin.Snapshot(t.Context(), "WEB", "")
	if err != nil {
		t.Fatal(err)
	}
	if files := foundLive(t, dir, secretWord); len(files) < 2 {
		t.Fatalf("the word is in %v only: the search proves nothing", files)
	}

	// When all three are redacted.
	for name, cmd := range map[string]commands.Redact{
		"ticket": {Ticket: "WEB-1", Reason: "test"}, "deleted": {Ticket: "2", Reason: "test"},
	} {
		plan, err := admin.Redact(t.Context(), cmd, true)
		if err != nil || len(plan.Events) == 0 || !plan.DryRun {
			t.Fatalf("%s: plan %+v (%v)", name, plan, err)
		}
		done, err := admin.Redact(t.Context(), cmd, false)
		if err != nil || !done.Clean || len(done.Events) != len(plan.Events) {
			t.Fatalf("%s: %+v (%v), want %d events emptied and nothing left", name, done, err, len(plan.Events))
		}
	}
	done, err := admin.Redact(t.Context(), commands.Redact{User: "Xylographer", Reason: "asked to be forgotten"}, false)
	if err != nil || !done.Clean {
		t.Fatalf("user: %+v (%v)", done, err)
	}
	if _, err := admin.Redact(t.Context(), commands.Redact{Ticket: "WEB-1", Reason: "again"}, false); events.CodeOf(err) != events.CodeConflict {
		t.Errorf("again: %v, want a conflict", err)
	}

	// Then no reply has it, now or as of then.
	mustRun(t, admin, commands.AddComment{Ticket: "WEB-1", Text: "life goes on"})
	for _, path := range []string{
		"/api/events?limit=1000", "/api/boards", "/api/boards/WEB", "/api/boards/WEB/columns", "/api/boards/WEB/members",
		"/api/boards/WEB/snapshot", "/api/boards/WEB/tickets", "/api/boards/WEB/ready", "/api/boards/WEB/usage",
		fmt.Sprintf("/api/boards/WEB/snapshot?at=%d", before.Position), fmt.Sprintf("/api/boards/WEB/diff?from=%d", before.Position),
		"/api/history/boards/WEB/activity?limit=100", "/api/history/tickets/WEB-1/history?limit=100", "/api/history/tickets/WEB-2/history?limit=100",
		"/api/history/tickets/WEB-1/transitions", "/api/tickets?board_id=1", "/api/tickets/WEB-1", "/api/tickets/WEB-2",
		"/api/comments/ticket/WEB-1", "/api/comments/1", "/api/agents", "/api/auth/tokens", "/api/tickets/WEB-1/usage",
	} {
		text := strings.ToLower(body(t, s, admin, token.Token, path))
		for _, word := range []string{secretWord, personName} {
			if strings.Contains(text, word) {
				t.Errorf("GET %s says %q: %s", path, word, text)
			}
		}
	}
	if page, err := admin.Tickets(t.Context(), client.TicketQuery{Board: "WEB", Text: "uetzalcoatlu"}); err != nil || page.Total != 0 {
		t.Errorf("search: %+v (%v), want nothing", page, err)
	}
	now, err := admin.Snapshot(t.Context(), "WEB", "")
	if err != nil || len(now.Tickets) != len(before.Tickets) {
		t.Fatalf("snapshot: %d tickets (%v), want %d", len(now.Tickets), err, len(before.Tickets))
	}
	for i, k := range now.Tickets {
		was := before.Tickets[i]
		if k.Key != was.Key || k.CurrentColumn != was.CurrentColumn || k.Rank != was.Rank {
			t.Errorf("%s in %s became %s in %s", was.Key, was.CurrentColumn, k.Key, k.CurrentColumn)
		}
		if want := map[bool]string{true: "This one stays", false: events.RedactedText}[k.Key == "WEB-3"]; k.Title != want {
			t.Errorf("%s: title %q, want %q", k.Key, k.Title, want)
		}
		if k.Key == "WEB-1" && (k.Assignee == nil || *k.Assignee != "deleted user 2" || k.CreatedBy != "deleted user 2") {
			t.Errorf("%s: assignee %v, by %s", k.Key, k.Assignee, k.CreatedBy)
		}
	}
	if _, err := person.Me(t.Context()); events.CodeOf(err) != events.CodeUnauthenticated {
		t.Errorf("the person is still signed in: %v", err)
	}

	// And no file has it, before the server stops and after.
	search := func(when string, found func(t *testing.T, dir, word string) []string) {
		for _, word := range []string{secretWord, personName} {
			if files := found(t, dir, word); len(files) > 0 {
				t.Errorf("%s: %q is in %v", when, word, files)
			}
		}
	}
	search("while it runs", foundLive)
	if err := s.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	search("stopped", found)
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(dir, "agent_kanban.db"), ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	v, err := ops.Verify(t.Context(), db, verifyOptions(db, nil, nil))
	if err != nil || !v.OK() {
		t.Errorf("verify: %+v (%v)", v, err)
	}
}

// A process that died right after it had committed a redaction: the next start
// finishes it, in the read model, the stream and the files, before it serves.
func TestStartFinishesARedaction(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newTestServer(t, dir)
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, setup, _ := strings.Cut(s.setup, "#token=")
	admin := signedIn(t, s, "pat", setup)
	mustRun(t, admin, commands.CreateBoard{Name: "Website", Key: "WEB"})
	mustRun(t, admin, commands.CreateTicket{Board: "WEB", Title: "Quetzalcoatlus", Description: strings.Repeat("Quetzalcoatlus ", 1000)})
	if err := s.close(context.Background()); err != nil {
		t.Fatal(err)
	}

	// When the log alone has it.
	path := filepath.Join(dir, "agent_kanban.db")
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	sequencer, err := commands.New(commands.Config{Store: db})
	if err != nil {
		t.Fatal(err)
	}
	sequencer.Start()
	_, err = sequencer.Do(t.Context(), commands.Meta{Actor: events.SystemActor, Trusted: true}, commands.Redact{Ticket: "WEB-1", Reason: "test"})
	sequencer.Stop()
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if files := found(t, dir, secretWord); len(files) < 2 {
		t.Fatalf("the word is in %v only: there is nothing to finish", files)
	}

	s = newTestServer(t, dir)
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	head, err := s.db.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.relay.Forgotten(t.Context(), head.Position); err != nil {
		t.Fatal(err)
	}
	if position, err := s.db.Unclean(t.Context()); position != 0 || err != nil {
		t.Errorf("unclean at %d (%v), want it finished", position, err)
	}
	if files := foundLive(t, dir, secretWord); len(files) > 0 {
		t.Errorf("the word is still in %v", files)
	}
	if err := s.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if files := found(t, dir, secretWord); len(files) > 0 {
		t.Errorf("after the stop the word is in %v", files)
	}
}
