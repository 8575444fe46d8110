package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// Redacted stands where a text was removed from the log on purpose.
const Redacted = events.RedactedText

// UpdateFunc runs fn in one write transaction and commits it when fn returns
// nil. It waits for its turn among the writers of the file.
type UpdateFunc func(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error

// Projector keeps the rows of one view.
type Projector interface {
	// Name is the view's name.
	Name() string
	// Tables are those it alone writes to (but for what comments and dependencies
	// keep in tickets).
	Tables() []string
	// Apply changes the rows by one event. An error means that this event cannot
	// be applied, or that the database failed.
	Apply(ctx context.Context, tx *Tx, c Change) error
}

// flusher is a Projector that keeps rows back, to write many at once.
type flusher interface {
	// Flush writes them; it is called before the transaction commits.
	Flush(ctx context.Context, tx *Tx) error
}

var _ flusher = (*history)(nil)

// Change is one event on its way into rows.
type Change struct {
	*events.Envelope
	// Fact is the payload, nil where it was redacted and the type says too
	// little without it.
	Fact events.Event
	// At is RecordedAt as rows hold it.
	At string
}

// statement is an index into the statements of a views.
type statement int

// views is the set of projectors with their prepared statements. The names of
// the tables carry a suffix: "" for the live ones, "_shadow" during a rebuild.
type views struct {
	projectors []Projector
	known      map[events.Type]bool
	stmts      []*sql.Stmt
}

// preparer collects the statements of the projectors. The first error sticks.
type preparer struct {
	ctx   context.Context
	db    *sql.DB
	names *strings.Replacer
	views *views
	err   error
}

// tables lists every table that is rebuilt, in the order of their definitions.
var tables = []string{"boards", "columns", "members", "tickets", "comments", "ticket_history", "users", "dependencies", "usage", "work", "claims"}

func tableNames(suffix string) *strings.Replacer {
	var pairs []string
	for _, name := range tables {
		pairs = append(pairs, "{"+name+"}", name+suffix)
	}
	return strings.NewReplacer(pairs...)
}

// newViews prepares every statement on db, which must be the pool that the
// transactions of Update come from.
func newViews(ctx context.Context, db *sql.DB, suffix string) (*views, error) {
	v := &views{known: map[events.Type]bool{}}
	for _, t := range events.Types() {
		v.known[t] = true
	}
	p := &preparer{ctx: ctx, db: db, names: tableNames(suffix), views: v}
	// The order matters: history reads a ticket before it changes, a deleted board
	// takes its comments along by way of its tickets, and whether a ticket is done
	// depends on the kind of its column.
	v.projectors = []Projector{newHistory(p), newComments(p), newBoards(p), newTickets(p), newDependencies(p), newUsers(p), newWork(p), newClaims(p)}
	if p.err != nil {
		return nil, errors.Join(p.err, v.close())
	}
	return v, nil
}

// prepare adds a statement; table names are written {tickets}.
func (p *preparer) prepare(text string) statement {
	if p.err != nil {
		return 0
	}
	stmt, err := p.db.PrepareContext(p.ctx, p.names.Replace(text)) //nolint:sqlclosecheck // views.close does
	if err != nil {
		p.err = fmt.Errorf("prepare %q: %w", text, err)
		return 0
	}
	p.views.stmts = append(p.views.stmts, stmt)
	return statement(len(p.views.stmts) - 1)
}

func (v *views) close() error {
	var errs []error
	for _, stmt := range v.stmts {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

// Tx is one transaction with the prepared statements bound to it as they are
// needed.
type Tx struct {
	sql   *sql.Tx
	views *views
	bound []*sql.Stmt
	lines []any // rows of history that Flush writes
}

func (v *views) begin(tx *sql.Tx) *Tx {
	return &Tx{sql: tx, views: v, bound: make([]*sql.Stmt, len(v.stmts))}
}

func (t *Tx) stmt(ctx context.Context, s statement) *sql.Stmt {
	if t.bound[s] == nil {
		t.bound[s] = t.sql.StmtContext(ctx, t.views.stmts[s])
	}
	return t.bound[s]
}

func (t *Tx) exec(ctx context.Context, s statement, args ...any) error {
	_, err := t.stmt(ctx, s).ExecContext(ctx, args...) //nolint:sqlclosecheck // ends with the transaction
	return err
}

// changed is exec that reports whether there was a row for it.
func (t *Tx) changed(ctx context.Context, s statement, args ...any) (bool, error) {
	result, err := t.stmt(ctx, s).ExecContext(ctx, args...) //nolint:sqlclosecheck // ends with the transaction
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	return rows > 0, err
}

func (t *Tx) queryRow(ctx context.Context, s statement, args ...any) *sql.Row {
	return t.stmt(ctx, s).QueryRowContext(ctx, args...) //nolint:sqlclosecheck // ends with the transaction
}

// apply brings one event into the rows of every view. A panic becomes an error.
// It returns events.ErrUnknownType where the type or its schema is unknown.
func (v *views) apply(ctx context.Context, tx *Tx, e *events.Envelope) error {
	c, err := v.decode(e)
	if err != nil {
		return err
	}
	return v.write(ctx, tx, c)
}

// decode is the part of apply that needs no transaction.
func (v *views) decode(e *events.Envelope) (c Change, err error) {
	defer recovered(&err)
	fact, err := payload(e, v.known)
	return Change{Envelope: e, Fact: fact, At: readmodel.FormatTime(e.RecordedAt)}, err
}

// write is the part of apply that needs the transaction.
func (v *views) write(ctx context.Context, tx *Tx, c Change) (err error) {
	defer recovered(&err)
	for _, p := range v.projectors {
		if err := p.Apply(ctx, tx, c); err != nil {
			return fmt.Errorf("%s: %w", p.Name(), err)
		}
	}
	return nil
}

// flush writes what the projectors kept back.
func (v *views) flush(ctx context.Context, tx *Tx) error {
	for _, p := range v.projectors {
		if f, ok := p.(flusher); ok {
			if err := f.Flush(ctx, tx); err != nil {
				return fmt.Errorf("%s: %w", p.Name(), err)
			}
		}
	}
	return nil
}

// recovered makes a panic an error; it must be deferred itself.
func recovered(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
	}
}

// payload decodes the fact. A redacted one is nil, unless its type says it all.
func payload(e *events.Envelope, known map[events.Type]bool) (events.Event, error) {
	fact, err := e.Payload()
	if !errors.Is(err, events.ErrRedacted) {
		return fact, err
	}
	if !known[e.Type] {
		return nil, fmt.Errorf("redacted %s: %w", e.Type, events.ErrUnknownType)
	}
	switch e.Type {
	case events.TypeBoardArchived:
		return events.BoardArchived{}, nil
	case events.TypeBoardRestored:
		return events.BoardRestored{}, nil
	case events.TypeBoardDeleted:
		return events.BoardDeleted{}, nil
	case events.TypeTicketArchived:
		return events.TicketArchived{}, nil
	case events.TypeTicketDeleted:
		return events.TicketDeleted{}, nil
	case events.TypeTicketReleased:
		return events.TicketReleased{}, nil
	case events.TypeLeaseExpired:
		return events.LeaseExpired{}, nil
	case events.TypeUserDeactivated:
		return events.UserDeactivated{UserID: events.StreamID(e.Stream)}, nil
	}
	return nil, nil
}

// orNull makes "" NULL.
func orNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}
