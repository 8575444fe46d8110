package commands

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// Redact takes texts or a person's name out of the log for good; admins only. It
// names one target: a ticket, a user, a comment, or the events From to To. It is
// not part of POST /api/commands, because whoever asks must also wait until
// nothing is left of what was removed.
type Redact struct {
	Ticket Ref `json:"ticket,omitempty"`
	User   Ref `json:"user,omitempty"`
	// Comment is the id of one.
	Comment int64 `json:"comment,omitempty"`
	From    int64 `json:"from,omitempty"`
	To      int64 `json:"to,omitempty"`
	// Texts takes what the user wrote along with the name.
	Texts  bool   `json:"texts,omitempty"`
	Reason string `json:"reason"`
}

// CommandType is Command.
func (Redact) CommandType() string         { return "redact" }
func (Redact) target() (board, ticket Ref) { return "", "" }

const (
	// MaxRedacted is how many events one redaction empties at most; for more it is
	// asked for again.
	MaxRedacted = 50_000
	// redactedPerEvent keeps a data_redacted event below what the bus carries.
	redactedPerEvent = 2000
)

// RedactionPlan is what a redaction will empty.
type RedactionPlan struct {
	Target string         `json:"target"` // ticket/12, comment/7, user/3, events/5-9
	Items  []RedactedItem `json:"events"` // in order of position
	// Names is the number of events whose actor's name goes; OldNames is of those
	// that keep it, because they were written before names could be erased.
	Names    int64 `json:"names"`
	OldNames int64 `json:"old_names"`
	// More says that there is more than one redaction takes: ask again after it.
	More bool `json:"more"`

	userID   int64
	userName string
	groups   map[redactionGroup][]events.Emptied
}

// RedactedItem is one event that a redaction empties.
type RedactedItem struct {
	Position int64       `json:"position"`
	Type     events.Type `json:"type"`
	BoardID  int64       `json:"board_id,omitempty"`
	TicketID int64       `json:"ticket_id,omitempty"`
}

// redactionGroup is what one data_redacted event is about; it stands on the
// stream of its board, so that everybody who may see the board learns of it.
type redactionGroup struct{ board, ticket int64 }

// eventReader is the part of events.Reader and events.Tx that a plan needs.
type eventReader interface {
	Read(ctx context.Context, q events.Query) ([]events.Envelope, error)
}

// PlanRedaction finds out what a redaction would empty, without changing
// anything. Who may ask is for the caller to decide. A user is looked for in the
// whole log, which takes seconds per million events.
func PlanRedaction(ctx context.Context, log eventReader, c Redact) (*RedactionPlan, error) {
	targets := 0
	for _, given := range []bool{c.Ticket != "", c.User != "", c.Comment != 0, c.From != 0 || c.To != 0} {
		if given {
			targets++
		}
	}
	if targets != 1 {
		return nil, invalid("target", "must be one of ticket, user, comment, or from and to")
	}
	if c.Texts && c.User == "" {
		return nil, invalid("texts", "goes with a user; the other targets are texts")
	}
	p := &RedactionPlan{Items: []RedactedItem{}, groups: map[redactionGroup][]events.Emptied{}}
	var err error
	switch {
	case c.Ticket != "":
		err = p.ticket(ctx, log, c.Ticket)
	case c.Comment != 0:
		err = p.comment(ctx, log, c.Comment)
	case c.User != "":
		err = p.user(ctx, log, c.User, c.Texts)
	default:
		err = p.span(ctx, log, c.From, c.To)
	}
	return p, err
}

// touch makes sure that there is a data_redacted event for a group, even one that
// empties nothing.
func (p *RedactionPlan) touch(g redactionGroup) {
	if _, ok := p.groups[g]; !ok {
		p.groups[g] = nil
	}
}

// take plans one event.
func (p *RedactionPlan) take(e *events.Envelope, x events.Erasure, g redactionGroup) error {
	if e.Type == events.TypeDataRedacted || e.Redacted() && e.Kept == nil {
		return nil // says what is gone; is gone as a whole
	}
	left, changed, err := x.Of(e)
	if err != nil || !changed {
		return err
	}
	if len(p.Items) >= MaxRedacted {
		p.More = true
		return nil
	}
	p.groups[g] = append(p.groups[g], left)
	p.Items = append(p.Items, RedactedItem{Position: e.Position, Type: e.Type, BoardID: e.BoardID, TicketID: e.TicketID})
	return nil
}

