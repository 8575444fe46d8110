package readmodel

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

const (
	flowPoints  = 200     // that a range is cut into where nobody says how
	flowLimit   = 2_000   // points, and done tickets, of a reply
	agingLimit  = 500     // tickets in work of a reply
	flowItems   = 100_000 // of a forecast
	flowAhead   = 366     // days
	flowDay     = 24 * time.Hour
	defaultDays = 30
)

type flowBucket struct {
	name  string
	width time.Duration // counted from the zero time, which was a Monday
}

var flowBuckets = []flowBucket{{"hour", time.Hour}, {"day", flowDay}, {"week", 7 * flowDay}}

const (
	// flowFrame repeats the condition of its index word for word.
	flowFrame = `SELECT coalesce(e.ticket_id, 0), e.type, e.recorded_at, coalesce(r.schema, e.schema), coalesce(e.data, r.data)
		FROM events e LEFT JOIN redacted_events r ON r.position = e.position
		WHERE e.board_id = ?1 AND e.position <= ?2 AND (e.ticket_id IS NULL
			OR e.type = 'ticket_archived' OR e.type = 'ticket_restored' OR e.type = 'ticket_deleted' OR e.type = 'ticket_recovered')
		ORDER BY e.position`
	flowTitles = `SELECT id, title, lease_holder FROM tickets WHERE id IN (SELECT value FROM json_each(?))`
	flowActors = `SELECT position, actor_name FROM events WHERE position IN (SELECT value FROM json_each(?))`
	flowUsers  = `SELECT id, username, kind FROM users WHERE id IN (SELECT value FROM json_each(?))`
	flowUsage  = `SELECT user_id, sum(input_tokens), sum(output_tokens), sum(cost_micros) FROM usage
		WHERE board_id = ? AND recorded_at >= ? AND recorded_at < ? GROUP BY user_id`
)

// turn is when a ticket was archived, deleted, or came back.
type turn struct {
	at   time.Time
	kind events.Type
	// archived: it came back, but is archived.
	archived bool
}

// flowing makes a Flow out of figures, and of the events that figures leave out.
type flowing struct {
	*figures
	board   int64
	made    time.Time            // when the board was
	known   map[int64]FlowColumn // every column that ever was
	turns   map[int64][]turn     // of each ticket, in order
	deleted map[int64][]stay     // of tickets that are not there any more
	courses []course             // of tickets

	from, to time.Time
	until    time.Time // the first instant behind the range
	ends     []time.Time
	done     []finished // in the range
	agents   map[int64]*FlowAgent
}

// finished is a ticket that came to be done.
type finished struct {
	*figured
	course
	claim *claim // the last one before; nil = none
}

func flowInvalid(field, reason string) error {
	return &events.Error{
		Code: events.CodeInvalid, Message: "The flow of a board cannot be told like this: " + field + " " + reason + ".",
		Fields: map[string]string{field: reason},
	}
}

// BoardFlow returns how work flowed over a board. What the query asks for in vain
// is an *events.Error with CodeInvalid that names the field, a board that is not
// there one with CodeNotFound.
func (q *Queries) BoardFlow(ctx context.Context, board int64, query FlowQuery, now time.Time) (Flow, error) {
	var out Flow
	err := q.view(ctx, func(tx bun.Tx) error {
		f, err := q.figures(ctx, tx, board, 0, now)
		if err != nil {
			return err
		}
		w := &flowing{figures: f, board: board, known: map[int64]FlowColumn{}, turns: map[int64][]turn{}, agents: map[int64]*FlowAgent{}}
		if err := w.read(ctx, tx); err != nil {
			return err
		}
		bucket, err := w.cut(&query)
		if err != nil {
			return err
		}
		out = Flow{Position: f.position, AsOf: f.asOf, BoardID: board, From: w.from, To: w.to, Bucket: bucket}
		w.courses = make([]course, len(w.tickets))
		for i, t := range w.tickets {
			w.courses[i] = courseOf(t, w.kinds)
		}
		w.counts(&out)
		w.finish(&out)
		w.age(&out)
		w.work()
		w.predict(&out, &query)
		return w.details(ctx, tx, &out)
	})
	var e *events.Error
	switch {
	case err == nil:
		return out, nil
	case errors.As(err, &e):
		return Flow{}, e
	default:
		return Flow{}, fmt.Errorf("read flow: %w", err)
	}
}

