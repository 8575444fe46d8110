package main

import (
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// microsPerDollar is the unit in which costs are kept: sums stay exact.
const microsPerDollar = 1_000_000

func dollars(micros int64) string {
	return fmt.Sprintf("$%.4f", float64(micros)/microsPerDollar)
}

func usageRow(name string, u *readmodel.Usage) []string {
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{name, count(u.InputTokens), count(u.OutputTokens), dollars(u.CostMicros), count(u.Reports)}
}

const usageColumns = " INPUT OUTPUT COST REPORTS"

func (a *app) ticketUsage() *cobra.Command {
	var in commands.RecordUsage
	var cost float64
	cmd := &cobra.Command{
		Use:   "usage TICKET",
		Short: "Show what the work on a ticket cost, or report more of it",
		Example: `  kanban ticket usage WEB-12
  kanban ticket usage WEB-12 --input 12000 --output 900 --cost 0.052 --model my-model --session 7f3a`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, flags := cmd.Context(), cmd.Flags()
			in.Ticket = commands.Ref(args[0])
			report := flags.Changed("input") || flags.Changed("output") || flags.Changed("cost")
			if !report && (in.Model != "" || in.Session != "") {
				return usagef("say what it cost: --input, --output or --cost")
			}
			in.CostMicros = int64(math.Round(cost * microsPerDollar))
			c, err := a.connectToWork()
			if err != nil {
				return err
			}
			sums, err := readmodel.Usage{}, error(nil)
			if report {
				err = c.withFence(ctx, in.Ticket, in.Fence, func(fence int64) error {
					in.Fence = fence
					sums, err = c.RecordUsage(ctx, in)
					return err
				})
			} else {
				sums, err = c.TicketUsage(ctx, in.Ticket)
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(sums)
			}
			return table(a.stdout, "TICKET"+usageColumns, [][]string{usageRow(args[0], &sums)})
		},
	}
	fenceFlag(cmd, &in.Fence)
	flags := cmd.Flags()
	flags.Int64Var(&in.InputTokens, "input", 0, "tokens that went in")
	flags.Int64Var(&in.OutputTokens, "output", 0, "tokens that came out")
	flags.Float64Var(&cost, "cost", 0, "cost in US dollars")
	flags.StringVar(&in.Model, "model", "", "which model")
	flags.StringVar(&in.Session, "session", "", "in which session")
	return cmd
}

func (a *app) boardUsage() *cobra.Command {
	return &cobra.Command{
		Use:     "usage BOARD",
		Short:   "Show what the work on a board cost, by agent and by ticket",
		Example: "  kanban board usage WEB\n  kanban board usage WEB --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			sums, err := c.BoardUsage(cmd.Context(), commands.Ref(args[0]))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(sums)
			}
			var agents, tickets [][]string
			for i := range sums.Agents {
				agents = append(agents, usageRow(sums.Agents[i].Name, &sums.Agents[i].Usage))
			}
			agents = append(agents, usageRow("all", &sums.Total))
			for i := range sums.Tickets {
				tickets = append(tickets, usageRow(sums.Tickets[i].Key, &sums.Tickets[i].Usage))
			}
			if err := table(a.stdout, "AGENT"+usageColumns, agents); err != nil || len(tickets) == 0 {
				return err
			}
			if _, err := fmt.Fprintln(a.stdout); err != nil {
				return err
			}
			return table(a.stdout, "TICKET"+usageColumns, tickets)
		},
	}
}
