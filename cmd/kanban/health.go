package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/http/client"
)

func (a *app) healthCommand() *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Ask a server whether it serves commands and queries",
		Long: `Ask a server whether it serves commands and queries, and what it lacks that is
not vital. Exits with 1 when it does not serve or cannot be reached: the health
check of a container, or the last line of a deployment.`,
		Example: "  kanban health\n  kanban health --wait 30s       # after a start: until it serves\n  kanban health --url https://board.example.com --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			h, err := healthy(cmd.Context(), c, wait)
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(h)
			} else if len(h.Degraded) > 0 {
				_, err = fmt.Fprintf(a.stdout, "%s, degraded: %s\n", h.Status, clean(strings.Join(h.Degraded, ", ")))
			} else {
				_, err = fmt.Fprintln(a.stdout, clean(h.Status))
			}
			if err == nil && !h.Healthy() {
				err = &hinted{fmt.Errorf("%s is down", c.URL()), "kanban doctor on its machine"}
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&wait, "wait", 0, "ask again for so long until it serves")
	return cmd
}

// healthy asks until the server serves or the time is over, and returns the
// last answer.
func healthy(ctx context.Context, c *client.Client, wait time.Duration) (client.Health, error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		h, err := c.Health(ctx)
		if err == nil && h.Healthy() || wait <= 0 {
			return h, err
		}
		select {
		case <-again.C:
		case <-over.C:
			return h, err
		case <-ctx.Done():
			return h, ctx.Err()
		}
	}
}
