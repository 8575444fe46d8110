package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) boardReady() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "ready BOARD",
		Short: "List what can be claimed now, and what waits for what",
		Long: `List what can be claimed now, in the order in which kanban next takes it; then the
tickets that wait for others, and those that are stuck: they wait for something
archived, deleted or stuck itself, and somebody must mend that.`,
		Example: "  kanban board ready WEB\n  kanban board ready WEB --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			ready, err := c.Ready(cmd.Context(), commands.Ref(args[0]), limit)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(ready)
			}
			return a.printReady(&ready)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many of each kind, up to 100")
	return cmd
}

func (a *app) printReady(r *readmodel.Ready) error {
	rows := make([][]string, len(r.Ready))
	for i, t := range r.Ready {
		rows[i] = []string{t.Key, cut(clean(t.Title), 60), t.CurrentColumn, string(t.Priority), orDash(deref(t.Assignee))}
	}
	if err := table(a.stdout, "READY TITLE COLUMN PRIORITY ASSIGNEE", rows); err != nil {
		return err
	}
	for _, part := range []struct {
		header string
		list   []readmodel.BlockedTicket
	}{{"\nBLOCKED TITLE BY", r.Blocked}, {"\nSTUCK TITLE BY", r.DeadBlocked}} {
		if len(part.list) == 0 {
			continue
		}
		rows := make([][]string, len(part.list))
		for i, t := range part.list {
			rows[i] = []string{t.Key, cut(clean(t.Title), 60), blockers(t.By)}
		}
		if err := table(a.stdout, part.header, rows); err != nil {
			return err
		}
	}
	left := r.ReadyTotal + r.BlockedTotal + r.DeadBlockedTotal - int64(len(r.Ready)+len(r.Blocked)+len(r.DeadBlocked))
	if left > 0 {
		a.note("%d more: --limit shows more of them", left)
	}
	return nil
}

func (a *app) boardFreeze() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "freeze BOARD",
		Short: "Stop everybody on a board but people who are pm, until it is unfrozen",
		Long: `Stop everybody on a board but people who are pm. Heartbeats are still taken, so
that agents keep what they hold; everything else they send is refused.`,
		Example: "  kanban board freeze WEB --reason \"release on Friday\"",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			board, err := c.FreezeBoard(cmd.Context(), commands.Ref(args[0]), reason)
			if err != nil {
				return err
			}
			return a.printBoard(&board)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who are stopped")
	return cmd
}

func (a *app) boardUndo() *cobra.Command {
	var in commands.UndoActor
	var yes bool
	cmd := &cobra.Command{
		Use:   "undo BOARD",
		Short: "Take back everything one agent or person did on a board since a position",
		Long: `Take back everything that one actor did on a board after a position, in one
command, by events that compensate for it: the history shows both. It is refused,
with the reason, where somebody else has built on it. kanban tail shows positions.`,
		Example: "  kanban board undo WEB --actor builder --since 1200",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Board = commands.Ref(args[0])
			if in.Actor == "" || !cmd.Flags().Changed("since") || in.Since < 0 {
				return usagef("say whose work and since when: --actor NAME --since POSITION (0 = all of it)")
			}
			question := fmt.Sprintf("Take back everything that %s did on %s after position %d?", clean(in.Actor), in.Board, in.Since)
			if err := a.confirm(yes, question); err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			done, err := c.UndoActor(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.printUndone(&done)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.Actor, "actor", "", "whose work, by name")
	flags.Int64Var(&in.Since, "since", 0, "after this position; 0 = from the beginning")
	flags.BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) undoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "undo COMMAND_ID",
		Short: "Take back one command, by events that compensate for it",
		Long: `Take back what one command did: its author may, and a pm. It is refused, with the
reason, where somebody has built on it. kanban tail --json shows the command_id of
each event.`,
		Example: "  kanban undo 01980f5e-7c1a-7c3e-9d55-0d6f1a2b3c4d",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			done, err := c.UndoCommand(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printUndone(&done)
		},
	}
}

func (a *app) printUndone(done *client.Done) error {
	if a.json {
		return a.printJSON(done)
	}
	lines := printer{}
	for i := range done.Events {
		if err := a.printEvent(&lines, &done.Events[i]); err != nil {
			return err
		}
	}
	a.note("taken back with %s events", strconv.Itoa(len(done.Events)))
	return nil
}
