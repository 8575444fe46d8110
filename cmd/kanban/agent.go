package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) agentCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "agent",
		Short:   "Agents at work: list, show, pause, resume",
		Example: "  kanban agent list --board WEB\n  kanban agent pause builder --reason \"loops\"",
	})
	cmd.AddCommand(a.agentList(), a.agentShow(), a.agentPause(), a.agentResume())
	return cmd
}

func (a *app) agentList() *cobra.Command {
	var board string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List agents: what they hold, what they did, when they were last seen",
		Example: "  kanban agent list\n  kanban agent list --board WEB --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			page, err := c.Agents(cmd.Context(), commands.Ref(board))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(page)
			}
			rows := make([][]string, len(page.Items))
			for i := range page.Items {
				g := &page.Items[i]
				held := make([]string, len(g.Claims))
				for j, claim := range g.Claims {
					held[j] = claim.Key
				}
				rows[i] = []string{
					g.Name, agentState(g), a.seen(g), orDash(strings.Join(held, ", ")),
					strconv.FormatInt(g.TicketsDone, 10), strconv.FormatInt(g.LeasesLost, 10), dollars(g.Usage.CostMicros),
				}
			}
			return table(a.stdout, "NAME STATE SEEN HOLDS DONE LOST COST", rows)
		},
	}
	cmd.Flags().StringVarP(&board, "board", "b", "", "of this board, by key or id")
	return cmd
}

func agentState(g *readmodel.Agent) string {
	switch {
	case !g.Active:
		return "deactivated"
	case g.Paused:
		return "paused"
	case len(g.Claims) > 0:
		return "at work"
	default:
		return "idle"
	}
}

func (a *app) seen(g *readmodel.Agent) string {
	if g.LastSeen == nil {
		return "never"
	}
	return a.ago(*g.LastSeen)
}

func (a *app) printAgent(g *readmodel.Agent) error {
	if a.json {
		return a.printJSON(g)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s  (%s, %s)\n", clean(g.Name), g.Kind, agentState(g))
	field := func(name, value string) { fmt.Fprintf(&b, "  %-9s %s\n", name, value) }
	if g.Paused && g.PauseReason != "" {
		field("because", clean(g.PauseReason))
	}
	field("seen", a.seen(g))
	field("done", fmt.Sprintf("%d tickets; %d leases lost", g.TicketsDone, g.LeasesLost))
	field("cost", fmt.Sprintf("%s, %d tokens in, %d out", dollars(g.Usage.CostMicros), g.Usage.InputTokens, g.Usage.OutputTokens))
	for _, claim := range g.Claims {
		field("holds", fmt.Sprintf("%s %s, fence %d, lease ends %s", claim.Key, clean(claim.Title), claim.Fence, a.ago(claim.ExpiresAt)))
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) agentShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show AGENT",
		Short:   "Show one agent with what it holds",
		Example: "  kanban agent show builder",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			g, err := c.Agent(cmd.Context(), commands.Ref(args[0]))
			if err != nil {
				return err
			}
			return a.printAgent(&g)
		},
	}
}

func (a *app) agentPause() *cobra.Command {
	var in commands.PauseAgent
	var board string
	cmd := &cobra.Command{
		Use:   "pause AGENT",
		Short: "Refuse every command of an agent from now on",
		Long: `Refuse every command of an agent from now on. What it holds it keeps until its
leases end. An admin may do it, and a pm of a board that the agent works on.`,
		Example: "  kanban agent pause builder --reason \"writes the same comment over and over\"",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Agent, in.Board = commands.Ref(args[0]), commands.Ref(board)
			c, err := a.connect()
			if err != nil {
				return err
			}
			g, err := c.PauseAgent(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.printAgent(&g)
		},
	}
	cmd.Flags().StringVar(&in.Reason, "reason", "", "why, for the agent and its people")
	cmd.Flags().StringVarP(&board, "board", "b", "", "board that you are pm of (default: the server looks for one)")
	return cmd
}

func (a *app) agentResume() *cobra.Command {
	var board string
	cmd := &cobra.Command{
		Use:     "resume AGENT",
		Short:   "Let a paused agent work again",
		Example: "  kanban agent resume builder",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			g, err := c.ResumeAgent(cmd.Context(), commands.ResumeAgent{Agent: commands.Ref(args[0]), Board: commands.Ref(board)})
			if err != nil {
				return err
			}
			return a.printAgent(&g)
		},
	}
	cmd.Flags().StringVarP(&board, "board", "b", "", "board that you are pm of (default: the server looks for one)")
	return cmd
}
