package commands

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/agent-kanban/agent-kanban/events"
)

// work is one transaction of the Sequencer.
type work struct {
	ctx     context.Context
	tx      events.Tx
	state   *state
	now     time.Time
	at      time.Time     // on a clock that never jumps; see Sequencer.steady
	min     time.Duration // of a lease
	quiet   time.Time     // until then no lease ends
	head    events.Head   // of the log with pending
	pending []events.Envelope
	records []events.CommandRecord
	beats   []events.Heartbeat // to save
	hooks   []*call
	touched map[int64]struct{} // boards with pending events
	folded  int                // events read to catch up
	forget  bool               // what is folded holds what a redaction has removed
	again   bool               // a retry: what failed before may have been committed
}

// carryOut decides one call. A refusal is the call's own; an error is of the
// database and spoils the whole transaction.
func (w *work) carryOut(c *call) (refusal, err error) {
	if err := c.ctx.Err(); err != nil {
		return err, nil
	}
	actor := principal(c.meta.Actor)
	if !c.generated || w.again {
		rec, found, err := w.recorded(c.meta.CommandID, actor)
		if err != nil {
			return nil, err
		}
		if found {
			return w.repeat(c, rec)
		}
	}
	if refusal := w.authorise(c.meta); refusal != nil {
		return refusal, nil
	}
	if refusal := alone(c.commands); refusal != nil {
		return refusal, nil
	}
	first := len(w.pending)
	c.aliases = nil
	for _, cmd := range c.commands {
		err := w.carryOutOne(c, cmd)
		if refused(err) {
			return err, w.undo(first)
		}
		if err != nil {
			return nil, err
		}
	}
	w.finish(c, actor, first)
	return nil, nil
}

// alone refuses lists with a command that cannot be part of one: a heartbeat
// leaves nothing behind that could be taken back with the rest.
func alone(cmds []Command) error {
	for _, cmd := range cmds {
		if _, beat := cmd.(Heartbeat); beat && len(cmds) > 1 {
			return events.Errorf(events.CodeInvalid, "A heartbeat stands alone. Send it by itself.")
		}
		if _, redact := cmd.(Redact); redact && len(cmds) > 1 {
			return events.Errorf(events.CodeInvalid, "A redaction stands alone. Send it by itself.")
		}
	}
	return nil
}

// refused tells a refusal from an error of the database.
func refused(err error) bool {
	var e *events.Error
	return errors.As(err, &e) && e.Code != events.CodeUnavailable && e.Code != events.CodeStorageFull
}

// principal is the scope of command ids: two principals may use the same.
func principal(a events.Actor) string {
	if a.ID == 0 {
		return string(a.Kind) + ":" + a.Name
	}
	return string(a.Kind) + ":" + itoa(int(a.ID))
}

// authorise refuses accounts that were deactivated after they signed in.
func (w *work) authorise(m Meta) error {
	if m.Trusted {
		return nil
	}
	switch u := w.state.directory.Users[m.Actor.ID]; {
	case u == nil || !u.Active:
		return events.Errorf(events.CodeUnauthenticated, "This account is not active any more.")
	case u.Paused:
		return events.Errorf(events.CodePaused, "You were paused. Stop, and wait until an admin or a pm resumes you.")
	}
	return nil
}

func (w *work) recorded(id, actor string) (events.CommandRecord, bool, error) {
	for _, rec := range w.records {
		if rec.ID == id && rec.Actor == actor {
			return rec, true, nil
		}
	}
	return w.tx.Command(w.ctx, id, actor)
}

// repeat answers a command that was carried out before.
func (w *work) repeat(c *call, rec events.CommandRecord) (refusal, err error) {
	if rec.RequestSHA != c.meta.RequestSHA {
		return events.Errorf(events.CodeIdempotencyReused,
			"This Idempotency-Key was used for another request. Use a new key for a new request."), nil
	}
	c.receipt = Receipt{Stream: rec.Stream, Version: rec.Version, Position: rec.Last, Repeated: true}
	if rec.First == 0 {
		return nil, nil
	}
	for i := range w.pending {
		if p := w.pending[i].Position; p >= rec.First && p <= rec.Last {
			c.receipt.Events = append(c.receipt.Events, w.pending[i])
		}
	}
	if len(c.receipt.Events) > 0 {
		return nil, nil
	}
	for e, err := range events.All(w.ctx, w.tx, events.Query{After: rec.First - 1, UpTo: rec.Last}) {
		if err != nil {
			return nil, err
		}
		c.receipt.Events = append(c.receipt.Events, *e)
	}
	return nil, nil
}

