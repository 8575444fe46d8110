package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// Agents lists the agents of a board, "" = of all that the caller may see.
func (c *Client) Agents(ctx context.Context, board commands.Ref) (Page[readmodel.Agent], error) {
	q := url.Values{}
	set(q, "board", ref(board))
	return get[Page[readmodel.Agent]](ctx, c, q, "api", "agents")
}

// Agent returns one agent by id or name.
func (c *Client) Agent(ctx context.Context, agent commands.Ref) (readmodel.Agent, error) {
	return get[readmodel.Agent](ctx, c, nil, "api", "agents", ref(agent))
}

// PauseAgent refuses every command of the agent from now on. Without cmd.Board
// the server looks for a board where the caller may do that.
func (c *Client) PauseAgent(ctx context.Context, cmd commands.PauseAgent) (readmodel.Agent, error) {
	body := struct {
		Reason string       `json:"reason,omitempty"`
		Board  commands.Ref `json:"board,omitempty"`
	}{cmd.Reason, cmd.Board}
	return send[readmodel.Agent](ctx, c, http.MethodPost, body, "api", "agents", ref(cmd.Agent), "pause")
}

// ResumeAgent undoes PauseAgent.
func (c *Client) ResumeAgent(ctx context.Context, cmd commands.ResumeAgent) (readmodel.Agent, error) {
	body := struct {
		Board commands.Ref `json:"board,omitempty"`
	}{cmd.Board}
	return send[readmodel.Agent](ctx, c, http.MethodPost, body, "api", "agents", ref(cmd.Agent), "resume")
}

// FreezeBoard stops everybody on the board but people who are pm.
func (c *Client) FreezeBoard(ctx context.Context, board commands.Ref, reason string) (readmodel.Board, error) {
	body := struct {
		Reason string `json:"reason,omitempty"`
	}{reason}
	return send[readmodel.Board](ctx, c, http.MethodPost, body, "api", "boards", ref(board), "freeze")
}

// UnfreezeBoard undoes FreezeBoard.
func (c *Client) UnfreezeBoard(ctx context.Context, board commands.Ref) (readmodel.Board, error) {
	return send[readmodel.Board](ctx, c, http.MethodPost, nil, "api", "boards", ref(board), "unfreeze")
}
