package commands

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// decided is a fact that a decision came to, before it gets its place in the log.
type decided struct {
	stream string
	board  int64
	ticket int64
	fact   events.Event
}

// decision is everything that a decision may look at. Decisions are pure: they
// read this and return facts or a refusal.
type decision struct {
	dir   *directory
	meta  Meta
	board *board // nil for commands about users
	role  events.Role
	// at is the time on a clock that never jumps: what leases are reckoned by.
	at       time.Time
	minLease time.Duration
	// aliases are the tickets that earlier commands of the same list named.
	aliases map[string]int64
	// boardOf loads any board, with the actor's role on it, for commands that
	// span boards.
	boardOf func(board int64) (*board, events.Role, error)
	// beat is what a Heartbeat came to, besides facts.
	beat *events.Heartbeat
	// beats are the newest heartbeats, by ticket.
	beats map[int64]events.Heartbeat
}

// roleOn tells the actor's role on any board.
func (d *decision) roleOn(board int64) (events.Role, error) {
	_, role, err := d.boardOf(board)
	return role, err
}

// decide carries out the pure part of a command.
func (d *decision) decide(cmd Command) ([]decided, error) {
	if d.board != nil {
		return d.decideBoard(cmd)
	}
	switch c := cmd.(type) {
	case CreateBoard:
		return d.createBoard(c)
	case RegisterUser:
		return d.registerUser(c)
	case UpdateUser:
		return d.updateUser(c)
	case DeactivateUser:
		return d.deactivateUser(c)
	case IssueToken:
		return d.issueToken(c)
	case RevokeToken:
		return d.revokeToken(c)
	case PauseAgent:
		return d.pauseAgent(c)
	case ResumeAgent:
		return d.resumeAgent(c)
	case ImportLog:
		if !d.meta.Trusted {
			return nil, events.Errorf(events.CodeForbidden, "Only an import may record this.")
		}
		return []decided{{stream: events.SystemStream, fact: c.LogImported}}, nil
	}
	return nil, fmt.Errorf("decide: no rule for %T", cmd)
}

// decideBoard decides what is about one existing board.
func (d *decision) decideBoard(cmd Command) ([]decided, error) {
	if !d.role.May(events.MayRead) {
		return nil, errNoBoard
	}
	if err := d.thawed(cmd); err != nil {
		return nil, err
	}
	switch c := cmd.(type) {
	case UpdateBoard:
		return d.manage(func() ([]decided, error) { return d.updateBoard(c) })
	case ArchiveBoard:
		return d.manage(d.archiveBoard)
	case RestoreBoard:
		return d.manage(d.restoreBoard)
	case DeleteBoard:
		return d.manage(func() ([]decided, error) { return d.about(0, events.BoardDeleted{}), nil })
	case SetColumns:
		return d.manage(func() ([]decided, error) { return d.setColumns(c.Columns) })
	case AddColumn:
		return d.manage(func() ([]decided, error) { return d.addColumn(c) })
	case UpdateColumn:
		return d.manage(func() ([]decided, error) { return d.updateColumn(c.Column) })
	case MoveColumn:
		return d.manage(func() ([]decided, error) { return d.moveColumn(c) })
	case RemoveColumn:
		return d.manage(func() ([]decided, error) { return d.removeColumn(c) })
	case SetMember:
		return d.manage(func() ([]decided, error) { return d.setMember(c) })
	case RemoveMember:
		return d.manage(func() ([]decided, error) { return d.removeMember(c) })
	case FreezeBoard:
		return d.manage(func() ([]decided, error) { return d.freezeBoard(c) })
	case UnfreezeBoard:
		return d.manage(d.unfreezeBoard)
	case AddWebhook:
		return d.manage(func() ([]decided, error) { return d.addWebhook(c) })
	case UpdateWebhook:
		return d.manage(func() ([]decided, error) { return d.updateWebhook(c) })
	case RemoveWebhook:
		return d.manage(func() ([]decided, error) { return d.removeWebhook(c) })
	case ClaimNext:
		return d.claimNext(c)
	default:
		return d.decideTicket(cmd)
	}
}

