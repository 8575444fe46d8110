package http

import (
	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// AgentPath names an agent.
type AgentPath struct {
	ID string `path:"id" doc:"Id or name"`
}

type pauseBody struct {
	Reason string       `json:"reason,omitempty"`
	Board  commands.Ref `json:"board,omitempty" doc:"A board where you are pm and the agent is a member; found if empty"`
}

type resumeBody struct {
	Board commands.Ref `json:"board,omitempty" doc:"As for pause"`
}

type freezeBody struct {
	Reason string `json:"reason,omitempty"`
}

func (s *Server) agentRoutes() {
	const tag, base = "agents", "/api/agents"
	agent := readmodel.Agent{}
	register(s, op{method: "GET", path: base, id: "list_agents", summary: "The agents on boards that you may see: last seen, claims, tickets done, leases lost", tag: tag, reply: list[readmodel.Agent]{}},
		func(c *call, in *struct {
			Board string `query:"board" doc:"Id or key; empty = all that you may see"`
		},
		) (answer, error) {
			var board int64
			if in.Board != "" {
				var err error
				if board, err = s.readable(c, commands.Ref(in.Board)); err != nil {
					return answer{}, err
				}
			}
			items, err := s.deps.Queries.Agents(c.ctx(), viewer(c.principal), board)
			return answer{view: listOf(items)}, err
		})
	register(s, op{method: "GET", path: base + "/{id}", id: "get_agent", summary: "An agent", tag: tag, reply: agent},
		func(c *call, in *AgentPath) (answer, error) {
			a, err := s.deps.Queries.Agent(c.ctx(), viewer(c.principal), in.ID)
			return answer{view: a}, err
		})
	register(s, op{method: "POST", path: base + "/{id}/pause", id: "pause_agent", summary: "Refuse every command of an agent: an admin, or a pm of a board it works on", tag: tag, reply: agent},
		func(c *call, in *struct {
			AgentPath
			Body *pauseBody
		},
		) (answer, error) {
			cmd := commands.PauseAgent{}
			if in.Body != nil {
				cmd.Reason, cmd.Board = in.Body.Reason, in.Body.Board
			}
			return s.steer(c, in.ID, cmd.Board, func(agent, board commands.Ref) commands.Command {
				cmd.Agent, cmd.Board = agent, board
				return cmd
			})
		})
	register(s, op{method: "POST", path: base + "/{id}/resume", id: "resume_agent", summary: "Undo pause", tag: tag, reply: agent},
		func(c *call, in *struct {
			AgentPath
			Body *resumeBody
		},
		) (answer, error) {
			board := commands.Ref("")
			if in.Body != nil {
				board = in.Body.Board
			}
			return s.steer(c, in.ID, board, func(agent, board commands.Ref) commands.Command {
				return commands.ResumeAgent{Agent: agent, Board: board}
			})
		})
	s.freezeRoutes()
}

// steer pauses or resumes an agent, and answers with the agent. Whoever shares no
// board with it does not learn that it exists.
func (s *Server) steer(c *call, ref string, board commands.Ref, order func(agent, board commands.Ref) commands.Command) (answer, error) {
	who := viewer(c.principal)
	a, err := s.deps.Queries.Agent(c.ctx(), who, ref)
	if err != nil {
		return answer{}, err
	}
	if board == "" && !c.principal.Administers() {
		if board, err = s.managedBoard(c, a.ID); err != nil {
			return answer{}, err
		}
	}
	done, err := s.write(c, nil, order(commands.RefID(a.ID), board))
	if err != nil || done.view != nil { // return=minimal
		return done, err
	}
	done.view, err = s.deps.Queries.Agent(c.ctx(), who, ref)
	return done, err
}

// managedBoard finds a board where the caller is pm and the other one a member,
// "" if there is none: then the command says what is missing.
func (s *Server) managedBoard(c *call, member int64) (commands.Ref, error) {
	shared, err := s.deps.Queries.SharedBoards(c.ctx(), c.principal.Actor.ID, member)
	if err != nil {
		return "", err
	}
	for _, board := range shared {
		role, err := s.deps.Queries.Access(c.ctx(), board, viewer(c.principal))
		switch {
		case events.CodeOf(err) == events.CodeNotFound: // the token is not for it
		case err != nil:
			return "", err
		case role.May(events.MayManageBoard):
			return commands.RefID(board), nil
		}
	}
	return "", nil
}

func (s *Server) freezeRoutes() {
	const tag, base = "boards", "/api/boards/{id}"
	board := ownBoard{}
	register(s, op{method: "POST", path: base + "/freeze", id: "freeze_board", summary: "Stop everybody on the board but people who are pm", tag: tag, reply: board},
		func(c *call, in *struct {
			BoardPath
			Body *freezeBody
		},
		) (answer, error) {
			cmd := commands.FreezeBoard{Board: commands.Ref(in.ID)}
			if in.Body != nil {
				cmd.Reason = in.Body.Reason
			}
			return s.write(c, s.boardReply(in.ID, false), cmd)
		})
	register(s, op{method: "POST", path: base + "/unfreeze", id: "unfreeze_board", summary: "Let everybody go on", tag: tag, reply: board},
		func(c *call, in *BoardPath) (answer, error) {
			return s.write(c, s.boardReply(in.ID, false), commands.UnfreezeBoard{Board: commands.Ref(in.ID)})
		})
}
