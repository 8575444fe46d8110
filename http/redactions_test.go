package http

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

func TestRedactionRefusals(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("vera:viewer")
	a.agent("bot")
	a.user("root", true)
	a.user("olga", false)
	a.ticket(a.user("ann", false), id, "Quetzalcoatlus")
	// An admin's token that is less than its owner.
	a.users["small"] = a.scoped("root", `"boards":["WEB"]`)
	a.users["worker"] = a.scoped("root", `"role":"pm"`)
	const url, order = "/api/redactions", `{"ticket":"WEB-1","reason":"test"}`
	rows := []scenario{{name: "nobody", method: "POST", url: url, body: order, status: 401}}
	for _, who := range []string{"ann", "vera", "bot", "olga", "small", "worker"} {
		for _, body := range []string{order, `{"ticket":"WEB-1","dry_run":true}`, `{"ticket":"WEB-99","reason":"test"}`} {
			rows = append(rows, scenario{name: who, method: "POST", url: url, user: who, body: body, status: 403, has: []string{`"forbidden"`}, lacks: []string{"ticket_created"}})
		}
	}
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"no reason":       {`{"ticket":"WEB-1"}`, 400},
		"no target":       {`{"reason":"test"}`, 400},
		"two targets":     {`{"ticket":"WEB-1","user":"ann","reason":"test"}`, 400},
		"no such ticket":  {`{"ticket":"WEB-99","reason":"test"}`, 404},
		"no such comment": {`{"comment":99,"dry_run":true}`, 404},
		"no such user":    {`{"user":"zed","reason":"test"}`, 404},
		"yourself":        {`{"user":"root","reason":"test"}`, 409},
		"unknown field":   {`{"tickets":"WEB-1","reason":"test"}`, 400},
		"no JSON":         {`ticket`, 400},
	} {
		rows = append(rows, scenario{name: name, method: "POST", url: url, user: "root", body: test.body, status: test.status})
	}
	a.run(t, rows)
	if r := a.do("GET", "/api/tickets/WEB-1", a.users["ann"], "").want(200); !strings.Contains(r.body, "Quetzalcoatlus") {
		t.Errorf("a refusal redacted: %s", r.body)
	}
}

// The reply is the same for the same key, names what was emptied, and clients
// learn of it on the live feed.
func TestRedaction(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("vera:viewer")
	root, ann := a.user("root", true), a.user("ann", false)
	a.ticket(ann, id, "Quetzalcoatlus")
	tag := a.do("GET", "/api/tickets/WEB-1", ann, "").want(200).header.Get("ETag")
	board := a.do("GET", "/api/boards/WEB/snapshot", ann, "").want(200)
	if !strings.Contains(board.body, "Quetzalcoatlus") {
		t.Fatalf("snapshot: %s", board.body)
	}
	var plan, done redactionView
	a.do("POST", "/api/redactions", root, `{"ticket":"WEB-1","dry_run":true}`).want(200).json(&plan)
	if !plan.DryRun || len(plan.Events) != 1 || plan.Events[0].Type != events.TypeTicketCreated || plan.Target != "ticket/1" {
		t.Errorf("plan: %+v", plan)
	}
	s := a.connect("ann")
	s.send(fmt.Sprintf(`{"type":"subscribe_board","board_id":%d}`, id))
	s.want("subscribed")
	first := a.do("POST", "/api/redactions", root, `{"ticket":"WEB-1","reason":"test"}`, "Idempotency-Key: once").want(200)
	first.json(&done)
	if !done.Clean || done.Left != "" || len(done.Events) != 1 || done.Events[0].Position != plan.Events[0].Position || done.Position == 0 {
		t.Errorf("done: %+v", done)
	}
	if again := a.do("POST", "/api/redactions", root, `{"ticket":"WEB-1","reason":"test"}`, "Idempotency-Key: once").want(200); again.body != first.body {
		t.Errorf("again: %s, want %s", again.body, first.body)
	}
	if f := s.want("data_redacted"); !strings.Contains(string(f.Data), fmt.Sprintf(`"position":%d`, done.Position)) {
		t.Errorf("frame: %s", f.Data)
	}
	for _, path := range []string{"/api/tickets/WEB-1", "/api/boards/WEB/snapshot", "/api/events", "/api/history/boards/WEB/activity"} {
		if r := a.do("GET", path, ann, "", "If-None-Match: "+tag).want(200); strings.Contains(r.body, "Quetzalcoatlus") {
			t.Errorf("GET %s: %s", path, r.body)
		}
	}
}

// A client that kept a ticket from before asks again and is not told that it has
// the newest: the assignee's name is another one, though the ticket is as it was.
func TestRedactionVoidsETags(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("olga:agent")
	root, ann := a.user("root", true), a.user("ann", false)
	a.ticket(ann, id, "One")
	a.do("POST", "/api/tickets/WEB-1/assign", ann, `{"assignee":"olga"}`).want(200)
	tag := a.do("GET", "/api/tickets/WEB-1", ann, "").want(200).header.Get("ETag")
	a.do("GET", "/api/tickets/WEB-1", ann, "", "If-None-Match: "+tag).want(304)
	a.do("POST", "/api/redactions", root, `{"user":"olga","reason":"test"}`).want(200)
	r := a.do("GET", "/api/tickets/WEB-1", ann, "", "If-None-Match: "+tag).want(200)
	if strings.Contains(r.body, "olga") || !strings.Contains(r.body, "deleted user ") {
		t.Errorf("ticket: %s", r.body)
	}
	newer := r.header.Get("ETag")
	a.do("GET", "/api/tickets/WEB-1", ann, "", "If-None-Match: "+newer).want(304)
	a.do("PATCH", "/api/tickets/WEB-1", ann, `{"title":"Two"}`, "If-Match: "+newer).want(200)
}
