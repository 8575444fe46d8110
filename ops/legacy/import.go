package legacy

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// Commands is the way to write: the Sequencer.
type Commands interface {
	// Do carries out commands as one; a refusal is an *events.Error.
	Do(ctx context.Context, meta commands.Meta, cmds ...commands.Command) (commands.Receipt, error)
}

// Options of an import.
type Options struct {
	// Progress is called now and then with how many of the commands are done.
	Progress func(done, total int)
}

// run carries out a plan.
type run struct {
	commands Commands
	log      events.Reader
	plan     *plan
	sha      events.Hash
	keepIDs  bool

	boards, tickets, comments map[int64]int64 // id in the file to id in the log
	columns                   map[int64]map[string]int64
	users                     map[*person]int64
}

// Inspect reads the file at path and reports what an import would find and
// repair. It writes nothing.
func Inspect(ctx context.Context, path string) (*Report, error) {
	src, err := read(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	p := newPlan(src)
	p.report.DryRun, p.report.Commands = true, len(p.steps)+1
	return p.report, nil
}

// Import turns the database at path into commands to c; log is the log that c
// appends to. A file that is no such database gives ErrNotLegacy before
// anything is written. After any other error the report tells how far it came,
// and the same call goes on from there.
func Import(ctx context.Context, path string, c Commands, log events.Reader, opts Options) (*Report, error) {
	start := time.Now()
	src, err := read(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	r := &run{
		commands: c, log: log, plan: newPlan(src), sha: src.sha,
		boards: map[int64]int64{}, tickets: map[int64]int64{}, comments: map[int64]int64{},
		columns: map[int64]map[string]int64{}, users: map[*person]int64{},
	}
	if r.keepIDs, err = r.mayKeepIDs(ctx); err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	report := r.plan.report
	err = r.all(ctx, opts)
	report.Mapping = r.mapping()
	report.Took = time.Since(start)
	if err != nil {
		return report, fmt.Errorf("import %s: %w (what was done stays; run it again to go on)", src.name, err)
	}
	if report.Head, err = log.Head(ctx); err != nil {
		return report, fmt.Errorf("import %s: %w", src.name, err)
	}
	return report, nil
}

// correlation groups the events of this import in the log.
func (r *run) correlation() string { return "import:" + r.sha.String() }

// mayKeepIDs reports whether the first board of the log is from this import, or
// there is none. It must not depend on how far an earlier run came.
func (r *run) mayKeepIDs(ctx context.Context) (bool, error) {
	first, err := r.log.Read(ctx, events.Query{Types: []events.Type{events.TypeBoardCreated}, Limit: 1})
	if err != nil {
		return false, err
	}
	return len(first) == 0 || first[0].CorrelationID == r.correlation(), nil
}

// keep returns the id to ask for, 0 for a new one.
func (r *run) keep(id int64) int64 {
	if r.keepIDs {
		return id
	}
	return 0
}

// column is the reference to a board's column by its id, because a name might
// be taken for one.
func (r *run) column(board int64, name string) commands.Ref {
	return commands.RefID(r.columns[board][name])
}

func (r *run) all(ctx context.Context, opts Options) error {
	total := len(r.plan.steps) + 1
	for i := range r.plan.steps {
		s := &r.plan.steps[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.issue(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.row, err)
		}
		if opts.Progress != nil && i%100 == 0 {
			opts.Progress(i, total)
		}
	}
	counts := r.plan.report.Counts
	_, err := r.do(ctx, "log", time.Time{}, events.SystemActor, commands.ImportLog{LogImported: events.LogImported{
		Source: r.plan.report.Source, SHA256: r.sha.String(), Boards: counts.Boards, Tickets: counts.Tickets,
		Comments: counts.Comments, History: counts.History, Repairs: len(r.plan.report.Findings),
	}})
	if err != nil {
		return fmt.Errorf("record the import: %w", err)
	}
	if opts.Progress != nil {
		opts.Progress(total, total)
	}
	return nil
}

// issue carries out one step and learns the ids it brought.
func (r *run) issue(ctx context.Context, s *step) error {
	receipt, err := r.do(ctx, s.row, s.at, r.actor(s.actor), s.build(r))
	if refused := (*events.Error)(nil); errors.As(err, &refused) {
		switch {
		case s.create == createPerson && refused.Code == events.CodeNameTaken:
			// Somebody else has the name: rows show under it, but are not theirs.
			r.plan.find(Finding{Trouble: BadName, Found: s.who.name, Now: s.who.name, Detail: fmt.Sprintf(
				"the name %q was taken before the import: imported rows show it, without being tied to that account", s.who.name)})
			return nil
		case s.create != createNothing:
			return err
		case refused.Code == events.CodeInvalid || refused.Code == events.CodeConflict || refused.Code == events.CodeNotFound || refused.Code == events.CodeArchived:
			r.plan.find(Finding{Trouble: Refused, Ticket: s.ticket, Row: s.row, Detail: "left out: " + refused.Message})
			return nil
		}
	}
	if err != nil || s.create == createNothing {
		return err
	}
	caused, err := r.caused(ctx, s.row, receipt)
	if err != nil {
		return err
	}
	return r.learn(s, caused)
}

func (r *run) actor(who *person) events.Actor {
	if who == nil {
		return events.SystemActor
	}
	return events.Actor{Kind: who.kind, ID: r.users[who], Name: who.name}
}

// commandID is the fingerprint of the file and the row.
func (r *run) commandID(row string) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte("agent-kanban "+r.sha.String()+" "+row)).String()
}

