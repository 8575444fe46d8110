package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/http/client"
)

// redaction are the flags of every kanban redact.
type redaction struct {
	reason      string
	yes, dryRun bool
}

func (a *app) redactCommand() *cobra.Command {
	var r redaction
	cmd := group(&cobra.Command{
		Use:   "redact",
		Short: "Take texts or a person's name out of the log for good",
		Long: `Take texts or a person's name out of the log for good: out of the events, the read
models, the stream, and the free space of the database's files. What is left says
that something was there, when, and by whom; the hash chain still verifies. Only an
admin may, with a token that is not limited to boards or a role.

Nothing brings it back. It stays in backups and exports of before, and with
whoever received it: docs/redaction.md. While it runs, commands wait; where the
log is long, for minutes.`,
		Example: `  kanban redact ticket WEB-12 --dry-run
  kanban redact ticket WEB-12 --reason "a customer's address"
  kanban redact user pat --reason "asked to be forgotten" --yes`,
	})
	flags := cmd.PersistentFlags()
	flags.StringVar(&r.reason, "reason", "", "why; it stays in the log, so say nothing that is to be forgotten")
	flags.BoolVar(&r.yes, "yes", false, "do not ask")
	flags.BoolVar(&r.dryRun, "dry-run", false, "only print what would be emptied")
	cmd.AddCommand(a.redactTicket(&r), a.redactUser(&r), a.redactComment(&r), a.redactEvents(&r))
	return cmd
}

func (a *app) redactTicket(r *redaction) *cobra.Command {
	return &cobra.Command{
		Use:   "ticket TICKET",
		Short: "All texts of a ticket: title, description, criteria, labels, comments, evidence, notes",
		Long: `Redact all texts of a ticket, deleted ones included: title, description,
acceptance criteria, labels, checklist, comments, evidence, notes. Its key, its way
over the board, and who did what when, stay.`,
		Example: `  kanban redact ticket WEB-12 --reason "a customer's address"`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.redact(cmd.Context(), r, commands.Redact{Ticket: commands.Ref(args[0])})
		},
	}
}

func (a *app) redactUser(r *redaction) *cobra.Command {
	var texts bool
	cmd := &cobra.Command{
		Use:   "user NAME",
		Short: `A person or agent: the name becomes "deleted user N" everywhere`,
		Long: `Redact a person or agent: the name becomes "deleted user N" in every event and
view, and the account is gone. What they wrote stays, unless --texts is given;
where others mention the name in a text, redact that text.`,
		Example: `  kanban redact user pat --reason "asked to be forgotten"
  kanban redact user pat --texts --reason "asked to be forgotten" --yes`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.redact(cmd.Context(), r, commands.Redact{User: commands.Ref(args[0]), Texts: texts})
		},
	}
	cmd.Flags().BoolVar(&texts, "texts", false, "also everything that they wrote")
	return cmd
}

func (a *app) redactComment(r *redaction) *cobra.Command {
	return &cobra.Command{
		Use:     "comment ID",
		Short:   "The text of one comment, as it is and as it was",
		Example: `  kanban redact comment 7 --reason "a password"`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return usagef("comment %q: want its id, as kanban ticket show --json gives it", args[0])
			}
			return a.redact(cmd.Context(), r, commands.Redact{Comment: id})
		},
	}
}

func (a *app) redactEvents(r *redaction) *cobra.Command {
	return &cobra.Command{
		Use:   "events FROM-TO",
		Short: "Every text of the events from one position to another",
		Long: `Redact every text of the events from one position to another, names of boards and
columns included; names of people stay.`,
		Example: `  kanban redact events 120-131 --reason "pasted by mistake"`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			first, last, found := strings.Cut(args[0], "-")
			if !found {
				last = first
			}
			from, err := strconv.ParseInt(first, 10, 64)
			to, err2 := strconv.ParseInt(last, 10, 64)
			if err != nil || err2 != nil || from < 1 || to < from {
				return usagef("events %q: want FROM-TO, two positions", args[0])
			}
			return a.redact(cmd.Context(), r, commands.Redact{From: from, To: to})
		},
	}
}

// redact says what would go, asks, and does it.
func (a *app) redact(ctx context.Context, r *redaction, cmd commands.Redact) error {
	cmd.Reason = r.reason
	if !r.dryRun && strings.TrimSpace(r.reason) == "" {
		return usagef("a redaction needs a --reason")
	}
	c, err := a.connect()
	if err != nil {
		return err
	}
	plan, err := c.Redact(ctx, cmd, true)
	if err != nil {
		return err
	}
	if r.dryRun {
		return a.printRedactionPlan(&plan)
	}
	question := fmt.Sprintf("Empty %s%s of %s for good?", count(len(plan.Events), "event"), namesOf(&plan), strings.ReplaceAll(plan.Target, "/", " "))
	if err := a.confirm(r.yes, question); err != nil {
		return err
	}
	done, err := c.Redact(ctx, cmd, false)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(done)
	} else {
		_, err = fmt.Fprintf(a.stdout, "redacted %s: %s%s emptied, recorded at position %d\n",
			strings.ReplaceAll(done.Target, "/", " "), count(len(done.Events), "event"), namesOf(&plan), done.Position)
	}
	if err != nil {
		return err
	}
	if plan.OldNames > 0 {
		a.note("%s of an older version keep the name: their hash covers it (docs/redaction.md)", count(int(plan.OldNames), "event"))
	}
	a.note("backups and copies of the log from before it still hold it: kanban doctor, on the server, names them")
	if !done.Clean {
		return &hinted{fmt.Errorf("%s", done.Left), "see the server's log, and restart the server"}
	}
	if done.More {
		return &hinted{fmt.Errorf("there is more than one redaction takes"), "the same command again"}
	}
	return nil
}

// namesOf is what a plan says of names, "" where none go.
func namesOf(plan *client.Redaction) string {
	if plan.Names == 0 {
		return ""
	}
	return fmt.Sprintf(" and the name in %s", count(int(plan.Names), "event"))
}

func (a *app) printRedactionPlan(plan *client.Redaction) error {
	if a.json {
		return a.printJSON(plan)
	}
	rows := make([][]string, len(plan.Events))
	for i, e := range plan.Events {
		board, ticket := "", ""
		if e.BoardID != 0 {
			board = strconv.FormatInt(e.BoardID, 10)
		}
		if e.TicketID != 0 {
			ticket = strconv.FormatInt(e.TicketID, 10)
		}
		rows[i] = []string{strconv.FormatInt(e.Position, 10), string(e.Type), board, ticket}
	}
	if err := table(a.stdout, "POSITION TYPE BOARD TICKET", rows); err != nil {
		return err
	}
	a.note("%s would be emptied%s; nothing was changed", count(len(plan.Events), "event"), namesOf(plan))
	return nil
}
