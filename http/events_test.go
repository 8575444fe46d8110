package http

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

// TestEventsBackwards walks the log back page by page, and expects what the walk
// forward gives, the other way round.
func TestEventsBackwards(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann := a.user("ann", false)
	a.do("POST", "/api/boards", ann, `{"name":"Secret","key":"SEC"}`).want(201)
	for i := range 12 {
		a.ticket(ann, []int64{id, id, 2}[i%3], fmt.Sprint("T", i))
	}
	a.do("POST", "/api/tickets/WEB-1/move", ann, `{"column":"Done"}`).want(200)
	walk := func(who, query string) (found []int64) {
		t.Helper()
		for cursor, pages := "", 0; ; pages++ {
			var page eventPage
			a.do("GET", "/api/events?"+query+"&cursor="+url.QueryEscape(cursor), a.users[who], "").want(200).json(&page)
			for _, e := range page.Items {
				found = append(found, e.Position)
			}
			if page.NextCursor == nil {
				return found
			}
			if cursor = *page.NextCursor; pages > 100 {
				t.Fatalf("%s: no end", query)
			}
		}
	}
	for _, who := range []string{"ann", "bob"} {
		for _, filter := range []string{"", "board=WEB&", "ticket=WEB-1&", "type=ticket_created&", "board=WEB&type=ticket_created&", "actor=ann&", "after=5&", "after=5&board=WEB&"} {
			want := walk(who, filter+"limit=1000")
			slices.Reverse(want)
			if len(want) == 0 {
				t.Fatalf("%s: there is nothing to compare", filter)
			}
			for _, limit := range []int{1, 3, 1000} {
				if got := walk(who, fmt.Sprintf("%sorder=desc&limit=%d", filter, limit)); !slices.Equal(got, want) {
					t.Errorf("%s as %s, %d a page: back came %v, want %v", filter, who, limit, got, want)
				}
			}
			// One event back, from any position.
			middle := want[len(want)/2]
			if got := walk(who, fmt.Sprintf("%sbefore=%d&limit=2", filter, middle)); !slices.Equal(got, want[len(want)/2+1:]) {
				t.Errorf("%s as %s before %d: got %v, want %v", filter, who, middle, got, want[len(want)/2+1:])
			}
			forward := slices.Clone(want[len(want)/2+1:])
			slices.Reverse(forward)
			if got := walk(who, fmt.Sprintf("%sbefore=%d&order=asc&limit=2", filter, middle)); !slices.Equal(got, forward) {
				t.Errorf("%s as %s before %d, forward: got %v, want %v", filter, who, middle, got, forward)
			}
			for _, first := range []string{"1", fmt.Sprint(want[len(want)-1])} {
				if got := walk(who, filter+"before="+first); len(got) != 0 {
					t.Errorf("%s as %s before the first: got %v", filter, who, got)
				}
			}
		}
	}
	var page eventPage
	a.do("GET", "/api/events?board=WEB&order=desc&limit=1", ann, "").want(200).json(&page)
	if len(page.Items) != 1 || page.Items[0].Type != events.TypeTicketMoved || page.Position != page.Items[0].Position {
		t.Errorf("the newest event is %+v", page)
	}
	a.run(t, []scenario{
		{name: "stream back", method: "GET", url: "/api/events?order=desc", user: "ann", headers: []string{"Accept: text/event-stream"}, status: 400, has: []string{"forward"}},
		{name: "stream before", method: "GET", url: "/api/events?before=5&order=asc", user: "ann", headers: []string{"Accept: text/event-stream"}, status: 400},
		{name: "bad order", method: "GET", url: "/api/events?order=sideways", user: "ann", status: 400, has: []string{"order"}},
		{name: "bad before", method: "GET", url: "/api/events?before=-1", user: "ann", status: 400, has: []string{"before"}},
		{name: "bad cursor", method: "GET", url: "/api/events?order=desc&cursor=x", user: "ann", status: 400},
	})
}
