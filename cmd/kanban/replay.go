package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// maxPause bounds how long a playback rests between two events, whatever lay
// between them: nobody wants to watch a weekend.
const maxPause = time.Second

func (a *app) replayCommand() *cobra.Command {
	var board, at string
	var speed float64
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Show a board as it was, or play its events back",
		Long: `With --at, show the board as it was at a position of the log or at a time.
Without, play the events back in order, an hour in a second; no pause is longer
than a second.`,
		Example: `  kanban replay --board WEB --at 2026-08-15T00:00:00Z
  kanban replay --board WEB --at 120 --json
  kanban replay --board WEB --at 24h            # a day ago
  kanban replay --board WEB --speed 600         # ten minutes in a second
  kanban replay --board WEB --speed 0           # without pauses`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if speed < 0 {
				return usagef("--speed must not be negative")
			}
			when, err := parsePoint(at, a.now())
			if err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			if at == "" {
				if a.json && !cmd.Flags().Changed("speed") {
					speed = 0 // a program reads along
				}
				return a.playBack(cmd.Context(), c, board, speed)
			}
			if board == "" {
				if board, err = onlyBoard(cmd.Context(), c); err != nil {
					return err
				}
			}
			text := strconv.FormatInt(when.Position, 10)
			if !when.At.IsZero() {
				text = when.At.Format(time.RFC3339Nano)
			}
			shot, err := c.Snapshot(cmd.Context(), commands.Ref(board), text)
			if err != nil {
				return err
			}
			return a.printSnapshot(&shot, 0)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&board, "board", "b", "", "board, by key or id (default: the only one)")
	flags.StringVar(&at, "at", "", "position, time (2026-08-15T00:00:00Z), or how long ago (24h)")
	flags.Float64Var(&speed, "speed", 3600, "how many seconds of the past pass in one (0 = no pauses)")
	return cmd
}

// onlyBoard returns the board there is, if there is one.
func onlyBoard(ctx context.Context, c *client.Client) (string, error) {
	page, err := c.Boards(ctx, client.BoardQuery{Paging: client.Paging{Limit: 20}})
	if err != nil {
		return "", err
	}
	if len(page.Items) == 1 {
		return strconv.FormatInt(page.Items[0].ID, 10), nil
	}
	keys := make([]string, len(page.Items))
	for i, b := range page.Items {
		keys[i] = b.Key
	}
	return "", usagef("say which board: --board KEY (there are %d: %s)", page.Total, strings.Join(keys, ", "))
}

func (a *app) playBack(ctx context.Context, c *client.Client, board string, speed float64) error {
	var last time.Time
	var position int64
	lines := newPrinter(ctx, c)
	for e, err := range c.AllEvents(ctx, client.EventQuery{Board: board}) {
		if err != nil {
			if ctx.Err() != nil {
				return nil // interrupted on purpose
			}
			return err
		}
		if speed > 0 && !last.IsZero() {
			if pause(ctx, time.Duration(float64(e.RecordedAt.Sub(last))/speed)) != nil {
				return nil
			}
		}
		last, position = e.RecordedAt, e.Position
		if err := a.printEvent(lines, &e); err != nil {
			return err
		}
	}
	if board == "" || a.json || position == 0 {
		return nil
	}
	shot, err := c.Snapshot(ctx, commands.Ref(board), strconv.FormatInt(position, 10))
	if err != nil {
		return err
	}
	fmt.Fprintln(a.stdout)
	return a.printSnapshot(&shot, 0)
}

// pause rests for d, but never long and never backwards.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(max(0, min(d, maxPause)))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
