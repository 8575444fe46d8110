package commands

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// lease checks how long a claim is to last.
func (d *decision) lease(seconds int64) (time.Duration, error) {
	if seconds == 0 {
		return DefaultLease, nil
	}
	if seconds < int64(d.minLease/time.Second) || seconds > int64(MaxLease/time.Second) {
		return 0, invalid("lease_seconds", fmt.Sprintf("must be between %d and %d", d.minLease/time.Second, MaxLease/time.Second))
	}
	return time.Duration(seconds) * time.Second, nil
}

func (d *decision) claimTicket(t *Ticket, seconds int64) ([]decided, error) {
	lease, err := d.lease(seconds)
	if err != nil {
		return nil, err
	}
	switch kind := d.board.work.kinds[t.ColumnID]; {
	case t.heldBy(d.meta.Actor.ID):
		return nil, events.Errorf(events.CodeClaimed,
			"You hold %s already, with fence %d. Send heartbeats to keep it.", t.Key, t.Lease.Fence)
	case t.Lease != nil:
		return nil, events.Errorf(events.CodeClaimed,
			"%s is held by %s. Claim another: claim-next picks the best one that is ready.", t.Key, t.Lease.Holder)
	case kind == events.Done:
		return nil, events.Errorf(events.CodeConflict, "%s is done. Move it out of %q before it is claimed.", t.Key, t.Column)
	case t.Blocked:
		return nil, d.blocked(t)
	}
	if d.assignedElsewhere(t) && !d.role.May(events.MayManageTickets) {
		return nil, events.Errorf(events.CodeForbidden, "%s is assigned to %s. Claim another, or ask a pm to assign it to you.", t.Key, t.Assignee)
	}
	if err := d.mayHoldMore(); err != nil {
		return nil, err
	}
	return d.take(t, lease)
}

func (d *decision) assignedElsewhere(t *Ticket) bool {
	return t.Assignee != "" && t.Assignee != d.meta.Actor.Name
}

// mayHoldMore refuses who holds as many tickets as the board allows.
func (d *decision) mayHoldMore() error {
	if held := d.board.work.held[d.meta.Actor.ID]; held >= d.board.info.MaxClaims {
		return events.Errorf(events.CodeClaimLimit,
			"You hold %d of at most %d tickets on board %s. Complete or release one first.", held, d.board.info.MaxClaims, d.board.info.Key)
	}
	return nil
}

// blocked names what a ticket waits for.
func (d *decision) blocked(t *Ticket) error {
	var keys []string
	for _, on := range t.DependsOn {
		if other := d.board.tickets[on.ID]; other == nil {
			keys = append(keys, on.Key+" (deleted)")
		} else if !d.board.work.isDone(other) {
			keys = append(keys, on.Key)
		}
	}
	list := keys[len(keys)-1]
	if rest := keys[:len(keys)-1]; len(rest) > 0 {
		list = strings.Join(rest, ", ") + " and " + list
	}
	return events.Errorf(events.CodeBlocked, "%s is blocked by %s. Claim it when they are done, or another one now.", t.Key, list)
}

// take makes the actor the holder; a ticket in a backlog column goes to the end
// of the first active one.
func (d *decision) take(t *Ticket, lease time.Duration) ([]decided, error) {
	claimed := events.TicketClaimed{LeaseSeconds: int64(lease / time.Second), ExpiresAt: d.at.Add(lease).UTC().Truncate(time.Microsecond)}
	if d.board.work.kinds[t.ColumnID] != events.Backlog {
		return d.about(t.ID, claimed), nil
	}
	to, ok := d.board.columnOfKind(events.Active)
	if !ok {
		return d.about(t.ID, claimed), nil
	}
	moved, err := d.enter(t, to, d.board.endRank(to.ID), false)
	if err != nil {
		return nil, err
	}
	claimed.FromColumnID, claimed.FromRank = t.ColumnID, t.Rank
	return d.about(t.ID, claimed, moved), nil
}

// columnOfKind returns the leftmost column of a kind.
func (b *board) columnOfKind(kind events.ColumnKind) (events.Column, bool) {
	for _, c := range b.info.Columns {
		if c.Kind == kind {
			return c, true
		}
	}
	return events.Column{}, false
}

