package commands

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agent-kanban/agent-kanban/events"
)

func created(number int64, column int64, name, rank string) events.TicketCreated {
	return events.TicketCreated{
		Number: number, Key: "WEB-" + itoa(int(number)), Title: "New", Priority: events.Medium,
		Labels: []string{}, ColumnID: column, Column: name, Rank: rank,
	}
}

func TestTickets(t *testing.T) {
	t.Parallel()
	moved := func(from int64, fromName string, to int64, toName, rank string) events.TicketMoved {
		return events.TicketMoved{FromColumnID: from, FromColumn: fromName, ColumnID: to, Column: toName, Rank: rank}
	}
	full := []decided{ticketIn(1, 2, "a0"), ticketIn(2, 2, "a1"), ticketIn(3, 1, "a0")}
	over := created(4, 2, "Doing", "a2")
	over.OverLimit = true
	overMove := moved(1, "To do", 2, "Doing", "a2")
	overMove.OverLimit = true
	archived := []decided{ticketIn(1, 2, "a0"), onBoard(1, events.TicketArchived{})}
	run(t, []then{
		{
			name: "create goes to the end of the first column", given: []decided{ticketIn(1, 1, "a0")},
			meta: by(bot), when: CreateTicket{Board: "WEB", Title: " New "}, want: []events.Event{created(2, 1, "To do", "a1")},
		},
		{name: "create in a named column", meta: by(bot), when: CreateTicket{Board: "1", Title: "New", Column: "done"}, want: []events.Event{created(1, 3, "Done", "a0")}},
		{name: "create in an unknown column", meta: by(bot), when: CreateTicket{Board: "1", Title: "New", Column: "Nope"}, code: events.CodeInvalid},
		{name: "create without a title", meta: by(bot), when: CreateTicket{Board: "1", Title: "  "}, code: events.CodeInvalid},
		{name: "create with a long title", meta: by(bot), when: CreateTicket{Board: "1", Title: strings.Repeat("ü", 201)}, code: events.CodeInvalid},
		{name: "create with NUL", meta: by(bot), when: CreateTicket{Board: "1", Title: "x", Description: "a\x00b"}, code: events.CodeInvalid},
		{name: "create with a bad priority", meta: by(bot), when: CreateTicket{Board: "1", Title: "x", Priority: "1.0"}, code: events.CodeInvalid},
		{name: "create without a board", meta: by(bot), when: CreateTicket{Title: "x"}, code: events.CodeInvalid},
		{name: "create by a viewer", meta: by(vic), when: CreateTicket{Board: "1", Title: "x"}, code: events.CodeForbidden},
		{name: "create by a stranger", meta: by(olga), when: CreateTicket{Board: "1", Title: "x"}, code: events.CodeNotFound},
		{name: "create on an unknown board", meta: by(ada), when: CreateTicket{Board: "99", Title: "x"}, code: events.CodeNotFound},
		{name: "an agent assigns to somebody else", meta: by(bot), when: CreateTicket{Board: "1", Title: "x", Assignee: "pam"}, code: events.CodeForbidden},
		{name: "assign to somebody who is not a member", meta: by(pam), when: CreateTicket{Board: "1", Title: "x", Assignee: "olga"}, code: events.CodeInvalid},
		{name: "assign to nobody known", meta: by(pam), when: CreateTicket{Board: "1", Title: "x", Assignee: "zed"}, code: events.CodeInvalid},

		{name: "create in a full column", given: full, meta: by(bot), when: CreateTicket{Board: "1", Title: "New", Column: "Doing"}, code: events.CodeWIPLimit},
		{name: "an agent may not override", given: full, meta: by(bot), when: CreateTicket{Board: "1", Title: "New", Column: "Doing", OverLimit: true}, code: events.CodeForbidden},
		{name: "a pm overrides, and it is recorded", given: full, meta: by(pam), when: CreateTicket{Board: "1", Title: "New", Column: "Doing", OverLimit: true}, want: []events.Event{over}},
		{name: "move into a full column", given: full, meta: by(bot), when: MoveTicket{Ticket: "3", Column: "Doing"}, code: events.CodeWIPLimit},
		{name: "a pm overrides a move", given: full, meta: by(pam), when: MoveTicket{Ticket: "WEB-3", Column: "2", OverLimit: true}, want: []events.Event{overMove}},
		{
			name: "no override recorded where there is room", given: full, meta: by(pam),
			when: MoveTicket{Ticket: "3", Column: "Done", OverLimit: true}, want: []events.Event{moved(1, "To do", 3, "Done", "a0")},
		},
		{
			name: "reorder inside a full column", given: full, meta: by(bot),
			when: MoveTicket{Ticket: "2", Before: "WEB-1"}, want: []events.Event{moved(2, "Doing", 2, "Doing", "Zz")},
		},
		{name: "a move to where it is changes nothing", given: full, meta: by(bot), when: MoveTicket{Ticket: "2", Column: "Doing", After: "1"}},
		{
			name:  "between two others",
			given: []decided{ticketIn(1, 1, "a0"), ticketIn(2, 1, "a1"), ticketIn(3, 3, "a0")}, meta: by(bot),
			when: MoveTicket{Ticket: "3", Column: "To do", After: "1"}, want: []events.Event{moved(3, "Done", 1, "To do", "a0V")},
		},
		{name: "before and after", given: full, meta: by(bot), when: MoveTicket{Ticket: "3", Before: "1", After: "2"}, code: events.CodeInvalid},
		{name: "next to a ticket elsewhere", given: full, meta: by(bot), when: MoveTicket{Ticket: "3", Column: "Done", After: "1"}, code: events.CodeConflict},
		{name: "move by a viewer", given: full, meta: by(vic), when: MoveTicket{Ticket: "3", Column: "Done"}, code: events.CodeForbidden},
		{name: "move by a stranger", given: full, meta: by(olga), when: MoveTicket{Ticket: "3", Column: "Done"}, code: events.CodeNotFound},
		{name: "move an unknown ticket", given: full, meta: by(pam), when: MoveTicket{Ticket: "WEB-99", Column: "Done"}, code: events.CodeNotFound},
		{name: "move by name without a ticket", given: full, meta: by(pam), when: MoveTicket{Column: "Done"}, code: events.CodeInvalid},
		{
			name: "an agent moves only what is assigned to it", given: append(full[:3:3], onBoard(3, events.TicketAssigned{Assignee: "pam", Was: "bot"})),
			meta: by(bot), when: MoveTicket{Ticket: "3", Column: "Done"}, code: events.CodeForbidden,
		},
		{
			name: "a token limited to another board", given: full, when: MoveTicket{Ticket: "3", Column: "Done"},
			meta: Meta{Actor: pam, Scope: events.Scope{Boards: []int64{2}}}, code: events.CodeNotFound,
		},
		{
			name: "a token limited to viewing", given: full, when: MoveTicket{Ticket: "3", Column: "Done"},
			meta: Meta{Actor: pam, Scope: events.Scope{Role: events.ViewerRole}}, code: events.CodeForbidden,
		},
		{
			name: "an old version", given: full, when: MoveTicket{Ticket: "3", Column: "Done"},
			meta: Meta{Actor: pam, IfMatch: ptr[int64](1)}, code: events.CodeVersionMismatch,
		},
		{
			name: "the current version", given: full, when: MoveTicket{Ticket: "3", Column: "Done"},
			meta: Meta{Actor: pam, IfMatch: ptr[int64](7)}, want: []events.Event{moved(1, "To do", 3, "Done", "a0")},
		},

		{
			name: "update carries only what changed", given: full, meta: by(bot),
			when: UpdateTicket{Ticket: "1", Title: ptr("Better"), Description: ptr(""), Labels: ptr([]string{"ui", "ui", " api "})},
			want: []events.Event{events.TicketUpdated{Title: ptr("Better"), Labels: ptr([]string{"ui", "api"})}},
		},
		{name: "update to the same", given: full, meta: by(bot), when: UpdateTicket{Ticket: "1", Title: ptr("Ticket")}},
		{
			name: "set a due date", given: full, meta: by(bot), when: UpdateTicket{Ticket: "1", DueAt: ptr(noon)},
			want: []events.Event{events.TicketUpdated{DueAt: ptr(noon)}},
		},
		{name: "clear a due date that is not there", given: full, meta: by(bot), when: UpdateTicket{Ticket: "1", ClearDue: true}},
		{
			name: "clear a due date", given: append(full[:3:3], onBoard(1, events.TicketUpdated{DueAt: ptr(noon)})), meta: by(bot),
			when: UpdateTicket{Ticket: "1", ClearDue: true}, want: []events.Event{events.TicketUpdated{ClearDue: true}},
		},
		{name: "assign", given: full, meta: by(pam), when: AssignTicket{Ticket: "1", Assignee: "PAM"}, want: []events.Event{events.TicketAssigned{Assignee: "pam", Was: "bot"}}},
		{name: "assign by an agent", given: full, meta: by(bot), when: AssignTicket{Ticket: "1", Assignee: "bot"}, code: events.CodeForbidden},
		{name: "archive", given: full, meta: by(pam), when: ArchiveTicket{Ticket: "1"}, want: []events.Event{events.TicketArchived{}}},
		{name: "archive by an agent", given: full, meta: by(bot), when: ArchiveTicket{Ticket: "1"}, code: events.CodeForbidden},
		{name: "delete by an agent", given: full, meta: by(bot), when: DeleteTicket{Ticket: "1"}, code: events.CodeForbidden},
		{name: "delete an archived ticket", given: archived, meta: by(pam), when: DeleteTicket{Ticket: "1"}, want: []events.Event{events.TicketDeleted{}}},
		{name: "move an archived ticket", given: archived, meta: by(pam), when: MoveTicket{Ticket: "1", Column: "Done"}, code: events.CodeArchived},
		{
			name: "restore", given: append(archived[:2:2], ticketIn(2, 2, "a1")), meta: by(pam), when: RestoreTicket{Ticket: "1"},
			want: []events.Event{events.TicketRestored{ColumnID: 2, Column: "Doing", Rank: "a2"}},
		},
		{
			name: "restore into a full column", given: append(archived[:2:2], ticketIn(2, 2, "a1"), ticketIn(3, 2, "a2")),
			meta: by(pam), when: RestoreTicket{Ticket: "1"}, code: events.CodeWIPLimit,
		},
		{
			name: "an archived board takes nothing", given: append(full[:3:3], onBoard(0, events.BoardArchived{})),
			meta: by(pam), when: CreateTicket{Board: "1", Title: "x"}, code: events.CodeArchived,
		},
		{
			name: "a deleted board is gone", given: append(full[:3:3], onBoard(0, events.BoardDeleted{})),
			meta: by(ada), when: MoveTicket{Ticket: "1", Column: "Done"}, code: events.CodeNotFound,
		},
	})
}

