package http

import (
	"fmt"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// TestBoardList compares what the list says of each board with what is on it.
func TestBoardList(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob", "vera:viewer")
	ann, bob := a.user("ann", false), a.user("bob", false)
	a.do("POST", "/api/boards", ann, `{"name":"Other","key":"OTH","visibility":"internal"}`).want(201)
	a.do("POST", "/api/boards", ann, `{"name":"Empty","key":"EMP"}`).want(201)
	for i := range 9 {
		a.ticket(ann, id, fmt.Sprint("T", i))
	}
	a.ticket(ann, 2, "Elsewhere")
	for _, step := range []struct{ who, path, body string }{
		{bob, "1/claim", ""},
		{ann, "2/dependencies", `{"depends_on":"WEB-1"}`}, // blocked
		{ann, "3/dependencies", `{"depends_on":"WEB-1"}`},
		{ann, "3/move", `{"column":"Done"}`}, // blocked, but done
		{ann, "4/move", `{"column":"Done"}`},
		{ann, "5/archive", ""},
		{ann, "6/dependencies", `{"depends_on":"WEB-1"}`},
		{ann, "6/archive", ""},
		{ann, "7/claim", ""},
		{ann, "7/dependencies", `{"depends_on":"WEB-1"}`}, // held and blocked
	} {
		if r := a.do("POST", "/api/tickets/"+step.path, step.who, step.body); r.status/100 != 2 {
			t.Fatalf("%s: %d %s", step.path, r.status, r.body)
		}
	}
	a.do("DELETE", "/api/tickets/9", ann, "").want(204)

	var page readmodel.Page[readmodel.BoardItem]
	a.do("GET", "/api/boards", ann, "").want(200).json(&page)
	if len(page.Items) != 3 {
		t.Fatalf("the list is %+v", page)
	}
	if got, want := page.Items[0].Counts, (readmodel.BoardCounts{Open: 4, Done: 2, Held: 2, Blocked: 2}); got != want {
		t.Errorf("counts are %+v, want %+v", got, want)
	}
	for _, item := range page.Items {
		var shot readmodel.Snapshot
		a.do("GET", fmt.Sprintf("/api/boards/%d/snapshot", item.ID), ann, "").want(200).json(&shot)
		kinds := map[int64]events.ColumnKind{}
		for _, c := range shot.Columns {
			kinds[c.ID] = c.Kind
		}
		var want readmodel.BoardCounts
		for _, k := range shot.Tickets {
			switch {
			case kinds[k.ColumnID] == events.Done:
				want.Done++
			case k.Blocked:
				want.Blocked++
				fallthrough
			default:
				want.Open++
			}
			if k.Lease != nil {
				want.Held++
			}
		}
		if item.Counts != want {
			t.Errorf("%s: counts are %+v, want %+v", item.Key, item.Counts, want)
		}
		var log eventPage
		a.do("GET", fmt.Sprintf("/api/events?board=%d&limit=1000", item.ID), ann, "").want(200).json(&log)
		last := log.Items[len(log.Items)-1]
		if item.LastPosition == nil || *item.LastPosition != last.Position || !item.LastEventAt.Equal(last.RecordedAt) {
			t.Errorf("%s: the last event is said to be %v at %v, want %d at %v", item.Key, item.LastPosition, item.LastEventAt, last.Position, last.RecordedAt)
		}
	}
	a.do("POST", "/api/boards/OTH/archive", ann, "").want(200)
	a.do("GET", "/api/boards?archived=true", ann, "").want(200).json(&page)
	if len(page.Items) != 1 || page.Items[0].Key != "OTH" || page.Items[0].Counts.Open != 1 {
		t.Errorf("the archived boards are %+v", page.Items)
	}
	a.do("GET", "/api/boards?limit=1", ann, "").want(200).json(&page)
	if len(page.Items) != 1 || page.NextCursor == nil || page.Items[0].Counts.Open != 4 {
		t.Errorf("a page of one is %+v", page.Items)
	}
}

// TestRoles: a board and the list say what the caller may do there, and the tag
// of a board is not good for whoever may do something else.
func TestRoles(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	a.board("bob", "vera:viewer")
	ann, root := a.user("ann", false), a.user("root", true)
	a.users["zoe"] = a.user("zoe", false)
	a.users["worker"] = a.scoped("ann", `"role":"agent","boards":["WEB"]`)
	a.users["onlooker"] = a.scoped("root", `"role":"viewer"`)
	a.do("PUT", "/api/boards/WEB", ann, `{"visibility":"internal"}`).want(200)
	tags := map[string]string{}
	for who, want := range map[string]string{
		"ann": "pm", "bob": "agent", "vera": "viewer", "zoe": "viewer", "root": "admin", "worker": "agent", "onlooker": "viewer",
	} {
		var own ownBoard
		r := a.do("GET", "/api/boards/WEB", a.users[who], "").want(200)
		r.json(&own)
		if own.Role != want || own.Key != "WEB" || len(own.Columns) != 5 {
			t.Errorf("%s has the role %q on %+v, want %s", who, own.Role, own.Board, want)
		}
		var page readmodel.Page[readmodel.BoardItem]
		a.do("GET", "/api/boards", a.users[who], "").want(200).json(&page)
		if len(page.Items) != 1 || page.Items[0].Role != want {
			t.Errorf("%s has the roles %+v in the list, want %s", who, page.Items, want)
		}
		tag := r.header.Get("ETag")
		if other, ok := tags[tag]; ok && other != want {
			t.Errorf("%s and %s have the tag %s", other, want, tag)
		}
		tags[tag] = want
		a.do("GET", "/api/boards/WEB", a.users[who], "", "If-None-Match: "+tag).want(304)
	}
	// If-Match is about the version, whoever has read it.
	tag := a.do("GET", "/api/boards/WEB", root, "").want(200).header.Get("ETag")
	if !strings.Contains(tag, "admin") {
		t.Errorf("the tag of an admin is %s", tag)
	}
	a.do("PUT", "/api/boards/WEB", ann, `{"name":"New"}`, "If-Match: "+tag).want(200)
	a.do("PUT", "/api/boards/WEB", ann, `{"name":"Newer"}`, "If-Match: "+tag).want(412)
	// A write answers as a read does, and so does its repeat.
	for i, who := range []string{ann, root} {
		body := fmt.Sprintf(`{"description":"By %d"}`, i)
		wrote := a.do("PUT", "/api/boards/WEB", who, body, "Idempotency-Key: again").want(200)
		again := a.do("PUT", "/api/boards/WEB", who, body, "Idempotency-Key: again").want(200)
		read := a.do("GET", "/api/boards/WEB", who, "").want(200)
		for what, r := range map[string]reply{"the repeat": again, "the read": read} {
			if r.body != wrote.body || r.header.Get("ETag") != wrote.header.Get("ETag") {
				t.Errorf("%s gives %s %s, the write gave %s %s", what, r.header.Get("ETag"), r.body, wrote.header.Get("ETag"), wrote.body)
			}
		}
	}
	// A role that changes is seen although the board was kept.
	vera := a.users["vera"]
	kept := a.do("GET", "/api/boards/WEB", vera, "").want(200).header.Get("ETag")
	a.do("POST", "/api/boards/WEB/members", ann, `{"user":"vera","role":"pm"}`).want(200)
	if r := a.do("GET", "/api/boards/WEB", vera, "", "If-None-Match: "+kept).want(200); !strings.Contains(r.body, `"role":"pm"`) {
		t.Errorf("after the change the board is %s", r.body)
	}
}
