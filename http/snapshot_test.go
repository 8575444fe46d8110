package http

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/agent-kanban/agent-kanban/readmodel"
)

func TestSnapshots(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann := a.user("ann", false)
	a.ticket(ann, id, "One")
	var shot, cached, past readmodel.Snapshot
	first := a.do("GET", "/api/boards/1/snapshot", ann, "").want(200)
	first.json(&shot)
	if len(shot.Tickets) != 1 || len(shot.Columns) != 5 || fmt.Sprint(shot.Position) != first.header.Get("Kanban-Position") {
		t.Errorf("snapshot is %s", first.body)
	}
	if again := a.do("GET", "/api/boards/WEB/snapshot", ann, ""); again.body != first.body {
		t.Errorf("cached snapshot is\n%s, want\n%s", again.body, first.body)
	}
	// An event elsewhere moves the position, not the content.
	a.do("POST", "/api/boards", ann, `{"name":"Other"}`).want(201)
	a.do("GET", "/api/boards/1/snapshot", ann, "").want(200).json(&cached)
	if cached.Position <= shot.Position || len(cached.Tickets) != 1 {
		t.Errorf("snapshot is at %d with %d tickets", cached.Position, len(cached.Tickets))
	}
	// Never older than what its reader knows of.
	for i := range 50 {
		r := a.do("POST", "/api/tickets", ann, fmt.Sprintf(`{"board_id":1,"title":"T%d"}`, i), "Prefer: return=minimal").want(201)
		a.do("GET", "/api/boards/1/snapshot", ann, "", "Kanban-Min-Position: "+r.header.Get("Kanban-Position")).want(200).json(&cached)
		if len(cached.Tickets) != i+2 {
			t.Fatalf("after %d creations the snapshot has %d tickets", i+2, len(cached.Tickets))
		}
	}
	at := a.do("GET", fmt.Sprintf("/api/boards/1/snapshot?at=%d", shot.Position), ann, "").want(200)
	at.json(&past)
	if at.body != first.body {
		t.Errorf("as of %d it was\n%s, now said to be\n%s", shot.Position, first.body, at.body)
	}
	created := shot.Tickets[0].CreatedAt.Format("2006-01-02T15:04:05.000000Z07:00")
	a.do("GET", "/api/boards/1/snapshot?at="+created, ann, "").want(200).json(&past)
	if len(past.Tickets) != 1 {
		t.Errorf("as of %s there were %d tickets", created, len(past.Tickets))
	}

	a.do("PATCH", "/api/tickets/1", ann, `{"title":"New","column":"Done"}`).want(200)
	a.do("DELETE", "/api/tickets/2", ann, "").want(204)
	a.do("PUT", "/api/boards/1", ann, `{"name":"New"}`).want(200)
	var d boardDiff
	a.do("GET", fmt.Sprintf("/api/boards/1/diff?from=%d", cached.Position), ann, "").want(200).json(&d)
	if len(d.Added) != 0 || len(d.Removed) != 1 || len(d.Changed) != 1 || len(d.Board) != 1 {
		t.Fatalf("diff is %+v", d)
	}
	fields := []string{}
	for _, f := range d.Changed[0].Fields {
		fields = append(fields, f.Field)
	}
	if !slices.Contains(fields, "title") || !slices.Contains(fields, "current_column") || !slices.Equal(d.Changed[0].By, []string{"ann"}) {
		t.Errorf("change is %+v", d.Changed[0])
	}
	a.do("GET", "/api/boards/1/diff?from=0&to=1", ann, "").want(404)
	a.do("GET", "/api/boards/1/diff?from=0", ann, "").want(200).json(&d)
	if len(d.Added) != 50 {
		t.Errorf("since the beginning %d tickets were added, want 50", len(d.Added))
	}
}

// TestRouteList holds the document to a list that is read in review: a route
// that comes or goes shows there.
func TestRouteList(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	r := a.do("GET", "/openapi.json", "", "").want(200)
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Security    []any
		}
	}
	r.json(&doc)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("the document is OpenAPI %s", doc.OpenAPI)
	}
	var lines []string
	for path, methods := range doc.Paths {
		for method, o := range methods {
			line := fmt.Sprintf("%s %s %s", path, strings.ToUpper(method), o.OperationID)
			if len(o.Security) == 0 {
				line += " (open)"
			}
			lines = append(lines, line)
		}
	}
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	const file = "testdata/routes.txt"
	if os.Getenv("UPDATE") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("routes are\n%s\nwant those of %s (UPDATE=1 rewrites it):\n%s", got, file, want)
	}
}