// decideTicket decides what is about one existing ticket, or about a new one.
func (d *decision) decideTicket(cmd Command) ([]decided, error) {
	switch c := cmd.(type) {
	case CreateTicket:
		return d.createTicket(c)
	case UpdateTicket:
		return d.onTicket(c.Ticket, contribute.fenced(c.Fence), func(t *Ticket) ([]decided, error) { return d.updateTicket(t, c) })
	case MoveTicket:
		return d.onTicket(c.Ticket, contribute.fenced(c.Fence), func(t *Ticket) ([]decided, error) { return d.moveTicket(t, c) })
	case AssignTicket:
		return d.onTicket(c.Ticket, manage, func(t *Ticket) ([]decided, error) { return d.assignTicket(t, c.Assignee) })
	case ArchiveTicket:
		return d.onTicket(c.Ticket, manage, d.archiveTicket)
	case RestoreTicket:
		return d.onTicket(c.Ticket, manageArchived, func(t *Ticket) ([]decided, error) { return d.restoreTicket(t, c) })
	case DeleteTicket:
		return d.onTicket(c.Ticket, manageArchived, d.deleteTicket)
	case AddComment:
		return d.onTicket(c.Ticket, comments, func(t *Ticket) ([]decided, error) { return d.addComment(t, c) })
	case UpdateComment:
		return d.onTicket(c.Ticket, comments, func(t *Ticket) ([]decided, error) { return d.updateComment(t, c) })
	case DeleteComment:
		return d.onTicket(c.Ticket, comments, func(t *Ticket) ([]decided, error) { return d.deleteComment(t, c) })
	case ClaimTicket:
		return d.onTicket(c.Ticket, claims, func(t *Ticket) ([]decided, error) { return d.claimTicket(t, c.LeaseSeconds) })
	case Heartbeat:
		return d.onTicket(c.Ticket, holds.fenced(c.Fence), func(t *Ticket) ([]decided, error) { return d.heartbeat(t, c) })
	case ReleaseTicket:
		return d.onTicket(c.Ticket, contribute.fenced(c.Fence), func(t *Ticket) ([]decided, error) { return d.releaseTicket(t, c) })
	case CompleteTicket:
		return d.onTicket(c.Ticket, contribute.fenced(c.Fence), func(t *Ticket) ([]decided, error) { return d.completeTicket(t, c) })
	case ExpireLease:
		return d.expireLease(c)
	case AddDependency:
		return d.onTicket(c.Ticket, contribute, func(t *Ticket) ([]decided, error) { return d.addDependency(t, c.DependsOn) })
	case RemoveDependency:
		return d.onTicket(c.Ticket, contribute, func(t *Ticket) ([]decided, error) { return d.removeDependency(t, c.DependsOn) })
	case SetChecklist:
		return d.onTicket(c.Ticket, contribute.fenced(c.Fence), func(t *Ticket) ([]decided, error) { return d.setChecklist(t, c) })
	case CheckItem:
		return d.onTicket(c.Ticket, contribute.fenced(c.Fence), func(t *Ticket) ([]decided, error) { return d.checkItem(t, c) })
	case AddEvidence:
		return d.onTicket(c.Ticket, contribute.fenced(c.Fence), func(t *Ticket) ([]decided, error) { return d.addEvidence(t, c.EvidenceSpec) })
	case RemoveEvidence:
		return d.onTicket(c.Ticket, contribute.fenced(c.Fence), func(t *Ticket) ([]decided, error) { return d.removeEvidence(t, c.Evidence) })
	case RequestApproval:
		return d.onTicket(c.Ticket, contribute.fenced(c.Fence), func(t *Ticket) ([]decided, error) { return d.requestApproval(t, c.Note) })
	case ApproveTicket:
		return d.onTicket(c.Ticket, manage, func(t *Ticket) ([]decided, error) { return d.approveTicket(t, c) })
	case RejectTicket:
		return d.onTicket(c.Ticket, manage, func(t *Ticket) ([]decided, error) { return d.rejectTicket(t, c) })
	case RecordUsage:
		return d.onTicket(c.Ticket, usage.fenced(c.Fence), func(t *Ticket) ([]decided, error) { return d.recordUsage(t, c) })
	}
	return nil, fmt.Errorf("decide: no rule for %T", cmd)
}

