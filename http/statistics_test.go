package http

import (
	"fmt"
	"strings"
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

func TestFlow(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	id := a.board("bob")
	ann, bob, bot := a.user("ann", false), a.user("bob", false), a.agent("bot")
	a.ticket(ann, id, "One")
	a.ticket(ann, id, "=HYPERLINK(\"http://example.com\")")
	a.ticket(ann, id, "Three")
	const path = "/api/statistics/boards/WEB/flow"
	first := a.do("GET", path, bob, "").want(200)
	var f readmodel.Flow
	first.json(&f)
	if f.BoardID != id || len(f.Columns) != 5 || len(f.Cumulative) != 1 || f.Cumulative[0].Counts[0] != 3 || f.Throughput[0].Created != 3 ||
		f.Forecast.Items != 3 || f.Forecast.Reason == "" {
		t.Errorf("flow is %s", first.body)
	}
	for _, empty := range []string{`"scatter":[]`, `"aging":[]`, `"agents":[]`, `"cycle":{"p50":null`, `"when":null`, `"how_many":null`} {
		if !strings.Contains(first.body, empty) {
			t.Errorf("flow lacks %s: %s", empty, first.body)
		}
	}
	// Kept, with a tag, by everything that is asked for.
	a.do("GET", path, ann, "", "If-None-Match: "+first.header.Get("ETag")).want(304)
	for _, query := range []string{"?bucket=hour", "?items=7", "?seed=7", "?to=2020-01-01"} {
		if r := a.do("GET", path+query, bob, "", "If-None-Match: "+first.header.Get("ETag")); r.status == 304 {
			t.Errorf("%s: the reply is that of another question", query)
		}
	}
	fence := a.do("POST", "/api/tickets/2/claim", bot, "").want(200).claim().Lease.Fence
	a.do("POST", "/api/tickets/2/complete", bot, fmt.Sprintf(`{"fence":%d,"column":"Done"}`, fence)).want(200)
	last := a.do("POST", "/api/tickets/3/claim", bot, "").want(200)
	wait := "Kanban-Min-Position: " + last.header.Get("Kanban-Position")
	a.do("GET", path+"?seed=18446744073709551615", bob, "", wait).want(200).json(&f)
	if f.ScatterTotal != 1 || f.Scatter[0].By != "bot" || f.Scatter[0].Cycle == nil || f.Percentiles.Cycle.P95 == nil || f.Throughput[0].Done != 1 || f.WIP[0].WIP != 1 ||
		len(f.Aging) != 1 || *f.Aging[0].Holder != "bot" || len(f.Agents) != 1 || f.Agents[0].Claimed != 2 || f.Agents[0].Kind != "agent" || f.Forecast.Seed != 1<<64-1 {
		t.Errorf("after a completion the flow is %+v", f)
	}
	// As CSV, the same figures.
	for table, want := range map[string][]string{
		"cumulative": {"at,Not Started,In Progress,Blocked,Ready for QC,Done\n", "Z,1,1,0,0,1\n"},
		"scatter":    {"ticket_id,key,title,done_at,cycle_seconds,lead_seconds,by\n", `2,WEB-2,"'=HYPERLINK(""http://example.com"")",`, ",bot\n"},
		"throughput": {"at,done,created\n", "Z,1,3\n"},
		"aging":      {"ticket_id,key,title,column_id,column,", "3,WEB-3,Three,2,In Progress,,bot,", ",false,"},
		"agents":     {"user_id,name,kind,claimed,done,", ",bot,agent,2,1,0,0,0,0,0,"},
	} {
		r := a.do("GET", path+"?format=csv&table="+table, bob, "", wait).want(200)
		other := a.do("GET", path+"?table="+table, bob, "", "Accept: text/csv").want(200)
		if r.body != other.body || r.header.Get("Content-Type") != "text/csv; charset=utf-8" ||
			r.header.Get("Content-Disposition") != `attachment; filename="board-1-`+table+`.csv"` {
			t.Errorf("%s: header %v, body %s, with Accept %s", table, r.header, r.body, other.body)
		}
		for _, part := range want {
			if !strings.Contains(r.body, part) {
				t.Errorf("%s lacks %q: %s", table, part, r.body)
			}
		}
	}
	if r := a.do("GET", path+"?format=json", bob, "", "Accept: text/csv").want(200); r.header.Get("Content-Type") != "application/json" {
		t.Errorf("format=json: %v", r.header)
	}
	var rows []scenario
	for query, field := range map[string]string{
		"from=yesterday": "from", "from=2999-01-01": "from", "from=2026-13-01": "from", "to=1999-01-01": "to", "to=x": "to", "from=2021-01-02&to=2021-01-01": "from",
		"bucket=month": "bucket", "items=-1": "items", "items=many": "items", "items=100001": "items", "seed=-1": "seed", "seed=x": "seed", "format=xml": "format",
		"table=wip": "table", "format=csv&table=wip": "table",
	} {
		rows = append(rows, scenario{name: "bad", method: "GET", url: path + "?" + query, user: "bob", status: 400, has: []string{`"fields":{"` + field + `":`}})
	}
	a.run(t, rows)
	// Who may not see the board gets none of it, kept or not.
	a.do("DELETE", "/api/boards/WEB/members/bob", ann, "").want(204)
	for _, query := range []string{"", "?format=csv"} {
		a.do("GET", path+query, bob, "", "If-None-Match: "+first.header.Get("ETag")).want(404)
		a.do("GET", path+query, "", "").want(401)
	}
	a.do("GET", "/api/statistics/boards/NONE/flow", ann, "").want(404)
}

// TestCSVText: no cell is a formula to a spreadsheet.
func TestCSVText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "Plain": "Plain", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "a=1": "a=1", "é": "é",
	} {
		if got := csvText(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
