package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) boardCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "board",
		Short:   "Boards: create, list, show, change",
		Example: "  kanban board create \"Website\" --key WEB\n  kanban board show WEB",
	})
	cmd.AddCommand(
		a.boardCreate(), a.boardList(), a.boardShow(), a.boardEdit(),
		a.boardAct("archive", "Make a board read only and hide it from lists", (*client.Client).ArchiveBoard),
		a.boardAct("restore", "Bring an archived board back", (*client.Client).RestoreBoard),
		a.boardDelete(), a.columnsCommand(), a.membersCommand(),
		a.boardReady(), a.boardUsage(), a.boardStats(), a.boardFlow(), a.boardUndo(), a.boardFreeze(),
		a.boardAct("unfreeze", "Let everybody work on a frozen board again", (*client.Client).UnfreezeBoard),
	)
	return cmd
}

func (a *app) boardCreate() *cobra.Command {
	var in commands.CreateBoard
	var columns []string
	var visibility string
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Start a board; you become its pm",
		Example: `  kanban board create "Website"
  kanban board create "Website" --key WEB --visibility internal
  kanban board create "Support" --columns "New,Doing:3,Done"`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Name, in.Visibility = args[0], events.Visibility(visibility)
			specs, err := columnSpecs(columns)
			if err != nil {
				return err
			}
			in.Columns = specs
			c, err := a.connect()
			if err != nil {
				return err
			}
			board, err := c.CreateBoard(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.printBoard(&board)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.Key, "key", "", "short name that starts the keys of its tickets, such as WEB (default: made from the name)")
	flags.StringVar(&in.Description, "description", "", "what the board is for")
	flags.StringVar(&visibility, "visibility", "", "private (members only) or internal (all who are signed in may read)")
	flags.StringSliceVar(&columns, "columns", nil, "columns in order, each NAME or NAME:LIMIT (default: the usual five)")
	flags.IntVar(&in.MaxClaims, "max-claims", 0, "how many tickets one agent may hold at once (0 = the default)")
	return cmd
}

// columnSpecs reads "Doing" and "Doing:3".
func columnSpecs(list []string) ([]commands.ColumnSpec, error) {
	specs := make([]commands.ColumnSpec, 0, len(list))
	for _, text := range list {
		spec := commands.ColumnSpec{Name: strings.TrimSpace(text)}
		if i := strings.LastIndexByte(spec.Name, ':'); i >= 0 {
			limit, err := strconv.Atoi(strings.TrimSpace(spec.Name[i+1:]))
			if err != nil || limit < 1 {
				return nil, usagef("column %q: after the colon comes the WIP limit, a number from 1", text)
			}
			spec.Name, spec.WIPLimit = strings.TrimSpace(spec.Name[:i]), &limit
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

// printBoard confirms a change with the board itself.
func (a *app) printBoard(b *readmodel.Board) error {
	if a.json {
		return a.printJSON(b)
	}
	state := ""
	if b.Archived {
		state = " (archived)"
	}
	if b.Frozen {
		state += " (frozen)"
	}
	_, err := fmt.Fprintf(a.stdout, "%s  %s%s\n", b.Key, clean(b.Name), state)
	return err
}

func (a *app) boardList() *cobra.Command {
	var archived bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the boards you may see",
		Example: "  kanban board list\n  kanban board list --archived --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			page, err := pages(cmd.Context(), 0, func(ctx context.Context, p client.Paging) (client.Page[readmodel.Board], error) {
				return c.Boards(ctx, client.BoardQuery{Paging: p, Archived: archived})
			})
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(page)
			}
			if len(page.Items) == 0 {
				a.note("no boards yet\nTry: kanban board create \"My board\"")
				return nil
			}
			rows := make([][]string, len(page.Items))
			for i, b := range page.Items {
				rows[i] = []string{b.Key, b.Name, string(b.Visibility), strconv.Itoa(len(b.Columns)), a.ago(b.UpdatedAt)}
			}
			return table(a.stdout, "KEY NAME VISIBILITY COLUMNS CHANGED", rows)
		},
	}
	cmd.Flags().BoolVar(&archived, "archived", false, "the archived ones instead")
	return cmd
}

// pages collects a list up to limit items, 0 = all.
func pages[T any](ctx context.Context, limit int, next func(context.Context, client.Paging) (client.Page[T], error)) (client.Page[T], error) {
	out := client.Page[T]{Items: []T{}}
	for {
		p := client.Paging{Limit: 100, Cursor: out.NextCursor}
		if left := limit - len(out.Items); limit > 0 && left < p.Limit {
			p.Limit = left
		}
		page, err := next(ctx, p)
		if err != nil {
			return out, err
		}
		out.Items = append(out.Items, page.Items...)
		out.NextCursor, out.Total = page.NextCursor, page.Total
		if page.NextCursor == "" || len(page.Items) == 0 || limit > 0 && len(out.Items) >= limit {
			return out, nil
		}
	}
}

func (a *app) boardEdit() *cobra.Command {
	var name, description, visibility string
	var maxClaims int
	var ifVersion int64
	cmd := &cobra.Command{
		Use:     "edit BOARD",
		Short:   "Change name, description, visibility or the limit of claims",
		Example: "  kanban board edit WEB --name \"New website\"\n  kanban board edit WEB --visibility internal",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := commands.UpdateBoard{Board: commands.Ref(args[0])}
			flags := cmd.Flags()
			if flags.Changed("name") {
				in.Name = &name
			}
			if flags.Changed("description") {
				in.Description = &description
			}
			if flags.Changed("visibility") {
				v := events.Visibility(visibility)
				in.Visibility = &v
			}
			if flags.Changed("max-claims") {
				in.MaxClaims = &maxClaims
			}
			if in == (commands.UpdateBoard{Board: in.Board}) {
				return usagef("nothing to change: give at least one of --name, --description, --visibility, --max-claims")
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			board, err := c.UpdateBoard(cmd.Context(), in, versionFlag(flags.Changed("if-version"), ifVersion))
			if err != nil {
				return err
			}
			return a.printBoard(&board)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "new name")
	flags.StringVar(&description, "description", "", "new description")
	flags.StringVar(&visibility, "visibility", "", "private or internal")
	flags.IntVar(&maxClaims, "max-claims", 0, "how many tickets one agent may hold at once")
	flags.Int64Var(&ifVersion, "if-version", 0, "only if the board still has this version")
	return cmd
}

func versionFlag(given bool, version int64) *int64 {
	if !given {
		return nil
	}
	return &version
}

func (a *app) boardAct(verb, short string, act func(*client.Client, context.Context, commands.Ref) (readmodel.Board, error)) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " BOARD",
		Short:   short,
		Example: "  kanban board " + verb + " WEB",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			board, err := act(c, cmd.Context(), commands.Ref(args[0]))
			if err != nil {
				return err
			}
			return a.printBoard(&board)
		},
	}
}

func (a *app) boardDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete BOARD",
		Short:   "Remove a board and its tickets from every view; the events stay in the log",
		Example: "  kanban board delete WEB --yes",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.confirm(yes, "Delete board "+args[0]+" with all its tickets?"); err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			if err := c.DeleteBoard(cmd.Context(), commands.Ref(args[0])); err != nil {
				return err
			}
			a.note("deleted board %s", args[0])
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
