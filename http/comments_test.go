package http

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/readmodel"
)

// TestCommentsAreCounted: each view of a ticket says how many comments there are,
// a reply to a command as much as any read, and a board that is kept is read
// afresh when one comes or goes. The version of the ticket is the same.
func TestCommentsAreCounted(t *testing.T) {
	t.Parallel()
	common := &commonReplies{all: map[string][]byte{}}
	a := newApp(t, func(c *Config, _ *Deps) { c.Shared = common })
	id := a.board("bob")
	ann, bob := a.user("ann", false), a.user("bob", false)
	a.ticket(bob, id, "One")
	a.ticket(bob, id, "Two")
	q, err := readmodel.New(t.Context(), a.db.Reader())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })

	comments := func(ref string) string {
		var list struct{ Items []readmodel.Comment }
		a.do("GET", "/api/comments/ticket/"+ref, ann, "").want(200).json(&list)
		return fmt.Sprintf(`"comment_count":%d`, len(list.Items))
	}
	var count, stamp, tag string // at the last check
	check := func(when, want string) {
		t.Helper()
		if got := comments("WEB-1"); got != want {
			t.Fatalf("after %s there are %s comments, want %s", when, got, want)
		}
		now, position, err := q.BoardStamp(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		shot := a.do("GET", "/api/boards/WEB/snapshot", bob, "").want(200)
		if now == stamp || want != count && shot.header.Get("ETag") == tag {
			t.Errorf("after %s the stamp of the board is %s, its tag %s, as before", when, now, tag)
		}
		count, stamp, tag = want, now, shot.header.Get("ETag")
		a.server.kept.replies.InvalidateAll() // as in a process that has kept nothing itself
		for name, text := range map[string]string{
			"the snapshot":        shot.body,
			"the shared snapshot": a.do("GET", "/api/boards/WEB/snapshot", bob, "").want(200).body,
			"the board as of now": a.do("GET", fmt.Sprintf("/api/boards/WEB/snapshot?at=%d", position), bob, "").want(200).body,
			"the list":            a.do("GET", "/api/tickets?board_id=1", bob, "").want(200).body,
			"the ready ones":      a.do("GET", "/api/boards/WEB/ready", bob, "").want(200).body,
			"the ticket":          a.do("GET", "/api/tickets/1", bob, "").want(200).body,
		} {
			one, _, _ := strings.Cut(text[strings.Index(text, `"key":"WEB-1"`):], `"created_by"`)
			if !strings.Contains(one, want) {
				t.Errorf("after %s %s has %s, want %s", when, name, one, want)
			}
		}
		if name := "WEB-2"; comments(name) != `"comment_count":0` {
			t.Errorf("after %s %s has comments", when, name)
		}
	}
	// What a write answers is what a read answers.
	write := func(when, method, path, token, body string) {
		t.Helper()
		r := a.do(method, path, token, body).want(200)
		if got := a.do("GET", "/api/tickets/1", ann, "").want(200).body; got != r.body {
			t.Errorf("after %s a read gives\n%s, the write gave\n%s", when, got, r.body)
		}
	}
	var first, second readmodel.Comment
	check("the creation", `"comment_count":0`)
	version := a.do("GET", "/api/tickets/1", bob, "").header.Get("ETag")
	a.do("POST", "/api/comments", bob, `{"ticket":"WEB-1","text":"first"}`).want(201).json(&first)
	check("a comment", `"comment_count":1`)
	a.do("POST", "/api/comments", ann, `{"ticket":"WEB-1","text":"second"}`).want(201).json(&second)
	check("another", `"comment_count":2`)
	a.do("PUT", fmt.Sprintf("/api/comments/%d", first.ID), bob, `{"text":"better"}`).want(200)
	check("a new text", `"comment_count":2`)
	if got := a.do("GET", "/api/tickets/1", bob, "").header.Get("ETag"); got != version {
		t.Errorf("the ticket has the tag %s, want %s of before its comments", got, version)
	}
	write("two comments", "PATCH", "/api/tickets/1", ann, `{"title":"Other"}`)
	write("two comments", "POST", "/api/tickets/1/move", ann, `{"column":"In Progress"}`)
	write("two comments", "POST", "/api/tickets/1/move", ann, `{"column":"Not Started"}`)
	a.do("DELETE", fmt.Sprintf("/api/comments/%d", first.ID), bob, "").want(204)
	check("a deletion", `"comment_count":1`)
	write("a deletion", "PATCH", "/api/tickets/1", ann, `{"title":"Yet another"}`)

	// A ticket that comes back brings its comments along.
	a.do("DELETE", "/api/tickets/1", ann, "", "Idempotency-Key: gone").want(204)
	a.do("POST", "/api/commands/gone/undo", ann, "").want(200)
	check("the deletion of the ticket and back", `"comment_count":1`)
	write("the way back", "PATCH", "/api/tickets/1", ann, `{"title":"Back"}`)

	// A comment whose text is redacted is there.
	root := a.user("root", true)
	a.do("POST", "/api/redactions", root, fmt.Sprintf(`{"comment":%d,"reason":"a name"}`, second.ID)).want(200)
	check("a redaction", `"comment_count":1`)
	write("a redaction", "PATCH", "/api/tickets/1", ann, `{"title":"Last"}`)
	a.do("DELETE", fmt.Sprintf("/api/comments/%d", second.ID), ann, "").want(204)
	check("the deletion of a redacted one", `"comment_count":0`)
	write("the deletion of a redacted one", "PATCH", "/api/tickets/1", ann, `{"title":"Very last"}`)
}
