package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) ticketCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "ticket",
		Short:   "Tickets: create, list, show, move, change",
		Example: "  kanban ticket create --board WEB \"Say hello\"\n  kanban ticket move WEB-1 \"In Progress\"",
	})
	cmd.AddCommand(
		a.ticketCreate(), a.ticketList(), a.ticketShow(), a.ticketMove(), a.ticketEdit(), a.ticketAssign(),
		a.ticketArchive(), a.ticketRestore(), a.ticketDelete(), a.ticketHistory(),
		a.ticketPlan(), a.ticketDepend(), a.ticketChecklist(), a.ticketCheck(), a.ticketEvidence(),
		a.ticketRequestApproval(), a.ticketApprove(), a.ticketReject(), a.ticketUsage(), a.ticketStats(),
	)
	return cmd
}

// printTicket confirms a change with the ticket itself.
func (a *app) printTicket(t *readmodel.Ticket) error {
	if a.json {
		return a.printJSON(t)
	}
	line := fmt.Sprintf("%s  %s  [%s]", t.Key, clean(t.Title), clean(t.CurrentColumn))
	if t.Assignee != nil {
		line += " @" + clean(*t.Assignee)
	}
	if t.Archived {
		line += " (archived)"
	}
	_, err := fmt.Fprintln(a.stdout, line)
	return err
}

