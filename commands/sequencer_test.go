package commands_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	trusted = commands.Meta{Actor: events.SystemActor, Trusted: true}
	ada     = commands.Meta{Actor: events.Actor{Kind: events.Human, ID: 1, Name: "ada"}}
)

type world struct {
	store *sqlstore.DB
	seq   *commands.Sequencer
	path  string
}

func open(tb testing.TB, path string) *sqlstore.DB {
	tb.Helper()
	db, err := sqlstore.Open(tb.Context(), sqlstore.Options{Path: path, Create: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	return db
}

func sequence(tb testing.TB, cfg commands.Config) *commands.Sequencer {
	tb.Helper()
	seq, err := commands.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	seq.Start()
	tb.Cleanup(seq.Stop)
	return seq
}

// setup is a log with the admin ada and her board WEB, whose column 2 takes
// three tickets.
func setup(tb testing.TB) world {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "kanban.db")
	w := world{store: open(tb, path), path: path}
	w.seq = sequence(tb, commands.Config{Store: w.store})
	three := 3
	w.must(tb, trusted, commands.RegisterUser{Name: "ada", Kind: events.Human, Admin: true})
	w.must(tb, ada, commands.CreateBoard{Name: "Website", Key: "WEB", Columns: []commands.ColumnSpec{
		{Name: "To do"}, {Name: "Doing", WIPLimit: &three}, {Name: "Done"},
	}})
	return w
}

func (w world) must(tb testing.TB, m commands.Meta, cmds ...commands.Command) commands.Receipt {
	tb.Helper()
	r, err := w.seq.Do(tb.Context(), m, cmds...)
	if err != nil {
		tb.Fatalf("%s: %v", cmds[0].CommandType(), err)
	}
	return r
}

func (w world) log(tb testing.TB) []events.Envelope {
	tb.Helper()
	var all []events.Envelope
	var head events.Head
	for e, err := range events.All(tb.Context(), w.store, events.Query{}) {
		if err == nil {
			err = events.Check(head, e)
		}
		if err != nil {
			tb.Fatal(err)
		}
		head = e.Head()
		all = append(all, *e)
	}
	return all
}

func TestReceiptShowsWhatHappened(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "First"})
	if r.Ticket == nil || r.Ticket.Key != "WEB-1" || r.Ticket.Version != r.Version || r.Position != 4 {
		t.Errorf("create: receipt %+v, want ticket WEB-1 at position 4", r)
	}
	r = w.must(t, ada, commands.MoveTicket{Ticket: "1", Column: "Done"})
	if r.Ticket.Column != "Done" || r.Board.Key != "WEB" || len(r.Events) != 1 {
		t.Errorf("move: receipt %+v, want the ticket in Done", r)
	}
	same := w.must(t, ada, commands.MoveTicket{Ticket: "WEB-1", Column: "done"})
	if len(same.Events) != 0 || same.Position != r.Position || same.Ticket == nil || same.Ticket.Column != "Done" {
		t.Errorf("a move to where it is: receipt %+v, want no events and the ticket", same)
	}
}

func TestSameCommandIDOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	m := ada
	m.CommandID, m.RequestSHA = "key-1", events.Hash{1}
	var first atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := w.seq.Do(t.Context(), m, commands.CreateTicket{Board: "WEB", Title: "Once"})
			if err != nil || len(r.Events) != 1 || r.Events[0].TicketID != 1 || r.Position != 4 {
				t.Errorf("got %+v, %v, want the one ticket", r, err)
			}
			if !r.Repeated {
				first.Add(1)
			}
		})
	}
	wg.Wait()
	if got := len(w.log(t)); got != 4 || first.Load() != 1 {
		t.Errorf("%d events and %d first replies, want 4 and 1", got, first.Load())
	}
	m.RequestSHA = events.Hash{2}
	if _, err := w.seq.Do(t.Context(), m, commands.CreateTicket{Board: "WEB", Title: "Other"}); events.CodeOf(err) != events.CodeIdempotencyReused {
		t.Errorf("same key, other request: %v, want %s", err, events.CodeIdempotencyReused)
	}
	w.seq.Stop()
	w.seq = sequence(t, commands.Config{Store: w.store})
	m.RequestSHA = events.Hash{1}
	if r := w.must(t, m, commands.CreateTicket{Board: "WEB", Title: "Once"}); !r.Repeated || r.Events[0].TicketID != 1 {
		t.Errorf("after a restart: %+v, want the first answer", r)
	}
}

func TestWIPLimitHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const tickets = 64
	for range tickets {
		w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"})
	}
	var moved, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range tickets {
		wg.Go(func() {
			for range 5 {
				_, err := w.seq.Do(t.Context(), ada, commands.MoveTicket{Ticket: commands.RefID(int64(i + 1)), Column: "Doing"})
				switch events.CodeOf(err) {
				case "":
					moved.Add(1)
					w.must(t, ada, commands.MoveTicket{Ticket: commands.RefID(int64(i + 1)), Column: "To do"})
				case events.CodeWIPLimit:
					refused.Add(1)
				default:
					t.Errorf("move: %v", err)
				}
			}
		})
	}
	wg.Wait()
	inside := map[int64]bool{}
	for _, e := range w.log(t) {
		p, err := e.Payload()
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := p.(events.TicketMoved); ok {
			if m.ColumnID == 2 {
				inside[e.TicketID] = true
			} else {
				delete(inside, e.TicketID)
			}
			if len(inside) > 3 {
				t.Fatalf("position %d: %d tickets in a column limited to 3", e.Position, len(inside))
			}
		}
	}
	if moved.Load() == 0 {
		t.Errorf("%d moved, %d refused: nothing was tried", moved.Load(), refused.Load())
	}
}

func TestListIsAllOrNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	before := len(w.log(t))
	_, err := w.seq.Do(t.Context(), ada,
		commands.CreateBoard{Name: "Other", Key: "OTH"},
		commands.CreateTicket{Board: "OTH", Title: "A"},
		commands.CreateTicket{Board: "WEB", Title: "B"},
		commands.MoveTicket{Ticket: "WEB-1", Column: "Nowhere"},
	)
	if events.CodeOf(err) != events.CodeInvalid {
		t.Fatalf("got %v, want a refusal for the last command", err)
	}
	if got := len(w.log(t)); got != before {
		t.Fatalf("%d events after the refusal, want %d", got, before)
	}
	r := w.must(t, ada,
		commands.CreateBoard{Name: "Other", Key: "OTH"},
		commands.CreateTicket{Board: "OTH", Title: "A"},
		commands.MoveTicket{Ticket: "OTH-1", Column: "Done"},
	)
	if r.Events[0].BoardID != 2 || r.Ticket == nil || r.Ticket.ID != 1 || r.Ticket.Column != "Done" {
		t.Errorf("ids after the refusal: %+v, want board 2 and ticket 1 unused", r)
	}
	if got := len(w.log(t)); got != before+4 {
		t.Errorf("%d events, want %d", got, before+4)
	}
}

func TestRefusalInABatchHarmsNoOther(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kanban.db")
	gate := &gatedStore{DB: open(t, path), open: make(chan struct{})}
	seq := sequence(t, commands.Config{Store: gate})
	close(gate.open)
	w := world{store: gate.DB, seq: seq}
	w.must(t, trusted, commands.RegisterUser{Name: "ada", Kind: events.Human, Admin: true})
	w.must(t, ada, commands.CreateBoard{Name: "Website", Key: "WEB"})
	gate.close()
	// One call holds the gate while the others queue up: they form one batch.
	var wg sync.WaitGroup
	results := make([]error, 30)
	for i := range results {
		wg.Go(func() {
			cmds := []commands.Command{commands.CreateTicket{Board: "WEB", Title: "T"}}
			if i%3 == 0 {
				cmds = append(cmds, commands.CreateTicket{Board: "WEB", Title: ""})
			}
			_, results[i] = seq.Do(t.Context(), ada, cmds...)
		})
	}
	gate.release()
	wg.Wait()
	for i, err := range results {
		want := events.Code("")
		if i%3 == 0 {
			want = events.CodeInvalid
		}
		if got := events.CodeOf(err); got != want {
			t.Errorf("call %d: %v, want code %q", i, err, want)
		}
	}
	ids := map[int64]bool{}
	for _, e := range w.log(t) {
		if e.Type == events.TypeTicketCreated {
			ids[e.TicketID] = true
		}
	}
	if len(ids) != 20 || !ids[1] || !ids[20] {
		t.Errorf("tickets %v, want 1 to 20", ids)
	}
}

