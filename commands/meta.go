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
}

// Board is a copy of a board's structure.
type Board struct {
	ID                     int64
	Key, Name, Description string
	Visibility             events.Visibility
	Columns                []events.Column
	MaxClaims              int
	Archived               bool
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
