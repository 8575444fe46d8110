package projections

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// folded is everything that views show, to compare one fold with another.
type folded struct {
	Boards    []readmodel.Board
	Snapshots []readmodel.Snapshot
	Archived  []readmodel.Ticket
	Members   map[int64][]readmodel.Member
	Comments  map[int64][]readmodel.Comment
	History   map[int64][]readmodel.HistoryEntry
	Users     []readmodel.User
}

func newFolded() folded {
	return folded{
		Members: map[int64][]readmodel.Member{}, Comments: map[int64][]readmodel.Comment{}, History: map[int64][]readmodel.HistoryEntry{},
	}
}

// mentioned are the ids of all tickets that ever were.
func mentioned(log []events.Envelope) map[int64]bool {
	ids := map[int64]bool{}
	for _, e := range log {
		if e.TicketID != 0 {
			ids[e.TicketID] = true
		}
	}
	return ids
}

func fromTimeline(t fataler, log []events.Envelope) folded {
	line := NewTimeline()
	for i := range log {
		if err := line.Apply(&log[i]); err != nil {
			t.Fatalf("timeline: %v", err)
		}
	}
	out := newFolded()
	for _, b := range line.Boards() {
		s, err := line.Snapshot(b.ID)
		if err != nil {
			t.Fatalf("timeline snapshot: %v", err)
		}
		out.Boards, out.Snapshots = append(out.Boards, b), append(out.Snapshots, s)
		out.Members[b.ID] = line.Members(b.ID)
		for _, k := range line.Tickets(b.ID) {
			if k.Archived {
				out.Archived = append(out.Archived, k)
			}
			if n := int64(len(line.Comments(k.ID))); k.CommentCount != n {
				t.Fatalf("ticket %d has %d comments and says %d", k.ID, n, k.CommentCount)
			}
		}
	}
	for id := range mentioned(log) {
		out.Comments[id], out.History[id] = line.Comments(id), line.History(id)
	}
	out.Users = line.Users()
	return out
}

// counted is what the list of boards says of one, by its tickets.
func counted(s readmodel.Snapshot) (n readmodel.BoardCounts) {
	kinds := map[int64]events.ColumnKind{}
	for _, c := range s.Columns {
		kinds[c.ID] = c.Kind
	}
	for _, t := range s.Tickets {
		if t.Lease != nil {
			n.Held++
		}
		switch {
		case kinds[t.ColumnID] == events.Done:
			n.Done++
		case t.Blocked:
			n.Blocked++
			n.Open++
		default:
			n.Open++
		}
	}
	return n
}

func fromRows(ctx context.Context, t fataler, db *sql.DB, log []events.Envelope) folded {
	check := func(err error) {
		if err != nil {
			t.Fatalf("query: %v", err)
		}
	}
	q, err := readmodel.New(ctx, db)
	check(err)
	defer func() { check(q.Close()) }()
	out := newFolded()
	for _, archived := range []bool{false, true} {
		page, err := q.Boards(ctx, readmodel.Viewer{Admin: true}, readmodel.BoardFilter{Archived: archived})
		check(err)
		for _, item := range page.Items {
			out.Boards = append(out.Boards, item.Board)
			s, err := q.Snapshot(ctx, item.ID)
			check(err)
			if want := counted(s); item.Counts != want {
				t.Fatalf("board %d: the list counts %+v, on the board there are %+v", item.ID, item.Counts, want)
			}
		}
	}
	sortByID(out.Boards, func(b readmodel.Board) int64 { return b.ID })
	for _, b := range out.Boards {
		s, err := q.Snapshot(ctx, b.ID)
		check(err)
		out.Snapshots = append(out.Snapshots, s)
		out.Members[b.ID], err = q.Members(ctx, b.ID)
		check(err)
		page, err := q.Tickets(ctx, readmodel.Viewer{Admin: true}, readmodel.TicketFilter{BoardID: b.ID, Archived: true})
		check(err)
		out.Archived = append(out.Archived, page.Items...)
	}
	for id := range mentioned(log) {
		out.Comments[id], err = q.Comments(ctx, id)
		check(err)
		out.History[id], err = q.TicketHistory(ctx, id)
		check(err)
	}
	page, err := q.Users(ctx, readmodel.UserFilter{})
	check(err)
	out.Users = page.Items
	return out
}

