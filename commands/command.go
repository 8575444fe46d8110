package commands

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Command asks for something to happen, in the imperative. The JSON of its
// fields is the data of POST /api/commands.
type Command interface {
	// CommandType is its name on the wire: "create_ticket".
	CommandType() string
	// target names the existing board or ticket that the command is about; both
	// are empty for commands about users and for CreateBoard.
	target() (board, ticket Ref)
}

// Target names the existing board or ticket that a command is about, one of
// them; both are empty for commands about users and for CreateBoard.
func Target(cmd Command) (board, ticket Ref) { return cmd.target() }

// Ref names a board, ticket or column by id ("12") or by key or name ("WEB",
// "WEB-12", "In Progress"). In JSON it is a string or an integer.
type Ref string

// RefID returns the Ref of a numeric id.
func RefID(id int64) Ref { return Ref(strconv.FormatInt(id, 10)) }

// ID returns the numeric id, 0 if the Ref is a key or name.
func (r Ref) ID() int64 {
	id, err := strconv.ParseInt(string(r), 10, 64)
	if err != nil || id < 0 {
		return 0
	}
	return id
}

// MarshalJSON writes a number where the Ref is one.
func (r Ref) MarshalJSON() ([]byte, error) {
	if id := r.ID(); id > 0 {
		return strconv.AppendInt(nil, id, 10), nil
	}
	return json.Marshal(string(r))
}

// UnmarshalJSON reads a string or an integer.
func (r *Ref) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		var s string
		err := json.Unmarshal(text, &s)
		*r = Ref(s)
		return err
	}
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	id, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		return fmt.Errorf("want an id or a key, got %s", text)
	}
	*r = RefID(id)
	return nil
}

// ColumnSpec describes a column that is wanted. ID 0 is a new column; an empty
// Kind keeps the kind, or is guessed from the name of a new column.
type ColumnSpec struct {
	ID       int64             `json:"id,omitempty"`
	Name     string            `json:"name"`
	Kind     events.ColumnKind `json:"kind,omitempty"`
	WIPLimit *int              `json:"wip_limit"`
	Policy   *PolicySpec       `json:"policy,omitempty"` // nil keeps the policy
}

// PolicySpec is an events.Policy with columns by id or name.
type PolicySpec struct {
	RequireChecklist bool  `json:"require_checklist,omitempty"`
	RequireEvidence  bool  `json:"require_evidence,omitempty"`
	Approval         bool  `json:"approval,omitempty"`
	AllowFrom        []Ref `json:"allow_from,omitempty"`
}

// Commands about boards.
type (
	// CreateBoard starts a board; the actor becomes its pm. An empty Key is
	// made from the name; no Columns means the five default ones. ID is
	// honoured for trusted callers only (import), if it was never used.
	CreateBoard struct {
		ID          int64             `json:"-"`
		Key         string            `json:"key,omitempty"`
		Name        string            `json:"name"`
		Description string            `json:"description,omitempty"`
		Visibility  events.Visibility `json:"visibility,omitempty"`
		Columns     []ColumnSpec      `json:"columns,omitempty"`
		MaxClaims   int               `json:"max_claims,omitempty"`
	}
	// UpdateBoard changes what is not nil.
	UpdateBoard struct {
		Board       Ref                `json:"board"`
		Name        *string            `json:"name,omitempty"`
		Description *string            `json:"description,omitempty"`
		Visibility  *events.Visibility `json:"visibility,omitempty"`
		MaxClaims   *int               `json:"max_claims,omitempty"`
	}
	// ArchiveBoard makes a board read only and hides it from lists.
	ArchiveBoard struct {
		Board Ref `json:"board"`
	}
	// RestoreBoard undoes ArchiveBoard.
	RestoreBoard struct {
		Board Ref `json:"board"`
	}
	// DeleteBoard removes a board from every view.
	DeleteBoard struct {
		Board Ref `json:"board"`
	}
	// SetColumns makes the board's columns the given list: adds, updates,
	// reorders and removes as needed.
	SetColumns struct {
		Board   Ref          `json:"board"`
		Columns []ColumnSpec `json:"columns"`
	}
	// AddColumn inserts a column at Index, at the end where Index is nil.
	AddColumn struct {
		Board  Ref        `json:"board"`
		Column ColumnSpec `json:"column"`
		Index  *int       `json:"index,omitempty"`
	}
	// UpdateColumn replaces name, kind and limit of the column with Spec.ID.
	UpdateColumn struct {
		Board  Ref        `json:"board"`
		Column ColumnSpec `json:"column"`
	}
	// MoveColumn puts a column at Index, counted after taking it out.
	MoveColumn struct {
		Board  Ref `json:"board"`
		Column Ref `json:"column"`
		Index  int `json:"index"`
	}
	// RemoveColumn removes a column without tickets.
	RemoveColumn struct {
		Board  Ref `json:"board"`
		Column Ref `json:"column"`
	}
	// SetMember gives a user, by name or id, a role on the board.
	SetMember struct {
		Board Ref         `json:"board"`
		User  Ref         `json:"user"`
		Role  events.Role `json:"role"`
	}
	// RemoveMember takes the role away.
	RemoveMember struct {
		Board Ref `json:"board"`
		User  Ref `json:"user"`
	}
)

