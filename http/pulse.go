package http

import (
	"context"
	"strconv"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (s *Server) pulseRoute() {
	register(s, op{method: "GET", path: "/api/boards/{id}/pulse", id: "board_pulse", summary: "How much happened over the life of a board, in buckets of time: for a slider through it", tag: "boards", reply: readmodel.Pulse{}},
		func(c *call, in *struct {
			BoardPath
			Buckets int `query:"buckets" minimum:"10" maximum:"500" default:"200" doc:"Equal in time, from the first event to the last"`
		},
		) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			return s.keep(c.ctx(), keptKey{id, "pulse " + strconv.Itoa(in.Buckets)}, keeping{
				read: func(ctx context.Context) (any, int64, error) {
					p, err := s.deps.Queries.Pulse(ctx, id, in.Buckets)
					return p, p.Position, err
				},
			})
		})
}
