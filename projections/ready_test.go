package projections

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// TestReadyAgainstAnOracle compares the queries about work with a slow look at
// what the Timeline holds and at the log itself.
func TestReadyAgainstAnOracle(t *testing.T) {
	t.Parallel()
	db := open(t)
	q, err := readmodel.New(t.Context(), db.Reader())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = q.Close() })
	rapid.Check(t, func(rt *rapid.T) {
		log := drawHistory(rt)
		empty(rt, t.Context(), db)
		apply(rt, t.Context(), db, log)
		line := NewTimeline()
		for i := range log {
			if err := line.Apply(&log[i]); err != nil {
				rt.Fatal(err)
			}
		}
		for _, b := range line.Boards() {
			got, err := q.Ready(t.Context(), b.ID, 0)
			if err != nil {
				rt.Fatal(err)
			}
			got.Position = 0
			if diff := gocmp.Diff(readyOf(line, b), got); diff != "" {
				rt.Errorf("ready on board %d (-want +got):\n%s", b.ID, diff)
			}
			for flag, want := range map[string]int{"ready": len(got.Ready), "blocked": -1} {
				page, err := q.Tickets(t.Context(), readmodel.Viewer{Admin: true}, readmodel.TicketFilter{BoardID: b.ID, Ready: flag == "ready", Blocked: flag == "blocked"})
				if err != nil {
					rt.Fatal(err)
				}
				if want >= 0 && len(page.Items) != want {
					rt.Errorf("tickets that are %s: got %d, want %d", flag, len(page.Items), want)
				}
			}
		}
		usageAgrees(rt, t.Context(), q, line, log)
	})
}

// readyOf looks at every ticket of a board.
func readyOf(line *Timeline, b readmodel.Board) readmodel.Ready {
	kind, place := map[int64]events.ColumnKind{}, map[int64]int{}
	for i, c := range b.Columns {
		kind[c.ID], place[c.ID] = c.Kind, i
	}
	all := map[int64]readmodel.Ticket{}
	for _, k := range line.Tickets(b.ID) {
		all[k.ID] = k
	}
	var dead func(id int64, seen map[int64]bool) bool
	state := func(id int64) string {
		k, there := all[id]
		switch {
		case !there:
			return "deleted"
		case kind[k.ColumnID] == events.Done:
			return "done"
		case k.Archived:
			return "archived"
		case dead(id, map[int64]bool{}):
			return "dead_blocked"
		}
		return "open"
	}
	dead = func(id int64, seen map[int64]bool) bool {
		if seen[id] {
			return false
		}
		seen[id] = true
		for _, d := range line.waits[id] {
			k, there := all[d.ID]
			if there && kind[k.ColumnID] == events.Done {
				continue
			}
			if !there || k.Archived || dead(d.ID, seen) {
				return true
			}
		}
		return false
	}
	out := readmodel.Ready{Ready: []readmodel.Ticket{}, Blocked: []readmodel.BlockedTicket{}, DeadBlocked: []readmodel.BlockedTicket{}}
	for _, k := range line.Tickets(b.ID) {
		if k.Archived || k.Lease != nil || kind[k.ColumnID] != events.Backlog {
			continue
		}
		if !k.Blocked {
			out.Ready = append(out.Ready, k)
			continue
		}
		blocked := readmodel.BlockedTicket{ID: k.ID, Key: k.Key, Title: k.Title, By: []readmodel.Blocker{}}
		for _, d := range line.waits[k.ID] {
			if s := state(d.ID); s != "done" {
				blocked.By = append(blocked.By, readmodel.Blocker{ID: d.ID, Key: d.Key, State: s})
			}
		}
		if dead(k.ID, map[int64]bool{}) {
			out.DeadBlocked = append(out.DeadBlocked, blocked)
		} else {
			out.Blocked = append(out.Blocked, blocked)
		}
	}
	weights := map[events.Priority]int{events.Urgent: 3, events.High: 2, events.Medium: 1}
	slices.SortFunc(out.Ready, func(x, y readmodel.Ticket) int {
		return cmp.Or(cmp.Compare(weights[y.Priority], weights[x.Priority]), cmp.Compare(place[x.ColumnID], place[y.ColumnID]),
			cmp.Compare(x.Rank, y.Rank), cmp.Compare(x.ID, y.ID))
	})
	out.ReadyTotal, out.BlockedTotal, out.DeadBlockedTotal = int64(len(out.Ready)), int64(len(out.Blocked)), int64(len(out.DeadBlocked))
	return out
}