// Commands about tickets.
type (
	// CreateTicket puts a ticket at the end of Column, of the first column
	// where Column is empty. OverLimit asks to go past the WIP limit (pm only).
	// ID is honoured for trusted callers only (import). As names the ticket for
	// later commands of the same list, which say "$name" where they mean it.
	CreateTicket struct {
		ID                 int64           `json:"-"`
		Board              Ref             `json:"board"`
		Title              string          `json:"title"`
		Description        string          `json:"description,omitempty"`
		AcceptanceCriteria string          `json:"acceptance_criteria,omitempty"`
		Priority           events.Priority `json:"priority,omitempty"`
		Labels             []string        `json:"labels,omitempty"`
		Assignee           string          `json:"assignee,omitempty"`
		DueAt              *time.Time      `json:"due_at,omitempty"`
		Column             Ref             `json:"column,omitempty"`
		OverLimit          bool            `json:"over_limit,omitempty"`
		DependsOn          []Ref           `json:"depends_on,omitempty"`
		Checklist          []string        `json:"checklist,omitempty"`
		As                 string          `json:"as,omitempty"`
	}
	// UpdateTicket changes what is not nil; ClearDue removes the due date.
	UpdateTicket struct {
		Ticket             Ref              `json:"ticket"`
		Title              *string          `json:"title,omitempty"`
		Description        *string          `json:"description,omitempty"`
		AcceptanceCriteria *string          `json:"acceptance_criteria,omitempty"`
		Priority           *events.Priority `json:"priority,omitempty"`
		Labels             *[]string        `json:"labels,omitempty"`
		DueAt              *time.Time       `json:"due_at,omitempty"`
		ClearDue           bool             `json:"clear_due,omitempty"`
		Fence              int64            `json:"fence,omitempty"`
	}
	// MoveTicket puts a ticket into Column, before or after another ticket of
	// it, at the end where both are empty. An empty Column stays in the column.
	MoveTicket struct {
		Ticket    Ref   `json:"ticket"`
		Column    Ref   `json:"column,omitempty"`
		Before    Ref   `json:"before,omitempty"`
		After     Ref   `json:"after,omitempty"`
		OverLimit bool  `json:"over_limit,omitempty"`
		Fence     int64 `json:"fence,omitempty"`
	}
	// AssignTicket makes a user, by name, responsible; "" is nobody.
	AssignTicket struct {
		Ticket   Ref    `json:"ticket"`
		Assignee string `json:"assignee"`
	}
	// ArchiveTicket hides a ticket.
	ArchiveTicket struct {
		Ticket Ref `json:"ticket"`
	}
	// RestoreTicket brings it back at the end of its column.
	RestoreTicket struct {
		Ticket    Ref  `json:"ticket"`
		OverLimit bool `json:"over_limit,omitempty"`
	}
	// DeleteTicket removes a ticket from every view.
	DeleteTicket struct {
		Ticket Ref `json:"ticket"`
	}
	// AddComment says something about a ticket. ID is honoured for trusted
	// callers only.
	AddComment struct {
		ID     int64  `json:"-"`
		Ticket Ref    `json:"ticket"`
		Text   string `json:"text"`
	}
	// UpdateComment replaces the text; its author or a pm may.
	UpdateComment struct {
		Ticket    Ref    `json:"ticket"`
		CommentID int64  `json:"comment_id"`
		Text      string `json:"text"`
	}
	// DeleteComment removes a comment; its author or a pm may.
	DeleteComment struct {
		Ticket    Ref   `json:"ticket"`
		CommentID int64 `json:"comment_id"`
	}
)

// Commands about people and agents. They are not part of POST /api/commands:
// http and cmd issue them together with the secrets they belong to.
type (
	// RegisterUser adds a person or an agent.
	RegisterUser struct {
		Name        string           `json:"name"`
		DisplayName string           `json:"display_name,omitempty"`
		Kind        events.ActorKind `json:"kind"`
		Admin       bool             `json:"admin,omitempty"`
	}
	// UpdateUser changes what is not nil.
	UpdateUser struct {
		UserID      int64   `json:"user_id"`
		DisplayName *string `json:"display_name,omitempty"`
		Admin       *bool   `json:"admin,omitempty"`
	}
	// DeactivateUser ends all access of a user.
	DeactivateUser struct {
		UserID int64 `json:"user_id"`
	}
	// IssueToken records an API token of the user with the given name.
	IssueToken struct {
		User      string      `json:"user"`
		Name      string      `json:"name"`
		Role      events.Role `json:"role"`
		Boards    []int64     `json:"boards"`
		ExpiresAt *time.Time  `json:"expires_at,omitempty"`
	}
	// RevokeToken ends an API token.
	RevokeToken struct {
		UserID  int64 `json:"user_id"`
		TokenID int64 `json:"token_id"`
	}
	// ImportLog records that a file was imported.
	ImportLog struct {
		events.LogImported
	}
)
