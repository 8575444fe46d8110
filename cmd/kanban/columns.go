package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) columnsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "columns BOARD",
		Short: "List the columns of a board, or change them",
		Example: `  kanban board columns WEB
  kanban board columns add WEB "Ready for QC" --wip 3 --index 2
  kanban board columns edit WEB "In Progress" --wip 5
  kanban board columns edit WEB Done --approval --allow-from "Ready for QC"
  kanban board columns move WEB "Blocked" 0
  kanban board columns remove WEB "Blocked"`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			board, err := c.Board(cmd.Context(), commands.Ref(args[0]))
			if err != nil {
				return err
			}
			return a.printColumns(&board)
		},
	}
	cmd.AddCommand(a.columnAdd(), a.columnEdit(), a.columnMove(), a.columnRemove())
	return cmd
}

func (a *app) printColumns(b *readmodel.Board) error {
	if a.json {
		return a.printJSON(b.Columns)
	}
	rows := make([][]string, len(b.Columns))
	for i, c := range b.Columns {
		limit := "-"
		if c.WIPLimit != nil {
			limit = strconv.Itoa(*c.WIPLimit)
		}
		rows[i] = []string{strconv.FormatInt(c.ID, 10), c.Name, string(c.Kind), limit, policyText(b, c.Policy)}
	}
	return table(a.stdout, "ID NAME KIND WIP POLICY", rows)
}

// changeColumns carries out one command and shows the columns after it.
func (a *app) changeColumns(cmd *cobra.Command, board commands.Ref, change commands.Command) error {
	c, err := a.connect()
	if err != nil {
		return err
	}
	if _, err := c.Run(cmd.Context(), change); err != nil {
		return err
	}
	after, err := c.Board(cmd.Context(), board)
	if err != nil {
		return err
	}
	return a.printColumns(&after)
}

func (a *app) columnAdd() *cobra.Command {
	var kind string
	var wip, index int
	var policy policyFlags
	cmd := &cobra.Command{
		Use:     "add BOARD NAME",
		Short:   "Add a column, at the end unless --index says where",
		Example: "  kanban board columns add WEB \"Ready for QC\" --kind review --wip 3 --index 2",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := commands.AddColumn{
				Board:  commands.Ref(args[0]),
				Column: commands.ColumnSpec{Name: args[1], Kind: events.ColumnKind(kind)},
			}
			if cmd.Flags().Changed("wip") && wip > 0 {
				in.Column.WIPLimit = &wip
			}
			if cmd.Flags().Changed("index") {
				in.Index = &index
			}
			in.Column.Policy = policy.over(cmd, events.Policy{})
			return a.changeColumns(cmd, in.Board, in)
		},
	}
	cmd.Flags().StringVar(&kind, "kind", "", "backlog, active, blocked, review or done (default: guessed from the name)")
	cmd.Flags().IntVar(&wip, "wip", 0, "most tickets at once (0 = no limit)")
	cmd.Flags().IntVar(&index, "index", 0, "place, 0 is leftmost")
	policy.add(cmd)
	return cmd
}