func (p *RedactionPlan) ticket(ctx context.Context, log eventReader, ref Ref) error {
	id := ref.ID()
	if id == 0 {
		var err error
		if id, err = ticketByKey(ctx, log, string(ref)); err != nil {
			return err
		}
	}
	found := false
	for e, err := range events.All(ctx, log, events.Query{TicketID: id}) {
		if err != nil {
			return err
		}
		found = true
		if err := p.take(e, events.Erasure{Texts: true}, redactionGroup{e.BoardID, id}); err != nil {
			return err
		}
	}
	if !found || id == 0 {
		return errNoTicket
	}
	p.Target = fmt.Sprintf("ticket/%d", id)
	return nil
}

// ticketByKey finds a ticket in the log, where deleted ones are too.
func ticketByKey(ctx context.Context, log eventReader, key string) (int64, error) {
	for e, err := range events.All(ctx, log, events.Query{Types: []events.Type{events.TypeTicketCreated}}) {
		if err != nil {
			return 0, err
		}
		if f, ok := factOf(e).(events.TicketCreated); ok && strings.EqualFold(f.Key, key) {
			return e.TicketID, nil
		}
	}
	return 0, nil
}

func (p *RedactionPlan) comment(ctx context.Context, log eventReader, id int64) error {
	q := events.Query{Types: []events.Type{events.TypeCommentAdded}}
	for e, err := range events.All(ctx, log, q) {
		if err != nil {
			return err
		}
		f, ok := factOf(e).(events.CommentAdded)
		if !ok || f.CommentID != id {
			continue
		}
		p.Target = fmt.Sprintf("comment/%d", id)
		for e, err := range events.All(ctx, log, events.Query{TicketID: e.TicketID}) {
			if err != nil {
				return err
			}
			if err := p.take(e, events.Erasure{CommentID: id}, redactionGroup{e.BoardID, e.TicketID}); err != nil {
				return err
			}
		}
		return nil
	}
	return events.Errorf(events.CodeNotFound, "There is no comment %d.", id)
}

func (p *RedactionPlan) user(ctx context.Context, log eventReader, ref Ref, texts bool) error {
	registered := events.Query{Types: []events.Type{events.TypeUserRegistered}}
	for e, err := range events.All(ctx, log, registered) {
		if err != nil {
			return err
		}
		f, ok := factOf(e).(events.UserRegistered)
		if ok && (ref.ID() == f.UserID || ref.ID() == 0 && strings.EqualFold(f.Name, string(ref))) {
			p.userID, p.userName = f.UserID, f.Name
			break
		}
	}
	if p.userID == 0 {
		return events.Errorf(events.CodeNotFound, "There is no user %s.", quote(cut(string(ref))))
	}
	p.Target = fmt.Sprintf("user/%d", p.userID)
	p.touch(redactionGroup{}) // on the user's own stream
	erased := events.ErasedName(p.userID)
	for e, err := range events.All(ctx, log, events.Query{}) {
		if err != nil {
			return err
		}
		group := redactionGroup{board: e.BoardID}
		own := e.Actor.ID == p.userID && e.Actor.Kind != events.System
		if own && e.Actor.Name != erased {
			if e.Chain > 1 {
				p.Names++
				p.touch(group)
			} else {
				p.OldNames++
			}
		}
		// The user's own stream tells the name by which the rest is found: it comes
		// last, and not before everything else went.
		if e.Stream == events.UserStream(p.userID) {
			continue
		}
		if err := p.take(e, events.Erasure{UserID: p.userID, UserName: p.userName, Texts: texts && own}, group); err != nil {
			return err
		}
	}
	for e, err := range events.All(ctx, log, events.Query{Stream: events.UserStream(p.userID)}) {
		if err != nil {
			return err
		}
		if p.More {
			break
		}
		if err := p.take(e, events.Erasure{UserID: p.userID, UserName: p.userName, Texts: texts}, redactionGroup{}); err != nil {
			return err
		}
	}
	slices.SortFunc(p.Items, func(a, b RedactedItem) int { return cmp.Compare(a.Position, b.Position) })
	for _, list := range p.groups {
		slices.SortFunc(list, func(a, b events.Emptied) int { return cmp.Compare(a.Position, b.Position) })
	}
	return nil
}

