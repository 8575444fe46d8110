package readmodel_test

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// rows opens an empty database whose rows the test writes itself, so that the
// queries are compared with rows and not with what a projector makes of events.
func rows(t *testing.T) (*sqlstore.DB, *readmodel.Queries) {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(t.TempDir(), "test.db"), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	q, err := readmodel.New(t.Context(), db.Reader())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, q
}

// fill runs statements in one transaction.
func fill(t interface{ Fatal(args ...any) }, ctx context.Context, db *sqlstore.DB, fn func(exec func(text string, args ...any))) {
	err := db.UpdateRelaxed(ctx, func(ctx context.Context, tx *sql.Tx) error {
		prepared := map[string]*sql.Stmt{} // they end with the transaction
		fn(func(text string, args ...any) {
			stmt := prepared[text]
			if stmt == nil {
				var err error
				if stmt, err = tx.PrepareContext(ctx, text); err != nil { //nolint:sqlclosecheck // ends with the transaction
					t.Fatal(text, err)
				}
				prepared[text] = stmt
			}
			if _, err := stmt.ExecContext(ctx, args...); err != nil {
				t.Fatal(text, err)
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

const (
	addBoard = `INSERT INTO boards (id, key, name, description, visibility, max_claims, archived, version, created_by, created_at, updated_at)
		VALUES (?1, 'B' || ?1, '', '', ?2, 1, 0, 1, 'ann', ?3, ?3)`
	addColumn = `INSERT INTO columns (board_id, id, place, name, kind) VALUES (?1, ?2, ?3, 'C' || ?2, ?4)`
	addTicket = `INSERT INTO tickets (id, board_id, number, key, title, description, acceptance_criteria, priority, labels, column_id,
		current_column, rank, archived, version, created_by, created_at, updated_at, column_entered_at, weight, open_deps,
		lease_fence, lease_holder_id, lease_holder, lease_claimed_at, lease_expires_at)
		VALUES (?1, ?2, ?1, 'B' || ?2 || '-' || ?1, 'T' || ?1, '', '', 'low', '[]', ?3, 'C' || ?3, ?4, ?5, 1, 'ann', ?6, ?6, ?6, ?7, ?8,
		?9, ?10, iif(?9 IS NULL, NULL, 'bot'), iif(?9 IS NULL, NULL, ?6), iif(?9 IS NULL, NULL, ?6))`
	addDependency = `INSERT INTO dependencies (ticket_id, depends_on, board_id, key, position) VALUES (?1, ?2, ?3, 'B' || ?3 || '-' || ?2, ?4)`
)

// card is a ticket of a graph; ones that were deleted are there no more.
type card struct {
	id, column             int64
	weight                 int
	rank                   string
	archived, held, absent bool
	waits                  []int64
}

// graph is one board: kinds by column id, places by column id.
type graph struct {
	kinds  map[int64]events.ColumnKind
	places map[int64]int
	cards  map[int64]*card
}

func drawGraph(t *rapid.T) graph {
	g := graph{kinds: map[int64]events.ColumnKind{}, places: map[int64]int{}, cards: map[int64]*card{}}
	columns := rapid.IntRange(1, 5).Draw(t, "columns")
	order := rapid.Permutation([]int{0, 1, 2, 3, 4}).Draw(t, "places")
	for i := range columns {
		kind := rapid.SampledFrom([]events.ColumnKind{events.Backlog, events.Backlog, events.Active, events.Done}).Draw(t, "kind")
		g.kinds[int64(i+1)], g.places[int64(i+1)] = kind, order[i]
	}
	n := rapid.IntRange(0, 30).Draw(t, "tickets")
	rare := rapid.IntRange(0, 9)
	var before []int64 // a dependency leads back in this order, so there is no cycle
	for id := range int64(n) {
		c := &card{
			id: id + 1, column: rapid.Int64Range(1, int64(columns)).Draw(t, "column"), weight: rapid.IntRange(0, 3).Draw(t, "weight"),
			rank:     rapid.SampledFrom([]string{"A", "a", "aa", "b", "B", "é"}).Draw(t, "rank"),
			archived: rare.Draw(t, "archived") == 0, held: rare.Draw(t, "held") == 0, absent: rare.Draw(t, "absent") == 0,
		}
		g.cards[c.id] = c
		before = append(before, c.id)
	}
	if n == 0 {
		return g
	}
	for i, id := range rapid.Permutation(before).Draw(t, "order") {
		c := g.cards[id]
		if i == 0 || c.absent { // the dependencies of a deleted ticket go with it
			before[i] = id
			continue
		}
		before[i] = id
		c.waits = rapid.SliceOfNDistinct(rapid.SampledFrom(before[:i]), 0, 3, rapid.ID[int64]).Draw(t, "waits")
	}
	return g
}

func (g graph) done(id int64) bool {
	c := g.cards[id]
	return !c.absent && g.kinds[c.column] == events.Done
}

func (g graph) open(c *card) (ids []int64) {
	for _, id := range c.waits {
		if !g.done(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// dead marks tickets again and again, until a round marks none.
func (g graph) dead() map[int64]bool {
	dead := map[int64]bool{}
	for again := true; again; {
		again = false
		for _, c := range g.cards {
			for _, id := range g.open(c) {
				if b := g.cards[id]; !dead[c.id] && (b.absent || b.archived || dead[id]) {
					dead[c.id], again = true, true
				}
			}
		}
	}
	return dead
}

func (g graph) write(t interface{ Fatal(args ...any) }, ctx context.Context, db *sqlstore.DB) {
	at := readmodel.FormatTime(epoch)
	fill(t, ctx, db, func(exec func(text string, args ...any)) {
		for _, table := range []string{"boards", "columns", "tickets", "dependencies"} {
			exec("DELETE FROM " + table)
		}
		exec(addBoard, 1, "private", at)
		for id, kind := range g.kinds {
			exec(addColumn, 1, id, g.places[id], string(kind))
			exec(addColumn, 2, id, g.places[id], "backlog")
		}
		exec(addTicket, 9001, 2, 1, "a", false, at, 3, 0, nil, nil) // of another board
		exec(addTicket, 9002, 2, 1, "a", false, at, 3, 1, nil, nil)
		exec(addDependency, 9002, 9003, 2, 1)
		for _, c := range g.cards {
			if c.absent {
				continue
			}
			var fence, holder any
			if c.held {
				fence, holder = c.id, 7
			}
			exec(addTicket, c.id, 1, c.column, c.rank, c.archived, at, c.weight, len(g.open(c)), fence, holder)
			for i, id := range c.waits {
				exec(addDependency, c.id, id, 1, i)
			}
		}
	})
}

// listed is what matters of Ready: who is listed, and why.
type listed struct {
	Ready         []int64
	Blocked, Dead []string
	Totals        [3]int64
}

func (g graph) listed(limit int) listed {
	dead, out := g.dead(), listed{Ready: []int64{}}
	for _, id := range slices.Sorted(maps.Keys(g.cards)) {
		c := g.cards[id]
		if c.absent || c.archived || c.held || g.kinds[c.column] != events.Backlog {
			continue
		}
		line := fmt.Sprintf("B1-%d T%d", id, id)
		for _, on := range g.open(c) {
			state, b := "open", g.cards[on]
			switch {
			case b.absent:
				state = "deleted"
			case b.archived:
				state = "archived"
			case dead[on]:
				state = "dead_blocked"
			}
			line += fmt.Sprintf(" %d B1-%d %s", on, on, state)
		}
		switch {
		case len(g.open(c)) == 0:
			out.Ready = append(out.Ready, id)
		case dead[id]:
			out.Dead = append(out.Dead, line)
		default:
			out.Blocked = append(out.Blocked, line)
		}
	}
	slices.SortFunc(out.Ready, func(a, b int64) int {
		x, y := g.cards[a], g.cards[b]
		return cmp.Or(cmp.Compare(y.weight, x.weight), cmp.Compare(g.places[x.column], g.places[y.column]), cmp.Compare(x.rank, y.rank), cmp.Compare(a, b))
	})
	out.Totals = [3]int64{int64(len(out.Ready)), int64(len(out.Blocked)), int64(len(out.Dead))}
	out.Ready = out.Ready[:min(limit, len(out.Ready))]
	out.Blocked = out.Blocked[:min(limit, len(out.Blocked))]
	out.Dead = out.Dead[:min(limit, len(out.Dead))]
	return out
}

func listedBy(r readmodel.Ready) listed {
	out := listed{Ready: ids(r.Ready, ticketID), Totals: [3]int64{r.ReadyTotal, r.BlockedTotal, r.DeadBlockedTotal}}
	text := func(tickets []readmodel.BlockedTicket) (lines []string) {
		for _, k := range tickets {
			line := k.Key + " " + k.Title
			for _, b := range k.By {
				line += fmt.Sprintf(" %d %s %s", b.ID, b.Key, b.State)
			}
			lines = append(lines, line)
		}
		return lines
	}
	out.Blocked, out.Dead = text(r.Blocked), text(r.DeadBlocked)
	return out
}

func TestReadyOnRandomGraphs(t *testing.T) {
	t.Parallel()
	db, q := rows(t)
	rapid.Check(t, func(rt *rapid.T) {
		g := drawGraph(rt)
		g.write(rt, t.Context(), db)
		max := rapid.IntRange(0, 12).Draw(rt, "limit")
		got, err := q.Ready(t.Context(), 1, max)
		if err != nil {
			rt.Fatal(err)
		}
		want := g.listed(cmp.Or(max, readmodel.MaxLimit))
		if diff := gocmp.Diff(want, listedBy(got)); diff != "" {
			rt.Errorf("limit %d (-want +got):\n%s", max, diff)
		}
		for _, archived := range []bool{false, true} {
			page, err := q.Tickets(t.Context(), readmodel.Viewer{Admin: true}, readmodel.TicketFilter{BoardID: 1, Ready: true, Archived: archived})
			if err != nil {
				rt.Fatal(err)
			}
			all := slices.Sorted(slices.Values(g.listed(readmodel.MaxLimit).Ready))
			if archived {
				all = []int64{} // what is archived is not ready
			}
			if got := ids(page.Items, ticketID); !slices.Equal(got, all) || page.Total != int64(len(all)) {
				rt.Errorf("tickets that are ready, archived %v: got %v of %d, want %v", archived, got, page.Total, all)
			}
		}
	})
}

// A plan of 5,000 tickets, deep and wide, in one look.
func TestReadyOnALargeGraph(t *testing.T) {
	t.Parallel()
	db, q := rows(t)
	random := rand.New(rand.NewPCG(1, 2))
	g := graph{
		kinds:  map[int64]events.ColumnKind{1: events.Done, 2: events.Backlog, 3: events.Active, 4: events.Backlog},
		places: map[int64]int{1: 3, 2: 1, 3: 2, 4: 0}, cards: map[int64]*card{},
	}
	for id := int64(1); id <= 5000; id++ {
		c := &card{
			id: id, column: 1 + random.Int64N(4), weight: random.IntN(4), rank: string(rune('A' + random.IntN(50))),
			archived: random.IntN(50) == 0, held: random.IntN(20) == 0, absent: random.IntN(50) == 0,
		}
		for range random.IntN(3) {
			if on := 1 + random.Int64N(id); !c.absent && on != id && !slices.Contains(c.waits, on) {
				c.waits = append(c.waits, on)
			}
		}
		g.cards[id] = c
	}
	g.write(t, t.Context(), db)
	got, err := q.Ready(t.Context(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := g.listed(readmodel.MaxLimit)
	if diff := gocmp.Diff(want, listedBy(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, n := range want.Totals {
		if n < 20 {
			t.Errorf("total %d: got a graph with %d, want one that shows something", i, n)
		}
	}
}

func TestReadyRefusesLimits(t *testing.T) {
	t.Parallel()
	_, q := rows(t)
	for _, bad := range []int{-1, readmodel.MaxLimit + 1} {
		if _, err := q.Ready(t.Context(), 1, bad); events.CodeOf(err) != events.CodeInvalid {
			t.Errorf("limit %d: got %v, want invalid", bad, err)
		}
	}
	got, err := q.Ready(t.Context(), 99, 1)
	if err != nil || got.Ready == nil || got.Blocked == nil || got.DeadBlocked == nil {
		t.Errorf("no board: got %+v, %v, want empty lists", got, err)
	}
}

func TestDependenciesOfATicket(t *testing.T) {
	t.Parallel()
	db, q := rows(t)
	g := graph{
		kinds: map[int64]events.ColumnKind{1: events.Backlog, 2: events.Done}, places: map[int64]int{1: 0, 2: 1},
		cards: map[int64]*card{
			1: {id: 1, column: 1, waits: []int64{5, 4, 3, 2}}, 2: {id: 2, column: 1}, 3: {id: 3, column: 2, archived: true},
			4: {id: 4, column: 1, archived: true}, 5: {id: 5, absent: true}, 6: {id: 6, column: 1, waits: []int64{1}},
		},
	}
	g.write(t, t.Context(), db)
	got, err := q.Dependencies(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	want := readmodel.Dependencies{
		DependsOn: []readmodel.Related{
			{ID: 5, Key: "B1-5", State: "deleted"},
			{ID: 4, Key: "B1-4", Title: "T4", Column: "C1", State: "archived"},
			{ID: 3, Key: "B1-3", Title: "T3", Column: "C2", State: "done"},
			{ID: 2, Key: "B1-2", Title: "T2", Column: "C1", State: "open"},
		},
		Dependents: []readmodel.Related{{ID: 6, Key: "B1-6", Title: "T6", Column: "C1", State: "open"}},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("dependencies (-want +got):\n%s", diff)
	}
}

func TestLeaseEndsWithTheLastHeartbeat(t *testing.T) {
	t.Parallel()
	db, q := rows(t)
	late := epoch.Add(time.Hour)
	fill(t, t.Context(), db, func(exec func(text string, args ...any)) {
		for id := range int64(3) {
			exec(addTicket, id+1, 1, 1, "a", false, readmodel.FormatTime(epoch), 1, 0, 50+id, 7)
		}
		exec(`INSERT INTO heartbeats VALUES (1, 50, 0, ?1), (2, 49, 0, ?1)`, late.UnixMicro()) // 49 was an earlier claim
	})
	for id, want := range map[string]time.Time{"1": late, "2": epoch, "3": epoch} {
		k, err := q.Ticket(t.Context(), id)
		if err != nil || k.Lease == nil || !k.Lease.ExpiresAt.Equal(want) {
			t.Errorf("ticket %s: got %+v, %v, want a lease until %s", id, k.Lease, err, want)
		}
	}
}
