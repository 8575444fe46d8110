package http

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// FlowPath asks for the flow of a board.
type FlowPath struct {
	BoardPath
	From   string `query:"from" doc:"RFC 3339, or a day (UTC) as YYYY-MM-DD; thirty days before to if empty; cut to when the board was made"`
	To     string `query:"to" doc:"RFC 3339, or a day (UTC) as YYYY-MM-DD, which is part of it; now if empty"`
	Bucket string `query:"bucket" doc:"hour, day or week; if empty, the finest that makes at most 200 points"`
	Items  string `query:"items" doc:"How many tickets the forecast is for; those that are open if empty"`
	By     string `query:"by" doc:"A day (UTC) as YYYY-MM-DD: how many tickets will be done by its end? At most a year ahead"`
	Seed   uint64 `query:"seed" doc:"Of the forecast: the same history, items and seed give the same figures"`
	Format string `query:"format" doc:"json or csv; if empty, csv with Accept: text/csv"`
	Table  string `query:"table" doc:"Of csv: cumulative (if empty), scatter, throughput, aging or agents"`
	Accept string `header:"Accept" doc:"text/csv answers with the table"`
}

const csvType = "text/csv"

func invalidQuery(field, reason string) error {
	return &events.Error{
		Code: events.CodeInvalid, Message: "The query is not valid: " + field + " " + reason + ".", Fields: map[string]string{field: reason},
	}
}

// query reads what is asked for. A day is from midnight to midnight, so that as
// the end of a range it is part of it.
func (in *FlowPath) query() (readmodel.FlowQuery, error) {
	q := readmodel.FlowQuery{Bucket: in.Bucket, Seed: in.Seed}
	for _, f := range []struct {
		name, text string
		day        time.Duration
		out        *time.Time
	}{{"from", in.From, 0, &q.From}, {"to", in.To, 24 * time.Hour, &q.To}} {
		if f.text == "" {
			continue
		}
		at, err := time.Parse(time.DateOnly, f.text)
		if err == nil {
			at = at.Add(f.day)
		} else if at, err = time.Parse(time.RFC3339Nano, strings.Replace(f.text, " ", "+", 1)); err != nil {
			return q, invalidQuery(f.name, "must be a day like 2025-08-15 or a time like 2025-08-15T00:00:00Z")
		}
		if at.Year() < 1 || at.IsZero() {
			return q, invalidQuery(f.name, "is before all that can be told")
		}
		*f.out = at.UTC()
	}
	if in.Items != "" {
		n, err := strconv.ParseInt(in.Items, 10, 64)
		if err != nil {
			return q, invalidQuery("items", "must be a whole number")
		}
		q.Items = &n
	}
	if in.By != "" {
		day, err := time.Parse(time.DateOnly, in.By)
		if err != nil || day.IsZero() {
			return q, invalidQuery("by", "must be a day like 2025-08-15")
		}
		q.By = day
	}
	return q, nil
}

// table says which table is wanted as CSV, "" for JSON.
func (in *FlowPath) table() (string, error) {
	switch {
	case in.Format != "" && in.Format != "json" && in.Format != "csv":
		return "", invalidQuery("format", "must be json or csv")
	case in.Table != "" && !slices.Contains(flowTables, in.Table):
		return "", invalidQuery("table", "must be one of "+strings.Join(flowTables, ", "))
	case in.Format == "json" || in.Format == "" && !strings.Contains(in.Accept, csvType):
		return "", nil
	case in.Table == "":
		return flowTables[0], nil
	}
	return in.Table, nil
}