var (
	errNoBoard  = &events.Error{Code: events.CodeNotFound, Message: "There is no such board, or you are not a member of it."}
	errNoTicket = &events.Error{Code: events.CodeNotFound, Message: "There is no such ticket, or you are not a member of its board."}
)

// about places facts on the decision's board.
func (d *decision) about(ticket int64, facts ...events.Event) []decided {
	out := make([]decided, len(facts))
	for i, f := range facts {
		out[i] = decided{stream: events.BoardStream(d.board.info.ID), board: d.board.info.ID, ticket: ticket, fact: f}
	}
	return out
}

// match refuses when the caller saw another version than current.
func (d *decision) match(what string, current int64) error {
	if d.meta.IfMatch == nil || *d.meta.IfMatch == current {
		return nil
	}
	return &events.Error{
		Code: events.CodeVersionMismatch, Version: current, Since: *d.meta.IfMatch,
		Message: fmt.Sprintf("%s was changed meanwhile: you have version %d, it is at %d. Read it again and retry.",
			what, *d.meta.IfMatch, current),
	}
}

// manage runs a decision that changes the board itself.
func (d *decision) manage(decide func() ([]decided, error)) ([]decided, error) {
	if !d.role.May(events.MayManageBoard) {
		return nil, events.Errorf(events.CodeForbidden, "Only a pm of this board may change it. Ask one of them.")
	}
	if err := d.match("The board", d.board.info.Version); err != nil {
		return nil, err
	}
	return decide()
}

// open refuses changes to an archived board.
func (d *decision) open() error {
	if d.board.info.Archived {
		return events.Errorf(events.CodeArchived, "Board %s is archived. Restore it first.", d.board.info.Key)
	}
	return nil
}

// need says what a command on a ticket asks of the actor and the ticket.
type need struct {
	permission events.Permission
	anyTicket  bool  // contributors may do it to tickets that are not theirs
	archived   bool  // works on archived tickets too
	version    bool  // If-Match is about the ticket
	late       bool  // who lost a claim of the ticket may do it all the same
	fence      int64 // of the claim that the caller believes to hold, 0 = it does not say
}

// fenced is the need of a caller that names its claim.
func (n need) fenced(fence int64) need {
	n.fence = fence
	return n
}

var (
	contribute     = need{permission: events.MayContribute, version: true}
	comments       = need{permission: events.MayContribute, anyTicket: true, late: true}
	claims         = need{permission: events.MayContribute, anyTicket: true, version: true, late: true}
	holds          = need{permission: events.MayContribute, anyTicket: true}
	usage          = need{permission: events.MayContribute, anyTicket: true, late: true}
	manage         = need{permission: events.MayManageTickets, version: true, late: true}
	manageArchived = need{permission: events.MayManageTickets, version: true, archived: true, late: true}
)