// gatedStore lets nobody begin while it is closed, and fails on demand.
type gatedStore struct {
	*sqlstore.DB
	mu     sync.Mutex
	open   chan struct{}
	broken atomic.Int32 // how many Appends or Commits still fail
	after  atomic.Bool  // fail after the commit, not before
}

func (g *gatedStore) close()   { g.mu.Lock(); g.open = make(chan struct{}); g.mu.Unlock() }
func (g *gatedStore) release() { g.mu.Lock(); close(g.open); g.mu.Unlock() }

func (g *gatedStore) Begin(ctx context.Context) (events.Tx, error) {
	g.mu.Lock()
	gate := g.open
	g.mu.Unlock()
	<-gate
	tx, err := g.DB.Begin(ctx)
	return brokenTx{Tx: tx, store: g}, err
}

type brokenTx struct {
	events.Tx
	store *gatedStore
}

var errDisk = errors.New("disk on fire")

func (b brokenTx) Commit() error {
	if b.store.broken.Load() > 0 {
		b.store.broken.Add(-1)
		if b.store.after.Load() {
			return errors.Join(b.Tx.Commit(), errDisk)
		}
		return errDisk
	}
	return b.Tx.Commit()
}

func TestFailedCommitIsRetriedOnce(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			gate := &gatedStore{DB: open(t, filepath.Join(t.TempDir(), "kanban.db")), open: make(chan struct{})}
			close(gate.open)
			w := world{store: gate.DB, seq: sequence(t, commands.Config{Store: gate})}
			w.must(t, trusted, commands.RegisterUser{Name: "ada", Kind: events.Human, Admin: true})
			w.must(t, ada, commands.CreateBoard{Name: "Website", Key: "WEB"})
			gate.after.Store(after)
			gate.broken.Store(1)
			w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "Once"})
			gate.broken.Store(2)
			_, err := w.seq.Do(t.Context(), ada, commands.CreateTicket{Board: "WEB", Title: "Twice broken"})
			switch {
			case after && err != nil: // the retry finds what was committed
				t.Errorf("got %v, want the receipt of what is in the log", err)
			case !after && !errors.Is(err, errDisk):
				t.Errorf("got %v, want the disk's error", err)
			}
			gate.broken.Store(0)
			w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "Fine again"})
			want := 5 // user, board, member, two tickets
			if after {
				want++
			}
			if got := len(w.log(t)); got != want {
				t.Errorf("%d events, want %d: nothing lost and nothing doubled", got, want)
			}
		})
	}
}

func TestHookSharesTheFateOfTheEvents(t *testing.T) {
	t.Parallel()
	w := setup(t)
	before := len(w.log(t))
	m := ada
	m.With = func(ctx context.Context, tx *sql.Tx, r commands.Receipt) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES ('hook', ?)`, r.Position)
		return errors.Join(err, errDisk)
	}
	if _, err := w.seq.Do(t.Context(), m, commands.CreateTicket{Board: "WEB", Title: "T"}); !errors.Is(err, errDisk) {
		t.Fatalf("got %v, want the hook's error", err)
	}
	count := func() (n int) {
		if err := w.store.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM meta WHERE key = 'hook'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := len(w.log(t)); got != before || count() != 0 {
		t.Errorf("a failed hook left %d events and %d rows, want none", got-before, count())
	}
	m.With = func(ctx context.Context, tx *sql.Tx, r commands.Receipt) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO meta (key, value) VALUES ('hook', ?)`, r.Position)
		return err
	}
	w.must(t, m, commands.CreateTicket{Board: "WEB", Title: "T"})
	if got := len(w.log(t)); got != before+1 || count() != 1 {
		t.Errorf("got %d events and %d rows, want one of each", got-before, count())
	}
}