func (s *Server) flow(c *call, in *FlowPath) (answer, error) {
	id, err := s.readable(c, commands.Ref(in.ID))
	if err != nil {
		return answer{}, err
	}
	query, err := in.query()
	if err != nil {
		return answer{}, err
	}
	table, err := in.table()
	if err != nil {
		return answer{}, err
	}
	items := ""
	if query.Items != nil {
		items = strconv.FormatInt(*query.Items, 10)
	}
	kind := fmt.Sprintf("flow %d %d %s %s %s %d", query.From.UnixMicro(), query.To.UnixMicro(), query.Bucket, items, in.By, query.Seed)
	a, err := s.figures(c, keptKey{id, kind}, func(ctx context.Context, now time.Time) (any, int64, error) {
		f, err := s.deps.Queries.BoardFlow(ctx, id, query, now)
		return f, f.Position, err
	})
	if err != nil {
		return answer{}, err
	}
	c.gin.Writer.Header().Add("Vary", "Accept")
	if table == "" {
		return a, nil
	}
	// The same figures as those of the JSON, whoever asked first.
	var f readmodel.Flow
	if err := json.Unmarshal(append(appendHead(nil, a.position), a.kept.rest...), &f); err != nil {
		return answer{}, err
	}
	text, err := flowCSV(&f, table)
	if err != nil {
		return answer{}, err
	}
	h := c.gin.Writer.Header()
	h.Set("Kanban-Position", strconv.FormatInt(a.position, 10))
	h.Set("Cache-Control", "private, no-store")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="board-%d-%s.csv"`, id, table))
	s.sendBytes(c, http.StatusOK, csvType+"; charset=utf-8", text)
	return answer{done: true}, nil
}

var flowTables = []string{"cumulative", "scatter", "throughput", "aging", "agents"}

// flowCSV writes one table of a flow: a line of names, then one for each row.
func flowCSV(f *readmodel.Flow, table string) ([]byte, error) {
	var rows [][]string
	add := func(cells ...any) { rows = append(rows, csvCells(cells)) }
	switch table {
	case "cumulative":
		head := []any{"at"}
		for _, c := range f.Columns {
			head = append(head, c.Name)
		}
		add(head...)
		for _, p := range f.Cumulative {
			cells := []any{p.At}
			for _, n := range p.Counts {
				cells = append(cells, n)
			}
			add(cells...)
		}
	case "scatter":
		add("ticket_id", "key", "title", "done_at", "cycle_seconds", "lead_seconds", "by")
		for i := range f.Scatter {
			d := &f.Scatter[i]
			add(d.TicketID, d.Key, d.Title, d.DoneAt, d.Cycle, &d.Lead, d.By)
		}
	case "throughput":
		add("at", "done", "created")
		for _, p := range f.Throughput {
			add(p.At, p.Done, p.Created)
		}
	case "aging":
		names := map[int64]string{}
		for _, c := range f.Columns {
			names[c.ID] = c.Name
		}
		add("ticket_id", "key", "title", "column_id", "column", "assignee", "holder", "age_seconds", "work_age_seconds", "blocked", "percentile")
		for i := range f.Aging {
			a := &f.Aging[i]
			add(a.TicketID, a.Key, a.Title, a.ColumnID, names[a.ColumnID], a.Assignee, a.Holder, &a.Age, a.WorkAge, a.Blocked, a.Rank)
		}
	case "agents":
		add("user_id", "name", "kind", "claimed", "done", "rework", "leases_lost", "input_tokens", "output_tokens", "cost_micros", "median_cycle_seconds")
		for i := range f.Agents {
			a := &f.Agents[i]
			add(a.UserID, a.Name, string(a.Kind), a.Claimed, a.Done, a.Rework, a.LeasesLost, a.InputTokens, a.OutputTokens, a.CostMicros, a.MedianCycle)
		}
	}
	var buf bytes.Buffer
	w := csv.NewWriter(&buf)
	err := w.WriteAll(rows)
	return buf.Bytes(), err
}

// csvCells are the cells of a row. Null is empty.
func csvCells(values []any) []string {
	cells := make([]string, len(values))
	for i, v := range values {
		switch v := v.(type) {
		case string:
			cells[i] = csvText(v)
		case *string:
			if v != nil {
				cells[i] = csvText(*v)
			}
		case int64:
			cells[i] = strconv.FormatInt(v, 10)
		case *float64:
			if v != nil {
				cells[i] = strconv.FormatFloat(*v, 'f', -1, 64)
			}
		case bool:
			cells[i] = strconv.FormatBool(v)
		case time.Time:
			cells[i] = v.Format(time.RFC3339Nano)
		}
	}
	return cells
}

// csvText puts an apostrophe before what a spreadsheet would take for a formula
// (OWASP, CSV Injection): people write titles that others open there.
func csvText(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