// read reads what figures leave out.
func (w *flowing) read(ctx context.Context, tx bun.Tx) error {
	var made string
	err := tx.Tx.QueryRowContext(ctx, "SELECT created_at FROM boards WHERE id = ?", w.board).Scan(&made)
	if errors.Is(err, sql.ErrNoRows) {
		return errNoBoard
	}
	if err != nil {
		return err
	}
	if err := parseInto(&w.made, made); err != nil {
		return err
	}
	w.later(w.made)
	rows, err := tx.Tx.QueryContext(ctx, flowFrame, w.board, w.position)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var ticket, micros int64
		var data sql.NullString
		var e events.Envelope
		if err := rows.Scan(&ticket, (*string)(&e.Type), &micros, &e.Schema, &data); err != nil {
			return err
		}
		var fact events.Event
		if data.Valid {
			e.Data = []byte(data.String)
			if fact, err = e.Payload(); err != nil {
				continue // no row has it either
			}
		}
		if ticket == 0 {
			w.structure(fact)
			continue
		}
		t := turn{at: time.UnixMicro(micros).UTC(), kind: e.Type}
		if recovered, ok := fact.(events.TicketRecovered); ok {
			t.archived = recovered.Archived
		} else if e.Type == events.TypeTicketRecovered {
			continue // redacted: no row shows what came back
		}
		w.later(t.at)
		w.turns[ticket] = append(w.turns[ticket], t)
	}
	for _, c := range w.columns {
		w.known[c.ID] = FlowColumn{ID: c.ID, Name: c.Name, Kind: c.Kind}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	var gone []int64
	for ticket, turns := range w.turns {
		deleted := slices.ContainsFunc(turns, func(t turn) bool { return t.kind == events.TypeTicketDeleted })
		if _, there := slices.BinarySearchFunc(w.tickets, ticket, func(t *figured, id int64) int { return cmp.Compare(t.id, id) }); deleted && !there {
			gone = append(gone, ticket)
		}
	}
	w.deleted, err = w.gone(ctx, tx, gone)
	return err
}

// structure keeps what a column was when it was last heard of.
func (w *flowing) structure(fact events.Event) {
	keep := func(c *events.Column) {
		w.known[c.ID] = FlowColumn{ID: c.ID, Name: c.Name, Kind: c.Kind, Removed: true}
	}
	switch f := fact.(type) {
	case events.BoardCreated:
		for i := range f.Columns {
			keep(&f.Columns[i])
		}
	case events.ColumnAdded:
		keep(&f.Column)
	case events.ColumnUpdated:
		keep(&f.Column)
	default: // not about columns
	}
}

// cut settles the range and its buckets.
func (w *flowing) cut(query *FlowQuery) (bucket string, err error) {
	w.to = w.asOf
	if !query.To.IsZero() && query.To.Before(w.asOf) {
		w.to = query.To.UTC().Truncate(time.Microsecond)
	}
	w.from = w.to.Truncate(flowDay).Add(-defaultDays * flowDay)
	if !query.From.IsZero() {
		w.from = query.From.UTC().Truncate(time.Microsecond)
	}
	switch {
	case !query.From.IsZero() && !query.To.IsZero() && !query.From.Before(query.To):
		return "", flowInvalid("from", "must be before to")
	case w.from.After(w.asOf):
		return "", flowInvalid("from", "is yet to come")
	case w.to.Before(w.made):
		return "", flowInvalid("to", "is before the board was made, at "+w.made.Format(time.RFC3339))
	case query.Items != nil && (*query.Items < 0 || *query.Items > flowItems):
		return "", flowInvalid("items", "must be between 0 and "+strconv.Itoa(flowItems))
	}
	if by := w.by(query); !query.By.IsZero() && (by < 1 || by > flowAhead) {
		return "", flowInvalid("by", "must be one of the "+strconv.Itoa(flowAhead)+" days after today")
	}
	if w.from.Before(w.made) {
		w.from = w.made
	}
	// What happened at this very instant is in a range that reaches to now.
	if w.until = w.to; w.to.Equal(w.asOf) {
		w.until = w.to.Add(time.Microsecond)
	}
	points := func(width time.Duration) int64 {
		return max(1, int64((w.to.Sub(w.from.Truncate(width))+width-1)/width))
	}
	at := slices.IndexFunc(flowBuckets, func(b flowBucket) bool {
		return b.name == query.Bucket || query.Bucket == "" && (points(b.width) <= flowPoints || b.name == "week")
	})
	if at < 0 {
		return "", flowInvalid("bucket", "must be hour, day or week")
	}
	b := flowBuckets[at]
	if n := points(b.width); n > flowLimit {
		return "", flowInvalid("bucket", fmt.Sprintf("would make %d of them in this range, at most %d are possible: take a wider one or a shorter range", n, flowLimit))
	}
	for end := w.from.Truncate(b.width).Add(b.width); end.Before(w.to); end = end.Add(b.width) {
		w.ends = append(w.ends, end)
	}
	w.ends = append(w.ends, w.until)
	return b.name, nil
}

