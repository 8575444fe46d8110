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
	Frozen      bool              `json:"frozen"`
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
	Policy   events.Policy     `json:"policy"`
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

	Checklist []events.ChecklistItem `json:"checklist"`
	Evidence  []events.Evidence      `json:"evidence"`
	DependsOn []string               `json:"depends_on"` // keys
	Blocked   bool                   `json:"blocked"`    // something it depends on is not done
	Approval  *Approval              `json:"approval"`   // null = not asked for, or void since the ticket changed
	Lease     *Lease                 `json:"lease"`      // null = nobody holds it

	// CommentCount is how many comments there are. It is not part of the version.
	CommentCount int64 `json:"comment_count"`

	// Version is the board version of the last event that changed the ticket:
	// the ETag. Comments do not change it.
	Version         int64     `json:"version"`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`
	ColumnEnteredAt time.Time `json:"column_entered_at"`
	CreatedBy       string    `json:"created_by"`
}

// Approval is the last word on whether the work on a ticket is good.
type Approval struct {
	State   string    `json:"state" enum:"requested,approved,rejected"`
	Version int64     `json:"version"` // of the ticket that it is about
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Note    string    `json:"note"`
}

// Lease is somebody's claim of a ticket. Fence is the position of the
// ticket_claimed event, the token that its holder gives with its commands.
type Lease struct {
	Fence     int64     `json:"fence"`
	HolderID  int64     `json:"holder_id"`
	Holder    string    `json:"holder"`
	ClaimedAt time.Time `json:"claimed_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Ready is what agents can work on; the JSON of /api/boards/{id}/ready.
type Ready struct {
	Position int64 `json:"position"`
	// Ready tickets are in the order in which claim-next takes them.
	Ready      []Ticket `json:"ready"`
	ReadyTotal int64    `json:"ready_total"`
	// Blocked are backlog tickets that wait for others which can still be done.
	Blocked      []BlockedTicket `json:"blocked"`
	BlockedTotal int64           `json:"blocked_total"`
	// DeadBlocked wait for something that will not be done as things are.
	DeadBlocked      []BlockedTicket `json:"dead_blocked"`
	DeadBlockedTotal int64           `json:"dead_blocked_total"`
}

// BlockedTicket is a ticket and what it waits for.
type BlockedTicket struct {
	ID    int64     `json:"id"`
	Key   string    `json:"key"`
	Title string    `json:"title"`
	By    []Blocker `json:"blocked_by"`
}

// Blocker is one ticket that another waits for.
type Blocker struct {
	ID  int64  `json:"id"`
	Key string `json:"key"`
	// State is open (it can still be done), archived, deleted, or dead_blocked
	// (it waits itself for something that will not be done).
	State string `json:"state" enum:"open,archived,deleted,dead_blocked"`
}

// Dependencies are what a ticket waits for, and what waits for it; the JSON of
// /api/tickets/{id}/dependencies.
type Dependencies struct {
	DependsOn  []Related `json:"depends_on"`
	Dependents []Related `json:"dependents"`
}

// Related is a ticket at the other end of a dependency.
type Related struct {
	ID     int64  `json:"id"`
	Key    string `json:"key"`
	Title  string `json:"title"`
	Column string `json:"column"`
	// State is done, or a state of a Blocker: open, archived, deleted.
	State string `json:"state" enum:"done,open,archived,deleted"`
}

// Agent is a principal at work on boards that the viewer may see; its numbers
// are of those boards alone.
type Agent struct {
	ID          int64            `json:"id"`
	Name        string           `json:"name"`
	DisplayName string           `json:"display_name"`
	Kind        events.ActorKind `json:"kind"`
	Active      bool             `json:"active"`
	Paused      bool             `json:"paused"`
	PauseReason string           `json:"pause_reason"`
	LastSeen    *time.Time       `json:"last_seen"` // null = never
	Claims      []Claim          `json:"claims"`
	TicketsDone int64            `json:"tickets_done"`
	LeasesLost  int64            `json:"leases_lost"`
	Usage       Usage            `json:"usage"`
}

// Claim is one ticket that somebody holds.
type Claim struct {
	TicketID int64  `json:"ticket_id"`
	Key      string `json:"key"`
	BoardID  int64  `json:"board_id"`
	Title    string `json:"title"`
	Lease
}

// Usage is what work cost: sums of what agents reported. CostMicros is in
// millionths of a US dollar.
type Usage struct {
	InputTokens  int64 `json:"input_tokens"`
	OutputTokens int64 `json:"output_tokens"`
	CostMicros   int64 `json:"cost_micros"`
	Reports      int64 `json:"reports"`
}

// BoardUsage is the usage on a board; the JSON of /api/boards/{id}/usage.
type BoardUsage struct {
	Total   Usage         `json:"total"`
	Agents  []AgentUsage  `json:"agents"`  // the most expensive first
	Tickets []TicketUsage `json:"tickets"` // the 100 most expensive
}

// AgentUsage is the usage of one principal.
type AgentUsage struct {
	UserID int64  `json:"user_id"`
	Name   string `json:"name"`
	Usage
}

// TicketUsage is the usage on one ticket.
type TicketUsage struct {
	TicketID int64  `json:"ticket_id"`
	Key      string `json:"key"`
	Usage
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
	Paused      bool             `json:"paused"` // an agent whose commands are refused
	PauseReason string           `json:"pause_reason,omitempty"`
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
