package events

import (
	"slices"
	"time"
)

// Type names a kind of fact. The meaning of a type never changes; its shape may
// change under a new schema number (see codec.go).
type Type string

// The types of events, grouped by what they are about.
const (
	TypeBoardCreated  Type = "board_created"
	TypeBoardUpdated  Type = "board_updated"
	TypeBoardArchived Type = "board_archived"
	TypeBoardRestored Type = "board_restored"
	TypeBoardDeleted  Type = "board_deleted"
	TypeBoardFrozen   Type = "board_frozen"
	TypeBoardUnfrozen Type = "board_unfrozen"
	TypeColumnAdded   Type = "column_added"
	TypeColumnUpdated Type = "column_updated"
	TypeColumnMoved   Type = "column_moved"
	TypeColumnRemoved Type = "column_removed"
	TypeMemberAdded   Type = "member_added"
	TypeMemberUpdated Type = "member_updated"
	TypeMemberRemoved Type = "member_removed"

	TypeWebhookAdded   Type = "webhook_added"
	TypeWebhookUpdated Type = "webhook_updated"
	TypeWebhookRemoved Type = "webhook_removed"
	TypeCommandsUndone Type = "commands_undone"

	TypeTicketCreated  Type = "ticket_created"
	TypeTicketUpdated  Type = "ticket_updated"
	TypeTicketMoved    Type = "ticket_moved"
	TypeTicketAssigned Type = "ticket_assigned"
	TypeTicketArchived Type = "ticket_archived"
	TypeTicketRestored Type = "ticket_restored"
	TypeTicketDeleted  Type = "ticket_deleted"
	// TypeTicketRecovered undoes a deletion.
	TypeTicketRecovered Type = "ticket_recovered"

	TypeTicketClaimed  Type = "ticket_claimed"
	TypeTicketReleased Type = "ticket_released"
	TypeLeaseExpired   Type = "lease_expired"

	TypeDependencyAdded   Type = "dependency_added"
	TypeDependencyRemoved Type = "dependency_removed"
	TypeChecklistChanged  Type = "checklist_changed"
	TypeEvidenceAdded     Type = "evidence_added"
	TypeEvidenceRemoved   Type = "evidence_removed"
	TypeApprovalRequested Type = "approval_requested"
	TypeTicketApproved    Type = "ticket_approved"
	TypeTicketRejected    Type = "ticket_rejected"
	TypeApprovalWithdrawn Type = "approval_withdrawn"
	TypeUsageRecorded     Type = "usage_recorded"

	TypeCommentAdded   Type = "comment_added"
	TypeCommentUpdated Type = "comment_updated"
	TypeCommentDeleted Type = "comment_deleted"

	TypeUserRegistered  Type = "user_registered"
	TypeUserUpdated     Type = "user_updated"
	TypeUserDeactivated Type = "user_deactivated"
	TypeAgentPaused     Type = "agent_paused"
	TypeAgentResumed    Type = "agent_resumed"
	TypeTokenIssued     Type = "token_issued"
	TypeTokenRevoked    Type = "token_revoked"

	TypeLogImported  Type = "log_imported"
	TypeDataRedacted Type = "data_redacted"
)

// Event is a fact: something that happened, in the past tense, never changed
// afterwards. Values are plain structs; whoever receives one must not modify
// what it points to.
//
//sumtype:decl
type Event interface {
	// Type names the fact on the wire and in the table.
	Type() Type
	sealed()
}

// Visibility says who may read a board besides its members and admins.
type Visibility string

const (
	Private  Visibility = "private"  // members only
	Internal Visibility = "internal" // everyone who is signed in, read only
)

// ColumnKind tells policies and statistics what a column means.
type ColumnKind string

const (
	Backlog ColumnKind = "backlog"
	Active  ColumnKind = "active"
	Blocked ColumnKind = "blocked"
	Review  ColumnKind = "review"
	Done    ColumnKind = "done"
)

// Priority orders tickets; the zero value is not valid in an event.
type Priority string

const (
	Low    Priority = "low"
	Medium Priority = "medium"
	High   Priority = "high"
	Urgent Priority = "urgent"
)

// Column is one column of a board. ID is unique within its board and never
// reused; a nil WIPLimit means no limit.
type Column struct {
	ID       int64      `json:"id"`
	Name     string     `json:"name"`
	Kind     ColumnKind `json:"kind"`
	WIPLimit *int       `json:"wip_limit"`
	Policy   Policy     `json:"policy,omitzero"`
}

// Policy is what a ticket must meet to enter a column from another one. The
// zero value asks for nothing.
type Policy struct {
	// RequireChecklist: there is a checklist, and every item of it is done.
	RequireChecklist bool `json:"require_checklist"`
	// RequireEvidence: there is at least one piece of evidence.
	RequireEvidence bool `json:"require_evidence"`
	// Approval: a pm approved the ticket as it is now.
	Approval bool `json:"approval"`
	// AllowFrom are the columns it may come from, by id; empty = any.
	AllowFrom []int64 `json:"allow_from,omitempty"`
}

