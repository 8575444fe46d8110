package commands

import (
	"slices"

	"github.com/agent-kanban/agent-kanban/events"
)

// structural are the types of events that are about a board itself.
var structural = []events.Type{
	events.TypeBoardCreated, events.TypeBoardUpdated, events.TypeBoardArchived, events.TypeBoardRestored, events.TypeBoardDeleted,
	events.TypeBoardFrozen, events.TypeBoardUnfrozen, events.TypeColumnAdded, events.TypeColumnUpdated, events.TypeColumnMoved,
	events.TypeColumnRemoved, events.TypeMemberAdded, events.TypeMemberUpdated, events.TypeMemberRemoved,
	events.TypeWebhookAdded, events.TypeWebhookUpdated, events.TypeWebhookRemoved,
}

// structure brings the board itself back to how it was before the doomed events
// about it.
func (u *undo) structure(doomed []*events.Envelope) error {
	b := u.d.board
	if !u.d.role.May(events.MayManageBoard) {
		return events.Errorf(events.CodeForbidden, "Only a pm of this board may change it. Ask one of them.")
	}
	before := newBoard(b.info.ID)
	q := events.Query{Stream: events.BoardStream(b.info.ID), Types: structural}
	for e, err := range u.w.events(q) {
		switch {
		case err != nil:
			return err
		case e.Position < doomed[0].Position:
			before.evolve(e, factOf(e))
		case !u.isDoomed(e) && u.counts(e):
			return builtOn("The board", e)
		}
		switch e.Type {
		case events.TypeWebhookAdded, events.TypeWebhookUpdated, events.TypeWebhookRemoved:
			if u.isDoomed(e) {
				return events.Errorf(events.CodeBuiltOn, "Changes of webhooks cannot be undone: their secrets are not in the log. Change the webhook instead.")
			}
		}
	}
	if !before.exists() {
		return u.uncreateBoard()
	}
	facts, err := u.boardFacts(&before.info)
	if err != nil {
		return err
	}
	return u.append(u.d.about(0, facts...))
}

// uncreateBoard deletes a board that the doomed events made, if it is empty.
func (u *undo) uncreateBoard() error {
	if len(u.d.board.tickets) > 0 {
		return events.Errorf(events.CodeBuiltOn, "Board %s has tickets by now. Delete it instead.", u.d.board.info.Key)
	}
	return u.append(u.d.about(0, events.BoardDeleted{}))
}

// boardFacts finds the facts that lead from the board as it is to before.
func (u *undo) boardFacts(before *Board) ([]events.Event, error) {
	now := &u.d.board.info
	var facts []events.Event
	var f events.BoardUpdated
	changed := differs(&f.Name, before.Name, now.Name)
	changed = differs(&f.Description, before.Description, now.Description) || changed
	changed = differs(&f.Visibility, before.Visibility, now.Visibility) || changed
	if differs(&f.MaxClaims, before.MaxClaims, now.MaxClaims) || changed {
		facts = append(facts, f)
	}
	switch {
	case before.Archived && !now.Archived:
		facts = append(facts, events.BoardArchived{})
	case !before.Archived && now.Archived:
		facts = append(facts, events.BoardRestored{})
	}
	switch {
	case before.Frozen && !now.Frozen:
		facts = append(facts, events.BoardFrozen{})
	case !before.Frozen && now.Frozen:
		facts = append(facts, events.BoardUnfrozen{})
	}
	columns, err := u.d.columnFacts(before.Columns)
	if err != nil {
		return nil, err
	}
	return append(append(facts, columns...), memberFacts(now.Members, before.Members)...), nil
}

func memberFacts(now, before []Member) []events.Event {
	var facts []events.Event
	find := func(list []Member, id int64) (Member, bool) {
		i := slices.IndexFunc(list, func(m Member) bool { return m.UserID == id })
		if i < 0 {
			return Member{}, false
		}
		return list[i], true
	}
	for _, m := range before {
		switch is, there := find(now, m.UserID); {
		case !there:
			facts = append(facts, events.MemberAdded{UserID: m.UserID, Name: m.Name, Role: m.Role})
		case is.Role != m.Role:
			facts = append(facts, events.MemberUpdated{UserID: m.UserID, Name: m.Name, Role: m.Role, Was: is.Role})
		}
	}
	for _, m := range now {
		if _, there := find(before, m.UserID); !there {
			facts = append(facts, events.MemberRemoved{UserID: m.UserID, Name: m.Name})
		}
	}
	return facts
}
