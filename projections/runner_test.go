package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// feed is a Subscription over a log in memory, in batches of a size. It waits
// when it has delivered everything.
type feed struct {
	log   memory
	after int64
	size  int
}

func (f *feed) Pending() bool { return f.after < int64(len(f.log)) }

func (f *feed) Next(ctx context.Context) ([]events.Envelope, error) {
	page, err := f.log.Read(ctx, events.Query{After: f.after, Limit: f.size})
	if err != nil {
		return nil, err
	}
	if len(page) == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	f.after = page[len(page)-1].Position
	return page, nil
}

// someTickets is a log of one board with n tickets.
func someTickets(t testing.TB, n int64) *script {
	s := newScript()
	s.add(t, 1, 0, defaultBoard())
	for id := range n {
		s.add(t, 1, id+1, ticketCreated(id+1))
	}
	return s
}

func count(t testing.TB, db *sqlstore.DB, table string) (n int64) {
	t.Helper()
	if err := db.Reader().QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil {
		t.Fatalf("count %s: %v", table, err)
	}
	return n
}

func started(t testing.TB, c Config) *Runner {
	t.Helper()
	r, err := NewRunner(c)
	if err != nil {
		t.Fatalf("new runner: %v", err)
	}
	if err := r.Start(t.Context()); err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return r
}

func TestRunnerFollowsTheLogAcrossRestarts(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 300)
	c := config(db)
	c.Log = memory(s.log)
	c.Subscribe = func(after int64) Subscription { return &feed{log: s.log[:100], after: after, size: 7} }
	first := started(t, c)
	<-c.Watermark.Reached(100)
	if err := first.Stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	if err := first.Start(t.Context()); !errors.Is(err, ErrStopped) {
		t.Errorf("start after stop: got %v, want ErrStopped", err)
	}

	c.Watermark = NewWatermark()
	c.Subscribe = func(after int64) Subscription {
		if after != 100 {
			t.Errorf("subscribed after %d, want 100", after)
		}
		return &feed{log: s.log, after: after, size: 50}
	}
	second := started(t, c)
	<-c.Watermark.Reached(301)
	if got := second.Status(); got.Position != 301 || got.Applied != 201 || got.Duplicates != 0 || got.Error != "" {
		t.Errorf("status: got %+v, want 201 applied up to 301", got)
	}
	if got := count(t, db, "tickets"); got != 300 {
		t.Errorf("got %d tickets, want 300", got)
	}
}

func TestStopBeforeStartAndTwice(t *testing.T) {
	t.Parallel()
	r, err := NewRunner(config(open(t)))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Stop(); err != nil {
			t.Errorf("stop: got %v, want nil", err)
		}
	}
}

func TestConfigNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	if _, err := NewRunner(Config{}); err == nil || !strings.Contains(err.Error(), "Subscribe") {
		t.Errorf("got %v, want an error that names Subscribe", err)
	}
	c := config(open(t))
	c.MaxBatch = -1
	if _, err := NewRunner(c); err == nil {
		t.Error("negative MaxBatch: want an error")
	}
}

func TestKilledBeforeCommitIsAppliedAgain(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 20)
	c := config(db)
	kill := true
	c.Update = func(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
		return db.UpdateRelaxed(ctx, func(ctx context.Context, tx *sql.Tx) error {
			err := fn(ctx, tx)
			if err == nil && kill {
				kill = false
				return errCrash
			}
			return err
		})
	}
	r := prepared(t, c)
	deliver(t, r, s.log)
	if got := count(t, db, "ticket_history"); got != 20 {
		t.Errorf("got %d history rows, want 20", got)
	}
	if got := r.Status(); got.Retries != 1 || got.Position != 21 {
		t.Errorf("status: got %+v, want one retry and position 21", got)
	}
}

func TestDuplicatesAreSkippedAndGapsRefused(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 20)
	r := prepared(t, config(db))
	deliver(t, r, s.log[:10])
	deliver(t, r, s.log[:10])
	deliver(t, r, s.log[5:15])
	if got := r.Status(); got.Position != 15 || got.Applied != 15 || got.Duplicates != 15 {
		t.Errorf("status: got %+v, want 15 applied, 15 duplicates", got)
	}
	if err := r.project(t.Context(), s.log[16:], idle{}); !errors.Is(err, ErrGap) {
		t.Errorf("gap: got %v, want ErrGap", err)
	}
	if got := count(t, db, "tickets"); got != 14 {
		t.Errorf("after the gap: got %d tickets, want 14", got)
	}
}

