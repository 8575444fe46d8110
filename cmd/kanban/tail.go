package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// tailLast is how many positions back tail begins when not told.
const tailLast = 10

func (a *app) tailCommand() *cobra.Command {
	var q client.EventQuery
	var types []string
	var since string
	var noFollow bool
	var number int
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Print events as they happen, one line each",
		Long: `Print events as they happen, one line each, beginning ten positions before the
end of the log. tail survives a restart of the server: it goes on where it was,
without losing or repeating an event. With --json each line is one event in
CloudEvents form; its position is what --since takes to go on later.`,
		Example: `  kanban tail
  kanban tail --board WEB --since 10m
  kanban tail --ticket WEB-12 --since 0 --no-follow
  kanban tail --type ticket_moved --json | jq .data
  kanban tail --type ticket_created -n 1      # wait for the next new ticket`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			for _, t := range types {
				if !knownType(events.Type(t)) {
					return usagef("there is no event type %q", t)
				}
				q.Types = append(q.Types, events.Type(t))
			}
			from, err := parsePoint(since, a.now())
			if err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			return a.tail(cmd.Context(), c, q, tailPlan{from: from, given: since != "", follow: !noFollow, count: number})
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&q.Board, "board", "b", "", "of this board, by key or id")
	flags.StringVarP(&q.Ticket, "ticket", "t", "", "of this ticket, by key or id")
	flags.StringSliceVar(&types, "type", nil, "of this type, such as ticket_moved; may be given several times")
	flags.StringVar(&q.Actor, "actor", "", "by this actor, by name")
	flags.StringVar(&since, "since", "", "begin after this position (0 = from the beginning), at this time, or so long ago (10m, 36h)")
	flags.BoolVar(&noFollow, "no-follow", false, "end at the end of the log")
	flags.IntVarP(&number, "count", "n", 0, "end after so many events (0 = never)")
	return cmd
}

func knownType(t events.Type) bool {
	for _, known := range events.Types() {
		if t == known {
			return true
		}
	}
	return false
}

// point is a place in the log: a position, or a time where At is set.
type point struct {
	Position int64
	At       time.Time
}

// parsePoint reads a position, a time, a day, or how long ago.
func parsePoint(text string, now time.Time) (point, error) {
	if text == "" {
		return point{}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		return point{Position: n}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return point{At: now.Add(-d).UTC()}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly, time.DateTime} {
		if at, err := time.Parse(layout, text); err == nil {
			return point{At: at.UTC()}, nil
		}
	}
	return point{}, usagef("%q is neither a position (120), nor a time (2026-08-15T00:00:00Z), nor a while ago (10m)", text)
}

// tailPlan is from where to where tail goes.
type tailPlan struct {
	from   point
	given  bool // from was asked for
	follow bool
	count  int // 0 = no end
}

func (a *app) tail(ctx context.Context, c *client.Client, q client.EventQuery, plan tailPlan) error {
	from := plan.from
	if !plan.given {
		head, err := c.Head(ctx)
		if err != nil {
			return err
		}
		from.Position = max(0, head.Position-tailLast)
	}
	if !from.At.IsZero() {
		position, err := c.Since(ctx, q, from.At)
		if err != nil {
			return err
		}
		from.Position = position
	}
	q.After = from.Position
	seq := c.AllEvents(ctx, q)
	if plan.follow {
		seq = c.Follow(ctx, q, func(i client.Interruption) {
			a.note("%v; trying again in %s", i.Err, i.Wait)
		})
	}
	lines, left := newPrinter(ctx, c), plan.count
	for e, err := range seq {
		if errors.Is(err, client.ErrOtherLog) {
			return &hinted{err, "kanban tail --since 0"}
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil // interrupted on purpose
			}
			return err
		}
		if e.RecordedAt.Before(from.At) {
			continue
		}
		if err := a.printEvent(lines, &e); err != nil {
			return err
		}
		if left--; left == 0 {
			return nil
		}
	}
	return nil
}

// newPrinter returns a printer that asks the server for keys.
func newPrinter(ctx context.Context, c *client.Client) *printer {
	return &printer{key: func(ticket int64) string {
		t, err := c.Ticket(ctx, commands.RefID(ticket))
		if err != nil {
			return "" // deleted meanwhile, or the server is away: its number will do
		}
		return t.Key
	}}
}

func (a *app) printEvent(p *printer, e *events.Envelope) error {
	line := string(e.JSON())
	if !a.json {
		line = p.line(e)
	}
	_, err := fmt.Fprintln(a.stdout, line)
	return err
}
