package events

import "time"

// ReleaseReason says why a claim ended.
type ReleaseReason string

const (
	Released  ReleaseReason = "released"  // the holder gave it back
	Completed ReleaseReason = "completed" // the holder finished
	Revoked   ReleaseReason = "revoked"   // somebody else took it from the holder
	Moved     ReleaseReason = "moved"     // the ticket went to a column of kind backlog or done
	Archived  ReleaseReason = "archived"  // the ticket was archived
	Undone    ReleaseReason = "undone"    // the claim was undone
)

// EvidenceKind says what a piece of evidence is.
type EvidenceKind string

const (
	Link       EvidenceKind = "link"
	Commit     EvidenceKind = "commit"
	TestOutput EvidenceKind = "test_output"
	Note       EvidenceKind = "note"
)

// ChecklistItem is one acceptance criterion. ID is unique within its ticket and
// never reused.
type ChecklistItem struct {
	ID   int64  `json:"id"`
	Text string `json:"text"`
	Done bool   `json:"done"`
}

// Evidence is something that shows that the work was done. ID is unique within
// its ticket.
type Evidence struct {
	ID   int64        `json:"id"`
	Kind EvidenceKind `json:"kind"`
	Text string       `json:"text"`
	By   string       `json:"by"`
	At   time.Time    `json:"at"`
}

// Dependency names a ticket of the same board that must be done first.
type Dependency struct {
	ID  int64  `json:"id"`
	Key string `json:"key"`
}

// Facts about the work on a ticket.
type (
	// TicketClaimed gives the actor of the envelope the ticket until ExpiresAt,
	// if no heartbeat extends it. The position of this event is the fencing
	// token of the claim. FromColumnID and FromRank, where the claim moved the
	// ticket out of a backlog column, are the place it goes back to when the
	// claim ends without the work done.
	TicketClaimed struct {
		LeaseSeconds int64     `json:"lease_seconds"`
		ExpiresAt    time.Time `json:"expires_at"`
		FromColumnID int64     `json:"from_column_id,omitempty"`
		FromRank     string    `json:"from_rank,omitempty"`
	}
	// TicketReleased ends the claim with that fence.
	TicketReleased struct {
		Fence    int64         `json:"fence"`
		Holder   string        `json:"holder"`
		HolderID int64         `json:"holder_id"`
		Reason   ReleaseReason `json:"reason"`
		Note     string        `json:"note,omitempty"`
	}
	// LeaseExpired ends the claim with that fence: nothing was heard from its
	// holder in time.
	LeaseExpired struct {
		Fence    int64  `json:"fence"`
		Holder   string `json:"holder"`
		HolderID int64  `json:"holder_id"`
	}

	// DependencyAdded says that another ticket of the board must be done first.
	DependencyAdded struct {
		DependsOn int64  `json:"depends_on"`
		Key       string `json:"key"`
	}
	// DependencyRemoved undoes DependencyAdded.
	DependencyRemoved struct {
		DependsOn int64  `json:"depends_on"`
		Key       string `json:"key"`
	}
	// ChecklistChanged replaces the acceptance criteria.
	ChecklistChanged struct {
		Items []ChecklistItem `json:"items"`
	}
	// EvidenceAdded records what the actor of the envelope shows for the work.
	EvidenceAdded struct {
		EvidenceID int64        `json:"evidence_id"`
		Kind       EvidenceKind `json:"kind"`
		Text       string       `json:"text"`
	}
	// EvidenceRemoved undoes EvidenceAdded.
	EvidenceRemoved struct {
		EvidenceID int64        `json:"evidence_id"`
		Kind       EvidenceKind `json:"kind"`
	}
	// ApprovalRequested asks the pm of the board to look at the ticket as it is
	// at Version.
	ApprovalRequested struct {
		Version int64  `json:"version"`
		Note    string `json:"note,omitempty"`
	}
	// TicketApproved is a pm's yes to the ticket as it was at Version. It holds
	// until the ticket's content changes or it is claimed again.
	TicketApproved struct {
		Version int64  `json:"version"`
		Note    string `json:"note,omitempty"`
	}
	// TicketRejected is a pm's no.
	TicketRejected struct {
		Version int64  `json:"version"`
		Note    string `json:"note,omitempty"`
	}
	// ApprovalWithdrawn undoes ApprovalRequested, TicketApproved or
	// TicketRejected.
	ApprovalWithdrawn struct{}
	// UsageRecorded is what some work on the ticket cost, as its agent reports
	// it. CostMicros is in millionths of a US dollar.
	UsageRecorded struct {
		InputTokens  int64  `json:"input_tokens"`
		OutputTokens int64  `json:"output_tokens"`
		CostMicros   int64  `json:"cost_micros"`
		Model        string `json:"model,omitempty"`
		Session      string `json:"session,omitempty"`
	}

	// TicketRecovered brings a deleted ticket back as it was.
	TicketRecovered struct {
		TicketCreated
		Archived        bool               `json:"archived,omitempty"`
		Checklist       []ChecklistItem    `json:"checklist,omitempty"`
		Evidence        []Evidence         `json:"evidence,omitempty"`
		DependsOn       []Dependency       `json:"depends_on,omitempty"`
		Comments        []RecoveredComment `json:"comments,omitempty"`
		CreatedAt       time.Time          `json:"created_at"`
		CreatedBy       string             `json:"created_by"`
		ColumnEnteredAt time.Time          `json:"column_entered_at"`
	}
)

// RecoveredComment is a comment that came back with its ticket.
type RecoveredComment struct {
	ID        int64     `json:"id"`
	Text      string    `json:"text"`
	Author    Actor     `json:"author"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}
