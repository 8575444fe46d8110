package readmodel

import (
	"cmp"
	"context"
	"database/sql"
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
