package mcp

import (
	"context"
	"fmt"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

type claimArgs struct {
	Board        commands.Ref   `json:"board"`
	Ticket       commands.Ref   `json:"ticket"`
	Columns      []commands.Ref `json:"columns"`
	Labels       []string       `json:"labels"`
	LeaseSeconds int64          `json:"lease_seconds"`
	WaitSeconds  int64          `json:"wait_seconds"`
}

// claimReply is the data of claim_next and heartbeat.
type claimReply struct {
	Claimed   bool       `json:"claimed"`
	Fence     int64      `json:"fence,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	Detail    string     `json:"detail,omitempty"` // why there is no ticket
	Ticket    *ticket    `json:"ticket,omitempty"`
	Shortened []string   `json:"shortened,omitempty"`
}

// maxWait is how long the server waits for a ticket at most.
const maxWait = 60

// leaseOf reads lease_seconds; 0 is the default. The API judges it, but not a
// number of seconds that overflows into another one.
func leaseOf(seconds int64) (time.Duration, error) {
	if most := int64(commands.MaxLease / time.Second); seconds > most || seconds < -most {
		return 0, invalid("lease_seconds", fmt.Sprintf("must be between %d and %d", commands.MinLease/time.Second, most))
	}
	return time.Duration(seconds) * time.Second, nil
}

func claimNext(ctx context.Context, s *session, in claimArgs) (reply, error) {
	if in.WaitSeconds < 0 || in.WaitSeconds > maxWait {
		return reply{}, invalid("wait_seconds", fmt.Sprintf("must be between 0 and %d", maxWait))
	}
	lease, err := leaseOf(in.LeaseSeconds)
	if err != nil {
		return reply{}, err
	}
	var got client.Claimed
	switch {
	case in.Ticket != "" && (in.Board != "" || len(in.Columns) > 0 || len(in.Labels) > 0 || in.WaitSeconds != 0):
		return reply{}, invalid("ticket", "stands alone: leave out board, columns, labels and wait_seconds")
	case in.Ticket != "":
		got, err = s.client.Claim(ctx, in.Ticket, lease)
	case in.Board != "":
		got, err = s.client.ClaimNext(ctx, client.NextQuery{
			Board: in.Board, Columns: in.Columns, Labels: in.Labels, Lease: lease, Wait: time.Duration(in.WaitSeconds) * time.Second,
		})
	default:
		return reply{}, invalid("board", "is required, or a ticket: a board's key, as WEB")
	}
	if err != nil {
		return reply{}, err
	}
	if got.Ticket == nil || got.Lease == nil {
		return reply{"Nothing was claimed.", claimReply{Detail: got.Detail}}, nil
	}
	s.fences.keep(got.Ticket, got.Lease.Fence)
	data := claimReply{Claimed: true, Fence: got.Lease.Fence, ExpiresAt: second(got.Lease.ExpiresAt)}
	concise := conciseOf(got.Ticket)
	concise.Ticket.ExpiresAt = nil
	data.Ticket, data.Shortened = &concise.Ticket, concise.Shortened
	text := fmt.Sprintf("You hold %s with fence %d until %s. Send heartbeats before that.",
		got.Ticket.Key, data.Fence, data.ExpiresAt.Format(time.RFC3339))
	if len(data.Shortened) > 0 {
		text += " Read it whole with get_ticket and detailed: true."
	}
	return reply{text, data}, nil
}

type heartbeatArgs struct {
	Ticket       commands.Ref `json:"ticket"`
	Fence        int64        `json:"fence"`
	LeaseSeconds int64        `json:"lease_seconds"`
}

func heartbeat(ctx context.Context, s *session, in heartbeatArgs) (reply, error) {
	if in.Ticket == "" {
		return reply{}, invalid("ticket", "is required: its key, as WEB-12")
	}
	lease, err := leaseOf(in.LeaseSeconds)
	if err != nil {
		return reply{}, err
	}
	fence := s.fences.or(in.Fence, in.Ticket)
	got, err := s.client.Heartbeat(ctx, in.Ticket, fence, lease)
	if err != nil {
		s.ended(ctx, in.Ticket, fence, err)
		return reply{}, err
	}
	if got.Ticket == nil || got.Lease == nil {
		return reply{}, errInternal
	}
	s.fences.keep(got.Ticket, got.Lease.Fence)
	data := claimReply{Claimed: true, Fence: got.Lease.Fence, ExpiresAt: second(got.Lease.ExpiresAt)}
	return reply{fmt.Sprintf("You hold %s until %s.", got.Ticket.Key, data.ExpiresAt.Format(time.RFC3339)), data}, nil
}

type commentArgs struct {
	Ticket commands.Ref `json:"ticket"`
	Text   string       `json:"text"`
}

type commentReply struct {
	ID int64 `json:"id"`
}

func comment(ctx context.Context, s *session, in commentArgs) (reply, error) {
	if in.Ticket == "" {
		return reply{}, invalid("ticket", "is required: its key, as WEB-12")
	}
	c, err := s.client.AddComment(ctx, in.Ticket, in.Text)
	if err != nil {
		return reply{}, err
	}
	return reply{"The comment was added.", commentReply{c.ID}}, nil
}

type completeArgs struct {
	Ticket   commands.Ref            `json:"ticket"`
	Fence    int64                   `json:"fence"`
	Column   commands.Ref            `json:"column"`
	Evidence []commands.EvidenceSpec `json:"evidence"`
	Note     string                  `json:"note"`
}

// changeReply is the data of update_ticket and complete_ticket.
type changeReply struct {
	Ticket ticket `json:"ticket"`
}

func completeTicket(ctx context.Context, s *session, in completeArgs) (reply, error) {
	if in.Ticket == "" {
		return reply{}, invalid("ticket", "is required: its key, as WEB-12")
	}
	fence := s.fences.or(in.Fence, in.Ticket)
	t, err := s.client.Complete(ctx, commands.CompleteTicket{
		Ticket: in.Ticket, Fence: fence, Column: in.Column, Evidence: in.Evidence, Note: in.Note,
	})
	if err != nil {
		s.ended(ctx, in.Ticket, fence, err)
		return reply{}, err
	}
	s.fences.forget(&t)
	text := fmt.Sprintf("%s went to %s, and your claim has ended.", t.Key, t.CurrentColumn)
	if t.Approval != nil && t.Approval.State == "requested" {
		text = fmt.Sprintf("%s went to %s and waits for a pm to approve it; your claim has ended.", t.Key, t.CurrentColumn)
	}
	return reply{text, changed(&t)}, nil
}

func changed(t *readmodel.Ticket) changeReply {
	out := summaryOf(t, false)
	out.Version = t.Version
	return changeReply{out}
}