func TestGapSubscribesAgain(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 20)
	c := config(db)
	c.Log = memory(s.log)
	var mu sync.Mutex
	times := 0
	c.Subscribe = func(after int64) Subscription {
		mu.Lock()
		defer mu.Unlock()
		if times++; times == 1 {
			return &feed{log: s.log, after: after + 3, size: 5}
		}
		return &feed{log: s.log, after: after, size: 5}
	}
	started(t, c)
	<-c.Watermark.Reached(21)
	if got := count(t, db, "tickets"); got != 20 {
		t.Errorf("got %d tickets, want 20", got)
	}
}

func TestTheLoserOfTheCheckpointStops(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 20)
	c := config(db)
	c.Log = memory(s.log)
	gate := make(chan struct{})
	c.Subscribe = func(after int64) Subscription { return gated{gate, &feed{log: s.log, after: after, size: 5}} }
	loser := started(t, c)
	winner := prepared(t, config(db))
	deliver(t, winner, s.log[:3])
	close(gate)
	<-loser.done
	if err := loser.Err(); !errors.Is(err, ErrCheckpointLost) {
		t.Errorf("loser: got %v, want ErrCheckpointLost", err)
	}
	if !loser.Status().Stopped {
		t.Error("loser: want Stopped")
	}
	deliver(t, winner, s.log)
	if got := count(t, db, "ticket_history"); got != 20 {
		t.Errorf("got %d history rows, want 20: nothing twice", got)
	}
}

// gated delivers nothing until the gate opens.
type gated struct {
	gate <-chan struct{}
	Subscription
}

func (g gated) Next(ctx context.Context) ([]events.Envelope, error) {
	select {
	case <-g.gate:
		return g.Subscription.Next(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestPoisonIsParkedByTicketAndRetriedInOrder(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 3) // positions 2, 3, 4
	title := func(text string) events.TicketUpdated { return events.TicketUpdated{Title: &text} }
	s.add(t, 1, 2, title("poison")) // 5
	s.add(t, 1, 1, title("one"))    // 6
	s.add(t, 1, 2, title("behind")) // 7
	s.add(t, 1, 3, title("three"))  // 8
	c := config(db)
	c.Log = memory(s.log)
	sick, tries := true, 0
	c.wrap = func(apply applyFunc) applyFunc {
		return func(ctx context.Context, tx *Tx, e *events.Envelope) (err error) {
			defer recovered(&err)
			if e.Position == 5 && sick {
				tries++
				panic("boom")
			}
			return apply(ctx, tx, e)
		}
	}
	r := prepared(t, c)
	deliver(t, r, s.log)
	titles := func() string {
		var all []string
		rows, err := db.Reader().QueryContext(t.Context(), "SELECT title FROM tickets ORDER BY id")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var one string
			if err := rows.Scan(&one); err != nil {
				t.Fatal(err)
			}
			all = append(all, one)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return strings.Join(all, ", ")
	}
	if got, want := titles(), "one, Ticket 2, three"; got != want {
		t.Errorf("with the poison: got %q, want %q", got, want)
	}
	if tries != 4 {
		t.Errorf("got %d tries, want 4", tries)
	}
	list, err := ParkedEvents(t.Context(), db.Reader(), 10)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range list {
		got = append(got, fmt.Sprint(p.Position, " ", p.Lane, " ", p.Reason, " ", strings.HasPrefix(p.Error, "panic: boom")))
	}
	if want := "[5 ticket-2 failed true 7 ticket-2 behind false]"; fmt.Sprint(got) != want {
		t.Errorf("parked: got %v, want %v", got, want)
	}

	// Another process, after a restart, holds the ticket back too.
	s.add(t, 1, 2, title("later")) // 9
	c.Log = memory(s.log)
	r = prepared(t, c)
	deliver(t, r, s.log)
	if got := r.Status().Parked["ticket-2"]; got != 3 {
		t.Errorf("after a restart: got %d parked, want 3", got)
	}
	if applied, left, err := r.Retry(t.Context()); err != nil || applied != 0 || left != 3 {
		t.Errorf("retry while it still fails: got %d, %d, %v, want 0, 3", applied, left, err)
	}
	sick = false
	if applied, left, err := r.Retry(t.Context()); err != nil || applied != 3 || left != 0 {
		t.Errorf("retry: got %d, %d, %v, want 3, 0", applied, left, err)
	}
	if got, want := titles(), "one, later, three"; got != want {
		t.Errorf("after the retry: got %q, want %q", got, want)
	}
	if got := r.Status(); got.Position != 9 || len(got.Parked) != 0 {
		t.Errorf("status: got %+v, want position 9, nothing parked", got)
	}
	compared(t, t.Context(), db, s.log)
}

func TestRetryCatchesUpWithTheBoard(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 2) // positions 2, 3
	s.add(t, 1, 1, events.TicketMoved{FromColumnID: 1, FromColumn: "Not Started", ColumnID: 2, Column: "In Progress", Rank: "a"})
	s.add(t, 1, 0, events.ColumnUpdated{Column: events.Column{ID: 2, Name: "Doing", Kind: events.Active}, Was: "In Progress"})
	c := config(db)
	c.Log = memory(s.log)
	sick := true
	c.wrap = func(apply applyFunc) applyFunc {
		return func(ctx context.Context, tx *Tx, e *events.Envelope) error {
			if e.Position == 4 && sick {
				return errors.New("boom")
			}
			return apply(ctx, tx, e)
		}
	}
	r := prepared(t, c)
	deliver(t, r, s.log)
	sick = false
	if applied, left, err := r.Retry(t.Context()); err != nil || applied != 1 || left != 0 {
		t.Fatalf("retry: got %d, %d, %v, want 1, 0", applied, left, err)
	}
	compared(t, t.Context(), db, s.log) // the column's new name included
}

func TestUnknownTypesAreSkippedAndStopARebuild(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 3)
	redact(&s.log[2])
	s.log[2].Type = "ticket_teleported"
	r := prepared(t, config(db))
	deliver(t, r, s.log)
	if got := r.Status(); got.Position != 4 || got.Unknown != 1 || got.Applied != 3 || len(got.Parked) != 0 {
		t.Errorf("status: got %+v, want one unknown, nothing held up", got)
	}
	_, err := Rebuild(t.Context(), RebuildConfig{DB: db.Writer(), Update: db.UpdateRelaxed, Log: memory(s.log)})
	if !errors.Is(err, events.ErrUnknownType) || !strings.Contains(err.Error(), "position 3") {
		t.Errorf("rebuild: got %v, want ErrUnknownType at position 3", err)
	}
	if got := count(t, db, "tickets"); got != 2 {
		t.Errorf("after the refused rebuild: got %d tickets, want 2", got)
	}
	if got := count(t, db, "sqlite_schema WHERE name LIKE '%shadow'"); got != 0 {
		t.Errorf("after the refused rebuild: got %d shadow tables, want 0", got)
	}
	// An upgrade that knows the type asks for a rebuild.
	s.log[2].Type = events.TypeTicketArchived
	s.log[2].Data = []byte("{}")
	s.log[2].Schema = 1
	var stale *StaleError
	if err := NeedsRebuild(t.Context(), db.Reader(), memory(s.log)); !errors.As(err, &stale) {
		t.Errorf("NeedsRebuild: got %v, want a *StaleError", err)
	}
}

