package commands

import (
	"context"
	"database/sql"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Meta is everything about a command that is not its content. Actor and Scope
// come from the credential, never from a request's body.
type Meta struct {
	// CommandID makes the command idempotent for its actor: the same id gives
	// the same Receipt. Empty = a fresh one.
	CommandID string
	// RequestSHA is the sum of what was asked; the same CommandID with another
	// sum is refused with CodeIdempotencyReused.
	RequestSHA    events.Hash
	Actor         events.Actor
	Scope         events.Scope
	CorrelationID string
	CausationID   string
	// IfMatch is the version the caller saw of the ticket or board it changes,
	// nil for any; a mismatch is refused with CodeVersionMismatch.
	IfMatch *int64
	// At is when it happens; zero = now. Only trusted callers set it.
	At time.Time
	// Trusted skips permissions and honours given ids and times: imports.
	Trusted bool
	// With runs in the transaction of the events, after they were appended: for
	// secrets that must exist if and only if the events do. It must be quick.
	With func(ctx context.Context, tx *sql.Tx, r Receipt) error
}

// Receipt says what an accepted command did.
type Receipt struct {
	Stream   string // of the last event
	Version  int64  // of the last event in Stream
	Position int64  // of the last event; the head's where nothing changed
	// Events are those the command caused, in order; empty where the state was
	// already as asked.
	Events []events.Envelope
	// Repeated is true when the command had been carried out before.
	Repeated bool
	// Ticket and Board are the state right after the command of the ticket or
	// board that its last event is about; nil where there is none, and for
	// Repeated.
	Ticket *Ticket
	Board  *Board
}

// Ticket is a copy of a ticket's state.
type Ticket struct {
	ID, BoardID, Number                    int64
	Key                                    string
	Title, Description, AcceptanceCriteria string
	Priority                               events.Priority
	Labels                                 []string
	Assignee                               string
	ColumnID                               int64
	Column, Rank                           string
	DueAt                                  *time.Time
	Archived                               bool
	Version                                int64 // board version of the last event that changed it
	CreatedAt, UpdatedAt, ColumnEnteredAt  time.Time
	CreatedBy                              string

	Lease     *Lease // nil = nobody holds it
	Checklist []events.ChecklistItem
	Evidence  []events.Evidence
	DependsOn []events.Dependency
	Blocked   bool      // something it depends on is not done
	Approval  *Approval // nil = not asked for, or void since the ticket changed

	// CommentCount is how many comments there are; they do not change Version.
	CommentCount int64 `json:",omitempty"`

	// LastHolder is who claimed the ticket last, 0 = nobody yet. Lost are those
	// who lost a claim of it and have not claimed it again.
	LastHolder int64   `json:",omitempty"`
	Lost       []int64 `json:",omitempty"`
	// NextItem and NextEvidence are the next free ids.
	NextItem, NextEvidence int64 `json:",omitempty"`
}

// Lease is somebody's claim of a ticket. Fence is the position of the
// ticket_claimed event.
type Lease struct {
	Fence     int64
	HolderID  int64
	Holder    string
	ClaimedAt time.Time
	ExpiresAt time.Time
	Seconds   int64
	// BackColumn and BackRank are where the ticket goes when the claim ends
	// without the work done, 0 = it stays.
	BackColumn int64
	BackRank   string
}

// ApprovalState is how far an approval is.
type ApprovalState string

const (
	ApprovalRequested ApprovalState = "requested"
	ApprovalGranted   ApprovalState = "approved"
	ApprovalRejected  ApprovalState = "rejected"
)

// Approval is the last word on whether the work is good.
type Approval struct {
	State   ApprovalState
	Version int64 // of the ticket that it is about
	By      string
	At      time.Time
	Note    string
}

// Board is a copy of a board's structure.
type Board struct {
	ID                     int64
	Key, Name, Description string
	Visibility             events.Visibility
	Columns                []events.Column
	MaxClaims              int
	Archived               bool
	Frozen                 bool
	Version                int64 // board version of the last event that changed board, columns or members
	CreatedAt, UpdatedAt   time.Time
	CreatedBy              string
	Members                []Member
}

// Member is one principal's role on a board.
type Member struct {
	UserID int64
	Name   string
	Role   events.Role
}
