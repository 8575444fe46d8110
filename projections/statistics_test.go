package projections

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// visit is one stay of a ticket in a column, as a walk over the log sees it.
type visit struct {
	column        int64
	position      int64
	entered, left time.Time // left is zero while it lasts
}

// hold is one claim.
type hold struct {
	user, position int64
	name, outcome  string
	from, to       time.Time
}

// walked is what a walk over the whole log finds: after each event it looks where
// every ticket is now.
type walked struct {
	line   *Timeline
	visits map[int64][]visit
	holds  map[int64][]hold
}

func walk(t fataler, log []events.Envelope) *walked {
	w := &walked{line: NewTimeline(), visits: map[int64][]visit{}, holds: map[int64][]hold{}}
	of := map[int64]int64{} // ticket to board
	for i := range log {
		e := &log[i]
		if err := w.line.Apply(e); err != nil {
			t.Fatalf("timeline: %v", err)
		}
		for _, b := range w.line.Boards() {
			for _, k := range w.line.Tickets(b.ID) {
				of[k.ID] = b.ID
				last := len(w.visits[k.ID]) - 1
				if last >= 0 && w.visits[k.ID][last].column == k.ColumnID {
					continue
				}
				if last >= 0 {
					w.visits[k.ID][last].left = e.RecordedAt
				}
				w.visits[k.ID] = append(w.visits[k.ID], visit{column: k.ColumnID, position: e.Position, entered: e.RecordedAt})
			}
		}
		end := func(outcome string) {
			if n := len(w.holds[e.TicketID]); n > 0 && w.holds[e.TicketID][n-1].to.IsZero() {
				h := &w.holds[e.TicketID][n-1]
				h.to, h.outcome = e.RecordedAt, outcome
			}
		}
		fact, _ := e.Payload()
		released, _ := fact.(events.TicketReleased)
		switch e.Type {
		case events.TypeTicketClaimed:
			end("released")
			w.holds[e.TicketID] = append(w.holds[e.TicketID], hold{user: e.Actor.ID, name: e.Actor.Name, position: e.Position, from: e.RecordedAt})
		case events.TypeTicketReleased:
			end(map[bool]string{true: "completed", false: "released"}[released.Reason == events.Completed])
		case events.TypeLeaseExpired:
			end("expired")
		case events.TypeTicketDeleted:
			end("released")
		case events.TypeBoardDeleted:
			for id, board := range of {
				if board == e.BoardID {
					delete(w.visits, id)
					delete(w.holds, id)
				}
			}
		}
	}
	return w
}

// spread describes durations by the book, slowly.
func spread(list []time.Duration) readmodel.Durations {
	n := len(list)
	if n == 0 {
		return readmodel.Durations{}
	}
	slices.Sort(list)
	at := func(p float64) *float64 {
		h := float64(n-1) * p
		lo, hi := list[int(math.Floor(h))].Seconds(), list[int(math.Ceil(h))].Seconds()
		v := lo + (h-math.Floor(h))*(hi-lo)
		return &v
	}
	mean, variance := 0.0, 0.0
	for _, d := range list {
		mean += d.Seconds() / float64(n)
	}
	for _, d := range list {
		variance += math.Pow(d.Seconds()-mean, 2) / float64(n)
	}
	deviation := math.Sqrt(variance)
	return readmodel.Durations{Count: int64(n), Mean: &mean, Median: at(.5), Deviation: &deviation, P85: at(.85), P95: at(.95)}
}