func TestComments(t *testing.T) {
	t.Parallel()
	said := []decided{ticketIn(1, 1, "a0"), onBoard(1, events.CommentAdded{CommentID: 1, Text: "hi"})} // by pam
	run(t, []then{
		{name: "add", given: said, meta: by(bot), when: AddComment{Ticket: "WEB-1", Text: "done\n"}, want: []events.Event{events.CommentAdded{CommentID: 2, Text: "done\n"}}},
		{name: "add nothing", given: said, meta: by(bot), when: AddComment{Ticket: "1", Text: " \n"}, code: events.CodeInvalid},
		{name: "add as a viewer", given: said, meta: by(vic), when: AddComment{Ticket: "1", Text: "x"}, code: events.CodeForbidden},
		{name: "add as a stranger", given: said, meta: by(olga), when: AddComment{Ticket: "1", Text: "x"}, code: events.CodeNotFound},
		{name: "change one's own", given: said, meta: by(pam), when: UpdateComment{Ticket: "1", CommentID: 1, Text: "x"}, want: []events.Event{events.CommentUpdated{CommentID: 1, Text: "x"}}},
		{name: "change another's", given: said, meta: by(bot), when: UpdateComment{Ticket: "1", CommentID: 1, Text: "x"}, code: events.CodeForbidden},
		{name: "delete another's", given: said, meta: by(bot), when: DeleteComment{Ticket: "1", CommentID: 1}, code: events.CodeForbidden},
		{name: "an admin deletes", given: said, meta: by(ada), when: DeleteComment{Ticket: "1", CommentID: 1}, want: []events.Event{events.CommentDeleted{CommentID: 1}}},
		{name: "of another ticket", given: append(said[:2:2], ticketIn(2, 1, "a1")), meta: by(pam), when: DeleteComment{Ticket: "2", CommentID: 1}, code: events.CodeNotFound},
	})
}