// bucket returns the one that an instant belongs to: -1 before the range,
// len(ends) behind it.
func (w *flowing) bucket(at time.Time) int {
	if at.Before(w.from) {
		return -1
	}
	return sort.Search(len(w.ends), func(i int) bool { return at.Before(w.ends[i]) })
}

func (w *flowing) within(at time.Time) bool { return !at.Before(w.from) && at.Before(w.until) }

// starts and stops are when the bucket does, as the reply says it.
func (w *flowing) starts(i int) time.Time {
	if i == 0 {
		return w.from
	}
	return w.ends[i-1]
}

func (w *flowing) stops(i int) time.Time {
	if i == len(w.ends)-1 {
		return w.to
	}
	return w.ends[i]
}

// begun is when a stay began: where the one before it ended. What a recovered
// ticket's row says is when it came into its column before it was deleted.
func begun(stays []stay, i int) time.Time {
	if i > 0 && stays[i-1].left != nil {
		return *stays[i-1].left
	}
	return stays[i].entered
}

// line is what changes of the number of tickets in a column.
type line struct {
	before int64   // of all that was before the range
	deltas []int64 // of each bucket
}

// seen reports whether there was ever a ticket at the end of a bucket.
func (l *line) seen() bool {
	n := l.before
	return slices.ContainsFunc(l.deltas, func(delta int64) bool {
		n += delta
		return n != 0
	})
}

// counts is the cumulative flow diagram: each ticket adds one to a column where it
// comes and takes one away where it leaves.
func (w *flowing) counts(out *Flow) {
	lines := map[int64]*line{}
	add := func(at time.Time, column, n int64) {
		i := w.bucket(at)
		if i == len(w.ends) {
			return
		}
		l := lines[column]
		if l == nil {
			l = &line{deltas: make([]int64, len(w.ends))}
			lines[column] = l
		}
		if i < 0 {
			l.before += n
		} else {
			l.deltas[i] += n
		}
	}
	for _, t := range w.tickets {
		follow(t.stays, w.turns[t.id], add)
	}
	for ticket, stays := range w.deleted {
		follow(stays, w.turns[ticket], add)
	}
	out.Columns = []FlowColumn{}
	for _, c := range w.columns {
		out.Columns = append(out.Columns, w.known[c.ID])
	}
	for _, id := range slices.Sorted(maps.Keys(lines)) {
		l := lines[id]
		if _, here := w.kinds[id]; here || !l.seen() {
			continue
		}
		c, known := w.known[id]
		if !known { // its creation was redacted
			c = FlowColumn{ID: id, Name: events.RedactedText, Kind: events.Backlog, Removed: true}
		}
		out.Columns = append(out.Columns, c)
	}
	out.Cumulative, out.WIP = make([]FlowCounts, len(w.ends)), make([]FlowWIP, len(w.ends))
	for i := range w.ends {
		out.Cumulative[i] = FlowCounts{At: w.stops(i), Counts: make([]int64, len(out.Columns))}
		out.WIP[i].At = w.stops(i)
	}
	for k, c := range out.Columns {
		l := lines[c.ID]
		if l == nil {
			continue
		}
		n := l.before
		for i, delta := range l.deltas {
			n += delta
			out.Cumulative[i].Counts[k] = n
			if inWork(c.Kind) {
				out.WIP[i].WIP += n
			}
		}
	}
}

func inWork(kind events.ColumnKind) bool {
	return kind == events.Active || kind == events.Blocked || kind == events.Review
}

// follow walks over the life of one ticket. A clock that went back stands still.
func follow(stays []stay, turns []turn, add func(at time.Time, column, n int64)) {
	type state struct {
		column            int64 // 0 = not made yet
		deleted, archived bool
	}
	counted := int64(0) // the column where it is counted, 0 = nowhere
	var now state
	var clock time.Time
	for i, j := 0, 0; i < len(stays) || j < len(turns); {
		var at time.Time
		if i < len(stays) && (j == len(turns) || !begun(stays, i).After(turns[j].at)) {
			at, now.column = begun(stays, i), stays[i].column
			i++
		} else {
			at = turns[j].at
			switch turns[j].kind {
			case events.TypeTicketArchived:
				now.archived = true
			case events.TypeTicketRestored:
				now.archived = false
			case events.TypeTicketDeleted:
				now.deleted = true
			case events.TypeTicketRecovered:
				now.deleted, now.archived = false, turns[j].archived
			}
			j++
		}
		if clock.Before(at) {
			clock = at
		}
		next := now.column
		if now.deleted || now.archived {
			next = 0
		}
		if next == counted {
			continue
		}
		if counted != 0 {
			add(clock, counted, -1)
		}
		if next != 0 {
			add(clock, next, 1)
		}
		counted = next
	}
}

