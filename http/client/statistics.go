package client

import (
	"context"
	"net/url"

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

// FlowQuery says what BoardFlow is asked for; "" leaves a part of it to the
// server. From and To are RFC 3339 or YYYY-MM-DD, Bucket is hour, day or week, and
// Items and Seed are numbers and By is a day, for the forecast.
type FlowQuery struct{ From, To, Bucket, Items, By, Seed string }

// BoardFlow returns how work flowed over a board; durations are in seconds.
func (c *Client) BoardFlow(ctx context.Context, board commands.Ref, q FlowQuery) (readmodel.Flow, error) {
	values := url.Values{}
	set(values, "from", q.From)
	set(values, "to", q.To)
	set(values, "bucket", q.Bucket)
	set(values, "items", q.Items)
	set(values, "by", q.By)
	set(values, "seed", q.Seed)
	return get[readmodel.Flow](ctx, c, values, "api", "statistics", "boards", ref(board), "flow")
}

// TicketStatistics returns a ticket in figures; durations are in seconds.
func (c *Client) TicketStatistics(ctx context.Context, ticket commands.Ref) (readmodel.TicketStatistics, error) {
	return get[readmodel.TicketStatistics](ctx, c, nil, "api", "statistics", "tickets", ref(ticket), "statistics")
}
