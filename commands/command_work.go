package commands

import (
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Bounds of a lease.
const (
	DefaultLease = 15 * time.Minute
	MinLease     = 30 * time.Second
	MaxLease     = 24 * time.Hour
)

// Commands about claims. Fence, where a command has one, is the position of the
// ticket_claimed event that the caller got; with another one than the ticket's
// the command is refused with CodeStaleClaim. 0 means that the caller does not
// say, and is judged by who it is alone.
type (
	// ClaimTicket takes a ticket for the actor until the lease ends. A ticket in
	// a backlog column moves to the end of the first active column.
	ClaimTicket struct {
		Ticket       Ref   `json:"ticket"`
		LeaseSeconds int64 `json:"lease_seconds,omitempty"` // 0 = DefaultLease
	}
	// ClaimNext claims the best ready ticket: the highest priority, then the
	// order of the board, then the oldest. It is refused with CodeNothingReady
	// where there is none.
	ClaimNext struct {
		Board        Ref      `json:"board"`
		Columns      []Ref    `json:"columns,omitempty"` // only from these
		Labels       []string `json:"labels,omitempty"`  // only with all of these
		LeaseSeconds int64    `json:"lease_seconds,omitempty"`
	}
	// Heartbeat extends the lease: it ends LeaseSeconds from now. It causes no
	// event, and stands alone.
	Heartbeat struct {
		Ticket       Ref   `json:"ticket"`
		Fence        int64 `json:"fence,omitempty"`
		LeaseSeconds int64 `json:"lease_seconds,omitempty"` // 0 = as claimed
	}
	// ReleaseTicket gives a claim back; a pm takes it from its holder. A ticket
	// that is still in an active column goes back to where it was claimed from.
	ReleaseTicket struct {
		Ticket Ref    `json:"ticket"`
		Fence  int64  `json:"fence,omitempty"`
		Note   string `json:"note,omitempty"`
	}
	// CompleteTicket says that the work is done: evidence is added, the ticket
	// moves to Column and the claim ends. An empty Column is the first of kind
	// done; where that one needs an approval that is not there yet, the first of
	// kind review, and the approval is requested.
	CompleteTicket struct {
		Ticket   Ref            `json:"ticket"`
		Fence    int64          `json:"fence,omitempty"`
		Column   Ref            `json:"column,omitempty"`
		Evidence []EvidenceSpec `json:"evidence,omitempty"`
		Note     string         `json:"note,omitempty"`
	}
	// ExpireLease ends a claim whose lease ran out. Only the Sequencer issues it.
	ExpireLease struct {
		Ticket Ref
		Fence  int64
	}
)

// EvidenceSpec is evidence to be added.
type EvidenceSpec struct {
	Kind events.EvidenceKind `json:"kind"`
	Text string              `json:"text"`
}

// ChecklistItemSpec is an acceptance criterion that is wanted. ID 0 is a new
// one, or the existing one of the same text.
type ChecklistItemSpec struct {
	ID   int64  `json:"id,omitempty"`
	Text string `json:"text"`
	Done bool   `json:"done,omitempty"`
}

// Commands about what a ticket needs before it can be done.
type (
	// AddDependency makes a ticket wait for another one of its board. A cycle is
	// refused with CodeCycle and its path.
	AddDependency struct {
		Ticket    Ref `json:"ticket"`
		DependsOn Ref `json:"depends_on"`
	}
	// RemoveDependency undoes AddDependency.
	RemoveDependency struct {
		Ticket    Ref `json:"ticket"`
		DependsOn Ref `json:"depends_on"`
	}
	// SetChecklist makes the acceptance criteria the given list. Only a pm may
	// drop or reword an item; others may add some and check them.
	SetChecklist struct {
		Ticket Ref                 `json:"ticket"`
		Fence  int64               `json:"fence,omitempty"`
		Items  []ChecklistItemSpec `json:"items"`
	}
	// CheckItem marks one acceptance criterion as done, or as not done.
	CheckItem struct {
		Ticket Ref   `json:"ticket"`
		Fence  int64 `json:"fence,omitempty"`
		Item   int64 `json:"item"`
		Done   bool  `json:"done"`
	}
	// AddEvidence shows something for the work.
	AddEvidence struct {
		Ticket Ref   `json:"ticket"`
		Fence  int64 `json:"fence,omitempty"`
		EvidenceSpec
	}
	// RemoveEvidence takes a piece of evidence back, by its id. Who added it may, and
	// a pm.
	RemoveEvidence struct {
		Ticket   Ref   `json:"ticket"`
		Fence    int64 `json:"fence,omitempty"`
		Evidence int64 `json:"evidence"`
	}
	// RequestApproval asks the pm of the board to approve the ticket as it is.
	RequestApproval struct {
		Ticket Ref    `json:"ticket"`
		Fence  int64  `json:"fence,omitempty"`
		Note   string `json:"note,omitempty"`
	}
	// ApproveTicket is a pm's yes to the ticket as it is at Version, 0 = as it is
	// now. Whoever holds the ticket, held it last or is assigned to it may not.
	ApproveTicket struct {
		Ticket  Ref    `json:"ticket"`
		Version int64  `json:"version,omitempty"`
		Note    string `json:"note,omitempty"`
	}
	// RejectTicket is a pm's no, with a reason; Column, if given, is where the
	// ticket goes.
	RejectTicket struct {
		Ticket  Ref    `json:"ticket"`
		Version int64  `json:"version,omitempty"`
		Note    string `json:"note,omitempty"`
		Column  Ref    `json:"column,omitempty"`
	}
	// RecordUsage adds what some work on the ticket cost.
	RecordUsage struct {
		Ticket       Ref    `json:"ticket"`
		Fence        int64  `json:"fence,omitempty"`
		InputTokens  int64  `json:"input_tokens,omitempty"`
		OutputTokens int64  `json:"output_tokens,omitempty"`
		CostMicros   int64  `json:"cost_micros,omitempty"` // millionths of a US dollar
		Model        string `json:"model,omitempty"`
		Session      string `json:"session,omitempty"`
	}
)

// Commands that stop and take back.
type (
	// FreezeBoard stops everybody on the board but people who are pm.
	FreezeBoard struct {
		Board  Ref    `json:"board"`
		Reason string `json:"reason,omitempty"`
	}
	// UnfreezeBoard undoes FreezeBoard.
	UnfreezeBoard struct {
		Board Ref `json:"board"`
	}
	// PauseAgent refuses every command of an agent. An admin may, and a pm of
	// Board, which the agent must be a member of.
	PauseAgent struct {
		Agent  Ref    `json:"agent"`
		Board  Ref    `json:"board,omitempty"`
		Reason string `json:"reason,omitempty"`
	}
	// ResumeAgent undoes PauseAgent; the same people may.
	ResumeAgent struct {
		Agent Ref `json:"agent"`
		Board Ref `json:"board,omitempty"`
	}
	// UndoCommand takes back what one command did, by events that compensate for
	// it. Its author may, and a pm of the boards it changed. It is refused with
	// CodeBuiltOn where somebody built on it.
	UndoCommand struct {
		CommandID string `json:"command_id"`
	}
	// UndoActor takes back everything that one actor, by name, did on the board
	// after a position.
	UndoActor struct {
		Board Ref    `json:"board"`
		Actor string `json:"actor"`
		Since int64  `json:"since"`
	}
)

// Commands about webhooks. They are not part of POST /api/commands: http issues
// them together with the address and the secret.
type (
	// AddWebhook records that events of the board go to Host.
	AddWebhook struct {
		Board Ref           `json:"board"`
		Host  string        `json:"host"`
		Types []events.Type `json:"types"`
	}
	// UpdateWebhook changes what is given of a webhook: Host where it is not
	// empty, Types and Active where they are not nil. Touched records an event
	// even where nothing of these changes: the address or the secret did.
	UpdateWebhook struct {
		Board     Ref           `json:"board"`
		WebhookID int64         `json:"webhook_id"`
		Host      string        `json:"host,omitempty"`
		Types     []events.Type `json:"types,omitempty"`
		Active    *bool         `json:"active,omitempty"`
		Touched   bool          `json:"-"`
	}
	// RemoveWebhook ends a webhook.
	RemoveWebhook struct {
		Board     Ref   `json:"board"`
		WebhookID int64 `json:"webhook_id"`
	}
)
