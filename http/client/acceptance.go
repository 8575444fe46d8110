package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// AddDependency makes a ticket wait for another one of its board. CodeCycle,
// with the path, where they would wait for each other.
func (c *Client) AddDependency(ctx context.Context, ticket, dependsOn commands.Ref) (readmodel.Ticket, error) {
	body := struct {
		DependsOn commands.Ref `json:"depends_on"`
	}{dependsOn}
	return send[readmodel.Ticket](ctx, c, http.MethodPost, body, "api", "tickets", ref(ticket), "dependencies")
}

// RemoveDependency undoes AddDependency.
func (c *Client) RemoveDependency(ctx context.Context, ticket, dependsOn commands.Ref) (readmodel.Ticket, error) {
	return send[readmodel.Ticket](ctx, c, http.MethodDelete, nil, "api", "tickets", ref(ticket), "dependencies", ref(dependsOn))
}

// SetChecklist makes the acceptance criteria the given list. ifMatch is the
// version of the ticket that the list is based on, nil for any.
func (c *Client) SetChecklist(ctx context.Context, cmd commands.SetChecklist, ifMatch *int64) (readmodel.Ticket, error) {
	body := struct {
		Fence int64                        `json:"fence,omitempty"`
		Items []commands.ChecklistItemSpec `json:"items"`
	}{cmd.Fence, cmd.Items}
	if body.Items == nil {
		body.Items = []commands.ChecklistItemSpec{}
	}
	var out readmodel.Ticket
	err := c.do(ctx, request{
		method: http.MethodPut, path: join("api", "tickets", ref(cmd.Ticket), "checklist"), body: body, ifMatch: ifMatch,
	}, &out)
	return out, err
}

// CheckItem marks one acceptance criterion as done, or as not done.
func (c *Client) CheckItem(ctx context.Context, cmd commands.CheckItem) (readmodel.Ticket, error) {
	body := struct {
		Fence int64 `json:"fence,omitempty"`
		Item  int64 `json:"item"`
		Done  bool  `json:"done"`
	}{cmd.Fence, cmd.Item, cmd.Done}
	return send[readmodel.Ticket](ctx, c, http.MethodPost, body, "api", "tickets", ref(cmd.Ticket), "checklist")
}

// AddEvidence shows something for the work.
func (c *Client) AddEvidence(ctx context.Context, cmd commands.AddEvidence) (readmodel.Ticket, error) {
	body := struct {
		Fence int64               `json:"fence,omitempty"`
		Kind  events.EvidenceKind `json:"kind"`
		Text  string              `json:"text"`
	}{cmd.Fence, cmd.Kind, cmd.Text}
	return send[readmodel.Ticket](ctx, c, http.MethodPost, body, "api", "tickets", ref(cmd.Ticket), "evidence")
}

// RemoveEvidence takes a piece of evidence back.
func (c *Client) RemoveEvidence(ctx context.Context, cmd commands.RemoveEvidence) (readmodel.Ticket, error) {
	return send[readmodel.Ticket](ctx, c, http.MethodDelete, nil, "api", "tickets", ref(cmd.Ticket), "evidence", strconv.FormatInt(cmd.Evidence, 10))
}

// RequestApproval asks the pm of the board to approve the ticket as it is.
func (c *Client) RequestApproval(ctx context.Context, cmd commands.RequestApproval) (readmodel.Ticket, error) {
	body := struct {
		Fence int64  `json:"fence,omitempty"`
		Note  string `json:"note,omitempty"`
	}{cmd.Fence, cmd.Note}
	return send[readmodel.Ticket](ctx, c, http.MethodPost, body, "api", "tickets", ref(cmd.Ticket), "request-approval")
}

// verdict is what approve and reject send.
type verdict struct {
	Version int64        `json:"version,omitempty"`
	Note    string       `json:"note,omitempty"`
	Column  commands.Ref `json:"column,omitempty"`
}

// Approve is a pm's yes to the ticket as it is at cmd.Version, 0 = now.
func (c *Client) Approve(ctx context.Context, cmd commands.ApproveTicket) (readmodel.Ticket, error) {
	body := verdict{Version: cmd.Version, Note: cmd.Note}
	return send[readmodel.Ticket](ctx, c, http.MethodPost, body, "api", "tickets", ref(cmd.Ticket), "approve")
}

// Reject is a pm's no.
func (c *Client) Reject(ctx context.Context, cmd commands.RejectTicket) (readmodel.Ticket, error) {
	body := verdict{cmd.Version, cmd.Note, cmd.Column}
	return send[readmodel.Ticket](ctx, c, http.MethodPost, body, "api", "tickets", ref(cmd.Ticket), "reject")
}

// RecordUsage adds what some work on the ticket cost, and returns its sums.
func (c *Client) RecordUsage(ctx context.Context, cmd commands.RecordUsage) (readmodel.Usage, error) {
	body := struct {
		Fence        int64  `json:"fence,omitempty"`
		InputTokens  int64  `json:"input_tokens,omitempty"`
		OutputTokens int64  `json:"output_tokens,omitempty"`
		CostMicros   int64  `json:"cost_micros,omitempty"`
		Model        string `json:"model,omitempty"`
		Session      string `json:"session,omitempty"`
	}{cmd.Fence, cmd.InputTokens, cmd.OutputTokens, cmd.CostMicros, cmd.Model, cmd.Session}
	return send[readmodel.Usage](ctx, c, http.MethodPost, body, "api", "tickets", ref(cmd.Ticket), "usage")
}

// TicketUsage is what the work on a ticket cost.
func (c *Client) TicketUsage(ctx context.Context, ticket commands.Ref) (readmodel.Usage, error) {
	return get[readmodel.Usage](ctx, c, nil, "api", "tickets", ref(ticket), "usage")
}

// BoardUsage is what the work on a board cost, by agent and by ticket.
func (c *Client) BoardUsage(ctx context.Context, board commands.Ref) (readmodel.BoardUsage, error) {
	return get[readmodel.BoardUsage](ctx, c, nil, "api", "boards", ref(board), "usage")
}

// Ready lists what can be claimed on a board, in the order in which ClaimNext
// takes it, and what is blocked by what. limit bounds each list, 0 = the
// server's choice.
func (c *Client) Ready(ctx context.Context, board commands.Ref, limit int) (readmodel.Ready, error) {
	q := url.Values{}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return get[readmodel.Ready](ctx, c, q, "api", "boards", ref(board), "ready")
}
