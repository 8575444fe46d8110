package projections

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// checks is how many random histories are drawn where -rapid.checks does not
// say: under the race detector each costs most of a second.
const checks = "30"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", checks); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// epoch is when the histories of the tests begin.
var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

func open(t testing.TB) *sqlstore.DB {
	t.Helper()
	db, err := sqlstore.Open(t.Context(), sqlstore.Options{Path: filepath.Join(t.TempDir(), "test.db"), Create: true})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

// fataler is what testing.TB and *rapid.T share.
type fataler interface {
	Fatalf(format string, args ...any)
}

// script seals facts into a log, keeping count of positions and versions.
type script struct {
	head     events.Head
	versions map[string]int64
	now      time.Time
	actor    events.Actor
	log      []events.Envelope
}

func newScript() *script {
	return &script{versions: map[string]int64{}, now: epoch, actor: events.Actor{Kind: events.Human, ID: 1, Name: "ann"}}
}

// add appends one fact: about a ticket where ticket > 0, about a board where
// board > 0, else about user 1.
func (s *script) add(t fataler, board, ticket int64, fact events.Event) *events.Envelope {
	stream := events.BoardStream(board)
	if board == 0 {
		stream = events.SystemStream
		switch f := fact.(type) {
		case events.UserRegistered:
			stream = events.UserStream(f.UserID)
		case events.UserUpdated:
			stream = events.UserStream(f.UserID)
		case events.UserDeactivated:
			stream = events.UserStream(f.UserID)
		default: // no other fact is about a user
		}
	}
	s.now = s.now.Add(1500 * time.Microsecond)
	s.versions[stream]++
	e, err := events.Seal(s.head, events.Envelope{
		Stream: stream, Version: s.versions[stream], ID: fmt.Sprintf("id-%d", s.head.Position+1), RecordedAt: s.now,
		Actor: s.actor, CommandID: fmt.Sprintf("command-%d", s.head.Position+1), BoardID: board, TicketID: ticket,
	}, fact)
	if err != nil {
		t.Fatalf("seal: %v", err)
	}
	e.Prepare()
	s.head = e.Head()
	s.log = append(s.log, e)
	return &s.log[len(s.log)-1]
}

// store moves what the script holds to the end of db.
func (s *script) store(t testing.TB, db *sqlstore.DB) {
	t.Helper()
	tx, err := db.Begin(t.Context())
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	defer func() { _ = tx.Rollback() }()
	for rest := s.log; len(rest) > 0; {
		n := min(1000, len(rest))
		if err := tx.Append(t.Context(), rest[:n]); err != nil {
			t.Fatalf("append: %v", err)
		}
		rest = rest[n:]
	}
	if err := tx.Commit(); err != nil {
		t.Fatalf("commit: %v", err)
	}
	s.log = s.log[:0]
}

func defaultBoard() events.BoardCreated {
	five := 5
	return events.BoardCreated{
		Key: "WEB", Name: "Website", Visibility: events.Private, MaxClaims: 3,
		Columns: []events.Column{
			{ID: 1, Name: "Not Started", Kind: events.Backlog},
			{ID: 2, Name: "In Progress", Kind: events.Active, WIPLimit: &five},
			{ID: 3, Name: "Done", Kind: events.Done},
		},
	}
}

func ticketCreated(n int64) events.TicketCreated {
	return events.TicketCreated{
		Number: n, Key: fmt.Sprintf("WEB-%d", n), Title: fmt.Sprintf("Ticket %d", n), Description: "Say what is to be done.",
		Priority: events.Medium, Labels: []string{}, ColumnID: 1, Column: "Not Started", Rank: fmt.Sprintf("a%08d", n),
	}
}

// config returns what a Runner on db needs, without a subscription.
func config(db *sqlstore.DB) Config {
	return Config{
		DB: db.Writer(), Update: db.UpdateRelaxed, Log: db, Watermark: NewWatermark(), Backoff: time.Microsecond,
		Subscribe: func(int64) Subscription { return idle{} },
	}
}

// idle is a Subscription without events.
type idle struct{}

func (idle) Pending() bool { return false }

func (idle) Next(ctx context.Context) ([]events.Envelope, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// applied is a Runner that was prepared, not started: tests hand it batches.
func prepared(t testing.TB, c Config) *Runner {
	t.Helper()
	r, err := NewRunner(c)
	if err != nil {
		t.Fatalf("new runner: %v", err)
	}
	if err := r.prepare(t.Context()); err != nil {
		t.Fatalf("prepare: %v", err)
	}
	t.Cleanup(func() {
		if err := r.views.close(); err != nil {
			t.Errorf("close statements: %v", err)
		}
	})
	return r
}

// deliver projects one batch.
func deliver(t testing.TB, r *Runner, batch []events.Envelope) {
	t.Helper()
	if err := r.project(t.Context(), batch, idle{}); err != nil {
		t.Fatalf("project: %v", err)
	}
}

// redact takes the data of an event away, as it would be read from the log.
func redact(e *events.Envelope) {
	*e = events.Envelope{
		Position: e.Position, Stream: e.Stream, Version: e.Version, Type: e.Type, Schema: e.Schema, ID: e.ID,
		RecordedAt: e.RecordedAt, Actor: e.Actor, CommandID: e.CommandID, BoardID: e.BoardID, TicketID: e.TicketID,
		DataSHA: e.DataSHA, Hash: e.Hash,
	}
}

// memory is a log in memory.
type memory []events.Envelope

func (m memory) Head(context.Context) (events.Head, error) {
	if len(m) == 0 {
		return events.Head{}, nil
	}
	return m[len(m)-1].Head(), nil
}

func (m memory) LogID() string { return "test" }

func (m memory) Read(_ context.Context, q events.Query) ([]events.Envelope, error) {
	var page []events.Envelope
	for _, e := range m {
		if e.Position > q.After && (q.UpTo == 0 || e.Position <= q.UpTo) && (q.Until.IsZero() || !e.RecordedAt.After(q.Until)) &&
			(q.Stream == "" || e.Stream == q.Stream && e.Version > q.AfterVersion) {
			page = append(page, e)
		}
		if q.Limit > 0 && len(page) == q.Limit {
			break
		}
	}
	return slices.Clip(page), nil
}
