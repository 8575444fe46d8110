package client

import (
	"context"
	"net/http"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// Done says what commands did: the position to wait for, and the events.
type Done struct {
	Position int64             `json:"position"`
	Events   []events.Envelope `json:"events"`
}

// Run carries out commands, all or none.
func (c *Client) Run(ctx context.Context, cmds ...commands.Command) (Done, error) {
	type wire struct {
		Type string           `json:"type"`
		Data commands.Command `json:"data"`
	}
	list := make([]wire, len(cmds))
	for i, cmd := range cmds {
		list[i] = wire{cmd.CommandType(), cmd}
	}
	return send[Done](ctx, c, http.MethodPost, list, "api", "commands")
}

// UndoCommand takes back what one command did. CodeBuiltOn where somebody built
// on it.
func (c *Client) UndoCommand(ctx context.Context, commandID string) (Done, error) {
	return send[Done](ctx, c, http.MethodPost, nil, "api", "commands", commandID, "undo")
}

// UndoActor takes back everything that one actor, by name, did on the board
// after a position.
func (c *Client) UndoActor(ctx context.Context, cmd commands.UndoActor) (Done, error) {
	body := struct {
		Actor string `json:"actor"`
		Since int64  `json:"since"`
	}{cmd.Actor, cmd.Since}
	return send[Done](ctx, c, http.MethodPost, body, "api", "boards", ref(cmd.Board), "undo")
}
