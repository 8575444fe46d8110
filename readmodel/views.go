package readmodel

import (
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Board is what is known of a board; the JSON of /api/boards/{id}.
type Board struct {
	ID          int64             `json:"id"`
	Key         string            `json:"key"`
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Visibility  events.Visibility `json:"visibility"`
	MaxClaims   int               `json:"max_claims"`
	Columns     []Column          `json:"columns"`
	Archived    bool              `json:"archived"`
	// Version is the board version of the last event that changed the board
	// itself, its columns or its members: the ETag.
	Version   int64     `json:"version"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	CreatedBy string    `json:"created_by"`
}

// Column is one column of a board, in order.
type Column struct {
	ID       int64             `json:"id"`
	Name     string            `json:"name"`
	Kind     events.ColumnKind `json:"kind"`
	WIPLimit *int              `json:"wip_limit"`
}

// Ticket is one card; the JSON of /api/tickets/{id}.
type Ticket struct {
	ID                 int64           `json:"id"`
	Key                string          `json:"key"`
	BoardID            int64           `json:"board_id"`
	Title              string          `json:"title"`
	Description        string          `json:"description"`
	AcceptanceCriteria string          `json:"acceptance_criteria"`
	Priority           events.Priority `json:"priority"`
	Labels             []string        `json:"labels"`
	Assignee           *string         `json:"assignee"` // null = nobody
	ColumnID           int64           `json:"column_id"`
	CurrentColumn      string          `json:"current_column"`
	Rank               string          `json:"rank"`
	DueAt              *time.Time      `json:"due_at"`
	Archived           bool            `json:"archived"`
	// Version is the board version of the last event that changed the ticket:
	// the ETag. Comments do not change it.
	Version         int64     `json:"version"`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`
	ColumnEnteredAt time.Time `json:"column_entered_at"`
	CreatedBy       string    `json:"created_by"`
}

// Comment is what somebody wrote about a ticket.
type Comment struct {
	ID         int64            `json:"id"`
	TicketID   int64            `json:"ticket_id"`
	BoardID    int64            `json:"board_id"`
	Text       string           `json:"text"`
	Author     string           `json:"author"`
	AuthorKind events.ActorKind `json:"author_kind"`
	CreatedAt  time.Time        `json:"created_at"`
	UpdatedAt  time.Time        `json:"updated_at"`
}

// HistoryEntry is one change of one field of a ticket. Old and New are null
// where there was nothing.
type HistoryEntry struct {
	ID        int64            `json:"id"`
	TicketID  int64            `json:"ticket_id"`
	BoardID   int64            `json:"board_id"`
	Position  int64            `json:"position"`
	FieldName string           `json:"field_name"`
	OldValue  *string          `json:"old_value"`
	NewValue  *string          `json:"new_value"`
	ChangedBy string           `json:"changed_by"`
	ActorKind events.ActorKind `json:"actor_kind"`
	ChangedAt time.Time        `json:"changed_at"`
}

// Member is a principal's role on a board.
type Member struct {
	BoardID int64       `json:"board_id"`
	UserID  int64       `json:"user_id"`
	Name    string      `json:"name"`
	Role    events.Role `json:"role"`
}

// User is a person or an agent.
type User struct {
	ID          int64            `json:"id"`
	Username    string           `json:"username"`
	DisplayName string           `json:"display_name"`
	Kind        events.ActorKind `json:"kind"`
	Admin       bool             `json:"admin"`
	Active      bool             `json:"active"`
	CreatedAt   time.Time        `json:"created_at"`
	UpdatedAt   time.Time        `json:"updated_at"`
}

// Snapshot is a board as of Position. Tickets are ordered by column (in board
// order), then rank, then id; archived ones are left out.
type Snapshot struct {
	Position int64    `json:"position"`
	Board    Board    `json:"board"`
	Columns  []Column `json:"columns"`
	Tickets  []Ticket `json:"tickets"`
}