// onTicket runs a decision about an existing ticket.
func (d *decision) onTicket(ref Ref, n need, decide func(t *Ticket) ([]decided, error)) ([]decided, error) {
	t := d.ticket(ref)
	if t == nil {
		return nil, errNoTicket
	}
	if !d.role.May(n.permission) {
		if n.permission == events.MayManageTickets {
			return nil, events.Errorf(events.CodeForbidden, "Only a pm of this board may do that to %s. Ask one of them.", t.Key)
		}
		return nil, events.Errorf(events.CodeForbidden, "You may read this board but not change it. Ask a pm for another role.")
	}
	if err := d.claimHolds(t, n); err != nil {
		return nil, err
	}
	if !n.anyTicket && !d.role.May(events.MayManageTickets) && t.Assignee != d.meta.Actor.Name && !t.heldBy(d.meta.Actor.ID) {
		return nil, events.Errorf(events.CodeForbidden, "You neither hold %s nor is it assigned to you. Claim it first.", t.Key)
	}
	if err := d.open(); err != nil {
		return nil, err
	}
	if t.Archived && !n.archived {
		return nil, events.Errorf(events.CodeArchived, "%s is archived. Restore it first.", t.Key)
	}
	if n.version {
		if err := d.match(t.Key, t.Version); err != nil {
			return nil, err
		}
	}
	return decide(t)
}

func (t *Ticket) heldBy(principal int64) bool { return t.Lease != nil && t.Lease.HolderID == principal }

// claimHolds refuses whoever acts on a claim that has ended: who names another
// fence than the ticket's, and an agent that lost its claim and has not made a
// new one, whatever else it may do to the ticket.
func (d *decision) claimHolds(t *Ticket, n need) error {
	a := d.meta.Actor
	named := n.fence != 0 && (t.Lease == nil || t.Lease.Fence != n.fence || t.Lease.HolderID != a.ID)
	lost := !n.late && a.Kind == events.Agent && !t.heldBy(a.ID) && slices.Contains(t.Lost, a.ID)
	if !named && !lost {
		return nil
	}
	now := "Nobody holds it now"
	if t.Lease != nil {
		now = t.Lease.Holder + " holds it now"
	}
	return events.Errorf(events.CodeStaleClaim,
		"Your claim of %s has ended: its lease ran out, or it was released. %s. Stop working on it; claim it, or another, before you go on.", t.Key, now)
}

// ticket finds a ticket of the board by id, by key, or by the name that an
// earlier command of the list gave it; nil if there is none.
func (d *decision) ticket(ref Ref) *Ticket {
	if name, ok := strings.CutPrefix(string(ref), "$"); ok {
		return d.board.tickets[d.aliases[name]]
	}
	return d.board.tickets[d.board.ticketID(ref)]
}

// ticketID resolves an id or key of this board, 0 if it is neither.
func (b *board) ticketID(ref Ref) int64 {
	if id := ref.ID(); id != 0 {
		return id
	}
	i := strings.LastIndexByte(string(ref), '-')
	if i < 0 || !strings.EqualFold(string(ref[:i]), b.info.Key) {
		return 0
	}
	return b.numbers[ref[i+1:].ID()]
}

// room refuses to add a ticket to a full column. It reports whether the limit
// is being overridden, which only a pm may ask for.
func (d *decision) room(c events.Column, override bool) (over bool, err error) {
	inside := len(d.board.lanes[c.ID])
	if c.WIPLimit == nil || inside < *c.WIPLimit {
		return false, nil
	}
	if !override {
		return false, events.Errorf(events.CodeWIPLimit,
			"Column %q is full: %d of %d. Move a ticket out first, or a pm can override with over_limit.", c.Name, inside, *c.WIPLimit)
	}
	if !d.role.May(events.MayManageTickets) {
		return false, events.Errorf(events.CodeForbidden, "Only a pm may go over the WIP limit of column %q.", c.Name)
	}
	return true, nil
}

// target finds the column that ref names.
func (d *decision) target(ref Ref) (events.Column, error) {
	c, ok := d.board.column(ref)
	if !ok {
		return c, &events.Error{
			Code:    events.CodeInvalid,
			Message: fmt.Sprintf("Board %s has no column %q. It has: %s.", d.board.info.Key, ref, d.board.columnNames()),
			Fields:  map[string]string{"column": "must be one of: " + d.board.columnNames()},
		}
	}
	return c, nil
}

func equalTime(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Equal(*b)
}