// carryOutOne decides one command and evolves the state by its facts.
func (w *work) carryOutOne(c *call, cmd Command) error {
	if undo, ok := cmd.(UndoCommand); ok {
		return w.undoCommand(c, undo)
	}
	if redact, ok := cmd.(Redact); ok {
		return w.redact(c, redact)
	}
	if undo, ok := cmd.(UndoActor); ok {
		return w.undoActor(c, undo)
	}
	d := w.decision(c)
	id, about, err := w.target(c, cmd)
	if err != nil {
		return err
	}
	if about {
		if d.board, err = w.loadBoard(id); err != nil {
			return err
		}
		d.role = w.role(d.board, c.meta)
	}
	facts, err := d.decide(cmd)
	if err != nil {
		if _, onTicket := cmd.target(); onTicket != "" && d.role == events.NoRole {
			return errNoTicket
		}
		return err
	}
	if d.beat != nil {
		w.beats = append(w.beats, *d.beat)
		w.state.beats[d.beat.TicketID] = *d.beat
	}
	return w.appendAll(c, cmd, facts)
}

func (w *work) appendAll(c *call, cmd Command, facts []decided) error {
	for _, f := range facts {
		if err := w.append(c.meta, f); err != nil {
			return err
		}
	}
	if created, ok := cmd.(CreateTicket); ok && created.As != "" && len(facts) > 0 {
		if c.aliases == nil {
			c.aliases = map[string]int64{}
		}
		c.aliases[created.As] = facts[0].ticket
	}
	return nil
}

// decision is what the commands of a call may look at.
func (w *work) decision(c *call) decision {
	return decision{
		dir: w.state.directory, meta: c.meta, at: w.at, minLease: w.min, aliases: c.aliases, beats: w.state.beats,
		boardOf: func(id int64) (*board, events.Role, error) {
			b, err := w.loadBoard(id)
			if err != nil {
				return nil, events.NoRole, err
			}
			return b, w.role(b, c.meta), nil
		},
	}
}

func (w *work) role(b *board, m Meta) events.Role {
	if !b.exists() {
		return events.NoRole
	}
	if m.Trusted {
		return events.PM
	}
	u := w.state.directory.Users[m.Actor.ID]
	return events.EffectiveRole(b.role(m.Actor.ID), u != nil && u.Admin, b.info.Visibility, b.info.ID, m.Scope)
}

// append seals a fact as the next event and evolves the state by it.
func (w *work) append(m Meta, f decided) error {
	version, last := w.place(f)
	at := w.now
	if m.Trusted && !m.At.IsZero() {
		at = m.At
	}
	e, err := events.Seal(w.head, events.Envelope{
		Stream: f.stream, Version: version, ID: uuid.Must(uuid.NewV7()).String(),
		RecordedAt: later(at, last), // a clock that jumps back never reorders a stream
		Actor:      m.Actor, CommandID: m.CommandID, CorrelationID: m.CorrelationID, CausationID: m.CausationID,
		BoardID: f.board, TicketID: f.ticket,
	}, f.fact)
	if err != nil {
		return err
	}
	if f.board != 0 {
		if w.touched == nil {
			w.touched = map[int64]struct{}{}
		}
		w.touched[f.board] = struct{}{}
		if w.state.boards[f.board] == nil { // a board that is just being created
			w.state.boards[f.board] = newBoard(f.board)
		}
	}
	w.pending = append(w.pending, e)
	w.head = e.Head()
	w.state.evolve(&w.pending[len(w.pending)-1])
	return nil
}