func (p *RedactionPlan) span(ctx context.Context, log eventReader, from, to int64) error {
	if from < 1 || to < from {
		return invalid("from", "must be a position, and to one that is not before it")
	}
	p.Target = fmt.Sprintf("events/%d-%d", from, to)
	found := false
	for e, err := range events.All(ctx, log, events.Query{After: from - 1, UpTo: to}) {
		if err != nil {
			return err
		}
		found = true
		if err := p.take(e, events.Erasure{Texts: true, Names: true}, redactionGroup{board: e.BoardID}); err != nil {
			return err
		}
	}
	if !found {
		return events.Errorf(events.CodeNotFound, "There are no events from %d to %d.", from, to)
	}
	return nil
}

// empty reports whether there is nothing to do.
func (p *RedactionPlan) empty() bool { return len(p.Items) == 0 && p.Names == 0 }

// facts are the data_redacted events; the one that is on no board is the last.
func (p *RedactionPlan) facts(reason string) []decided {
	groups := slices.SortedFunc(maps.Keys(p.groups), func(a, b redactionGroup) int { return cmp.Compare(b.board, a.board) })
	var facts []decided
	for _, g := range groups {
		stream := events.SystemStream
		switch {
		case g.board != 0:
			stream = events.BoardStream(g.board)
		case p.userID != 0:
			stream = events.UserStream(p.userID)
		}
		rest := p.groups[g]
		for first := true; first || len(rest) > 0; first = false {
			part := append([]events.Emptied{}, rest[:min(len(rest), redactedPerEvent)]...)
			rest = rest[len(part):]
			facts = append(facts, decided{stream: stream, board: g.board, ticket: g.ticket, fact: events.DataRedacted{
				Target: p.Target, Reason: reason, Events: part, UserID: p.userID,
			}})
		}
	}
	return facts
}

// redact carries out a Redact.
func (w *work) redact(c *call, cmd Redact) error {
	d := w.decision(c)
	if !d.admin() {
		return events.Errorf(events.CodeForbidden, "Only an admin may redact, with a token that is not limited. Ask one.")
	}
	var check checker
	reason := check.line("reason", cmd.Reason, MaxName, true)
	if err := check.err(); err != nil {
		return err
	}
	plan, err := PlanRedaction(w.ctx, w.tx, cmd)
	if err != nil {
		return err
	}
	var facts []decided
	if plan.userID != 0 {
		if facts, err = d.leave(plan.userID); err != nil {
			return err
		}
	}
	if plan.empty() && len(facts) == 0 {
		return events.Errorf(events.CodeConflict, "Nothing is left to redact: %s has no text any more.", plan.Target)
	}
	facts = append(facts, plan.facts(reason)...)
	for _, f := range facts {
		if f.board == 0 {
			continue
		}
		if _, err := w.loadBoard(f.board); err != nil { // for its version
			return err
		}
	}
	w.forget = true
	return w.appendAll(c, cmd, facts)
}

// leave ends the access of a user whose name is to go.
func (d *decision) leave(id int64) ([]decided, error) {
	if d.meta.Actor.ID == id {
		return nil, events.Errorf(events.CodeConflict, "You cannot redact yourself. Ask another admin.")
	}
	u := d.dir.Users[id]
	if u == nil || !u.Active {
		return nil, nil
	}
	if u.Admin {
		if err := d.otherAdmin(id); err != nil {
			return nil, err
		}
	}
	return onUser(id, events.UserDeactivated{UserID: id}), nil
}

// byThemselves cuts a batch so that a redaction is alone: those before it must be
// committed to be read, and those after it must not decide on what it removed.
func byThemselves(batch []*call) [][]*call {
	var parts [][]*call
	begin := 0
	for i, c := range batch {
		if !c.redacts() {
			continue
		}
		if i > begin {
			parts = append(parts, batch[begin:i])
		}
		parts, begin = append(parts, batch[i:i+1]), i+1
	}
	if begin < len(batch) {
		parts = append(parts, batch[begin:])
	}
	return parts
}

func (c *call) redacts() bool {
	return slices.ContainsFunc(c.commands, func(cmd Command) bool { _, ok := cmd.(Redact); return ok })
}