func (a *app) columnEdit() *cobra.Command {
	var name, kind string
	var wip int
	var policy policyFlags
	cmd := &cobra.Command{
		Use:   "edit BOARD COLUMN",
		Short: "Rename a column, change its kind, its WIP limit or what a ticket needs to enter it",
		Example: `  kanban board columns edit WEB "In Progress" --name Doing --wip 5
  kanban board columns edit WEB Doing --wip 0   # no limit
  kanban board columns edit WEB "Ready for QC" --require-checklist --require-evidence
  kanban board columns edit WEB Done --approval=false`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags := cmd.Flags()
			if !flags.Changed("name") && !flags.Changed("kind") && !flags.Changed("wip") && !policy.changed(cmd) {
				return usagef("nothing to change: give at least one of --name, --kind, --wip, --require-checklist, --require-evidence, --approval, --allow-from")
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			board, err := c.Board(cmd.Context(), commands.Ref(args[0]))
			if err != nil {
				return err
			}
			col, err := findColumn(&board, args[1])
			if err != nil {
				return err
			}
			spec := commands.ColumnSpec{ID: col.ID, Name: col.Name, Kind: col.Kind, WIPLimit: col.WIPLimit, Policy: policy.over(cmd, col.Policy)}
			if flags.Changed("name") {
				spec.Name = name
			}
			if flags.Changed("kind") {
				spec.Kind = events.ColumnKind(kind)
			}
			if flags.Changed("wip") {
				spec.WIPLimit = &wip
				if wip <= 0 {
					spec.WIPLimit = nil
				}
			}
			return a.changeColumns(cmd, commands.RefID(board.ID), commands.UpdateColumn{Board: commands.RefID(board.ID), Column: spec})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "new name")
	cmd.Flags().StringVar(&kind, "kind", "", "backlog, active, blocked, review or done")
	cmd.Flags().IntVar(&wip, "wip", 0, "most tickets at once (0 = no limit)")
	policy.add(cmd)
	return cmd
}

func findColumn(b *readmodel.Board, name string) (readmodel.Column, error) {
	for _, c := range b.Columns {
		if c.Name == name || strconv.FormatInt(c.ID, 10) == name {
			return c, nil
		}
	}
	return readmodel.Column{}, &hinted{
		events.Errorf(events.CodeNotFound, "Board %s has no column %q.", b.Key, name),
		"kanban board columns " + b.Key,
	}
}

func (a *app) columnMove() *cobra.Command {
	return &cobra.Command{
		Use:     "move BOARD COLUMN INDEX",
		Short:   "Put a column elsewhere; index 0 is leftmost",
		Example: "  kanban board columns move WEB \"Blocked\" 0",
		Args:    args(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			index, err := strconv.Atoi(args[2])
			if err != nil {
				return usagef("index %q is not a number", args[2])
			}
			board := commands.Ref(args[0])
			return a.changeColumns(cmd, board, commands.MoveColumn{Board: board, Column: commands.Ref(args[1]), Index: index})
		},
	}
}

func (a *app) columnRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove BOARD COLUMN",
		Short:   "Remove a column that holds no tickets",
		Example: "  kanban board columns remove WEB \"Blocked\"",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			board := commands.Ref(args[0])
			return a.changeColumns(cmd, board, commands.RemoveColumn{Board: board, Column: commands.Ref(args[1])})
		},
	}
}

func (a *app) membersCommand() *cobra.Command {
	show := func(list []readmodel.Member) error {
		if a.json {
			return a.printJSON(list)
		}
		rows := make([][]string, len(list))
		for i, m := range list {
			rows[i] = []string{m.Name, string(m.Role)}
		}
		return table(a.stdout, "NAME ROLE", rows)
	}
	cmd := &cobra.Command{
		Use:     "members BOARD",
		Short:   "List who has a role on a board, or change it",
		Example: "  kanban board members WEB\n  kanban board members set WEB alice pm\n  kanban board members remove WEB alice",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			page, err := c.Members(cmd.Context(), commands.Ref(args[0]))
			if err != nil {
				return err
			}
			return show(page.Items)
		},
	}
	cmd.AddCommand(&cobra.Command{
		Use:     "set BOARD USER ROLE",
		Short:   "Give a user a role: pm, agent or viewer",
		Example: "  kanban board members set WEB alice pm",
		Args:    args(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			role := events.Role(args[2])
			if !role.Valid() {
				return usagef("role %q: want pm, agent or viewer", args[2])
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			page, err := c.SetMember(cmd.Context(), commands.SetMember{Board: commands.Ref(args[0]), User: commands.Ref(args[1]), Role: role})
			if err != nil {
				return err
			}
			return show(page.Items)
		},
	}, &cobra.Command{
		Use:     "remove BOARD USER",
		Short:   "Take a user's role away",
		Example: "  kanban board members remove WEB alice",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			if err := c.RemoveMember(cmd.Context(), commands.Ref(args[0]), commands.Ref(args[1])); err != nil {
				return err
			}
			a.note("%s no longer has a role on %s", args[1], args[0])
			return nil
		},
	})
	return cmd
}