func TestBoards(t *testing.T) {
	t.Parallel()
	columns := []events.Column{
		{ID: 1, Name: "Not Started", Kind: events.Backlog},
		{ID: 2, Name: "In Progress", Kind: events.Active},
		{ID: 3, Name: "Blocked", Kind: events.Blocked},
		{ID: 4, Name: "Ready for QC", Kind: events.Review},
		{ID: 5, Name: "Done", Kind: events.Done},
	}
	todo := events.Column{ID: 1, Name: "To do", Kind: events.Backlog}
	full := []decided{ticketIn(1, 2, "a0")}
	run(t, []then{
		{
			name: "create with defaults", meta: by(olga), when: CreateBoard{Name: "Great Web Shop"},
			want: []events.Event{
				events.BoardCreated{Key: "GWS", Name: "Great Web Shop", Visibility: events.Private, Columns: columns, MaxClaims: 1},
				events.MemberAdded{UserID: 5, Name: "olga", Role: events.PM},
			},
		},
		{name: "create with a taken key", meta: by(olga), when: CreateBoard{Name: "x", Key: "web"}, code: events.CodeNameTaken},
		{name: "create with a bad key", meta: by(olga), when: CreateBoard{Name: "x", Key: "1a"}, code: events.CodeInvalid},
		{name: "create with doubled columns", meta: by(olga), when: CreateBoard{Name: "x", Columns: []ColumnSpec{{Name: "A"}, {Name: "a"}}}, code: events.CodeInvalid},
		{name: "create with a numeric column", meta: by(olga), when: CreateBoard{Name: "x", Columns: []ColumnSpec{{Name: "77"}}}, code: events.CodeInvalid},
		{name: "create by an agent's token", meta: Meta{Actor: bot, Scope: events.Scope{Role: events.AgentRole}}, when: CreateBoard{Name: "x"}, code: events.CodeForbidden},
		{name: "update", meta: by(pam), when: UpdateBoard{Board: "web", Name: ptr("Site")}, want: []events.Event{events.BoardUpdated{Name: ptr("Site")}}},
		{name: "update by an agent", meta: by(bot), when: UpdateBoard{Board: "1", Name: ptr("Site")}, code: events.CodeForbidden},
		{name: "update by a stranger", meta: by(olga), when: UpdateBoard{Board: "1", Name: ptr("Site")}, code: events.CodeNotFound},
		{name: "update an old version", meta: Meta{Actor: pam, IfMatch: ptr[int64](1)}, when: UpdateBoard{Board: "1", Name: ptr("Site")}, code: events.CodeVersionMismatch},
		{name: "archive twice", given: []decided{onBoard(0, events.BoardArchived{})}, meta: by(pam), when: ArchiveBoard{Board: "1"}},
		{name: "restore", given: []decided{onBoard(0, events.BoardArchived{})}, meta: by(pam), when: RestoreBoard{Board: "1"}, want: []events.Event{events.BoardRestored{}}},
		{name: "delete", meta: by(pam), when: DeleteBoard{Board: "1"}, want: []events.Event{events.BoardDeleted{}}},

		{
			name: "set columns: remove, rename, add, reorder", meta: by(pam),
			when: SetColumns{Board: "1", Columns: []ColumnSpec{{Name: "Review"}, {ID: 3, Name: "Shipped"}, {ID: 1}}},
			want: []events.Event{
				events.ColumnRemoved{ColumnID: 2, Name: "Doing"},
				events.ColumnAdded{Column: events.Column{ID: 4, Name: "Review", Kind: events.Review}, Index: 0},
				events.ColumnUpdated{Column: events.Column{ID: 3, Name: "Shipped", Kind: events.Done}, Was: "Done"},
				events.ColumnMoved{ColumnID: 3, Index: 1},
			},
		},
		{
			name: "set the same columns", meta: by(pam), when: SetColumns{Board: "1", Columns: []ColumnSpec{{Name: "to do"}, {ID: 2, WIPLimit: ptr(2)}, {ID: 3}}},
			want: []events.Event{events.ColumnUpdated{Column: events.Column{ID: 1, Name: "to do", Kind: events.Backlog}, Was: "To do"}},
		},
		{name: "a column with tickets stays", given: full, meta: by(pam), when: RemoveColumn{Board: "1", Column: "Doing"}, code: events.CodeColumnNotEmpty},
		{
			name: "an archived ticket does not hold a column", given: append(full[:1:1], onBoard(1, events.TicketArchived{})), meta: by(pam),
			when: RemoveColumn{Board: "1", Column: "Doing"}, want: []events.Event{events.ColumnRemoved{ColumnID: 2, Name: "Doing"}},
		},
		{name: "no column left", meta: by(pam), when: SetColumns{Board: "1"}, code: events.CodeInvalid},
		{name: "a column of another board", meta: by(pam), when: SetColumns{Board: "1", Columns: []ColumnSpec{{ID: 9, Name: "x"}}}, code: events.CodeInvalid},
		{name: "a column twice", meta: by(pam), when: SetColumns{Board: "1", Columns: []ColumnSpec{{ID: 1}, {ID: 1}}}, code: events.CodeInvalid},
		{name: "a limit of zero", meta: by(pam), when: UpdateColumn{Board: "1", Column: ColumnSpec{ID: 1, WIPLimit: ptr(0)}}, code: events.CodeInvalid},
		{
			name: "add a column", meta: by(pam), when: AddColumn{Board: "1", Column: ColumnSpec{Name: "QC"}, Index: ptr(1)},
			want: []events.Event{events.ColumnAdded{Column: events.Column{ID: 4, Name: "QC", Kind: events.Review}, Index: 1}},
		},
		{name: "add a column that is there", meta: by(pam), when: AddColumn{Board: "1", Column: ColumnSpec{Name: "DONE"}}, code: events.CodeInvalid},
		{
			name: "rename a column", meta: by(pam), when: UpdateColumn{Board: "1", Column: ColumnSpec{ID: 1, Name: "Ideas"}},
			want: []events.Event{events.ColumnUpdated{Column: events.Column{ID: 1, Name: "Ideas", Kind: todo.Kind}, Was: "To do"}},
		},
		{name: "move a column", meta: by(pam), when: MoveColumn{Board: "1", Column: "Done", Index: 0}, want: []events.Event{events.ColumnMoved{ColumnID: 3, Index: 0}}},
		{name: "move a column too far", meta: by(pam), when: MoveColumn{Board: "1", Column: "Done", Index: 3}, code: events.CodeInvalid},
		{name: "columns by an agent", meta: by(bot), when: RemoveColumn{Board: "1", Column: "Done"}, code: events.CodeForbidden},

		{name: "add a member by name", meta: by(pam), when: SetMember{Board: "1", User: "Olga", Role: events.AgentRole}, want: []events.Event{events.MemberAdded{UserID: 5, Name: "olga", Role: events.AgentRole}}},
		{name: "change a role", meta: by(pam), when: SetMember{Board: "1", User: "4", Role: events.PM}, want: []events.Event{events.MemberUpdated{UserID: 4, Name: "vic", Role: events.PM, Was: events.ViewerRole}}},
		{name: "add nobody", meta: by(pam), when: SetMember{Board: "1", User: "zed", Role: events.PM}, code: events.CodeInvalid},
		{name: "add with a strange role", meta: by(pam), when: SetMember{Board: "1", User: "olga", Role: "boss"}, code: events.CodeInvalid},
		{name: "the last pm stays", meta: by(ada), when: RemoveMember{Board: "1", User: "pam"}, code: events.CodeConflict},
		{name: "the last pm stays pm", meta: by(pam), when: SetMember{Board: "1", User: "pam", Role: events.ViewerRole}, code: events.CodeConflict},
		{
			name: "a pm who was deactivated is none",
			given: []decided{
				onBoard(0, events.MemberUpdated{UserID: 4, Name: "vic", Role: events.PM, Was: events.ViewerRole}),
				{stream: events.UserStream(4), fact: events.UserDeactivated{UserID: 4}},
			},
			meta: by(pam), when: RemoveMember{Board: "1", User: "pam"}, code: events.CodeConflict,
		},
		{name: "remove a member", meta: by(pam), when: RemoveMember{Board: "1", User: "bot"}, want: []events.Event{events.MemberRemoved{UserID: 3, Name: "bot"}}},
		{name: "remove who is none", meta: by(pam), when: RemoveMember{Board: "1", User: "olga"}, code: events.CodeNotFound},
		{name: "members by an agent", meta: by(bot), when: SetMember{Board: "1", User: "olga", Role: events.ViewerRole}, code: events.CodeForbidden},
	})
}