func (r *run) do(ctx context.Context, row string, at time.Time, actor events.Actor, cmd commands.Command) (commands.Receipt, error) {
	id := r.commandID(row)
	receipt, err := r.commands.Do(ctx, commands.Meta{
		CommandID: id, Actor: actor, CorrelationID: r.correlation(), At: at, Trusted: true,
		// What a row asks for follows from its id; the sum must not follow from
		// the ids that the log happened to give.
		RequestSHA: sha256.Sum256([]byte(id)),
	}, cmd)
	if err != nil {
		return receipt, err
	}
	report := r.plan.report
	report.Commands++
	if receipt.Repeated {
		report.Repeated++
	} else {
		report.Events += len(receipt.Events)
	}
	return receipt, nil
}

// caused returns the events of a command. A repeated one has them in the log,
// at its position and just before.
func (r *run) caused(ctx context.Context, row string, receipt commands.Receipt) ([]events.Envelope, error) {
	if len(receipt.Events) > 0 || !receipt.Repeated {
		return receipt.Events, nil
	}
	const most = 4 // a creation causes one event, or two with a first member
	page, err := r.log.Read(ctx, events.Query{After: max(0, receipt.Position-most), UpTo: receipt.Position})
	if err != nil {
		return nil, err
	}
	id, own := r.commandID(row), page[:0]
	for _, e := range page {
		if e.CommandID == id {
			own = append(own, e)
		}
	}
	return own, nil
}

// learn takes the ids from the events of a creation.
func (r *run) learn(s *step, caused []events.Envelope) error {
	for i := range caused {
		fact, err := caused[i].Payload()
		if err != nil {
			return fmt.Errorf("position %d: %w", caused[i].Position, err)
		}
		switch f := fact.(type) {
		case events.BoardCreated:
			r.boards[s.id] = caused[i].BoardID
			r.columns[s.id] = map[string]int64{}
			for _, c := range f.Columns {
				r.columns[s.id][c.Name] = c.ID
			}
			return nil
		case events.ColumnAdded:
			r.columns[s.id][f.Column.Name] = f.Column.ID
			return nil
		case events.TicketCreated:
			r.tickets[s.id] = caused[i].TicketID
			return nil
		case events.CommentAdded:
			r.comments[s.id] = f.CommentID
			return nil
		case events.UserRegistered:
			r.users[s.who] = f.UserID
			return nil
		default: // facts that come along with a creation
		}
	}
	return errors.New("the log does not say what was created")
}

// mapping tells the ids in the log, and reports those that could not be kept.
func (r *run) mapping() Mapping {
	m := Mapping{KeptIDs: r.keepIDs, Users: map[string]int64{}}
	for who, id := range r.users {
		m.Users[who.name] = id
	}
	for _, ids := range []map[int64]int64{r.boards, r.tickets, r.comments} {
		for old, id := range ids {
			m.KeptIDs = m.KeptIDs && old == id
		}
	}
	if !m.KeptIDs {
		m.Boards, m.Tickets, m.Comments = r.boards, r.tickets, r.comments
		if r.keepIDs {
			r.plan.find(Finding{Trouble: NewID, Detail: "some ids were taken, or do not ascend with time: see the mapping"})
		}
	}
	return m
}
