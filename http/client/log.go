package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// Head is the end of the server's log. LogID tells logs apart: positions of one
// mean nothing in another.
type Head struct {
	events.Head
	LogID string `json:"log_id"`
}

// Head returns the end of the log.
func (c *Client) Head(ctx context.Context) (Head, error) {
	return get[Head](ctx, c, nil, "api", "log", "head")
}

// EventQuery selects events; empty fields select everything. Board is an id or
// a key, Ticket too.
type EventQuery struct {
	After  int64
	Board  string
	Ticket string
	Types  []events.Type
	Actor  string
	Limit  int
}

func (q EventQuery) values() url.Values {
	v := url.Values{}
	v.Set("after", strconv.FormatInt(q.After, 10))
	set(v, "board", q.Board)
	set(v, "ticket", q.Ticket)
	for i, t := range q.Types {
		if i == 0 {
			v.Set("type", string(t))
		} else {
			v.Set("type", v.Get("type")+","+string(t))
		}
	}
	set(v, "actor", q.Actor)
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// Events returns one page of the log, in order.
func (c *Client) Events(ctx context.Context, q EventQuery) ([]events.Envelope, error) {
	page, err := get[Page[events.Envelope]](ctx, c, q.values(), "api", "events")
	return page.Items, err
}

// AllEvents pages through everything that q selects, up to the end of the log
// as it is then. Iteration stops after the first error.
func (c *Client) AllEvents(ctx context.Context, q EventQuery) iter.Seq2[events.Envelope, error] {
	return func(yield func(events.Envelope, error) bool) {
		if q.Limit == 0 {
			q.Limit = 100
		}
		for {
			page, err := c.Events(ctx, q)
			if err != nil {
				yield(events.Envelope{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
			if len(page) == 0 {
				return
			}
			q.After = page[len(page)-1].Position
		}
	}
}

// Outcome says what commands did: the position to wait for, and the events.
type Outcome struct {
	Position int64             `json:"position"`
	Events   []events.Envelope `json:"events"`
}

// Do carries out commands, all or none.
func (c *Client) Do(ctx context.Context, cmds ...commands.Command) (Outcome, error) {
	type wire struct {
		Type string           `json:"type"`
		Data commands.Command `json:"data"`
	}
	if len(cmds) == 1 {
		return send[Outcome](ctx, c, http.MethodPost, wire{cmds[0].CommandType(), cmds[0]}, "api", "commands")
	}
	list := make([]wire, len(cmds))
	for i, cmd := range cmds {
		list[i] = wire{cmd.CommandType(), cmd}
	}
	return send[Outcome](ctx, c, http.MethodPost, list, "api", "commands")
}

// Health is the short answer of GET /health.
type Health struct {
	Status   string   `json:"status"`
	Degraded []string `json:"degraded"`
}

// Health asks whether the server serves commands and queries.
func (c *Client) Health(ctx context.Context) (Health, error) {
	return get[Health](ctx, c, nil, "health")
}