func TestUsers(t *testing.T) {
	t.Parallel()
	issued := decided{stream: events.UserStream(3), fact: events.TokenIssued{TokenID: 1, UserID: 3, Name: "ci", Role: events.AgentRole, Boards: []int64{1}}}
	trusted := Meta{Actor: events.SystemActor, Trusted: true}
	run(t, []then{
		{name: "register", meta: trusted, when: RegisterUser{Name: "eve", Kind: events.Human}, want: []events.Event{events.UserRegistered{UserID: 6, Name: "eve", DisplayName: "eve", Kind: events.Human}}},
		{name: "register a taken name", meta: trusted, when: RegisterUser{Name: "ADA", Kind: events.Human}, code: events.CodeNameTaken},
		{name: "register a number", meta: trusted, when: RegisterUser{Name: "12", Kind: events.Human}, code: events.CodeInvalid},
		{name: "register the system", meta: trusted, when: RegisterUser{Name: "System", Kind: events.Human}, code: events.CodeInvalid},
		{name: "register by somebody", meta: by(olga), when: RegisterUser{Name: "eve", Kind: events.Human}, code: events.CodeForbidden},
		{name: "an agent made admin", meta: by(pam), when: RegisterUser{Name: "eve", Kind: events.Agent, Admin: true}, code: events.CodeForbidden},
		{name: "rename oneself", meta: by(olga), when: UpdateUser{UserID: 5, DisplayName: ptr("Olga O.")}, want: []events.Event{events.UserUpdated{UserID: 5, DisplayName: ptr("Olga O.")}}},
		{name: "make oneself admin", meta: by(olga), when: UpdateUser{UserID: 5, Admin: ptr(true)}, code: events.CodeForbidden},
		{name: "rename another", meta: by(olga), when: UpdateUser{UserID: 4, DisplayName: ptr("x")}, code: events.CodeNotFound},
		{name: "the last admin stays", meta: by(ada), when: UpdateUser{UserID: 1, Admin: ptr(false)}, code: events.CodeConflict},
		{name: "the last admin stays active", meta: by(ada), when: DeactivateUser{UserID: 1}, code: events.CodeConflict},
		{name: "deactivate", meta: by(ada), when: DeactivateUser{UserID: 5}, want: []events.Event{events.UserDeactivated{UserID: 5}}},
		{
			name: "a pm issues a token for an agent", meta: by(pam), when: IssueToken{User: "bot", Name: "ci", Role: events.AgentRole, Boards: []int64{1}},
			want: []events.Event{events.TokenIssued{TokenID: 1, UserID: 3, Name: "ci", Role: events.AgentRole, Boards: []int64{1}}},
		},
		{name: "an agent issues a token", meta: by(vic), when: IssueToken{User: "bot", Name: "ci", Role: events.AgentRole, Boards: []int64{1}}, code: events.CodeForbidden},
		{name: "a stranger issues a token", meta: by(olga), when: IssueToken{User: "bot", Name: "ci", Role: events.AgentRole, Boards: []int64{1}}, code: events.CodeNotFound},
		{name: "a token for all boards of another", meta: by(pam), when: IssueToken{User: "bot", Name: "ci", Role: events.AgentRole}, code: events.CodeForbidden},
		{name: "a token for another person", meta: by(pam), when: IssueToken{User: "vic", Name: "ci", Role: events.AgentRole, Boards: []int64{1}}, code: events.CodeForbidden},
		{
			name: "a token for oneself", meta: by(vic), when: IssueToken{User: "vic", Name: "ci", Role: events.ViewerRole},
			want: []events.Event{events.TokenIssued{TokenID: 1, UserID: 4, Name: "ci", Role: events.ViewerRole, Boards: []int64{}}},
		},
		{name: "a limited token makes no other", meta: Meta{Actor: vic, Scope: events.Scope{Role: events.ViewerRole}}, when: IssueToken{User: "vic", Name: "ci", Role: events.PM}, code: events.CodeForbidden},
		{name: "revoke by a pm", given: []decided{issued}, meta: by(pam), when: RevokeToken{UserID: 3, TokenID: 1}, want: []events.Event{events.TokenRevoked{TokenID: 1, UserID: 3}}},
		{name: "revoke by a stranger", given: []decided{issued}, meta: by(olga), when: RevokeToken{UserID: 3, TokenID: 1}, code: events.CodeNotFound},
		{name: "revoke what is not there", meta: by(ada), when: RevokeToken{UserID: 3, TokenID: 1}, code: events.CodeNotFound},
		{name: "an import is for importers", meta: by(ada), when: ImportLog{}, code: events.CodeForbidden},
	})
}

