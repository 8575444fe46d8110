package http

import (
	"context"
	"strconv"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// statisticsLife is for how long figures are good that tell how old things are
// now: as_of says of when they are. A change of the board makes new ones at once.
const statisticsLife = 15 * time.Second

func (s *Server) statisticsRoutes() {
	const tag, base = "statistics", "/api/statistics"
	register(s, op{method: "GET", path: base + "/boards/{id}/statistics", id: "board_statistics", summary: "A board in figures: time in each column, totals, throughput", tag: tag, reply: readmodel.BoardStatistics{}},
		func(c *call, in *BoardPath) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			return s.figures(c, keptKey{id, "statistics"}, func(ctx context.Context, now time.Time) (any, int64, error) {
				b, err := s.deps.Queries.BoardStatistics(ctx, id, now)
				return b, b.Position, err
			})
		})
	register(s, op{method: "GET", path: base + "/boards/{id}/performance", id: "board_performance", summary: "How fast work flows: lead and cycle time, rework, each agent", tag: tag, reply: readmodel.BoardPerformance{}},
		func(c *call, in *BoardPath) (answer, error) {
			id, err := s.readable(c, commands.Ref(in.ID))
			if err != nil {
				return answer{}, err
			}
			return s.figures(c, keptKey{id, "performance"}, func(ctx context.Context, now time.Time) (any, int64, error) {
				b, err := s.deps.Queries.BoardPerformance(ctx, id, now)
				return b, b.Position, err
			})
		})
	register(s, op{method: "GET", path: base + "/boards/{id}/flow", id: "board_flow", summary: "How work flowed over a board: cumulative flow, throughput, cycle times, aging, agents, forecast; with Accept: text/csv one table of it", tag: tag, reply: readmodel.Flow{}, media: []string{csvType}}, s.flow)
	register(s, op{method: "GET", path: base + "/tickets/{id}/statistics", id: "ticket_statistics", summary: "A ticket in figures: time in each column, and whether it is late in this one", tag: tag, reply: readmodel.TicketStatistics{}},
		func(c *call, in *TicketPath) (answer, error) {
			t, err := s.ticket(c, in.ref())
			if err != nil {
				return answer{}, err
			}
			return s.figures(c, keptKey{t.BoardID, "ticket " + strconv.FormatInt(t.ID, 10)}, func(ctx context.Context, now time.Time) (any, int64, error) {
				k, err := s.deps.Queries.TicketStatistics(ctx, t.ID, now)
				return k, k.Position, err
			})
		})
}

func (s *Server) figures(c *call, key keptKey, read func(ctx context.Context, now time.Time) (any, int64, error)) (answer, error) {
	return s.keep(c.ctx(), key, keeping{life: statisticsLife, read: func(ctx context.Context) (any, int64, error) {
		return read(ctx, time.Now())
	}})
}