// finish collects what came to be done, and throughput.
func (w *flowing) finish(out *Flow) {
	out.Throughput = make([]FlowThroughput, len(w.ends))
	for i := range w.ends {
		out.Throughput[i].At = w.starts(i)
	}
	var cycle, lead []float64
	for i, t := range w.tickets {
		if w.within(t.created) {
			out.Throughput[w.bucket(t.created)].Created++
		}
		c := w.courses[i]
		if c.done == nil || !w.within(*c.done) {
			continue
		}
		out.Throughput[w.bucket(*c.done)].Done++
		k := finished{figured: t, course: c}
		for i := range t.claims {
			if !t.claims[i].at.After(*c.done) {
				k.claim = &t.claims[i]
			}
		}
		w.done = append(w.done, k)
		if s, ok := c.lead(t); ok {
			lead = append(lead, s)
		}
		if s, ok := c.cycle(); ok {
			cycle = append(cycle, s)
		}
	}
	quantiles := func(d Durations) FlowQuantiles { return FlowQuantiles{P50: d.Median, P85: d.P85, P95: d.P95} }
	out.Percentiles = FlowPercentiles{Cycle: quantiles(describe(cycle)), Lead: quantiles(describe(lead))}
	slices.SortFunc(w.done, func(a, b finished) int {
		return cmp.Or(b.done.Compare(*a.done), cmp.Compare(b.id, a.id))
	})
	out.ScatterTotal, out.Scatter = int64(len(w.done)), []FlowDone{}
	for _, k := range w.done[:min(len(w.done), flowLimit)] {
		d := FlowDone{TicketID: k.id, Key: k.key, DoneAt: *k.done}
		d.Lead, _ = k.lead(k.figured)
		if s, ok := k.cycle(); ok {
			d.Cycle = &s
		}
		if k.claim != nil {
			d.By = k.claim.name
		}
		out.Scatter = append(out.Scatter, d)
	}
}

// age lists what is in work now.
func (w *flowing) age(out *Flow) {
	ended := map[int64][]float64{}
	for _, t := range w.tickets {
		for i := range t.stays {
			if s := &t.stays[i]; s.left != nil && inWork(w.kinds[s.column]) {
				ended[s.column] = append(ended[s.column], s.left.Sub(s.entered).Seconds())
			}
		}
	}
	for _, list := range ended {
		slices.Sort(list)
	}
	out.Aging = []FlowAging{}
	for i, t := range w.tickets {
		if t.archived || !inWork(w.kinds[t.column]) {
			continue
		}
		a := FlowAging{TicketID: t.id, Key: t.key, ColumnID: t.column, Assignee: t.assignee, Age: w.asOf.Sub(t.entered).Seconds(), Blocked: t.blocked}
		if begun := w.courses[i].begun; begun != nil {
			s := w.asOf.Sub(*begun).Seconds()
			a.WorkAge = &s
		}
		if list := ended[t.column]; len(list) > 0 {
			rank := 100 * float64(sort.Search(len(list), func(i int) bool { return list[i] > a.Age })) / float64(len(list))
			a.Rank = &rank
		}
		out.Aging = append(out.Aging, a)
	}
	slices.SortFunc(out.Aging, func(a, b FlowAging) int {
		return cmp.Or(cmp.Compare(b.Age, a.Age), cmp.Compare(a.TicketID, b.TicketID))
	})
	out.AgingTotal = int64(len(out.Aging))
	out.Aging = out.Aging[:min(len(out.Aging), agingLimit)]
}

func (w *flowing) agent(user int64, name string) *FlowAgent {
	a := w.agents[user]
	if a == nil {
		a = &FlowAgent{UserID: user}
		w.agents[user] = a
	}
	if name != "" {
		a.Name = name
	}
	return a
}