// place returns the next version of a fact's stream and the time of its last event.
func (w *work) place(f decided) (version int64, last time.Time) {
	if f.board != 0 {
		if b := w.state.boards[f.board]; b != nil {
			return b.version + 1, b.lastAt
		}
		return 1, time.Time{}
	}
	if f.stream == events.SystemStream {
		return w.state.directory.SystemVersion + 1, w.state.directory.SystemAt
	}
	if u := w.state.directory.Users[events.StreamID(f.stream)]; u != nil {
		return u.Version + 1, u.LastAt
	}
	return 1, time.Time{}
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// finish fills in the receipt of an accepted call.
func (w *work) finish(c *call, actor string, first int) {
	r := Receipt{Position: w.head.Position}
	rec := events.CommandRecord{
		ID: c.meta.CommandID, Actor: actor, RequestSHA: c.meta.RequestSHA, Last: w.head.Position, RecordedAt: w.now,
	}
	if own := w.pending[first:]; len(own) > 0 {
		r.Events = own[:len(own):len(own)]
		last := &own[len(own)-1]
		r.Stream, r.Version = last.Stream, last.Version
		rec.First, rec.Stream, rec.Version = own[0].Position, last.Stream, last.Version
	}
	if !w.forget {
		w.picture(c, &r)
	}
	if _, beat := c.commands[0].(Heartbeat); !beat && (!c.generated || len(r.Events) > 0) {
		w.records = append(w.records, rec)
	}
	if c.meta.With != nil {
		w.hooks = append(w.hooks, c)
	}
	c.receipt = r
}

// picture copies the state of what a call was about into its receipt.
func (w *work) picture(c *call, r *Receipt) {
	last := c.commands[len(c.commands)-1]
	var boardID, ticketID int64
	if n := len(r.Events); n > 0 {
		boardID, ticketID = r.Events[n-1].BoardID, r.Events[n-1].TicketID
	} else {
		boardID, _, _ = w.target(c, last)
	}
	b := w.state.boards[boardID]
	if b == nil || !b.exists() {
		return
	}
	info := b.info
	r.Board = &info
	if _, onTicket := last.target(); ticketID == 0 && onTicket != "" {
		d := decision{board: b, aliases: c.aliases}
		if t := d.ticket(onTicket); t != nil {
			ticketID = t.ID
		}
	}
	if t := b.tickets[ticketID]; t != nil {
		copied := *t
		if h, ok := w.state.beats[t.ID]; ok && t.Lease != nil && h.Fence == t.Lease.Fence {
			lease := *t.Lease
			lease.ExpiresAt = h.ExpiresAt
			copied.Lease = &lease
		}
		r.Ticket = &copied
	}
}

// undo takes back what a refused call had already evolved: the pending events
// are cut, and what they touched is forgotten and folded again when needed.
func (w *work) undo(first int) error {
	cut := w.pending[first:]
	if len(cut) == 0 {
		return nil
	}
	w.pending = w.pending[:first:first]
	boards := w.state.boards
	for i := range cut {
		delete(boards, cut[i].BoardID)
		delete(w.state.located, cut[i].TicketID)
	}
	w.state.boards = nil // they are right already; only the directory is folded again
	err := w.refold()
	w.state.boards = boards
	w.head = w.tx.Head()
	if first > 0 {
		w.head = w.pending[first-1].Head()
	}
	return err
}

// refold brings the directory to the log's head and the pending events.
func (w *work) refold() error {
	w.state.directory, w.state.head = nil, events.Head{}
	if err := w.catchUp(); err != nil {
		return err
	}
	for i := range w.pending {
		w.state.evolve(&w.pending[i])
	}
	return nil
}

// commit makes the batch durable.
func (w *work) commit() error {
	if len(w.pending) > 0 {
		if err := w.tx.Append(w.ctx, w.pending); err != nil {
			return err
		}
	}
	for _, rec := range w.records {
		if err := w.tx.Record(w.ctx, rec); err != nil {
			return err
		}
	}
	if err := w.saveBeats(); err != nil {
		return err
	}
	for _, c := range w.hooks {
		if err := c.meta.With(w.ctx, w.tx.SQL(), c.receipt); err != nil {
			return fmt.Errorf("beside the events: %w", err)
		}
	}
	if len(w.pending)+len(w.records)+len(w.beats)+len(w.hooks) == 0 && w.folded < foldedMany {
		return w.tx.Rollback()
	}
	if !w.forget {
		if err := w.saveSnapshots(); err != nil {
			return err
		}
	}
	if err := w.tx.Commit(); err != nil {
		return err
	}
	for i := range w.pending {
		w.pending[i].Prepare()
	}
	w.state.evict()
	return nil
}