// wanted are the figures of one board.
func (w *walked) wanted(b readmodel.Board, now time.Time, position int64) (readmodel.BoardStatistics, readmodel.BoardPerformance) {
	kinds := map[int64]events.ColumnKind{}
	for _, c := range b.Columns {
		kinds[c.ID] = c.Kind
	}
	s := readmodel.BoardStatistics{Position: position, AsOf: now, BoardID: b.ID, Totals: readmodel.Totals{
		ByPriority: map[events.Priority]int64{"low": 0, "medium": 0, "high": 0, "urgent": 0}, ByAssignee: []readmodel.AssigneeCount{},
	}}
	p := readmodel.BoardPerformance{Position: position, AsOf: now, BoardID: b.ID, Agents: []readmodel.AgentPerformance{}}
	ages, stays := map[int64][]time.Duration{}, map[int64][]time.Duration{}
	people, took := map[int64]*readmodel.AgentPerformance{}, map[int64][]time.Duration{}
	assigned := map[string]int64{}
	var lead, cycle []time.Duration
	for _, k := range w.line.Tickets(b.ID) {
		for _, h := range w.holds[k.ID] {
			if people[h.user] == nil {
				people[h.user] = &readmodel.AgentPerformance{UserID: h.user}
			}
			a := people[h.user]
			a.Name, a.Claimed = h.name, a.Claimed+1
			if h.outcome == "expired" {
				a.LeasesLost++
			}
			if h.outcome == "completed" {
				a.Done++
				took[h.user] = append(took[h.user], h.to.Sub(h.from))
			}
		}
		var done, begun time.Time
		earliest := func(at time.Time) {
			if begun.IsZero() || at.Before(begun) {
				begun = at
			}
		}
		for i, v := range w.visits[k.ID] {
			if !v.left.IsZero() {
				stays[v.column] = append(stays[v.column], v.left.Sub(v.entered))
			}
			if kinds[v.column] == events.Active {
				earliest(v.entered)
			}
			var was events.ColumnKind
			if i > 0 {
				was = kinds[w.visits[k.ID][i-1].column]
			}
			if kinds[v.column] == events.Done && was != events.Done {
				done = v.entered
			}
			back := slices.Contains([]events.ColumnKind{events.Backlog, events.Active, events.Blocked}, kinds[v.column])
			if back && (was == events.Done || was == events.Review) {
				p.Rework++
				var who *readmodel.AgentPerformance
				for _, h := range w.holds[k.ID] {
					if h.position < v.position {
						who = people[h.user]
					}
				}
				if who != nil {
					who.Rework++
				}
			}
		}
		for _, h := range w.holds[k.ID] {
			earliest(h.from)
		}
		isDone := kinds[k.ColumnID] == events.Done
		count := func(at time.Time, week, month *int64) {
			if now.Sub(at) < 7*24*time.Hour {
				*week++
			}
			if now.Sub(at) < 30*24*time.Hour {
				*month++
			}
		}
		count(k.CreatedAt, &s.Throughput.Created7, &s.Throughput.Created30)
		if isDone {
			count(done, &s.Throughput.Done7, &s.Throughput.Done30)
			lead = append(lead, done.Sub(k.CreatedAt))
			if !begun.IsZero() && !begun.After(done) {
				cycle = append(cycle, done.Sub(begun))
			}
		}
		if k.Archived {
			s.Totals.Archived++
			continue
		}
		ages[k.ColumnID] = append(ages[k.ColumnID], now.Sub(k.ColumnEnteredAt))
		s.Totals.Tickets++
		for _, c := range []struct {
			yes bool
			n   *int64
		}{{isDone, &s.Totals.Done}, {!isDone, &s.Totals.Open}, {k.Blocked, &s.Totals.Blocked}, {k.Lease != nil, &s.Totals.Claimed}} {
			if c.yes {
				*c.n++
			}
		}
		s.Totals.ByPriority[k.Priority]++
		name := ""
		if k.Assignee != nil {
			name = *k.Assignee
		}
		assigned[name]++
	}
	for _, c := range b.Columns {
		s.Columns = append(s.Columns, readmodel.ColumnStatistics{
			ID: c.ID, Name: c.Name, Kind: c.Kind, WIPLimit: c.WIPLimit, Tickets: int64(len(ages[c.ID])),
			Now: spread(ages[c.ID]), Finished: spread(stays[c.ID]),
		})
	}
	for name, n := range assigned {
		a := readmodel.AssigneeCount{Tickets: n}
		if name != "" {
			a.Assignee = &name
		}
		s.Totals.ByAssignee = append(s.Totals.ByAssignee, a)
	}
	who := func(a readmodel.AssigneeCount) string {
		if a.Assignee == nil {
			return ""
		}
		return *a.Assignee
	}
	slices.SortFunc(s.Totals.ByAssignee, func(a, b readmodel.AssigneeCount) int {
		return cmp.Or(cmp.Compare(b.Tickets, a.Tickets), cmp.Compare(who(a), who(b)))
	})
	p.LeadTime, p.CycleTime = spread(lead), spread(cycle)
	for user, a := range people {
		a.ClaimToDone = spread(took[user])
		p.Agents = append(p.Agents, *a)
	}
	slices.SortFunc(p.Agents, func(a, b readmodel.AgentPerformance) int {
		return cmp.Or(cmp.Compare(b.Done, a.Done), cmp.Compare(a.UserID, b.UserID))
	})
	return s, p
}

