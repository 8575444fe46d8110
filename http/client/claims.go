package client

import (
	"context"
	"net/http"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// Claimed is a ticket and the caller's lease of it. Lease.Fence goes with the
// commands about the ticket. Where nothing was ready both are nil, and Detail
// says why.
type Claimed struct {
	Ticket *readmodel.Ticket `json:"ticket"`
	Lease  *readmodel.Lease  `json:"lease"`
	Detail string            `json:"detail,omitempty"`
}

// Claim takes a ticket for the caller until the lease ends; 0 = the server's
// default. CodeClaimed where somebody holds it, CodeBlocked where it waits for
// others, CodeClaimLimit where the caller holds as many as the board allows.
func (c *Client) Claim(ctx context.Context, ticket commands.Ref, lease time.Duration) (Claimed, error) {
	return send[Claimed](ctx, c, http.MethodPost, leaseBody{LeaseSeconds: seconds(lease)}, "api", "tickets", ref(ticket), "claim")
}

// leaseBody is what claim and heartbeat send.
type leaseBody struct {
	Fence        int64 `json:"fence,omitempty"`
	LeaseSeconds int64 `json:"lease_seconds,omitempty"`
}

// seconds rounds up: a lease is never shorter than asked.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// NextQuery says which ticket ClaimNext may take: on Board, from one of Columns
// (empty = any), with all of Labels. Wait, at most 60 s, is how long the server
// waits for one to become ready.
type NextQuery struct {
	Board       commands.Ref
	Columns     []commands.Ref
	Labels      []string
	Lease, Wait time.Duration
}

// ClaimNext claims the best ready ticket. Ticket is nil where none became ready.
func (c *Client) ClaimNext(ctx context.Context, q NextQuery) (Claimed, error) {
	body := struct {
		Columns      []commands.Ref `json:"columns,omitempty"`
		Labels       []string       `json:"labels,omitempty"`
		LeaseSeconds int64          `json:"lease_seconds,omitempty"`
		WaitSeconds  int64          `json:"wait_seconds,omitempty"`
	}{q.Columns, q.Labels, seconds(q.Lease), seconds(q.Wait)}
	var out Claimed
	err := c.do(ctx, request{
		method: http.MethodPost, path: join("api", "boards", ref(q.Board), "claim-next"), body: body,
		waits: time.Duration(body.WaitSeconds) * time.Second,
	}, &out)
	return out, err
}

// Heartbeat extends the caller's lease: it ends lease from now, 0 = as long as
// it was claimed for. CodeStaleClaim where the claim has ended.
func (c *Client) Heartbeat(ctx context.Context, ticket commands.Ref, fence int64, lease time.Duration) (Claimed, error) {
	return send[Claimed](ctx, c, http.MethodPost, leaseBody{fence, seconds(lease)}, "api", "tickets", ref(ticket), "heartbeat")
}

// Release gives a claim back.
func (c *Client) Release(ctx context.Context, cmd commands.ReleaseTicket) (readmodel.Ticket, error) {
	body := struct {
		Fence int64  `json:"fence,omitempty"`
		Note  string `json:"note,omitempty"`
	}{cmd.Fence, cmd.Note}
	return send[readmodel.Ticket](ctx, c, http.MethodPost, body, "api", "tickets", ref(cmd.Ticket), "release")
}

// Complete says that the work is done; the claim ends.
func (c *Client) Complete(ctx context.Context, cmd commands.CompleteTicket) (readmodel.Ticket, error) {
	body := struct {
		Fence    int64                   `json:"fence,omitempty"`
		Column   commands.Ref            `json:"column,omitempty"`
		Evidence []commands.EvidenceSpec `json:"evidence,omitempty"`
		Note     string                  `json:"note,omitempty"`
	}{cmd.Fence, cmd.Column, cmd.Evidence, cmd.Note}
	return send[readmodel.Ticket](ctx, c, http.MethodPost, body, "api", "tickets", ref(cmd.Ticket), "complete")
}