func (d *decision) claimNext(c ClaimNext) ([]decided, error) {
	if !d.role.May(events.MayContribute) {
		return nil, events.Errorf(events.CodeForbidden, "You may read this board but not claim tickets. Ask a pm for another role.")
	}
	if err := d.open(); err != nil {
		return nil, err
	}
	lease, err := d.lease(c.LeaseSeconds)
	if err != nil {
		return nil, err
	}
	columns := make([]int64, len(c.Columns))
	for i, ref := range c.Columns {
		column, err := d.target(ref)
		if err != nil {
			return nil, err
		}
		columns[i] = column.ID
	}
	if err := d.mayHoldMore(); err != nil {
		return nil, err
	}
	var last error
	for _, t := range d.board.work.ready {
		if d.assignedElsewhere(t) || len(columns) > 0 && !slices.Contains(columns, t.ColumnID) || !hasAll(t.Labels, c.Labels) {
			continue
		}
		facts, err := d.take(t, lease)
		switch events.CodeOf(err) {
		case "":
			return facts, nil
		case events.CodePolicy: // of this ticket; another one may pass
			last = err
		default: // of the column: no other ticket would do better
			return nil, err
		}
	}
	if last != nil {
		return nil, last
	}
	return nil, d.nothingReady(c)
}

func hasAll(labels, wanted []string) bool {
	for _, label := range wanted {
		if !slices.Contains(labels, label) {
			return false
		}
	}
	return true
}

// nothingReady says what there is instead.
func (d *decision) nothingReady(c ClaimNext) error {
	backlog := 0
	for _, column := range d.board.info.Columns {
		if column.Kind == events.Backlog {
			backlog += len(d.board.lanes[column.ID])
		}
	}
	ready := len(d.board.work.ready)
	message := "Nothing is ready on board " + d.board.info.Key
	switch {
	case ready > 0:
		message += fmt.Sprintf(" for you with these filters; %d tickets are ready for others or with other filters", ready)
	case backlog > 0:
		message += fmt.Sprintf(": %d tickets in the backlog wait for others or are held", backlog)
	default:
		message += ": its backlog is empty"
	}
	return events.Errorf(events.CodeNothingReady, "%s. Try again later, or wait with wait_seconds.", message)
}

func (d *decision) heartbeat(t *Ticket, c Heartbeat) ([]decided, error) {
	if !t.heldBy(d.meta.Actor.ID) {
		return nil, events.Errorf(events.CodeConflict, "You do not hold %s. Claim it first.", t.Key)
	}
	if c.LeaseSeconds == 0 {
		c.LeaseSeconds = t.Lease.Seconds
	}
	lease, err := d.lease(c.LeaseSeconds)
	if err != nil {
		return nil, err
	}
	d.beat = &events.Heartbeat{
		TicketID: t.ID, Fence: t.Lease.Fence,
		At: d.at.UTC().Truncate(time.Microsecond), ExpiresAt: d.at.Add(lease).UTC().Truncate(time.Microsecond),
	}
	return nil, nil
}

func (d *decision) releaseTicket(t *Ticket, c ReleaseTicket) ([]decided, error) {
	var check checker
	c.Note = check.note("note", c.Note)
	if err := check.err(); err != nil || t.Lease == nil {
		return nil, err
	}
	reason := events.Released
	if !t.heldBy(d.meta.Actor.ID) {
		if !d.role.May(events.MayManageTickets) {
			return nil, d.heldByAnother(t)
		}
		reason = events.Revoked
	}
	return d.about(t.ID, append([]events.Event{t.released(reason, c.Note)}, d.goBack(t)...)...), nil
}

func (d *decision) heldByAnother(t *Ticket) error {
	return events.Errorf(events.CodeClaimed, "%s is held by %s. Only its holder or a pm may do that.", t.Key, t.Lease.Holder)
}

func (t *Ticket) released(reason events.ReleaseReason, note string) events.TicketReleased {
	return events.TicketReleased{Fence: t.Lease.Fence, Holder: t.Lease.Holder, HolderID: t.Lease.HolderID, Reason: reason, Note: note}
}

