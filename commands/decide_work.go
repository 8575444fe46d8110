package commands

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// gate refuses a ticket that does not meet the policy of the column it is to
// enter; name is what the refusal calls it. It names every rule at once.
func (d *decision) gate(t *Ticket, to events.Column, name string) error {
	p := to.Policy
	if p.IsZero() || d.meta.Trusted {
		return nil
	}
	rules := map[string]string{}
	if len(p.AllowFrom) > 0 && !slices.Contains(p.AllowFrom, t.ColumnID) {
		var from []string
		for _, id := range p.AllowFrom {
			if c, ok := d.board.column(RefID(id)); ok {
				from = append(from, quote(c.Name))
			}
		}
		rules["allow_from"] = "it must come from " + strings.Join(from, " or ")
	}
	if p.RequireChecklist {
		done := 0
		for _, item := range t.Checklist {
			if item.Done {
				done++
			}
		}
		switch {
		case len(t.Checklist) == 0:
			rules["require_checklist"] = "it needs a checklist of acceptance criteria, all of them done"
		case done < len(t.Checklist):
			rules["require_checklist"] = fmt.Sprintf("%d of %d acceptance criteria are done: do and check the others", done, len(t.Checklist))
		}
	}
	if p.RequireEvidence && len(t.Evidence) == 0 {
		rules["require_evidence"] = "it needs evidence: a link, a commit, test output or a note"
	}
	if p.Approval && !t.approved() {
		rules["approval"] = "a pm who did not work on it must approve it as it is now"
		if t.Approval != nil && t.Approval.State == ApprovalRejected {
			rules["approval"] = "it was rejected by " + t.Approval.By + ": mend it, then ask for approval again"
		}
	}
	if len(rules) == 0 {
		return nil
	}
	reasons := make([]string, 0, len(rules))
	for _, rule := range sortedKeys(rules) {
		reasons = append(reasons, rules[rule])
	}
	return &events.Error{
		Code: events.CodePolicy, Fields: rules,
		Message: fmt.Sprintf("%s cannot enter column %q yet: %s.", name, to.Name, strings.Join(reasons, "; ")),
	}
}

func noDependency(ref Ref) error {
	return invalid("depends_on", "names "+quote(string(ref))+", which is no ticket of this board")
}

func (d *decision) addDependency(t *Ticket, ref Ref) ([]decided, error) {
	on := d.ticket(ref)
	if on == nil {
		return nil, noDependency(ref)
	}
	if slices.ContainsFunc(t.DependsOn, func(have events.Dependency) bool { return have.ID == on.ID }) {
		return nil, nil
	}
	if len(t.DependsOn) >= MaxDependencies {
		return nil, invalid("depends_on", "must be at most "+itoa(MaxDependencies)+" for a ticket")
	}
	if path := d.board.path(on, t); path != nil {
		return nil, events.Errorf(events.CodeCycle,
			"%s cannot wait for %s, because they would wait for each other: %s → %s.", t.Key, on.Key, t.Key, strings.Join(path, " → "))
	}
	return d.about(t.ID, events.DependencyAdded{DependsOn: on.ID, Key: on.Key}), nil
}

// path returns the keys on a way from one ticket to another along what they
// depend on, both ends included; nil if there is none.
func (b *board) path(from, to *Ticket) []string {
	came := map[int64]int64{from.ID: 0} // ticket to the one before it on the way
	for queue := []int64{from.ID}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at == to.ID {
			var keys []string
			for ; at != 0; at = came[at] {
				keys = append(keys, b.tickets[at].Key)
			}
			slices.Reverse(keys)
			return keys
		}
		for _, d := range b.tickets[at].DependsOn {
			if _, seen := came[d.ID]; !seen && b.tickets[d.ID] != nil {
				came[d.ID] = at
				queue = append(queue, d.ID)
			}
		}
	}
	return nil
}

// removeDependency takes the key of a deleted ticket too.
func (d *decision) removeDependency(t *Ticket, ref Ref) ([]decided, error) {
	on := d.ticket(ref)
	for _, have := range t.DependsOn {
		if on != nil && have.ID == on.ID || have.ID == ref.ID() || strings.EqualFold(have.Key, string(ref)) {
			return d.about(t.ID, events.DependencyRemoved{DependsOn: have.ID, Key: have.Key}), nil
		}
	}
	return nil, nil
}