// A clock that is set, back or forward, changes neither the order nor the chain:
// times in a stream never decrease.
func TestClockThatJumpsKeepsTheOrder(t *testing.T) {
	t.Parallel()
	const years = 10 * 365 * 24 * time.Hour
	for name, jumps := range map[string][]time.Duration{
		"back": {-time.Hour}, "forward": {years}, "forward and back": {years, -years}, "back and forth": {-time.Hour, time.Hour, -years, years},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := open(t, filepath.Join(t.TempDir(), "kanban.db"))
			var now atomic.Int64
			now.Store(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
			w := world{store: store, seq: sequence(t, commands.Config{Store: store, Now: func() time.Time { return time.UnixMicro(now.Load()) }})}
			w.must(t, trusted, commands.RegisterUser{Name: "ada", Kind: events.Human, Admin: true})
			w.must(t, ada, commands.CreateBoard{Name: "Website", Key: "WEB"})
			for _, jump := range jumps {
				now.Add(jump.Microseconds())
				w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"})
			}
			log := w.log(t)
			if want := 3 + len(jumps); len(log) != want { // user, board and member, then the tickets
				t.Fatalf("%d events, want %d", len(log), want)
			}
			var before events.Head
			times := map[string]time.Time{}
			for i := range log {
				e := &log[i]
				if err := events.Check(before, e); err != nil {
					t.Errorf("position %d: %v", e.Position, err)
				}
				if e.RecordedAt.Before(times[e.Stream]) {
					t.Errorf("position %d of %s: recorded at %v after %v", e.Position, e.Stream, e.RecordedAt, times[e.Stream])
				}
				before, times[e.Stream] = e.Head(), e.RecordedAt
			}
		})
	}
}

func TestTwoSequencersShareOneLog(t *testing.T) {
	t.Parallel()
	w := setup(t)
	other := world{store: open(t, w.path)}
	other.seq = sequence(t, commands.Config{Store: other.store})
	var wg sync.WaitGroup
	for _, x := range []world{w, other} {
		for range 8 {
			wg.Go(func() {
				for range 10 {
					x.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"})
				}
			})
		}
	}
	wg.Wait()
	seen := map[int64]bool{}
	for _, e := range w.log(t) {
		if e.Type == events.TypeTicketCreated {
			if seen[e.TicketID] {
				t.Errorf("ticket %d was created twice", e.TicketID)
			}
			seen[e.TicketID] = true
		}
	}
	if len(seen) != 160 {
		t.Errorf("%d tickets, want 160", len(seen))
	}
}

func TestStopFinishesWhatIsQueued(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var accepted atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for {
				_, err := w.seq.Do(context.WithoutCancel(t.Context()), ada, commands.CreateTicket{Board: "WEB", Title: "T"})
				if events.CodeOf(err) == events.CodeUnavailable {
					return
				}
				if err != nil {
					t.Errorf("create: %v", err)
					return
				}
				if accepted.Add(1) == 200 {
					go w.seq.Stop()
				}
			}
		})
	}
	wg.Wait()
	w.seq.Stop()
	if got := int64(len(w.log(t)) - 3); got != accepted.Load() {
		t.Errorf("%d tickets in the log, %d accepted: want the same", got, accepted.Load())
	}
}

