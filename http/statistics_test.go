package http

import (
	"fmt"
	"testing"

	"github.com/agent-kanban/agent-kanban/readmodel"
)

func TestStatistics(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann, bob, bot := a.user("ann", false), a.user("bob", false), a.agent("bot")
	a.ticket(ann, id, "One")
	a.ticket(ann, id, "Two")
	const path = "/api/statistics/boards/WEB/statistics"
	var s readmodel.BoardStatistics
	first := a.do("GET", path, bob, "").want(200)
	first.json(&s)
	if s.BoardID != id || s.Totals.Open != 2 || s.Columns[0].Tickets != 2 || s.Columns[0].Now.Count != 2 || s.Columns[0].Finished.Mean != nil || s.Throughput.Created7 != 2 {
		t.Errorf("statistics are %s", first.body)
	}
	// Kept, with a tag, until the board changes; and then never stale.
	a.do("GET", path, ann, "", "If-None-Match: "+first.header.Get("ETag")).want(304)
	fence := a.do("POST", "/api/tickets/1/claim", bot, "").want(200).claim().Lease.Fence
	done := a.do("POST", "/api/tickets/1/complete", bot, fmt.Sprintf(`{"fence":%d,"column":"Done"}`, fence)).want(200)
	a.do("GET", path, bob, "", "Kanban-Min-Position: "+done.header.Get("Kanban-Position")).want(200).json(&s)
	if s.Totals.Done != 1 || s.Throughput.Done7 != 1 || s.Columns[0].Finished.Count != 1 {
		t.Errorf("after a completion the statistics are %+v", s)
	}
	a.do("POST", "/api/tickets/1/move", ann, `{"column":"In Progress"}`).want(200)
	var p readmodel.BoardPerformance
	a.do("GET", "/api/statistics/boards/1/performance", bob, "").want(200).json(&p)
	if p.Rework != 1 || len(p.Agents) != 1 || p.Agents[0].Name != "bot" || p.Agents[0].Done != 1 || p.Agents[0].Rework != 1 || p.Agents[0].ClaimToDone.Count != 1 {
		t.Errorf("performance is %+v", p)
	}
	var k readmodel.TicketStatistics
	a.do("GET", "/api/statistics/tickets/WEB-1/statistics", bob, "").want(200).json(&k)
	if k.Moves != 3 || k.Rework != 1 || k.Key != "WEB-1" || k.DoneAt != nil || k.ZScore != nil || len(k.Columns) != 5 {
		t.Errorf("ticket is %+v", k)
	}
	// Who may not see the board gets no figures of it either, kept or not.
	a.do("DELETE", "/api/boards/WEB/members/bob", ann, "").want(204)
	for _, path := range []string{path, "/api/statistics/boards/1/performance", "/api/statistics/tickets/WEB-1/statistics"} {
		a.do("GET", path, bob, "", "If-None-Match: "+first.header.Get("ETag")).want(404)
		a.do("GET", path, "", "").want(401)
	}
	a.do("GET", "/api/statistics/tickets/WEB-99/statistics", ann, "").want(404)
	a.do("GET", "/api/statistics/boards/NONE/statistics", ann, "").want(404)
}