// goBack returns a ticket whose claim ends without the work done to where it was
// claimed from, unless somebody has moved it on since.
func (d *decision) goBack(t *Ticket) []events.Event {
	back, ok := d.board.column(RefID(t.Lease.BackColumn))
	if t.Lease.BackColumn == 0 || !ok || d.board.work.kinds[t.ColumnID] != events.Active {
		return nil
	}
	return []events.Event{events.TicketMoved{
		FromColumnID: t.ColumnID, FromColumn: t.Column, ColumnID: back.ID, Column: back.Name, Rank: t.Lease.BackRank,
		// It never left for good: the limit does not keep it out.
		OverLimit: back.WIPLimit != nil && len(d.board.lanes[back.ID]) >= *back.WIPLimit,
	}}
}

// endOfClaim is what a move to a column means for the ticket's claim: in a
// backlog or done column nobody works on it any more.
func (d *decision) endOfClaim(t *Ticket, to events.Column) []events.Event {
	if t.Lease == nil || to.ID == t.ColumnID || to.Kind != events.Backlog && to.Kind != events.Done {
		return nil
	}
	reason := events.Moved
	if to.Kind == events.Done && t.heldBy(d.meta.Actor.ID) {
		reason = events.Completed
	}
	return []events.Event{t.released(reason, "")}
}

func (d *decision) completeTicket(t *Ticket, c CompleteTicket) ([]decided, error) {
	if t.Lease != nil && !t.heldBy(d.meta.Actor.ID) && !d.role.May(events.MayManageTickets) {
		return nil, d.heldByAnother(t)
	}
	var check checker
	c.Note = check.note("note", c.Note)
	after := *t // as it will be with the evidence
	var facts []events.Event
	for i, spec := range c.Evidence {
		spec = check.evidence(fmt.Sprintf("evidence[%d].", i), spec)
		fact := events.EvidenceAdded{EvidenceID: t.NextEvidence + int64(i), Kind: spec.Kind, Text: spec.Text}
		facts = append(facts, fact)
		after.Evidence = append(slices.Clone(after.Evidence), events.Evidence{ID: fact.EvidenceID})
		after.Approval = nil
	}
	if len(after.Evidence) > MaxEvidence {
		check.fail("evidence", "must be at most "+itoa(MaxEvidence)+" for a ticket")
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	to, ask, err := d.whereTo(&after, c.Column)
	if err != nil {
		return nil, err
	}
	if to.ID != t.ColumnID {
		moved, err := d.enter(&after, to, d.board.endRank(to.ID), false)
		if err != nil {
			return nil, err
		}
		facts = append(facts, moved)
	}
	if ask {
		facts = append(facts, events.ApprovalRequested{Version: t.Version, Note: c.Note})
	}
	if t.Lease != nil {
		released := t.released(events.Completed, c.Note)
		if !t.heldBy(d.meta.Actor.ID) {
			released.Reason = events.Moved
		}
		facts = append(facts, released)
	}
	return d.about(t.ID, facts...), nil
}

// whereTo finds the column that completed work goes to; ask says that it goes
// there to be approved.
func (d *decision) whereTo(t *Ticket, wanted Ref) (to events.Column, ask bool, err error) {
	if wanted != "" {
		to, err = d.target(wanted)
		return to, false, err
	}
	done, ok := d.board.columnOfKind(events.Done)
	if !ok {
		return to, false, events.Errorf(events.CodeConflict,
			"Board %s has no column of kind done. Say which column the ticket goes to.", d.board.info.Key)
	}
	if review, ok := d.board.columnOfKind(events.Review); ok && done.Policy.Approval && !t.approved() {
		return review, t.Approval == nil || t.Approval.State != ApprovalRequested, nil
	}
	return done, false, nil
}

func (t *Ticket) approved() bool { return t.Approval != nil && t.Approval.State == ApprovalGranted }

func (d *decision) expireLease(c ExpireLease) ([]decided, error) {
	t := d.ticket(c.Ticket)
	if !d.meta.Trusted || t == nil || t.Lease == nil || t.Lease.Fence != c.Fence || d.at.Before(d.expires(t)) {
		return nil, nil // a heartbeat or a release came first
	}
	expired := events.LeaseExpired{Fence: t.Lease.Fence, Holder: t.Lease.Holder, HolderID: t.Lease.HolderID}
	return d.about(t.ID, append([]events.Event{expired}, d.goBack(t)...)...), nil
}

// expires is when the lease of a ticket ends, heartbeats counted.
func (d *decision) expires(t *Ticket) time.Time {
	if h, ok := d.beats[t.ID]; ok && h.Fence == t.Lease.Fence {
		return h.ExpiresAt
	}
	return t.Lease.ExpiresAt
}