// errCrash stands for a process that died between apply and commit.
var errCrash = errors.New("crash")

func TestRowsTimelineAndRebuildAgree(t *testing.T) {
	t.Parallel()
	db := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		log := drawHistory(rt)
		empty(rt, t.Context(), db)
		want := fromTimeline(rt, log)

		// Any batches, some overlapping what was delivered before, some lost on
		// the way to the commit.
		c := config(db)
		c.Log = memory(log)
		crash := false
		c.Update = func(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
			return db.UpdateRelaxed(ctx, func(ctx context.Context, tx *sql.Tx) error {
				err := fn(ctx, tx)
				if err == nil && crash {
					return errCrash
				}
				return err
			})
		}
		for from := 0; from < len(log); {
			to := rapid.IntRange(from+1, len(log)).Draw(rt, "to")
			again := rapid.IntRange(0, from).Draw(rt, "again")
			crash = rapid.Bool().Draw(rt, "crash")
			func() {
				r, err := NewRunner(c)
				if err != nil {
					rt.Fatalf("new runner: %v", err)
				}
				if err := r.prepare(t.Context()); err != nil {
					rt.Fatalf("prepare: %v", err)
				}
				defer r.views.close()
				err = r.transact(t.Context(), func(ctx context.Context, tx *sql.Tx) (*outcome, error) {
					return r.applyAll(ctx, tx, [][]events.Envelope{log[again:from], log[from:to]})
				})
				if crash && !errors.Is(err, errCrash) || !crash && err != nil {
					rt.Fatalf("transact: %v", err)
				}
			}()
			if !crash {
				from = to
			}
		}
		if diff := cmp.Diff(want, fromRows(t.Context(), rt, db.Reader(), log)); diff != "" {
			rt.Fatalf("rows differ from the timeline (-timeline +rows):\n%s", diff)
		}
		compared(rt, t.Context(), db, log)

		if _, err := Rebuild(t.Context(), RebuildConfig{
			DB: db.Writer(), Update: db.UpdateRelaxed, Log: memory(log), PageSize: rapid.IntRange(1, 20).Draw(rt, "page"),
		}); err != nil {
			rt.Fatalf("rebuild: %v", err)
		}
		if diff := cmp.Diff(want, fromRows(t.Context(), rt, db.Reader(), log)); diff != "" {
			rt.Fatalf("a rebuild differs from the timeline (-timeline +rebuild):\n%s", diff)
		}
		compared(rt, t.Context(), db, log)
	})
}

// empty takes every row away; opening a new database for each history would take
// longer than the test.
func empty(t fataler, ctx context.Context, db *sqlstore.DB) {
	err := db.UpdateRelaxed(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, name := range append([]string{"checkpoints", "parked_events"}, tables...) {
			if _, err := tx.ExecContext(ctx, "DELETE FROM "+name); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, setCheckpoint, 0, rowSchema)
		return err
	})
	if err != nil {
		t.Fatalf("empty: %v", err)
	}
}

func compared(t fataler, ctx context.Context, db *sqlstore.DB, log []events.Envelope) {
	c, err := Compare(ctx, CompareConfig{Live: db.Reader(), Log: memory(log)})
	if err != nil {
		t.Fatalf("compare: %v", err)
	}
	if !c.Equal() || c.Position != int64(len(log)) {
		t.Fatalf("compare: got %+v, want no differences at %d", c, len(log))
	}
}

func sortByID[T any](list []T, id func(T) int64) { slices.SortFunc(list, byID(id)) }