// usageAgrees sums what the log says about work, by board and principal.
func usageAgrees(rt *rapid.T, ctx context.Context, q *readmodel.Queries, line *Timeline, log []events.Envelope) {
	type work struct{ done, lost, tokens int64 }
	want := map[int64]map[int64]work{}
	for i := range log {
		e := &log[i]
		fact, _ := payload(e, map[events.Type]bool{e.Type: true})
		who, w := e.Actor.ID, work{}
		switch f := fact.(type) {
		case events.TicketReleased:
			if f.Reason != events.Completed {
				continue
			}
			who, w.done = f.HolderID, 1
		case events.LeaseExpired:
			who, w.lost = f.HolderID, 1
		case events.UsageRecorded:
			w.tokens = f.InputTokens + f.OutputTokens
		default:
			continue
		}
		if want[e.BoardID] == nil {
			want[e.BoardID] = map[int64]work{}
		}
		have := want[e.BoardID][who]
		want[e.BoardID][who] = work{have.done + w.done, have.lost + w.lost, have.tokens + w.tokens}
	}
	for _, b := range line.Boards() {
		agents, err := q.Agents(ctx, readmodel.Viewer{Admin: true}, b.ID)
		if err != nil {
			rt.Fatal(err)
		}
		for _, a := range agents {
			w := want[b.ID][a.ID]
			if got := (work{a.TicketsDone, a.LeasesLost, a.Usage.InputTokens + a.Usage.OutputTokens}); got != w {
				rt.Errorf("agent %d on board %d: got %+v, want %+v", a.ID, b.ID, got, w)
			}
			for _, c := range a.Claims {
				if k, err := line.Ticket(c.TicketID); err != nil || k.Lease == nil || k.Lease.HolderID != a.ID || k.Lease.Fence != c.Fence {
					rt.Errorf("agent %d holds %+v, the ticket says %+v", a.ID, c, k.Lease)
				}
			}
		}
		usage, err := q.BoardUsage(ctx, b.ID)
		if err != nil {
			rt.Fatal(err)
		}
		total := int64(0)
		for _, w := range want[b.ID] {
			total += w.tokens
		}
		sum := int64(0)
		for _, a := range usage.Agents {
			if got, w := a.InputTokens+a.OutputTokens, want[b.ID][a.UserID].tokens; got != w {
				rt.Errorf("usage of %d on board %d: got %d, want %d", a.UserID, b.ID, got, w)
			}
			sum += a.InputTokens + a.OutputTokens
		}
		if got := usage.Total.InputTokens + usage.Total.OutputTokens; got != total || sum != total {
			rt.Errorf("usage of board %d: got %d, by agent %d, want %d", b.ID, got, sum, total)
		}
	}
}

// apply folds a log into the rows.
func apply(t fataler, ctx context.Context, db *sqlstore.DB, log []events.Envelope) {
	if _, err := Rebuild(ctx, RebuildConfig{DB: db.Writer(), Update: db.UpdateRelaxed, Log: memory(log)}); err != nil {
		t.Fatalf("rebuild: %v", err)
	}
}

func benchWorld(b *testing.B, tickets, dependencies int, dead bool) *readmodel.Queries {
	b.Helper()
	db, s := open(b), newScript()
	s.add(b, 1, 0, defaultBoard())
	priorities := []events.Priority{events.Low, events.Medium, events.High, events.Urgent}
	for id := int64(1); id <= int64(tickets); id++ {
		f := ticketCreated(id)
		f.Priority = priorities[id%4]
		s.add(b, 1, id, f)
	}
	for i := range dependencies {
		from := int64(tickets - i)
		on := 1 + int64(i*7)%(from-1)
		s.add(b, 1, from, events.DependencyAdded{DependsOn: on, Key: fmt.Sprintf("WEB-%d", on)})
	}
	if dead { // and most of what waits with them
		for id := int64(1); id <= int64(tickets)/40; id++ {
			s.add(b, 1, id, events.TicketArchived{})
		}
	}
	apply(b, b.Context(), db, s.log)
	q, err := readmodel.New(b.Context(), db.Reader())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = q.Close() })
	return q
}

// BenchmarkReady is the ready query on a board of 20,000 tickets, of which none,
// some or most wait; dead is how many of those wait for nothing.
func BenchmarkReady(b *testing.B) {
	const tickets = 20_000
	for _, c := range []struct {
		dependencies int
		dead         bool
	}{{0, false}, {5000, false}, {19_000, false}, {19_000, true}} {
		b.Run(fmt.Sprintf("dependencies=%d/dead=%v", c.dependencies, c.dead), func(b *testing.B) {
			q := benchWorld(b, tickets, c.dependencies, c.dead)
			var took []time.Duration
			var r readmodel.Ready
			for b.Loop() {
				start := time.Now()
				var err error
				r, err = q.Ready(b.Context(), 1, 100)
				took = append(took, time.Since(start))
				if err != nil || len(r.Ready) != 100 || !c.dead && r.ReadyTotal+r.BlockedTotal != tickets {
					b.Fatalf("got %d of %d, %d blocked (%v)", len(r.Ready), r.ReadyTotal, r.BlockedTotal, err)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(r.DeadBlockedTotal), "dead")
		})
	}
}