func TestDeactivatedAccountsAreRefused(t *testing.T) {
	t.Parallel()
	s := given(t, decided{stream: events.UserStream(2), fact: events.UserDeactivated{UserID: 2}})
	if got := events.CodeOf(s.w.authorise(by(pam))); got != events.CodeUnauthenticated {
		t.Errorf("deactivated account: got %q, want %q", got, events.CodeUnauthenticated)
	}
	if err := s.w.authorise(by(ada)); err != nil {
		t.Errorf("active account: %v", err)
	}
}

func TestSnapshotRestoresTheSameState(t *testing.T) {
	t.Parallel()
	s := given(t, ticketIn(1, 2, "a0"), ticketIn(2, 1, "a1"), ticketIn(3, 1, "a0"), onBoard(3, events.TicketArchived{}))
	s.w.now = noon.Add(time.Hour) // a comment moves the time of the stream, but of no ticket
	s.fact(pam, onBoard(2, events.CommentAdded{CommentID: 4, Text: "x"}))
	b := s.w.state.boards[1]
	snap, err := b.snapshot(10)
	if err != nil {
		t.Fatal(err)
	}
	got, err := restoreBoard(snap)
	if err != nil {
		t.Fatal(err)
	}
	got.snapVersion = b.snapVersion
	inside := cmp.AllowUnexported(board{}, index{})
	if diff := cmp.Diff(b, got, inside, cmp.Comparer(func(x, y map[int64][]*Ticket) bool {
		return len(x[1]) == len(y[1]) && len(x[2]) == len(y[2]) && cmp.Equal(x[1], y[1], inside) && cmp.Equal(x[2], y[2], inside)
	})); diff != "" {
		t.Errorf("restored board (-want +got):\n%s", diff)
	}
}