func TestAFullDiskIsWaitedFor(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 3)
	c := config(db)
	left := 6 // more often than an event is tried
	c.wrap = func(apply applyFunc) applyFunc {
		return func(ctx context.Context, tx *Tx, e *events.Envelope) error {
			if left > 0 {
				left--
				return coded(13)
			}
			return apply(ctx, tx, e)
		}
	}
	r := prepared(t, c)
	deliver(t, r, s.log)
	if got := r.Status(); got.Position != 4 || got.Retries != 6 || len(got.Parked) != 0 {
		t.Errorf("status: got %+v, want all applied after 6 retries", got)
	}
}

// coded is an error of SQLite by its number; 13 is a full disk.
type coded int

func (c coded) Error() string { return fmt.Sprintf("sqlite error %d", int(c)) }
func (c coded) Code() int     { return int(c) }

// Applied hears of every event once, in order, after its rows are there.
func TestAppliedIsTold(t *testing.T) {
	t.Parallel()
	db, s := open(t), someTickets(t, 50)
	c := config(db)
	c.Log = memory(s.log)
	c.Subscribe = func(after int64) Subscription { return &feed{log: s.log, after: after, size: 7} }
	c.MaxBatch = 10
	var last int64
	done := make(chan struct{})
	c.Applied = func(batches [][]events.Envelope, began time.Time) {
		if began.IsZero() || began.After(time.Now()) {
			t.Errorf("began at %s", began)
		}
		for _, batch := range batches {
			for i := range batch {
				if last++; batch[i].Position != last {
					t.Errorf("told of position %d, want %d", batch[i].Position, last)
				}
			}
		}
		if c.Watermark.Position() < last {
			t.Errorf("told of %d while the rows are at %d", last, c.Watermark.Position())
		}
		if last == s.head.Position {
			close(done)
		}
	}
	started(t, c)
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatalf("not told of everything; the rows are at %d of %d", c.Watermark.Position(), s.head.Position)
	}
}