// IsZero reports whether the policy asks for nothing.
func (p Policy) IsZero() bool {
	return !p.RequireChecklist && !p.RequireEvidence && !p.Approval && len(p.AllowFrom) == 0
}

// Equal reports whether both ask for the same.
func (p Policy) Equal(q Policy) bool {
	return p.RequireChecklist == q.RequireChecklist && p.RequireEvidence == q.RequireEvidence &&
		p.Approval == q.Approval && slices.Equal(p.AllowFrom, q.AllowFrom)
}

// Facts about a board. The board's id is in the envelope.
type (
	// BoardCreated starts a board with its columns in order.
	BoardCreated struct {
		Key         string     `json:"key"`
		Name        string     `json:"name"`
		Description string     `json:"description"`
		Visibility  Visibility `json:"visibility"`
		Columns     []Column   `json:"columns"`
		MaxClaims   int        `json:"max_claims"`
	}
	// BoardUpdated carries only what changed; nil means unchanged.
	BoardUpdated struct {
		Name        *string     `json:"name,omitempty"`
		Description *string     `json:"description,omitempty"`
		Visibility  *Visibility `json:"visibility,omitempty"`
		MaxClaims   *int        `json:"max_claims,omitempty"`
	}
	// BoardArchived makes a board read only and hides it from lists.
	BoardArchived struct{}
	// BoardRestored undoes BoardArchived.
	BoardRestored struct{}
	// BoardDeleted removes a board from every view; its events stay in the log.
	BoardDeleted struct{}

	// BoardFrozen stops everybody on the board but people who are pm.
	BoardFrozen struct {
		Reason string `json:"reason"`
	}
	// BoardUnfrozen undoes BoardFrozen.
	BoardUnfrozen struct{}

	// CommandsUndone says which commands the events of this command take back:
	// those with the ids, all by Actor. Since is the position after which
	// everything of Actor was undone, 0 where single commands were.
	CommandsUndone struct {
		CommandIDs []string `json:"command_ids"`
		Actor      string   `json:"actor"`
		Since      int64    `json:"since,omitempty"`
	}

	// WebhookAdded records that events of the board go to a host outside. The
	// address itself may hold a secret and is kept elsewhere.
	WebhookAdded struct {
		WebhookID int64  `json:"webhook_id"`
		Host      string `json:"host"`
		Types     []Type `json:"types"` // empty = all
	}
	// WebhookUpdated replaces what is known of a webhook.
	WebhookUpdated struct {
		WebhookID int64  `json:"webhook_id"`
		Host      string `json:"host"`
		Types     []Type `json:"types"`
		Active    bool   `json:"active"`
	}
	// WebhookRemoved ends a webhook.
	WebhookRemoved struct {
		WebhookID int64  `json:"webhook_id"`
		Host      string `json:"host"`
	}

	// ColumnAdded inserts a column at Index (0 is leftmost).
	ColumnAdded struct {
		Column Column `json:"column"`
		Index  int    `json:"index"`
	}
	// ColumnUpdated replaces name, kind and limit of one column.
	ColumnUpdated struct {
		Column Column `json:"column"`
		// Was is the name before, so that a history line needs no lookup.
		Was string `json:"was"`
	}
	// ColumnMoved puts a column at Index, counted after taking it out.
	ColumnMoved struct {
		ColumnID int64 `json:"column_id"`
		Index    int   `json:"index"`
	}
	// ColumnRemoved removes an empty column.
	ColumnRemoved struct {
		ColumnID int64  `json:"column_id"`
		Name     string `json:"name"`
	}

	// MemberAdded gives a principal a role on the board.
	MemberAdded struct {
		UserID int64  `json:"user_id"`
		Name   string `json:"name"`
		Role   Role   `json:"role"`
	}
	// MemberUpdated changes a member's role.
	MemberUpdated struct {
		UserID int64  `json:"user_id"`
		Name   string `json:"name"`
		Role   Role   `json:"role"`
		Was    Role   `json:"was"`
	}
	// MemberRemoved takes the role away.
	MemberRemoved struct {
		UserID int64  `json:"user_id"`
		Name   string `json:"name"`
	}
)