// near allows for sums in another order.
var near = cmpopts.EquateApprox(1e-9, 1e-6)

// TestStatisticsAgreeWithAWalkOverTheLog: figures from the rows are those that a
// walk over the whole log finds, for any history.
func TestStatisticsAgreeWithAWalkOverTheLog(t *testing.T) {
	t.Parallel()
	db := open(t)
	ctx := t.Context()
	figures := 0
	rapid.Check(t, func(rt *rapid.T) {
		log := drawHistory(rt)
		empty(rt, ctx, db)
		c := config(db)
		c.Log = memory(log)
		r, err := NewRunner(c)
		if err != nil {
			rt.Fatal(err)
		}
		if err := r.prepare(ctx); err != nil {
			rt.Fatal(err)
		}
		defer r.views.close()
		if err := r.transact(ctx, func(ctx context.Context, tx *sql.Tx) (*outcome, error) {
			return r.applyAll(ctx, tx, [][]events.Envelope{log})
		}); err != nil {
			rt.Fatal(err)
		}
		q, err := readmodel.New(ctx, db.Reader())
		if err != nil {
			rt.Fatal(err)
		}
		defer q.Close()
		now := log[len(log)-1].RecordedAt.Add(time.Duration(rapid.IntRange(0, 40*24).Draw(rt, "hours")) * time.Hour)
		w := walk(rt, log)
		for _, b := range w.line.Boards() {
			wantS, wantP := w.wanted(b, now, int64(len(log)))
			gotS, err := q.BoardStatistics(ctx, b.ID, now)
			if err != nil {
				rt.Fatal(err)
			}
			gotP, err := q.BoardPerformance(ctx, b.ID, now)
			if err != nil {
				rt.Fatal(err)
			}
			if diff := gocmp.Diff(wantS, gotS, near); diff != "" {
				rt.Fatalf("statistics (-walk +rows):\n%s", diff)
			}
			if diff := gocmp.Diff(wantP, gotP, near); diff != "" {
				rt.Fatalf("performance (-walk +rows):\n%s", diff)
			}
			for _, k := range w.line.Tickets(b.ID) {
				figures++
				w.sameTicket(rt, ctx, q, &wantS, &k, now)
			}
		}
	})
	if figures == 0 {
		t.Error("no history had a ticket")
	}
}

func (w *walked) sameTicket(t fataler, ctx context.Context, q *readmodel.Queries, b *readmodel.BoardStatistics, k *readmodel.Ticket, now time.Time) {
	got, err := q.TicketStatistics(ctx, k.ID, now)
	if err != nil {
		t.Fatalf("ticket statistics: %v", err)
	}
	visits := w.visits[k.ID]
	if got.Moves != int64(len(visits)-1) || got.ColumnID != k.ColumnID || got.Key != k.Key {
		t.Fatalf("ticket %d: got %+v, want %d moves, column %d", k.ID, got, len(visits)-1, k.ColumnID)
	}
	age := now.Sub(k.ColumnEnteredAt).Seconds()
	for i, c := range b.Columns {
		seconds, stays := 0.0, int64(0)
		for _, v := range visits {
			if v.column != c.ID {
				continue
			}
			until := v.left
			if until.IsZero() {
				until = now
			}
			seconds, stays = seconds+until.Sub(v.entered).Seconds(), stays+1
		}
		if got.Columns[i].Stays != stays || math.Abs(got.Columns[i].Seconds-seconds) > 1e-3 {
			t.Fatalf("ticket %d in column %d: got %+v, want %d stays, %f s", k.ID, c.ID, got.Columns[i], stays, seconds)
		}
		if c.ID != k.ColumnID {
			continue
		}
		if diff := gocmp.Diff(c.Finished, got.Finished, near); diff != "" {
			t.Fatalf("ticket %d: finished stays (-board +ticket):\n%s", k.ID, diff)
		}
		if (got.ZScore != nil) != (c.Finished.Count > 1 && *c.Finished.Deviation > 0) {
			t.Fatalf("ticket %d: z-score is %v of %+v", k.ID, got.ZScore, c.Finished)
		}
		if got.ZScore != nil && math.Abs(*got.ZScore**c.Finished.Deviation+*c.Finished.Mean-age) > 1e-3*age {
			t.Fatalf("ticket %d: z-score %f does not lead back to its age", k.ID, *got.ZScore)
		}
	}
}
