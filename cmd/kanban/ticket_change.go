package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) ticketEdit() *cobra.Command {
	var title, description, acceptance, priority, due string
	var labels []string
	var ifVersion, fence int64
	cmd := &cobra.Command{
		Use:   "edit TICKET",
		Short: "Change what a ticket says",
		Example: `  kanban ticket edit WEB-12 --title "Say hello twice"
  kanban ticket edit WEB-12 --priority urgent --due 2026-10-01
  kanban ticket edit WEB-12 --due none --label ""`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags := cmd.Flags()
			in := commands.UpdateTicket{Ticket: commands.Ref(args[0])}
			text := func(name string, value *string) *string {
				if flags.Changed(name) {
					return value
				}
				return nil
			}
			for _, long := range []*string{&description, &acceptance} {
				var err error
				if *long, err = a.text(*long); err != nil {
					return err
				}
			}
			in.Title = text("title", &title)
			in.Description = text("description", &description)
			in.AcceptanceCriteria = text("acceptance", &acceptance)
			if flags.Changed("priority") {
				p := events.Priority(priority)
				in.Priority = &p
			}
			if flags.Changed("label") {
				if len(labels) == 1 && labels[0] == "" {
					labels = []string{}
				}
				in.Labels = &labels
			}
			switch {
			case due == "none":
				in.ClearDue = true
			case due != "":
				at, err := parseDate(due)
				if err != nil {
					return err
				}
				in.DueAt = &at
			}
			if in == (commands.UpdateTicket{Ticket: in.Ticket}) { // the fence comes below
				return usagef("nothing to change: give at least one of --title, --description, --acceptance, --priority, --label, --due")
			}
			c, err := a.connectToWork()
			if err != nil {
				return err
			}
			return c.withFence(cmd.Context(), in.Ticket, fence, func(fence int64) error {
				in.Fence = fence
				ticket, err := c.UpdateTicket(cmd.Context(), in, versionFlag(flags.Changed("if-version"), ifVersion))
				if err != nil {
					return err
				}
				return a.printTicket(&ticket)
			})
		},
	}
	fenceFlag(cmd, &fence)
	flags := cmd.Flags()
	flags.StringVarP(&title, "title", "t", "", "new title")
	flags.StringVarP(&description, "description", "d", "", "new description; - reads it from standard input")
	flags.StringVar(&acceptance, "acceptance", "", "new acceptance criteria; - reads them from standard input")
	flags.StringVarP(&priority, "priority", "p", "", "low, medium, high or urgent")
	flags.StringSliceVarP(&labels, "label", "l", nil, "the labels, all of them; \"\" removes them")
	flags.StringVar(&due, "due", "", "due date: 2026-10-01, RFC 3339, or none")
	flags.Int64Var(&ifVersion, "if-version", 0, "only if the ticket still has this version")
	return cmd
}

func (a *app) ticketArchive() *cobra.Command {
	return &cobra.Command{
		Use:     "archive TICKET",
		Short:   "Hide a ticket; it no longer counts against the WIP limit",
		Example: "  kanban ticket archive WEB-12",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			ticket, err := c.ArchiveTicket(cmd.Context(), commands.Ref(args[0]))
			if err != nil {
				return err
			}
			return a.printTicket(&ticket)
		},
	}
}

func (a *app) ticketRestore() *cobra.Command {
	var overLimit bool
	cmd := &cobra.Command{
		Use:     "restore TICKET",
		Short:   "Bring an archived ticket back at the end of its column",
		Example: "  kanban ticket restore WEB-12",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			ticket, err := c.RestoreTicket(cmd.Context(), commands.Ref(args[0]), overLimit)
			if err != nil {
				return err
			}
			return a.printTicket(&ticket)
		},
	}
	cmd.Flags().BoolVar(&overLimit, "over-limit", false, "go past the WIP limit (pm only; recorded)")
	return cmd
}

func (a *app) ticketDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete TICKET",
		Short:   "Remove a ticket from every view; its events stay in the log",
		Example: "  kanban ticket delete WEB-12 --yes",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.confirm(yes, "Delete ticket "+args[0]+"?"); err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			if err := c.DeleteTicket(cmd.Context(), commands.Ref(args[0])); err != nil {
				return err
			}
			a.note("deleted ticket %s", args[0])
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func (a *app) ticketHistory() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "history TICKET",
		Short:   "Every change of a ticket: what, from, to, who, when",
		Example: "  kanban ticket history WEB-12\n  kanban ticket history WEB-12 --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			page, err := pages(cmd.Context(), limit, func(ctx context.Context, p client.Paging) (client.Page[readmodel.HistoryEntry], error) {
				return c.History(ctx, commands.Ref(args[0]), p)
			})
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(page)
			}
			rows := make([][]string, len(page.Items))
			for i, h := range page.Items {
				rows[i] = []string{
					h.ChangedAt.Local().Format(time.DateTime), h.FieldName,
					orDash(cut(clean(deref(h.OldValue)), 40)), orDash(cut(clean(deref(h.NewValue)), 40)), h.ChangedBy,
				}
			}
			return table(a.stdout, "WHEN FIELD FROM TO BY", rows)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "at most so many (0 = all)")
	return cmd
}