// Facts about a ticket. Its id and its board's are in the envelope.
type (
	// TicketCreated puts a new ticket into a column.
	TicketCreated struct {
		Number             int64      `json:"number"` // WEB-12 has number 12
		Key                string     `json:"key"`
		Title              string     `json:"title"`
		Description        string     `json:"description"`
		AcceptanceCriteria string     `json:"acceptance_criteria"`
		Priority           Priority   `json:"priority"`
		Labels             []string   `json:"labels"`
		Assignee           string     `json:"assignee"` // user name, "" = nobody
		DueAt              *time.Time `json:"due_at"`
		ColumnID           int64      `json:"column_id"`
		Column             string     `json:"column"`
		Rank               string     `json:"rank"` // order inside the column, compared as bytes
		// OverLimit records that a pm put the ticket there past the WIP limit.
		OverLimit bool `json:"over_limit,omitempty"`
	}
	// TicketUpdated carries only what changed; nil means unchanged. ClearDue
	// removes the due date.
	TicketUpdated struct {
		Title              *string    `json:"title,omitempty"`
		Description        *string    `json:"description,omitempty"`
		AcceptanceCriteria *string    `json:"acceptance_criteria,omitempty"`
		Priority           *Priority  `json:"priority,omitempty"`
		Labels             *[]string  `json:"labels,omitempty"`
		DueAt              *time.Time `json:"due_at,omitempty"`
		ClearDue           bool       `json:"clear_due,omitempty"`
	}
	// TicketMoved changes column, order, or both.
	TicketMoved struct {
		FromColumnID int64  `json:"from_column_id"`
		FromColumn   string `json:"from_column"`
		ColumnID     int64  `json:"column_id"`
		Column       string `json:"column"`
		Rank         string `json:"rank"`
		OverLimit    bool   `json:"over_limit,omitempty"`
	}
	// TicketAssigned names who is responsible; "" means nobody.
	TicketAssigned struct {
		Assignee string `json:"assignee"`
		Was      string `json:"was"`
	}
	// TicketArchived hides a ticket; it no longer counts against WIP limits.
	TicketArchived struct{}
	// TicketRestored brings it back, at Rank in its column.
	TicketRestored struct {
		ColumnID  int64  `json:"column_id"`
		Column    string `json:"column"`
		Rank      string `json:"rank"`
		OverLimit bool   `json:"over_limit,omitempty"`
	}
	// TicketDeleted removes a ticket from every view; its events stay.
	TicketDeleted struct{}
)

// Facts about comments. The ticket's id is in the envelope.
type (
	// CommentAdded records what the actor of the envelope wrote.
	CommentAdded struct {
		CommentID int64  `json:"comment_id"`
		Text      string `json:"text"`
	}
	// CommentUpdated replaces the text.
	CommentUpdated struct {
		CommentID int64  `json:"comment_id"`
		Text      string `json:"text"`
	}
	// CommentDeleted removes the comment from every view.
	CommentDeleted struct {
		CommentID int64 `json:"comment_id"`
	}
)

// Facts about people and agents, on the stream of the user. Secrets are never
// part of an event.
type (
	// UserRegistered adds a person or an agent; Name is unique and permanent.
	UserRegistered struct {
		UserID      int64     `json:"user_id"`
		Name        string    `json:"name"`
		DisplayName string    `json:"display_name"`
		Kind        ActorKind `json:"kind"`
		Admin       bool      `json:"admin"`
	}
	// UserUpdated carries only what changed; nil means unchanged.
	UserUpdated struct {
		UserID      int64   `json:"user_id"`
		DisplayName *string `json:"display_name,omitempty"`
		Admin       *bool   `json:"admin,omitempty"`
	}
	// UserDeactivated ends all access of a user.
	UserDeactivated struct {
		UserID int64 `json:"user_id"`
	}
	// AgentPaused refuses every command of an agent until AgentResumed.
	AgentPaused struct {
		UserID int64  `json:"user_id"`
		Reason string `json:"reason"`
	}
	// AgentResumed undoes AgentPaused.
	AgentResumed struct {
		UserID int64 `json:"user_id"`
	}
	// TokenIssued records that an API token exists, never its value. Boards is
	// the set it works on, empty for all of the user's; a nil ExpiresAt never
	// expires.
	TokenIssued struct {
		TokenID   int64      `json:"token_id"`
		UserID    int64      `json:"user_id"`
		Name      string     `json:"name"`
		Role      Role       `json:"role"`
		Boards    []int64    `json:"boards"`
		ExpiresAt *time.Time `json:"expires_at"`
	}
	// TokenRevoked ends an API token.
	TokenRevoked struct {
		TokenID int64 `json:"token_id"`
		UserID  int64 `json:"user_id"`
	}
)

// LogImported, on the system stream, says that the commands with this
// correlation id carry times and actors claimed by an imported file.
type LogImported struct {
	Source   string `json:"source"` // base name of the file
	SHA256   string `json:"sha256"`
	Boards   int    `json:"boards"`
	Tickets  int    `json:"tickets"`
	Comments int    `json:"comments"`
	History  int    `json:"history"`
	Repairs  int    `json:"repairs"`
}