// work counts what became of claims in the range.
func (w *flowing) work() {
	cycles := map[int64][]float64{}
	for n, t := range w.tickets {
		for i := range t.claims {
			k := &t.claims[i]
			if w.within(k.at) {
				w.agent(k.user, k.name).Claimed++
			}
			if k.ended == nil || !w.within(*k.ended) {
				continue
			}
			switch k.outcome {
			case "completed":
				w.agent(k.user, k.name).Done++
			case "expired":
				w.agent(k.user, k.name).LeasesLost++
			}
		}
		for _, position := range w.courses[n].rework {
			i, found := slices.BinarySearchFunc(t.stays, position, func(s stay, p int64) int { return cmp.Compare(s.position, p) })
			if last := lastBefore(t.claims, position); found && last != nil && w.within(begun(t.stays, i)) {
				w.agent(last.user, last.name).Rework++
			}
		}
	}
	for _, k := range w.done {
		if s, ok := k.cycle(); ok && k.claim != nil {
			w.agent(k.claim.user, k.claim.name)
			cycles[k.claim.user] = append(cycles[k.claim.user], s)
		}
	}
	for user, list := range cycles {
		w.agents[user].MedianCycle = describe(list).Median
	}
}

// predict draws from the whole days of the range.
func (w *flowing) predict(out *Flow, query *FlowQuery) {
	first := w.from.Add(flowDay - 1).Truncate(flowDay)
	days := max(0, int64(w.to.Truncate(flowDay).Sub(first)/flowDay))
	sample := make([]int64, days)
	for _, k := range w.done {
		if at := k.done.Sub(first); at >= 0 && int64(at/flowDay) < days {
			sample[at/flowDay]++
		}
	}
	items := int64(0)
	if query.Items != nil {
		items = *query.Items
	} else {
		for _, t := range w.tickets {
			if !t.archived && w.kinds[t.column] != events.Done {
				items++
			}
		}
	}
	out.Forecast = forecast(sample, items, w.by(query), query.Seed, w.asOf)
}

// by is in how many days the day is that the forecast is asked for, 0 = none is.
func (w *flowing) by(query *FlowQuery) int {
	if query.By.IsZero() {
		return 0
	}
	return int(query.By.UTC().Truncate(flowDay).Sub(w.asOf.Truncate(flowDay)) / flowDay)
}

// details reads titles and names of what the reply shows.
func (w *flowing) details(ctx context.Context, tx bun.Tx, out *Flow) error {
	var shown, moves []int64
	scatter, aging, moved := map[int64]*FlowDone{}, map[int64]*FlowAging{}, map[int64]*FlowDone{}
	for i := range out.Scatter {
		d := &out.Scatter[i]
		shown, scatter[d.TicketID] = append(shown, d.TicketID), d
		if k := &w.done[i]; k.claim == nil {
			moves, moved[k.by] = append(moves, k.by), d
		}
	}
	for i := range out.Aging {
		shown, aging[out.Aging[i].TicketID] = append(shown, out.Aging[i].TicketID), &out.Aging[i]
	}
	err := eachRow(ctx, tx, flowTitles, idList(shown), func(scan func(...any) error) error {
		var id int64
		var title string
		var holder *string
		if err := scan(&id, &title, &holder); err != nil {
			return err
		}
		if d := scatter[id]; d != nil {
			d.Title = title
		}
		if a := aging[id]; a != nil {
			a.Title, a.Holder = title, holder
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = eachRow(ctx, tx, flowActors, idList(moves), func(scan func(...any) error) error {
		var position int64
		var name string
		if err := scan(&position, &name); err != nil {
			return err
		}
		moved[position].By = name
		return nil
	})
	if err != nil {
		return err
	}
	return w.people(ctx, tx, out)
}

func (w *flowing) people(ctx context.Context, tx bun.Tx, out *Flow) error {
	rows, err := tx.Tx.QueryContext(ctx, flowUsage, w.board, FormatTime(w.from), FormatTime(w.until))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var user, in, gave, cost int64
		if err := rows.Scan(&user, &in, &gave, &cost); err != nil {
			return err
		}
		a := w.agent(user, "")
		a.InputTokens, a.OutputTokens, a.CostMicros = in, gave, cost
	}
	if err := rows.Err(); err != nil {
		return err
	}
	err = eachRow(ctx, tx, flowUsers, idList(slices.Collect(maps.Keys(w.agents))), func(scan func(...any) error) error {
		var id int64
		var name, kind string
		if err := scan(&id, &name, &kind); err != nil {
			return err
		}
		w.agent(id, name).Kind = events.ActorKind(kind)
		return nil
	})
	out.Agents = []FlowAgent{}
	for _, a := range w.agents {
		out.Agents = append(out.Agents, *a)
	}
	slices.SortFunc(out.Agents, func(a, b FlowAgent) int {
		return cmp.Or(cmp.Compare(b.Done, a.Done), cmp.Compare(a.UserID, b.UserID))
	})
	return err
}

// idList is ids as json_each reads them.
func idList(ids []int64) string {
	text, err := json.Marshal(append([]int64{}, ids...))
	if err != nil {
		return "[]" // numbers always encode
	}
	return string(text)
}
