package mcp

import (
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// ticket is a ticket as the model reads it: what the server vouches for, and
// apart from that what people and agents wrote.
type ticket struct {
	Key       string          `json:"key"`
	Column    string          `json:"column,omitempty"`
	Priority  events.Priority `json:"priority,omitempty"`
	Assignee  string          `json:"assignee,omitempty"`
	Holder    string          `json:"holder,omitempty"`
	Blocked   bool            `json:"blocked,omitempty"`
	DependsOn []string        `json:"depends_on,omitempty"`
	BlockedBy []string        `json:"blocked_by,omitempty"`
	Checklist string          `json:"checklist,omitempty"` // "2/5" are done
	Evidence  int             `json:"evidence,omitempty"`  // how many
	Approval  string          `json:"approval,omitempty"`
	Archived  bool            `json:"archived,omitempty"`

	// With detailed.
	Version   int64      `json:"version,omitempty"`
	DueAt     *time.Time `json:"due_at,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	CreatedAt *time.Time `json:"created_at,omitempty"`
	UpdatedAt *time.Time `json:"updated_at,omitempty"`

	Untrusted *untrusted `json:"untrusted,omitempty"`
}

// untrusted is what others wrote; By wrote the ticket.
type untrusted struct {
	By          string      `json:"by,omitempty"`
	Title       string      `json:"title,omitempty"`
	Name        string      `json:"name,omitempty"` // of a board
	Labels      []string    `json:"labels,omitempty"`
	Description string      `json:"description,omitempty"`
	Acceptance  string      `json:"acceptance_criteria,omitempty"`
	Checklist   []criterion `json:"checklist,omitempty"`
	Evidence    []said      `json:"evidence,omitempty"`
	Approval    *said       `json:"approval,omitempty"`
	Comments    []said      `json:"comments,omitempty"`
	Activity    []said      `json:"activity,omitempty"`
}

// criterion is one item of a checklist.
type criterion struct {
	ID   int64  `json:"id"`
	Done bool   `json:"done"`
	Text string `json:"text"`
}

// said is something that one person or agent wrote.
type said struct {
	By   string     `json:"by"`
	At   *time.Time `json:"at,omitempty"`
	Kind string     `json:"kind,omitempty"`
	Text string     `json:"text"`
}

// second is precise enough for a model, and shorter.
func second(t time.Time) *time.Time {
	t = t.UTC().Truncate(time.Second)
	return &t
}

// summaryOf is what lists show of a ticket.
func summaryOf(t *readmodel.Ticket, detailed bool) ticket {
	out := ticket{
		Key: t.Key, Column: t.CurrentColumn, Priority: t.Priority, Blocked: t.Blocked, DependsOn: t.DependsOn,
		Evidence: len(t.Evidence), Archived: t.Archived, Untrusted: &untrusted{By: t.CreatedBy, Title: t.Title},
	}
	if t.Assignee != nil {
		out.Assignee = *t.Assignee
	}
	if t.Lease != nil {
		out.Holder = t.Lease.Holder
	}
	if n := len(t.Checklist); n > 0 {
		done := 0
		for _, item := range t.Checklist {
			if item.Done {
				done++
			}
		}
		out.Checklist = fmt.Sprintf("%d/%d", done, n)
	}
	if t.Approval != nil {
		out.Approval = t.Approval.State
	}
	if !detailed {
		return out
	}
	out.Version, out.CreatedAt, out.UpdatedAt, out.DueAt = t.Version, second(t.CreatedAt), second(t.UpdatedAt), t.DueAt
	if t.Lease != nil {
		out.ExpiresAt = second(t.Lease.ExpiresAt)
	}
	left := forLabels
	take(&out.Untrusted.Labels, t.Labels, &left)
	return out
}

// forLabels bounds the labels of one ticket: there may be 200, and one entry of
// a list must always fit.
const forLabels = 1000

// take appends items to list while they fit into left, and returns how many
// did.
func take[T any](list *[]T, items []T, left *int) int {
	for i, item := range items {
		c := cost(item)
		if c > *left {
			return i
		}
		*left -= c
		*list = append(*list, item)
	}
	return len(items)
}