func (a *app) ticketCreate() *cobra.Command {
	var in commands.CreateTicket
	var board, column, priority, due string
	var dependsOn []string
	cmd := &cobra.Command{
		Use:   "create TITLE",
		Short: "Put a new ticket at the end of a column, the first unless --column says which",
		Example: `  kanban ticket create --board WEB "Say hello"
  kanban ticket create --board WEB "Fix login" --priority high --label bug --due 2026-10-01
  kanban ticket create --board WEB "Ship it" --column "Ready for QC" --assignee alice
  kanban ticket create --board WEB "Clean up" --depends-on WEB-3 --check "no warnings"
  ./report.sh | kanban ticket create --board WEB "Nightly build is red" --description -`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.Title, in.Board, in.Column, in.Priority = args[0], commands.Ref(board), commands.Ref(column), events.Priority(priority)
			if board == "" {
				return usagef("say on which board: --board KEY")
			}
			if due != "" {
				at, err := parseDate(due)
				if err != nil {
					return err
				}
				in.DueAt = &at
			}
			for _, other := range dependsOn {
				in.DependsOn = append(in.DependsOn, commands.Ref(other))
			}
			for _, text := range []*string{&in.Description, &in.AcceptanceCriteria} {
				var err error
				if *text, err = a.text(*text); err != nil {
					return err
				}
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			ticket, err := c.CreateTicket(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.printTicket(&ticket)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&board, "board", "b", "", "board, by key or id")
	flags.StringVarP(&column, "column", "c", "", "column, by name or id")
	flags.StringVarP(&in.Description, "description", "d", "", "what is to be done; - reads it from standard input")
	flags.StringVar(&in.AcceptanceCriteria, "acceptance", "", "how one sees that it is done; - reads it from standard input")
	flags.StringVarP(&priority, "priority", "p", "", "low, medium, high or urgent")
	flags.StringSliceVarP(&in.Labels, "label", "l", nil, "label; may be given several times")
	flags.StringVarP(&in.Assignee, "assignee", "a", "", "who is responsible, by name")
	flags.StringVar(&due, "due", "", "due date: 2026-10-01 or RFC 3339")
	flags.StringSliceVar(&dependsOn, "depends-on", nil, "ticket that must be done first; may be given several times")
	flags.StringArrayVar(&in.Checklist, "check", nil, "acceptance criterion for the checklist; may be given several times")
	flags.BoolVar(&in.OverLimit, "over-limit", false, "go past the WIP limit (pm only; recorded)")
	return cmd
}

// parseDate reads a day or a moment. A day ends at midnight UTC after it.
func parseDate(text string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.Add(24*time.Hour - time.Second), nil
	}
	return time.Time{}, usagef("%q is neither a day like 2026-10-01 nor a time like 2026-10-01T12:00:00Z", text)
}

func (a *app) ticketList() *cobra.Command {
	var q client.TicketQuery
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tickets",
		Example: `  kanban ticket list --board WEB
  kanban ticket list --assignee alice --column "In Progress"
  kanban ticket list --board WEB --ready
  kanban ticket list --holder builder
  kanban ticket list --query "login error" --json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			page, err := pages(cmd.Context(), limit, func(ctx context.Context, p client.Paging) (client.Page[readmodel.Ticket], error) {
				q.Paging = p
				return c.Tickets(ctx, q)
			})
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(page)
			}
			rows := make([][]string, len(page.Items))
			for i, t := range page.Items {
				rows[i] = []string{t.Key, cut(clean(t.Title), 60), t.CurrentColumn, string(t.Priority), orDash(deref(t.Assignee)), a.ago(t.UpdatedAt)}
			}
			if err := table(a.stdout, "KEY TITLE COLUMN PRIORITY ASSIGNEE CHANGED", rows); err != nil {
				return err
			}
			if more := page.Total - int64(len(page.Items)); more > 0 {
				a.note("%d more: --limit 0 shows all", more)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&q.Board, "board", "b", "", "of this board, by key or id")
	flags.StringVarP(&q.Column, "column", "c", "", "in this column, by name or id")
	flags.StringVarP(&q.Assignee, "assignee", "a", "", "of this user, by name")
	flags.StringVarP(&q.Label, "label", "l", "", "with this label")
	flags.StringVarP(&q.Text, "query", "q", "", "with these words in title or description")
	flags.StringVar(&q.Holder, "holder", "", "held by this agent or user, by name")
	flags.BoolVar(&q.Ready, "ready", false, "only those that kanban next could take")
	flags.BoolVar(&q.Blocked, "blocked", false, "only those that wait for others")
	flags.BoolVar(&q.Archived, "archived", false, "the archived ones instead")
	flags.IntVar(&limit, "limit", 100, "at most so many (0 = all)")
	return cmd
}

func (a *app) ticketShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show TICKET",
		Short:   "Show a ticket with its comments",
		Example: "  kanban ticket show WEB-12\n  kanban ticket show 12 --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			t, err := c.Ticket(cmd.Context(), commands.Ref(args[0]))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(t)
			}
			comments, err := c.Comments(cmd.Context(), commands.RefID(t.ID), client.Paging{Limit: 100})
			if err != nil {
				return err
			}
			return a.showTicket(&t, comments.Items)
		},
	}
}

func (a *app) showTicket(t *readmodel.Ticket, comments []readmodel.Comment) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n", t.Key, clean(t.Title))
	field := func(name, value string) { fmt.Fprintf(&b, "  %-9s %s\n", name, value) }
	field("column", fmt.Sprintf("%s, since %s", clean(t.CurrentColumn), a.ago(t.ColumnEnteredAt)))
	field("priority", string(t.Priority))
	field("assignee", orDash(clean(deref(t.Assignee))))
	if len(t.Labels) > 0 {
		field("labels", clean(strings.Join(t.Labels, ", ")))
	}
	if t.DueAt != nil {
		field("due", fmt.Sprintf("%s (%s)", t.DueAt.Format(time.DateOnly), a.ago(*t.DueAt)))
	}
	field("created", fmt.Sprintf("%s by %s", a.ago(t.CreatedAt), clean(t.CreatedBy)))
	field("changed", fmt.Sprintf("%s (version %d)", a.ago(t.UpdatedAt), t.Version))
	if t.Archived {
		field("archived", "yes")
	}
	a.writeStanding(&b, t)
	writeTask(&b, t)
	for _, e := range t.Evidence {
		fmt.Fprintf(&b, "\n%s by %s, %s:\n%s\n", strings.ReplaceAll(string(e.Kind), "_", " "), clean(e.By), a.ago(e.At), cleanText(e.Text))
	}
	for _, c := range comments {
		fmt.Fprintf(&b, "\n#%d %s, %s:\n%s\n", c.ID, clean(c.Author), a.ago(c.CreatedAt), cleanText(c.Text))
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) ticketMove() *cobra.Command {
	var before, after string
	var overLimit bool
	var ifVersion, fence int64
	cmd := &cobra.Command{
		Use:   "move TICKET [COLUMN]",
		Short: "Move a ticket to a column, or elsewhere in its own with --before or --after",
		Example: `  kanban ticket move WEB-12 "In Progress"
  kanban ticket move WEB-12 Done --over-limit
  kanban ticket move WEB-12 --before WEB-7`,
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := commands.MoveTicket{Ticket: commands.Ref(args[0]), Before: commands.Ref(before), After: commands.Ref(after), OverLimit: overLimit}
			if len(args) == 2 {
				in.Column = commands.Ref(args[1])
			} else if before == "" && after == "" {
				return usagef("say where to: a column, --before TICKET or --after TICKET")
			}
			c, err := a.connectToWork()
			if err != nil {
				return err
			}
			return c.withFence(cmd.Context(), in.Ticket, fence, func(fence int64) error {
				in.Fence = fence
				ticket, err := c.MoveTicket(cmd.Context(), in, versionFlag(cmd.Flags().Changed("if-version"), ifVersion))
				if err != nil {
					return err
				}
				return a.printTicket(&ticket)
			})
		},
	}
	flags := cmd.Flags()
	fenceFlag(cmd, &fence)
	flags.StringVar(&before, "before", "", "just before this ticket")
	flags.StringVar(&after, "after", "", "just after this ticket")
	flags.BoolVar(&overLimit, "over-limit", false, "go past the WIP limit (pm only; recorded)")
	flags.Int64Var(&ifVersion, "if-version", 0, "only if the ticket still has this version")
	return cmd
}

func (a *app) ticketAssign() *cobra.Command {
	return &cobra.Command{
		Use:     "assign TICKET [USER]",
		Short:   "Make a user responsible; nobody if none is named",
		Example: "  kanban ticket assign WEB-12 alice\n  kanban ticket assign WEB-12        # nobody",
		Args:    args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			assignee := ""
			if len(args) == 2 {
				assignee = args[1]
			}
			ticket, err := c.AssignTicket(cmd.Context(), commands.Ref(args[0]), assignee)
			if err != nil {
				return err
			}
			return a.printTicket(&ticket)
		},
	}
}
