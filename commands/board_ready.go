package commands

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// index answers without a scan what can be worked on: the ready tickets in the
// order in which they are claimed, who waits for whom, and how many tickets each
// principal holds.
type index struct {
	ready      []*Ticket                   // sorted by readyOrder
	dependents map[int64][]int64           // ticket to those that depend on it
	held       map[int64]int               // principal to its claims
	kinds      map[int64]events.ColumnKind // by column
	places     map[int64]int               // by column, 0 is leftmost
}

func newIndex() index {
	return index{
		dependents: map[int64][]int64{}, held: map[int64]int{},
		kinds: map[int64]events.ColumnKind{}, places: map[int64]int{},
	}
}

// rebuild makes the index anew, for a changed set of columns.
func (x *index) rebuild(b *board) {
	*x = newIndex()
	for i, c := range b.info.Columns {
		x.kinds[c.ID], x.places[c.ID] = c.Kind, i
	}
	for _, t := range b.tickets {
		for _, d := range t.DependsOn {
			x.dependents[d.ID] = append(x.dependents[d.ID], t.ID)
		}
		if t.Lease != nil {
			x.held[t.Lease.HolderID]++
		}
	}
	for _, t := range b.tickets {
		t.Blocked = x.waits(b, t)
		if x.isReady(t) {
			x.ready = append(x.ready, t)
		}
	}
	slices.SortFunc(x.ready, x.readyOrder)
}

// isDone reports whether a ticket counts as done for those that wait for it.
func (x *index) isDone(t *Ticket) bool { return t != nil && x.kinds[t.ColumnID] == events.Done }

// waits reports whether a dependency of a ticket is not done.
func (x *index) waits(b *board, t *Ticket) bool {
	return slices.ContainsFunc(t.DependsOn, func(d events.Dependency) bool { return !x.isDone(b.tickets[d.ID]) })
}

func (x *index) isReady(t *Ticket) bool {
	return !t.Archived && t.Lease == nil && !t.Blocked && x.kinds[t.ColumnID] == events.Backlog
}

// weight orders priorities.
func weight(p events.Priority) int {
	switch p {
	case events.Urgent:
		return 3
	case events.High:
		return 2
	case events.Medium:
		return 1
	default:
		return 0
	}
}

// readyOrder is the order in which ready tickets are claimed.
func (x *index) readyOrder(s, t *Ticket) int {
	return cmp.Or(
		cmp.Compare(weight(t.Priority), weight(s.Priority)),
		cmp.Compare(x.places[s.ColumnID], x.places[t.ColumnID]),
		strings.Compare(s.Rank, t.Rank),
		cmp.Compare(s.ID, t.ID),
	)
}

func (x *index) enter(t *Ticket) {
	at, _ := slices.BinarySearchFunc(x.ready, t, x.readyOrder)
	x.ready = slices.Insert(x.ready, at, t)
}

func (x *index) leave(t *Ticket) {
	if at, found := slices.BinarySearchFunc(x.ready, t, x.readyOrder); found {
		x.ready = slices.Delete(x.ready, at, at+1)
	}
}

// around runs a change of one ticket and keeps the index right.
func (x *index) around(b *board, id int64, change func()) {
	t := b.tickets[id]
	wasDone := x.isDone(t)
	var before []events.Dependency
	if t != nil {
		if x.isReady(t) {
			x.leave(t)
		}
		if t.Lease != nil {
			x.hold(t.Lease.HolderID, -1)
		}
		before = t.DependsOn
	}
	change()
	if t = b.tickets[id]; t != nil && t.Lease != nil {
		x.hold(t.Lease.HolderID, 1)
	}
	var after []events.Dependency
	if t != nil {
		after = t.DependsOn
	}
	if !slices.Equal(before, after) {
		x.depend(id, before, after)
	}
	if t != nil {
		if len(after) > 0 || t.Blocked {
			t.Blocked = x.waits(b, t)
		}
		if x.isReady(t) {
			x.enter(t)
		}
	}
	if x.isDone(t) == wasDone {
		return
	}
	for _, other := range x.dependents[id] {
		d := b.tickets[other]
		if d == nil || other == id {
			continue
		}
		if x.isReady(d) {
			x.leave(d)
		}
		d.Blocked = x.waits(b, d)
		if x.isReady(d) {
			x.enter(d)
		}
	}
}

func (x *index) hold(principal int64, n int) {
	if x.held[principal] += n; x.held[principal] <= 0 {
		delete(x.held, principal)
	}
}

func (x *index) depend(id int64, before, after []events.Dependency) {
	for _, d := range before {
		if left := without(x.dependents[d.ID], id); len(left) > 0 {
			x.dependents[d.ID] = left
		} else {
			delete(x.dependents, d.ID)
		}
	}
	for _, d := range after {
		x.dependents[d.ID] = append(x.dependents[d.ID], id)
	}
}
