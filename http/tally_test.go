package http

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

// TestMorningReport lets people and an agent work, and reads what became of it.
func TestMorningReport(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann, bob := a.user("ann", false), a.user("bob", false)
	bot := a.agent("bot")
	for i := range 8 {
		a.ticket(ann, id, fmt.Sprint("T", i+1))
	}
	evening := a.do("GET", "/api/boards/WEB/snapshot", ann, "").want(200).header.Get("Kanban-Position")
	step := func(token, method, path, body string) reply {
		t.Helper()
		r := a.do(method, path, token, body)
		if r.status/100 != 2 {
			t.Fatalf("%s %s: %d %s", method, path, r.status, r.body)
		}
		return r
	}
	var claim struct{ Lease struct{ Fence int64 } }
	step(bot, "POST", "/api/tickets/1/claim", "").json(&claim)
	step(bot, "POST", "/api/comments", `{"ticket_id":1,"text":"At it"}`)
	step(bot, "POST", "/api/comments", `{"ticket_id":1,"text":"Nearly"}`)
	step(bot, "POST", "/api/tickets/1/complete", fmt.Sprintf(`{"fence":%d,"evidence":[{"kind":"note","text":"Works"}]}`, claim.Lease.Fence))
	step(bob, "POST", "/api/tickets", fmt.Sprintf(`{"board_id":%d,"title":"T9"}`, id))
	step(ann, "POST", "/api/tickets/2/move", `{"column":"In Progress"}`)
	step(ann, "POST", "/api/tickets/2/move", `{"column":"Done"}`)
	step(ann, "POST", "/api/tickets/3/move", `{"column":"Done"}`) // and back: nothing is left of it
	step(ann, "POST", "/api/tickets/3/move", `{"column":"Not Started"}`)
	step(ann, "PATCH", "/api/tickets/4", `{"title":"Better"}`)
	step(ann, "PATCH", "/api/tickets/4", `{"priority":"high"}`)
	step(ann, "POST", "/api/tickets/5/archive", "")
	step(ann, "DELETE", "/api/tickets/6", "")
	step(ann, "POST", "/api/tickets/8/move", `{"column":"Not Started","before":7}`) // within its column
	step(ann, "POST", "/api/tickets", fmt.Sprintf(`{"board_id":%d,"title":"T10","column":"Done"}`, id))
	step(ann, "PATCH", "/api/tickets/10", `{"description":"A new ticket is still being written"}`)

	var d boardDiff
	r := a.do("GET", "/api/boards/WEB/diff?from="+evening, ann, "").want(200)
	r.json(&d)
	sum := d.Summary
	sum.ByActor = nil
	if want := (diffSummary{Moved: 2, Added: 2, Done: 3, Edited: 2, Removed: 2}); fmt.Sprint(sum) != fmt.Sprint(want) {
		t.Errorf("the summary is %+v, want %+v", sum, want)
	}
	for i := range d.Summary.ByActor {
		if d.Summary.ByActor[i].ID == 0 {
			t.Errorf("an actor has no id: %+v", d.Summary.ByActor[i])
		}
		d.Summary.ByActor[i].ID = 0
	}
	if want := []actorShare{
		{Name: "ann", Kind: events.Human, Moved: 2, Added: 1, Done: 3, Edited: 1},
		{Name: "bot", Kind: events.Agent, Moved: 1, Done: 1, Edited: 1, Commented: 2},
		{Name: "bob", Kind: events.Human, Added: 1},
	}; !slices.Equal(d.Summary.ByActor, want) {
		t.Errorf("by actor it is\n%+v, want\n%+v", d.Summary.ByActor, want)
	}
	// Every entry says who and when, as the log has it.
	var log eventPage
	a.do("GET", "/api/events?board=WEB&limit=1000&after="+evening, ann, "").want(200).json(&log)
	check := func(what string, ticket int64, got Touch) {
		t.Helper()
		var want Touch
		for _, e := range log.Items {
			if e.TicketID == ticket {
				if !slices.Contains(want.By, e.Actor.Name) {
					want.By = append(want.By, e.Actor.Name)
				}
				want.At = &e.RecordedAt
			}
		}
		if !slices.Equal(got.By, want.By) || got.At == nil || !got.At.Equal(*want.At) {
			t.Errorf("%s %d: by %v at %v, want %v at %v", what, ticket, got.By, got.At, want.By, want.At)
		}
	}
	if len(d.Added) != 2 || len(d.Removed) != 2 {
		t.Errorf("the diff is %s", r.body)
	}
	for _, e := range d.Added {
		check("added", e.ID, e.Touch)
	}
	for _, e := range d.Removed {
		check("removed", e.ID, e.Touch)
	}
	for _, e := range d.Changed {
		check("changed", e.ID, e.Touch)
	}

	// What nobody touched says so, and a column that is renamed moves nothing.
	noon := a.do("GET", "/api/boards/WEB/snapshot", ann, "").want(200).header.Get("Kanban-Position")
	cols := a.do("GET", "/api/boards/WEB/columns", ann, "").want(200).body
	cols = cols[strings.Index(cols, "[") : strings.LastIndex(cols, "]")+1]
	step(ann, "PUT", "/api/boards/WEB/columns", strings.Replace(cols, "Not Started", "To do", 1))
	r = a.do("GET", "/api/boards/WEB/diff?from="+noon, ann, "").want(200)
	r.json(&d)
	if len(d.Changed) == 0 || d.Summary.Moved != 0 || len(d.Summary.ByActor) != 0 || d.Changed[0].At != nil || d.Changed[0].By == nil {
		t.Errorf("a renamed column gives %s", r.body)
	}
	// Since the beginning.
	a.do("GET", "/api/boards/WEB/diff?from=0", ann, "").want(200).json(&d)
	if d.Summary.Added != 8 || d.Summary.Moved != 0 || d.Summary.Done != 3 || len(d.Summary.ByActor) != 3 {
		t.Errorf("since the beginning it is %+v", d.Summary)
	}
}
