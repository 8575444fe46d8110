package client

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

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
	Limit  int // of a page, at most 1000; 0 = the server's choice
}

func (q EventQuery) values() url.Values {
	v := url.Values{}
	v.Set("after", strconv.FormatInt(q.After, 10))
	set(v, "board", q.Board)
	set(v, "ticket", q.Ticket)
	types := make([]string, len(q.Types))
	for i, t := range q.Types {
		types[i] = string(t)
	}
	set(v, "type", strings.Join(types, ","))
	set(v, "actor", q.Actor)
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// EventPage is one page of the log. NextCursor is empty where there is nothing
// more yet; Position is the last one that the server looked at, which may be
// ahead of the last item's where the caller may not see all.
type EventPage struct {
	Items      []events.Envelope `json:"items"`
	NextCursor string            `json:"next_cursor"`
	Position   int64             `json:"position"`
}

// Events returns one page of the log, in order.
func (c *Client) Events(ctx context.Context, q EventQuery) (EventPage, error) {
	return get[EventPage](ctx, c, q.values(), "api", "events")
}

// pageSize is how many events AllEvents asks for at once, the most that the
// server gives.
const pageSize = 1000

// AllEvents pages through everything that q selects, up to the end of the log
// as it is then. Iteration stops after the first error.
func (c *Client) AllEvents(ctx context.Context, q EventQuery) iter.Seq2[events.Envelope, error] {
	return func(yield func(events.Envelope, error) bool) {
		if q.Limit == 0 {
			q.Limit = pageSize
		}
		for {
			page, err := c.Events(ctx, q)
			if err != nil {
				yield(events.Envelope{}, err)
				return
			}
			for _, e := range page.Items {
				if !yield(e, nil) {
					return
				}
			}
			if page.NextCursor == "" || page.Position <= q.After {
				return
			}
			q.After = page.Position
		}
	}
}

// Since returns a position such that every event recorded at t or later is
// after it; q's filters apply, its After does not. Events carried over by an
// import have the times of long ago, so that some after it may be older than t.
func (c *Client) Since(ctx context.Context, q EventQuery, t time.Time) (after int64, err error) {
	head, err := c.Head(ctx)
	if err != nil {
		return 0, err
	}
	low, high := int64(0), head.Position
	for low < high {
		middle := (low + high) / 2
		q.After = middle
		e, found, err := c.firstLive(ctx, q, high)
		switch {
		case err != nil:
			return 0, err
		case found && e.RecordedAt.Before(t):
			low = e.Position
		default:
			high = middle
		}
	}
	return low, nil
}

// firstLive returns the first event after q.After, up to a position, that was
// recorded when it happened and not by an import.
func (c *Client) firstLive(ctx context.Context, q EventQuery, upTo int64) (events.Envelope, bool, error) {
	for q.Limit = 1; ; q.Limit = pageSize {
		page, err := c.Events(ctx, q)
		if err != nil {
			return events.Envelope{}, false, err
		}
		for _, e := range page.Items {
			if e.Position > upTo {
				return events.Envelope{}, false, nil
			}
			if !strings.HasPrefix(e.CorrelationID, "import:") {
				return e, true, nil
			}
		}
		if page.NextCursor == "" || page.Position >= upTo || page.Position <= q.After {
			return events.Envelope{}, false, nil
		}
		q.After = page.Position
	}
}

// Health is the short answer of GET /health.
type Health struct {
	Status   string   `json:"status"` // "healthy" or "down"
	Degraded []string `json:"degraded"`
}

// Healthy reports whether commands and queries are served.
func (h Health) Healthy() bool { return h.Status == "healthy" }

// Health asks once whether the server serves commands and queries. That it does
// not is an answer; only that there is none is an error.
func (c *Client) Health(ctx context.Context) (Health, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := c.newRequest(ctx, request{method: http.MethodGet, path: "/health"}, nil)
	if err != nil {
		return Health{}, err
	}
	res, err := c.cfg.HTTP.Do(req)
	if err != nil {
		_, err = c.broken(ctx, err)
		return Health{}, err
	}
	defer res.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if err != nil {
		_, err = c.broken(ctx, err)
		return Health{}, err
	}
	var h Health
	if json.Unmarshal(reply, &h) != nil || h.Status == "" {
		return h, problem(res, reply)
	}
	return h, nil
}