// Comments are counted as the rows count them: one whose data was redacted is
// there, and nobody can delete it, for its id went with it.
func TestCommentsAreCounted(t *testing.T) {
	t.Parallel()
	comment := func(ticket, id int64) decided { return onBoard(ticket, events.CommentAdded{CommentID: id, Text: "x"}) }
	gone := func(ticket, id int64) decided { return onBoard(ticket, events.CommentDeleted{CommentID: id}) }
	s := given(t, ticketIn(1, 1, "a0"), ticketIn(2, 1, "a1"), comment(1, 1), comment(1, 2), comment(2, 3), gone(1, 1), gone(1, 1), gone(1, 9))
	b := s.w.state.boards[1]
	b.evolveComment(b.tickets[1], &events.Envelope{Type: events.TypeCommentAdded}, nil)
	b.evolveComment(b.tickets[1], &events.Envelope{Type: events.TypeCommentUpdated}, nil)
	if one, two := b.tickets[1].CommentCount, b.tickets[2].CommentCount; one != 2 || two != 1 {
		t.Errorf("the tickets have %d and %d comments, want 2 and 1", one, two)
	}
	s.fact(pam, onBoard(1, events.TicketDeleted{}))
	back := events.TicketRecovered{Comments: []events.RecoveredComment{{ID: 2, Text: "x", Author: pam}}}
	back.Number, back.Key, back.ColumnID, back.Column = 1, "WEB-1", 1, "To do"
	s.fact(pam, onBoard(1, back))
	s.fact(pam, gone(1, 2))
	if got := b.tickets[1].CommentCount; got != 0 {
		t.Errorf("the ticket that came back has %d comments, want none", got)
	}
}

func TestDecodeKnowsEveryPublicCommand(t *testing.T) {
	t.Parallel()
	for _, kind := range Types() {
		cmd, err := Decode(kind, []byte(`{}`))
		if err != nil || cmd.CommandType() != kind {
			t.Errorf("Decode(%q) = %v, %v, want a %s", kind, cmd, err, kind)
		}
	}
	for _, bad := range []string{`{"titel":"x"}`, `[]`, `{"board":1.5}`} {
		if _, err := Decode("create_ticket", []byte(bad)); events.CodeOf(err) != events.CodeInvalid {
			t.Errorf("Decode(create_ticket, %s) = %v, want a refusal", bad, err)
		}
	}
	if _, err := Decode("register_user", []byte(`{}`)); events.CodeOf(err) != events.CodeInvalid {
		t.Errorf("Decode(register_user) = %v, want a refusal: accounts have routes of their own", err)
	}
}