func (d *decision) setChecklist(t *Ticket, c SetChecklist) ([]decided, error) {
	var check checker
	texts := make([]string, len(c.Items))
	for i, item := range c.Items {
		texts[i] = item.Text
	}
	texts = check.checklist(texts)
	left := slices.Clone(t.Checklist)
	next := max(t.NextItem, 1)
	items := make([]events.ChecklistItem, len(c.Items))
	reworded := false
	for i, spec := range c.Items {
		at := slices.IndexFunc(left, func(have events.ChecklistItem) bool {
			return have.ID == spec.ID || spec.ID == 0 && have.Text == texts[i]
		})
		items[i] = events.ChecklistItem{Text: texts[i], Done: spec.Done}
		switch {
		case at >= 0:
			items[i].ID = left[at].ID
			reworded = reworded || left[at].Text != texts[i]
			left = slices.Delete(left, at, at+1)
		case spec.ID != 0:
			check.fail(fmt.Sprintf("items[%d].id", i), "is not an item of this checklist, or there twice")
		default:
			items[i].ID = next
			next++
		}
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	if (reworded || len(left) > 0) && !d.role.May(events.MayManageTickets) {
		return nil, events.Errorf(events.CodeForbidden,
			"Only a pm may drop or reword acceptance criteria of %s. You may add some, and check them.", t.Key)
	}
	if slices.Equal(items, t.Checklist) {
		return nil, nil
	}
	return d.about(t.ID, events.ChecklistChanged{Items: items}), nil
}

func (d *decision) checkItem(t *Ticket, c CheckItem) ([]decided, error) {
	items := slices.Clone(t.Checklist)
	at := slices.IndexFunc(items, func(have events.ChecklistItem) bool { return have.ID == c.Item })
	if at < 0 {
		return nil, events.Errorf(events.CodeNotFound, "%s has no acceptance criterion %d. Read its checklist again.", t.Key, c.Item)
	}
	if items[at].Done == c.Done {
		return nil, nil
	}
	items[at].Done = c.Done
	return d.about(t.ID, events.ChecklistChanged{Items: items}), nil
}

func (d *decision) addEvidence(t *Ticket, spec EvidenceSpec) ([]decided, error) {
	var check checker
	spec = check.evidence("", spec)
	if len(t.Evidence) >= MaxEvidence {
		check.fail("evidence", "must be at most "+itoa(MaxEvidence)+" for a ticket")
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	return d.about(t.ID, events.EvidenceAdded{EvidenceID: max(t.NextEvidence, 1), Kind: spec.Kind, Text: spec.Text}), nil
}

func (d *decision) removeEvidence(t *Ticket, id int64) ([]decided, error) {
	at := slices.IndexFunc(t.Evidence, func(have events.Evidence) bool { return have.ID == id })
	if at < 0 {
		return nil, events.Errorf(events.CodeNotFound, "%s has no evidence %d. Read it again.", t.Key, id)
	}
	if t.Evidence[at].By != d.meta.Actor.Name && !d.role.May(events.MayManageTickets) {
		return nil, events.Errorf(events.CodeForbidden, "Only who added a piece of evidence, or a pm, may remove it.")
	}
	return d.about(t.ID, events.EvidenceRemoved{EvidenceID: id, Kind: t.Evidence[at].Kind}), nil
}

func (d *decision) requestApproval(t *Ticket, note string) ([]decided, error) {
	var check checker
	note = check.note("note", note)
	if err := check.err(); err != nil {
		return nil, err
	}
	if a := t.Approval; a != nil && (a.State == ApprovalGranted || a.State == ApprovalRequested && a.Note == note) {
		return nil, nil
	}
	return d.about(t.ID, events.ApprovalRequested{Version: t.Version, Note: note}), nil
}

func (d *decision) approveTicket(t *Ticket, c ApproveTicket) ([]decided, error) {
	if a := d.meta.Actor; t.heldBy(a.ID) || t.LastHolder == a.ID && a.ID != 0 || t.Assignee != "" && t.Assignee == a.Name {
		return nil, events.Errorf(events.CodeForbidden, "You worked on %s, so somebody else must approve it: another pm of this board.", t.Key)
	}
	var check checker
	c.Note = check.note("note", c.Note)
	if err := check.err(); err != nil {
		return nil, err
	}
	if err := d.reviewed(t, c.Version); err != nil || t.approved() {
		return nil, err
	}
	return d.about(t.ID, events.TicketApproved{Version: t.Version, Note: c.Note}), nil
}

// reviewed refuses a verdict on another version than the ticket's.
func (d *decision) reviewed(t *Ticket, version int64) error {
	if version == 0 || version == t.Version {
		return nil
	}
	return &events.Error{
		Code: events.CodeVersionMismatch, Version: t.Version, Since: version,
		Message: fmt.Sprintf("%s was changed meanwhile: you looked at version %d, it is at %d. Look at it again.", t.Key, version, t.Version),
	}
}

func (d *decision) rejectTicket(t *Ticket, c RejectTicket) ([]decided, error) {
	var check checker
	c.Note = check.note("note", c.Note)
	if err := check.err(); err != nil {
		return nil, err
	}
	if err := d.reviewed(t, c.Version); err != nil {
		return nil, err
	}
	facts := []events.Event{events.TicketRejected{Version: t.Version, Note: c.Note}}
	if c.Column != "" {
		to, err := d.target(c.Column)
		if err != nil {
			return nil, err
		}
		if to.ID != t.ColumnID {
			moved, err := d.enter(t, to, d.board.endRank(to.ID), false)
			if err != nil {
				return nil, err
			}
			facts = append(append(facts, moved), d.endOfClaim(t, to)...)
		}
	}
	return d.about(t.ID, facts...), nil
}

func (d *decision) recordUsage(t *Ticket, c RecordUsage) ([]decided, error) {
	var check checker
	c.Model = check.line("model", c.Model, MaxName, false)
	c.Session = check.line("session", c.Session, MaxName, false)
	for field, n := range map[string]int64{"input_tokens": c.InputTokens, "output_tokens": c.OutputTokens, "cost_micros": c.CostMicros} {
		if n < 0 || n > MaxUsage {
			check.fail(field, "must be between 0 and "+itoa(MaxUsage))
		}
	}
	if c.InputTokens == 0 && c.OutputTokens == 0 && c.CostMicros == 0 {
		check.fail("input_tokens", "or output_tokens or cost_micros must be above 0")
	}
	if err := check.err(); err != nil {
		return nil, err
	}
	return d.about(t.ID, events.UsageRecorded{
		InputTokens: c.InputTokens, OutputTokens: c.OutputTokens, CostMicros: c.CostMicros, Model: c.Model, Session: c.Session,
	}), nil
}
