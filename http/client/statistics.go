package client

import (
	"context"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// BoardStatistics returns a board in figures; durations are in seconds.
func (c *Client) BoardStatistics(ctx context.Context, board commands.Ref) (readmodel.BoardStatistics, error) {
	return get[readmodel.BoardStatistics](ctx, c, nil, "api", "statistics", "boards", ref(board), "statistics")
}

// BoardPerformance returns how fast work flows over a board, and who did it.
func (c *Client) BoardPerformance(ctx context.Context, board commands.Ref) (readmodel.BoardPerformance, error) {
	return get[readmodel.BoardPerformance](ctx, c, nil, "api", "statistics", "boards", ref(board), "performance")
}

// TicketStatistics returns a ticket in figures; durations are in seconds.
func (c *Client) TicketStatistics(ctx context.Context, ticket commands.Ref) (readmodel.TicketStatistics, error) {
	return get[readmodel.TicketStatistics](ctx, c, nil, "api", "statistics", "tickets", ref(ticket), "statistics")
}