// TestStateIsAFoldOfTheLog drives random commands through one sequencer, and
// after every few asks a fresh one, which folds the log, for the same receipts.
func TestStateIsAFoldOfTheLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var n atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n.Add(1)))
		db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: path, Create: true, Synchronous: "NORMAL"})
		if err != nil {
			rt.Fatal(err)
		}
		defer db.Close()
		seq, _ := commands.New(commands.Config{Store: db})
		seq.Start()
		do := func(m commands.Meta, c commands.Command) (commands.Receipt, error) { return seq.Do(t.Context(), m, c) }
		_, _ = do(trusted, commands.RegisterUser{Name: "ada", Kind: events.Human, Admin: true})
		_, _ = do(ada, commands.CreateBoard{Name: "Website", Key: "WEB"})
		two := 2
		ref := rapid.Custom(func(t *rapid.T) commands.Ref {
			return commands.RefID(int64(rapid.IntRange(1, 8).Draw(t, "ticket")))
		})
		column := rapid.SampledFrom([]commands.Ref{"Not Started", "In Progress", "Blocked", "Done", "QC"})
		command := rapid.Custom(func(t *rapid.T) commands.Command {
			switch rapid.IntRange(0, 9).Draw(t, "kind") {
			case 0, 1, 2:
				return commands.CreateTicket{Board: "WEB", Title: "T", Column: column.Draw(t, "column")}
			case 3, 4:
				return commands.MoveTicket{Ticket: ref.Draw(t, "t"), Column: column.Draw(t, "column"), Before: rapid.SampledFrom([]commands.Ref{"", "1", "2", "3"}).Draw(t, "before")}
			case 5:
				return commands.ArchiveTicket{Ticket: ref.Draw(t, "t")}
			case 6:
				return commands.RestoreTicket{Ticket: ref.Draw(t, "t")}
			case 7:
				return commands.DeleteTicket{Ticket: ref.Draw(t, "t")}
			case 8:
				return commands.SetColumns{Board: "WEB", Columns: []commands.ColumnSpec{{Name: "Not Started"}, {Name: "In Progress", WIPLimit: &two}, {Name: "QC"}, {Name: "Done"}}}
			default:
				return commands.AddComment{Ticket: ref.Draw(t, "t"), Text: "x"}
			}
		})
		for _, cmd := range rapid.SliceOfN(command, 1, 40).Draw(rt, "commands") {
			_, _ = do(ada, cmd)
		}
		probe := func() (out []any) {
			for id := range int64(12) {
				r, err := do(ada, commands.AssignTicket{Ticket: commands.RefID(id + 1)})
				out = append(out, r.Ticket, r.Board, events.CodeOf(err))
			}
			return out
		}
		was := probe()
		seq.Stop()
		seq, _ = commands.New(commands.Config{Store: db})
		seq.Start()
		defer func() { seq.Stop() }()
		if diff := cmp.Diff(was, probe()); diff != "" {
			rt.Fatalf("a fresh fold of the log differs (-running +fresh):\n%s", diff)
		}
	})
}

func TestSnapshotsSpareTheFold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 80 {
				w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"})
			}
		})
	}
	wg.Wait()
	// The first start folds the log and stores the result, the second one uses it.
	for restart := range 2 {
		w.seq.Stop()
		w.seq = sequence(t, commands.Config{Store: w.store})
		want := int64(32*80 + 1 + restart)
		if r := w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"}); r.Ticket.Number != want || r.Ticket.ID != want {
			t.Errorf("restart %d: ticket %d number %d, want %d", restart, r.Ticket.ID, r.Ticket.Number, want)
		}
		var n int
		if err := w.store.Reader().QueryRowContext(t.Context(), `SELECT count(*) FROM snapshots`).Scan(&n); err != nil || n != 2 {
			t.Fatalf("%d snapshots, %v, want one of the board and one of the directory", n, err)
		}
	}
}

func TestWarmSparesTheFirstCommandTheFold(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			for range 70 {
				w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"})
			}
		})
	}
	wg.Wait()
	w.seq.Stop()
	for range 2 { // without a stored snapshot, then with one
		seq, err := commands.New(commands.Config{Store: w.store})
		if err == nil {
			err = seq.Warm(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		var position int64
		if err := w.store.Reader().QueryRowContext(t.Context(), `SELECT position FROM snapshots WHERE stream = 'directory'`).Scan(&position); err != nil || position < 2100 {
			t.Errorf("stored directory at %d, %v, want it at the head", position, err)
		}
		seq.Start()
		w.seq = seq
		w.must(t, ada, commands.CreateTicket{Board: "WEB", Title: "T"})
		seq.Stop()
	}
}
