package http

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// order is one command on the wire.
type order struct {
	Type      string          `json:"type" doc:"In the imperative: create_ticket"`
	Data      json.RawMessage `json:"data,omitempty" doc:"The command's fields"`
	CommandID string          `json:"command_id,omitempty" doc:"As Idempotency-Key"`
}

// decodedOrder is an order as it was understood.
type decodedOrder struct {
	Type string
	Data commands.Command
}

// orders is one command or a list of them.
type orders []order

// UnmarshalJSON reads an object or a list.
func (o *orders) UnmarshalJSON(text []byte) error {
	if len(text) == 0 || text[0] != '[' {
		var one order
		if err := strict(text, &one); err != nil {
			return err
		}
		*o = orders{one}
		return nil
	}
	var many []order
	if err := strict(text, &many); err != nil {
		return err
	}
	*o = many
	return nil
}

func strict(text []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// Schema says for OpenAPI what UnmarshalJSON reads.
func (orders) Schema(r huma.Registry) *huma.Schema {
	kinds := make([]any, 0, 32)
	for _, t := range commands.Types() {
		kinds = append(kinds, t)
	}
	one := &huma.Schema{
		Type: huma.TypeObject, Required: []string{"type"}, AdditionalProperties: false,
		Properties: map[string]*huma.Schema{
			"type":       {Type: huma.TypeString, Enum: kinds, Description: "In the imperative"},
			"data":       {Type: huma.TypeObject, Description: "The command's fields, as in the bodies of the other routes; board and ticket name what it is about"},
			"command_id": {Type: huma.TypeString, Description: "As Idempotency-Key"},
		},
	}
	return &huma.Schema{OneOf: []*huma.Schema{one, {Type: huma.TypeArray, Items: one}}}
}

type commandsReply struct {
	Position int64              `json:"position"`
	Events   []*events.Envelope `json:"events"`
}

func (s *Server) commandRoutes() {
	register(s, op{method: "POST", path: "/api/commands", id: "run_commands", summary: "One command, or a list of which all are carried out or none", tag: "commands", reply: commandsReply{}},
		func(c *call, in *struct{ Body orders }) (answer, error) {
			cmds := make([]commands.Command, len(in.Body))
			read := make([]decodedOrder, len(in.Body))
			id := ""
			for i, o := range in.Body {
				if len(o.Data) == 0 {
					o.Data = json.RawMessage("{}")
				}
				cmd, err := commands.Decode(o.Type, o.Data)
				if err != nil {
					return answer{}, err
				}
				cmds[i], read[i] = cmd, decodedOrder{o.Type, cmd}
				if o.CommandID == "" || o.CommandID == id {
					continue
				}
				if i > 0 {
					return answer{}, events.Errorf(events.CodeInvalid, "A list is one command to the log: give all its parts the same command_id, or only the first.")
				}
				id = o.CommandID
			}
			if id != "" && c.header("Idempotency-Key") == "" {
				// The sum must not depend on how the JSON was written, but on the
				// type: archive_ticket and delete_ticket have the same data.
				body, err := json.Marshal(read)
				if err != nil {
					return answer{}, err
				}
				c.body = body
				c.gin.Request.Header.Set("Idempotency-Key", id)
			}
			return s.write(c, eventsReply, cmds...)
		})
}

// eventsReply is a shape: the position and the events.
func eventsReply(_ context.Context, r *commands.Receipt) (answer, error) {
	reply := commandsReply{Position: r.Position, Events: make([]*events.Envelope, len(r.Events))}
	for i := range r.Events {
		reply.Events[i] = &r.Events[i]
	}
	return answer{view: reply}, nil
}

// target finds the board and ticket that a command changes, ticket 0 for the
// board itself.
func (s *Server) target(ctx context.Context, cmd commands.Command) (board, ticket int64, ok bool) {
	onBoard, onTicket := commands.Target(cmd)
	var err error
	switch {
	case onTicket != "":
		board, ticket, err = s.ticketID(ctx, onTicket)
	case onBoard != "":
		board, err = s.boardID(ctx, onBoard)
	default:
		return 0, 0, false
	}
	return board, ticket, err == nil
}
