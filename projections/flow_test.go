package projections

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// contain makes a log and its rows the content of db, instead of what was there.
func contain(t fataler, ctx context.Context, db *sqlstore.DB, log []events.Envelope) {
	err := db.UpdateRelaxed(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, text := range []string{"DROP TRIGGER IF EXISTS events_keep", "DELETE FROM events", "DELETE FROM redacted_events"} {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		for i := range log {
			e := &log[i]
			var data, kept any
			if !e.Redacted() {
				data = string(e.Data)
			} else if e.Kept != nil {
				kept = string(e.Kept)
			}
			id := func(n int64) any {
				if n == 0 {
					return nil
				}
				return n
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO events (position, stream, version, type, schema, id, recorded_at, actor_kind, actor_id,
				actor_name, command_id, correlation_id, causation_id, board_id, ticket_id, data, data_sha, hash, chain)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', '', ?, ?, ?, x'', x'', 2)`,
				e.Position, e.Stream, e.Version, string(e.Type), e.Schema, e.ID, e.RecordedAt.UnixMicro(), string(e.Actor.Kind), e.Actor.ID,
				e.Actor.Name, e.CommandID, id(e.BoardID), id(e.TicketID), data); err != nil {
				return err
			}
			if kept == nil {
				continue
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO redacted_events VALUES (?, 0, ?, ?)", e.Position, e.KeptSchema, kept); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("contain: %v", err)
	}
	empty(t, ctx, db)
	apply(t, ctx, db, log)
}

// drawFlow draws a history in which a column that had tickets is removed.
func drawFlow(t *rapid.T) []events.Envelope {
	h := begin(t)
	h.steps(40)
	for _, b := range h.now.Boards() {
		if len(b.Columns) < 2 || rapid.Bool().Draw(t, "keep its columns") {
			continue
		}
		at := rapid.IntRange(0, len(b.Columns)-1).Draw(t, "gone")
		gone, other := b.Columns[at], b.Columns[(at+1)%len(b.Columns)]
		for _, k := range h.now.Tickets(b.ID) {
			if k.ColumnID == gone.ID && !k.Archived {
				h.s.now = h.s.now.Add(time.Hour)
				h.write(b.ID, k.ID, events.TicketMoved{
					FromColumnID: gone.ID, FromColumn: gone.Name, ColumnID: other.ID, Column: other.Name, Rank: h.rank(),
				})
			}
		}
		h.write(b.ID, 0, events.ColumnRemoved{ColumnID: gone.ID, Name: gone.Name})
	}
	h.steps(20)
	return h.s.log
}

// naive tells the flow of a board the long way: it folds the log again for each
// bucket and looks at the board.
type naive struct {
	*walked
	log      []events.Envelope
	board    readmodel.Board
	now      time.Time
	from, to time.Time
	out      readmodel.Flow
}

// endOf is the end of the bucket that at is in.
func endOf(at time.Time, bucket string) time.Time {
	y, m, d := at.Date()
	switch bucket {
	case "hour":
		return time.Date(y, m, d, at.Hour()+1, 0, 0, 0, time.UTC)
	case "day":
		return time.Date(y, m, d+1, 0, 0, 0, 0, time.UTC)
	default:
		for d++; time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Weekday() != time.Monday; d++ {
		}
		return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	}
}

func (n *naive) buckets(bucket string) (starts, ends []time.Time) {
	for at := n.from; len(ends) == 0 || at.Before(n.to); {
		end := endOf(at, bucket)
		if end.After(n.to) {
			end = n.to
		}
		starts, ends = append(starts, at), append(ends, end)
		at = end
	}
	return starts, ends
}

// before reports whether something is in a range up to end: what happens now is.
func (n *naive) before(at, end time.Time) bool { return at.Before(end) || end.Equal(n.now) }

func (n *naive) in(at, start, end time.Time) bool { return !at.Before(start) && n.before(at, end) }

func (n *naive) tell(t fataler, q readmodel.FlowQuery) readmodel.Flow {
	n.to = n.now
	if !q.To.IsZero() && q.To.Before(n.now) {
		n.to = q.To
	}
	y, m, d := n.to.Date()
	n.from = time.Date(y, m, d-30, 0, 0, 0, 0, time.UTC)
	if !q.From.IsZero() {
		n.from = q.From
	}
	if n.from.Before(n.board.CreatedAt) {
		n.from = n.board.CreatedAt
	}
	bucket := q.Bucket
	for _, name := range []string{"week", "day", "hour"} {
		if starts, _ := n.buckets(name); q.Bucket == "" && (len(starts) <= 200 || name == "week") {
			bucket = name
		}
	}
	starts, ends := n.buckets(bucket)
	n.out = readmodel.Flow{
		Position: int64(len(n.log)), AsOf: n.now, BoardID: n.board.ID, From: n.from, To: n.to, Bucket: bucket,
		Scatter: []readmodel.FlowDone{}, Aging: []readmodel.FlowAging{}, Agents: []readmodel.FlowAgent{}, Columns: []readmodel.FlowColumn{},
	}
	n.diagram(t, ends)
	n.tickets(starts, ends)
	n.agents()
	return n.out
}

func (n *naive) diagram(t fataler, ends []time.Time) {
	columns := map[int64]readmodel.FlowColumn{}
	var at []map[int64]int64
	used := map[int64]bool{}
	for _, end := range ends {
		line, counts := NewTimeline(), map[int64]int64{}
		for i := range n.log {
			if !n.before(n.log[i].RecordedAt, end) {
				continue
			}
			if err := line.Apply(&n.log[i]); err != nil {
				t.Fatalf("timeline: %v", err)
			}
		}
		for _, k := range line.Tickets(n.board.ID) {
			if !k.Archived {
				counts[k.ColumnID]++
				used[k.ColumnID] = true
			}
		}
		at = append(at, counts)
	}
	line := NewTimeline()
	for i := range n.log {
		if err := line.Apply(&n.log[i]); err != nil {
			t.Fatalf("timeline: %v", err)
		}
		for _, b := range line.Boards() {
			for _, c := range b.Columns {
				if b.ID == n.board.ID {
					columns[c.ID] = readmodel.FlowColumn{ID: c.ID, Name: c.Name, Kind: c.Kind, Removed: true}
				}
			}
		}
	}
	for _, c := range n.board.Columns {
		n.out.Columns = append(n.out.Columns, readmodel.FlowColumn{ID: c.ID, Name: c.Name, Kind: c.Kind})
		delete(columns, c.ID)
	}
	var removed []readmodel.FlowColumn
	for id := range used {
		if c, ok := columns[id]; ok {
			removed = append(removed, c)
		} else if !slices.ContainsFunc(n.board.Columns, func(c readmodel.Column) bool { return c.ID == id }) {
			removed = append(removed, readmodel.FlowColumn{ID: id, Name: Redacted, Kind: events.Backlog, Removed: true})
		}
	}
	sortByID(removed, func(c readmodel.FlowColumn) int64 { return c.ID })
	n.out.Columns = append(n.out.Columns, removed...)
	for i, end := range ends {
		counts, wip := readmodel.FlowCounts{At: end, Counts: []int64{}}, int64(0)
		for _, c := range n.out.Columns {
			counts.Counts = append(counts.Counts, at[i][c.ID])
			if c.Kind == events.Active || c.Kind == events.Blocked || c.Kind == events.Review {
				wip += at[i][c.ID]
			}
		}
		n.out.Cumulative = append(n.out.Cumulative, counts)
		n.out.WIP = append(n.out.WIP, readmodel.FlowWIP{At: end, WIP: wip})
	}
}

func (n *naive) kind(column int64) events.ColumnKind {
	for _, c := range n.board.Columns {
		if c.ID == column {
			return c.Kind
		}
	}
	return ""
}

// course finds when a ticket came to be done, at which position, and when work on
// it began.
func (n *naive) course(k *readmodel.Ticket) (done time.Time, position int64, begun time.Time) {
	var starts []time.Time
	was := events.ColumnKind("")
	for _, v := range n.visits[k.ID] {
		kind := n.kind(v.column)
		if kind == events.Done && was != events.Done {
			done, position = v.entered, v.position
		}
		if kind == events.Active {
			starts = append(starts, v.entered)
		}
		was = kind
	}
	for _, h := range n.holds[k.ID] {
		starts = append(starts, h.from)
	}
	if len(starts) > 0 {
		begun = slices.MinFunc(starts, time.Time.Compare)
	}
	if n.kind(k.ColumnID) != events.Done {
		done = time.Time{}
	}
	return done, position, begun
}

func (n *naive) tickets(starts, ends []time.Time) {
	for i := range starts {
		n.out.Throughput = append(n.out.Throughput, readmodel.FlowThroughput{At: starts[i]})
	}
	var cycles, leads []time.Duration
	open, sample := int64(0), map[time.Time]int64{}
	day := n.from
	if !day.Equal(day.Truncate(24 * time.Hour)) {
		day = endOf(day, "day")
	}
	for ; !endOf(day, "day").After(n.to); day = endOf(day, "day") {
		sample[day] = 0
	}
	for _, k := range n.line.Tickets(n.board.ID) {
		for i := range starts {
			if n.in(k.CreatedAt, starts[i], ends[i]) {
				n.out.Throughput[i].Created++
				break
			}
		}
		done, position, begun := n.course(&k)
		kind := n.kind(k.ColumnID)
		if !k.Archived && kind != events.Done {
			open++
		}
		if !k.Archived && (kind == events.Active || kind == events.Blocked || kind == events.Review) {
			n.aging(&k, begun)
		}
		if done.IsZero() || !n.in(done, n.from, n.to) {
			continue
		}
		for i := range starts {
			if n.in(done, starts[i], ends[i]) {
				n.out.Throughput[i].Done++
				break
			}
		}
		y, m, d := done.Date()
		day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
		if _, whole := sample[day]; whole {
			sample[day]++
		}
		row := readmodel.FlowDone{TicketID: k.ID, Key: k.Key, Title: k.Title, DoneAt: done, Lead: done.Sub(k.CreatedAt).Seconds(), By: n.log[position-1].Actor.Name}
		leads = append(leads, done.Sub(k.CreatedAt))
		if !begun.IsZero() && !begun.After(done) {
			s := done.Sub(begun).Seconds()
			row.Cycle, cycles = &s, append(cycles, done.Sub(begun))
		}
		for _, h := range n.holds[k.ID] {
			if !h.from.After(done) {
				row.By = h.name
			}
		}
		n.out.Scatter = append(n.out.Scatter, row)
	}
	slices.SortFunc(n.out.Scatter, func(a, b readmodel.FlowDone) int {
		return cmp.Or(b.DoneAt.Compare(a.DoneAt), cmp.Compare(b.TicketID, a.TicketID))
	})
	n.out.ScatterTotal = int64(len(n.out.Scatter))
	c, l := spread(cycles), spread(leads)
	n.out.Percentiles = readmodel.FlowPercentiles{
		Cycle: readmodel.FlowQuantiles{P50: c.Median, P85: c.P85, P95: c.P95}, Lead: readmodel.FlowQuantiles{P50: l.Median, P85: l.P85, P95: l.P95},
	}
	slices.SortFunc(n.out.Aging, func(a, b readmodel.FlowAging) int {
		return cmp.Or(cmp.Compare(b.Age, a.Age), cmp.Compare(a.TicketID, b.TicketID))
	})
	n.out.AgingTotal = int64(len(n.out.Aging))
	n.out.Forecast.Items, n.out.Forecast.SampleDays = open, int64(len(sample))
	for _, done := range sample {
		if done > 0 {
			n.out.Forecast.DoneDays++
		}
		n.out.Forecast.PerDay += float64(done) / float64(len(sample))
	}
}

func (n *naive) aging(k *readmodel.Ticket, begun time.Time) {
	row := readmodel.FlowAging{TicketID: k.ID, Key: k.Key, Title: k.Title, ColumnID: k.ColumnID, Assignee: k.Assignee, Blocked: k.Blocked, Age: n.now.Sub(k.ColumnEnteredAt).Seconds()}
	if k.Lease != nil {
		row.Holder = &k.Lease.Holder
	}
	if !begun.IsZero() {
		s := n.now.Sub(begun).Seconds()
		row.WorkAge = &s
	}
	ended, shorter := 0, 0
	for _, other := range n.line.Tickets(n.board.ID) {
		for _, v := range n.visits[other.ID] {
			if v.column != k.ColumnID || v.left.IsZero() {
				continue
			}
			ended++
			if v.left.Sub(v.entered).Seconds() <= row.Age {
				shorter++
			}
		}
	}
	if ended > 0 {
		rank := float64(shorter) / float64(ended) * 100
		row.Rank = &rank
	}
	n.out.Aging = append(n.out.Aging, row)
}

func (n *naive) agents() {
	list, cycles := map[int64]*readmodel.FlowAgent{}, map[int64][]time.Duration{}
	who := func(id int64, name string) *readmodel.FlowAgent {
		if list[id] == nil {
			list[id] = &readmodel.FlowAgent{UserID: id}
		}
		if name != "" {
			list[id].Name = name
		}
		return list[id]
	}
	for _, k := range n.line.Tickets(n.board.ID) {
		for _, h := range n.holds[k.ID] {
			if n.in(h.from, n.from, n.to) {
				who(h.user, h.name).Claimed++
			}
			if !h.to.IsZero() && n.in(h.to, n.from, n.to) && h.outcome == "completed" {
				who(h.user, h.name).Done++
			}
			if !h.to.IsZero() && n.in(h.to, n.from, n.to) && h.outcome == "expired" {
				who(h.user, h.name).LeasesLost++
			}
		}
		last := func(position int64) *hold {
			var found *hold
			for i := range n.holds[k.ID] {
				if h := &n.holds[k.ID][i]; h.position < position {
					found = h
				}
			}
			return found
		}
		was := events.ColumnKind("")
		for _, v := range n.visits[k.ID] {
			kind := n.kind(v.column)
			back := (was == events.Review || was == events.Done) && (kind == events.Backlog || kind == events.Active || kind == events.Blocked)
			if h := last(v.position); back && h != nil && n.in(n.log[v.position-1].RecordedAt, n.from, n.to) {
				who(h.user, h.name).Rework++
			}
			was = kind
		}
		done, position, begun := n.course(&k)
		if h := last(position); !done.IsZero() && n.in(done, n.from, n.to) && h != nil && !begun.After(done) && !h.from.After(done) {
			who(h.user, h.name)
			cycles[h.user] = append(cycles[h.user], done.Sub(begun))
		}
	}
	for i := range n.log {
		e := &n.log[i]
		fact, _ := payload(e, map[events.Type]bool{e.Type: true})
		if f, ok := fact.(events.UsageRecorded); ok && e.BoardID == n.board.ID && n.in(e.RecordedAt, n.from, n.to) {
			a := who(e.Actor.ID, "")
			a.InputTokens, a.OutputTokens, a.CostMicros = a.InputTokens+f.InputTokens, a.OutputTokens+f.OutputTokens, a.CostMicros+f.CostMicros
		}
	}
	for _, u := range n.line.Users() {
		if list[u.ID] != nil {
			who(u.ID, u.Username).Kind = u.Kind
		}
	}
	for user, a := range list {
		a.MedianCycle = spread(cycles[user]).Median
		n.out.Agents = append(n.out.Agents, *a)
	}
	slices.SortFunc(n.out.Agents, func(a, b readmodel.FlowAgent) int {
		return cmp.Or(cmp.Compare(b.Done, a.Done), cmp.Compare(a.UserID, b.UserID))
	})
}

// TestFlowAgreesWithAWalkOverTheLog: what is told of the past is what the board
// was then, in any range, for any history.
func TestFlowAgreesWithAWalkOverTheLog(t *testing.T) {
	t.Parallel()
	db := open(t)
	ctx := t.Context()
	seen := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		log := drawFlow(rt)
		contain(rt, ctx, db, log)
		q, err := readmodel.New(ctx, db.Reader())
		if err != nil {
			rt.Fatal(err)
		}
		defer q.Close()
		last := log[len(log)-1].RecordedAt
		hours := func(most int, name string) time.Duration {
			return time.Duration(rapid.IntRange(0, most).Draw(rt, name)) * time.Hour
		}
		now := last.Add(hours(40*24, "later"))
		query := readmodel.FlowQuery{Bucket: rapid.SampledFrom([]string{"", "hour", "day", "week"}).Draw(rt, "bucket")}
		if rapid.Bool().Draw(rt, "with from") {
			query.From = epoch.Add(hours(int(last.Sub(epoch).Hours()), "from"))
		}
		w := walk(rt, log)
		for _, b := range w.line.Boards() {
			query := query
			if rapid.Bool().Draw(rt, "with to") {
				query.To = last.Add(-hours(24, "to"))
				query.To = slices.MaxFunc([]time.Time{query.To, b.CreatedAt.Add(time.Second), query.From.Add(time.Second)}, time.Time.Compare)
			}
			got, err := q.BoardFlow(ctx, b.ID, query, now)
			if err != nil {
				rt.Fatal(err)
			}
			n := &naive{walked: w, log: log, board: b, now: now}
			want := n.tell(rt, query)
			f := got.Forecast
			if (f.Reason == "") != (f.DoneDays >= 5) || (f.When == nil) != (f.Reason != "") || (f.HowMany == nil) != (f.Reason != "") {
				rt.Fatalf("forecast is %+v", f)
			}
			got.Forecast = readmodel.FlowForecast{SampleDays: f.SampleDays, DoneDays: f.DoneDays, PerDay: f.PerDay, Items: f.Items}
			if diff := gocmp.Diff(want, got, near); diff != "" {
				rt.Fatalf("%+v (-walk +rows):\n%s", query, diff)
			}
			seen["done"] += len(got.Scatter)
			seen["aging"] += len(got.Aging)
			seen["agents"] += len(got.Agents)
			seen["removed columns"] += len(got.Columns) - len(b.Columns)
		}
	})
	t.Logf("compared: %v", seen)
	for _, what := range []string{"done", "aging", "agents", "removed columns"} {
		if seen[what] == 0 {
			t.Errorf("no history had any %s", what)
		}
	}
}

// TestFlowOfTicketsThatComeBack: a deleted ticket comes back elsewhere, archived,
// or not at all, because what came back was redacted.
func TestFlowOfTicketsThatComeBack(t *testing.T) {
	t.Parallel()
	db, s := open(t), newScript()
	ctx := t.Context()
	add := func(ticket int64, fact events.Event) *events.Envelope {
		s.now = s.now.Truncate(time.Hour).Add(time.Hour)
		return s.add(t, 1, ticket, fact)
	}
	back := func(ticket, column int64, archived bool) *events.Envelope {
		f := ticketCreated(ticket)
		f.ColumnID, f.Column = column, "x"
		return add(ticket, events.TicketRecovered{TicketCreated: f, Archived: archived, CreatedAt: epoch, ColumnEnteredAt: epoch})
	}
	add(0, defaultBoard())                                     // 10
	add(1, ticketCreated(1))                                   // 11
	add(2, ticketCreated(2))                                   // 12
	add(3, ticketCreated(3))                                   // 13
	add(1, events.TicketDeleted{})                             // 14
	add(2, events.TicketDeleted{})                             // 15
	add(3, events.TicketDeleted{})                             // 16
	back(1, 2, false)                                          // 17: in progress
	back(2, 1, true)                                           // 18
	redact(back(3, 1, false))                                  // 19
	add(2, events.TicketRestored{ColumnID: 3, Column: "Done"}) // 20
	contain(t, ctx, db, s.log)
	q, err := readmodel.New(ctx, db.Reader())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	query, now := readmodel.FlowQuery{Bucket: "hour"}, s.now.Truncate(time.Hour).Add(time.Hour)
	got, err := q.BoardFlow(ctx, 1, query, now)
	if err != nil {
		t.Fatal(err)
	}
	var counts [][]int64
	for _, c := range got.Cumulative {
		counts = append(counts, c.Counts)
	}
	want := [][]int64{
		{0, 0, 0},
		{1, 0, 0},
		{2, 0, 0},
		{3, 0, 0},
		{2, 0, 0},
		{1, 0, 0},
		{0, 0, 0},
		{0, 1, 0},
		{0, 1, 0},
		{0, 1, 0},
		{0, 1, 1},
	}
	if diff := gocmp.Diff(want, counts); diff != "" {
		t.Errorf("by hand (-want +got):\n%s", diff)
	}
	w := walk(t, s.log)
	n := &naive{walked: w, log: s.log, board: w.line.Boards()[0], now: now}
	got.Forecast = readmodel.FlowForecast{SampleDays: got.Forecast.SampleDays, DoneDays: got.Forecast.DoneDays, PerDay: got.Forecast.PerDay, Items: got.Forecast.Items}
	if diff := gocmp.Diff(n.tell(t, query), got, near); diff != "" {
		t.Errorf("(-walk +rows):\n%s", diff)
	}
}
