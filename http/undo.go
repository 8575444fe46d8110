package http

import "github.com/agent-kanban/agent-kanban/commands"

type undoBody struct {
	Actor string `json:"actor" doc:"Name of who did it"`
	Since int64  `json:"since" minimum:"0" doc:"Everything after this position; 0 = all of it"`
}

func (s *Server) undoRoutes() {
	const tag = "commands"
	register(s, op{method: "POST", path: "/api/commands/{command_id}/undo", id: "undo_command", summary: "Take back what one command did, by events that compensate for it", tag: tag, reply: commandsReply{}},
		func(c *call, in *struct {
			CommandID string `path:"command_id" doc:"As in the command's events"`
		},
		) (answer, error) {
			return s.write(c, eventsReply, commands.UndoCommand{CommandID: in.CommandID})
		})
	register(s, op{method: "POST", path: "/api/boards/{id}/undo", id: "undo_actor", summary: "Take back everything that one actor did on the board since a position", tag: tag, reply: commandsReply{}},
		func(c *call, in *struct {
			BoardPath
			Body undoBody
		},
		) (answer, error) {
			return s.write(c, eventsReply, commands.UndoActor{Board: commands.Ref(in.ID), Actor: in.Body.Actor, Since: in.Body.Since})
		})
}
