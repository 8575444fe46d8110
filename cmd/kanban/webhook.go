package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/http/client"
)

func (a *app) webhookCommand() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "webhook",
		Short: "Send events of a board to other programs: create, list, show, update, test, deliveries, replay, delete",
		Long: `Send the events of a board to other programs, in order and at least once, signed
after Standard Webhooks (https://www.standardwebhooks.com). What fails is tried
again for about eleven hours and then becomes a dead letter, which can be
replayed. Only a pm of the board may do any of this.`,
		Example: "  kanban webhook create WEB https://hooks.example/kanban --type ticket_moved\n  kanban webhook test WEB 1\n  kanban webhook deliveries WEB 1",
	})
	cmd.AddCommand(a.webhookCreate(), a.webhookList(), a.webhookShow(), a.webhookUpdate(), a.webhookTest(),
		a.webhookDeliveries(), a.webhookReplay(), a.webhookDelete())
	return cmd
}

func (a *app) webhookCreate() *cobra.Command {
	var types []string
	var from int64
	cmd := &cobra.Command{
		Use:   "create BOARD URL",
		Short: "Send events of a board to an address; prints the secret, which is shown this once",
		Long: `Send events of a board to an address, from now on or from a position on. Prints
the secret that signs them, which is shown this once. An URL of "-" is read from
standard input: one with a key in it would be seen by other users of the machine.`,
		Example: `  kanban webhook create WEB https://hooks.example/kanban
  kanban webhook create WEB https://hooks.example/kanban --type ticket_moved,comment_added
  kanban webhook create WEB - --from-position 1 < url.txt     # everything that ever happened`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			url, err := a.text(args[1])
			if err != nil {
				return err
			}
			in := client.NewWebhook{URL: strings.TrimSpace(url)}
			if in.Types, err = wantedTypes(types); err != nil {
				return err
			}
			if cmd.Flags().Changed("from-position") {
				in.FromPosition = &from
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			w, err := c.AddWebhook(cmd.Context(), commands.Ref(args[0]), in)
			if err != nil {
				return err
			}
			return a.printSecret(&w)
		},
	}
	cmd.Flags().StringSliceVar(&types, "type", nil, "only events of this type; may be given several times (default all)")
	cmd.Flags().Int64Var(&from, "from-position", 0, "the first position to send, 1 = from the beginning (default from now on)")
	return cmd
}

// printSecret shows a webhook whose secret is new.
func (a *app) printSecret(w *client.Webhook) error {
	if a.json {
		return a.printJSON(w)
	}
	a.note("webhook %d to %s; its secret is shown this once:", w.ID, clean(w.URL))
	_, err := fmt.Fprintln(a.stdout, w.Secret)
	return err
}

func wantedTypes(names []string) ([]events.Type, error) {
	known, types := events.Types(), make([]events.Type, 0, len(names))
	for _, name := range names {
		t := events.Type(strings.TrimSpace(name))
		if !slices.Contains(known, t) {
			return nil, usagef("type %q: there is no such type of event", name)
		}
		types = append(types, t)
	}
	return types, nil
}

func (a *app) webhookList() *cobra.Command {
	return &cobra.Command{
		Use:     "list BOARD",
		Short:   "List the webhooks of a board, and how they do",
		Example: "  kanban webhook list WEB",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			page, err := c.Webhooks(cmd.Context(), commands.Ref(args[0]))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(page)
			}
			rows := make([][]string, len(page.Items))
			for i := range page.Items {
				w := &page.Items[i]
				rows[i] = []string{number(w.ID), w.URL, typeList(w.Types), webhookState(w), number(w.Position), number(w.Delivered), number(w.DeadLetters)}
			}
			return table(a.stdout, "ID URL TYPES STATE POSITION DELIVERED DEAD", rows)
		},
	}
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func typeList(types []events.Type) string {
	if len(types) == 0 {
		return "all"
	}
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return strings.Join(names, ",")
}

func webhookState(w *client.Webhook) string {
	switch {
	case !w.Active:
		return "off"
	case w.Attempts > 0:
		return "retrying"
	case w.LastError != "":
		return "failing"
	default:
		return "ok"
	}
}

func (a *app) printWebhook(w *client.Webhook) error {
	if a.json {
		return a.printJSON(w)
	}
	rows := [][]string{
		{"webhook", number(w.ID)},
		{"url", w.URL},
		{"types", typeList(w.Types)},
		{"state", webhookState(w)},
		{"position", number(w.Position)},
		{"delivered", number(w.Delivered)},
		{"dead letters", number(w.DeadLetters)},
		{"created by", w.CreatedBy + ", " + a.ago(w.CreatedAt)},
	}
	if w.OffReason != "" {
		rows = append(rows, []string{"switched off", w.OffReason})
	}
	if w.LastError != "" {
		rows = append(rows, []string{"last error", w.LastError})
	}
	if w.NextAttemptAt != nil {
		rows = append(rows, []string{"next attempt", fmt.Sprintf("%d, %s", w.Attempts+1, a.ago(*w.NextAttemptAt))})
	}
	if w.DeliveredAt != nil {
		rows = append(rows, []string{"last delivery", a.ago(*w.DeliveredAt)})
	}
	if w.OldSecretUntil != nil && w.OldSecretUntil.After(a.now()) {
		rows = append(rows, []string{"old secret", "signs too until " + w.OldSecretUntil.Local().Format("2006-01-02 15:04")})
	}
	for _, row := range rows {
		if _, err := fmt.Fprintf(a.stdout, "%-14s%s\n", row[0], clean(row[1])); err != nil {
			return err
		}
	}
	return nil
}

// onWebhook is the body of a subcommand about one webhook: BOARD ID.
func (a *app) onWebhook(act func(ctx context.Context, c *client.Client, board commands.Ref, id int64, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		id, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil || id < 1 {
			return usagef("webhook %q: want its number, as kanban webhook list %s shows it", args[1], args[0])
		}
		c, err := a.connect()
		if err != nil {
			return err
		}
		err = act(cmd.Context(), c, commands.Ref(args[0]), id, args[2:])
		if events.CodeOf(err) == events.CodeNotFound {
			return &hinted{err, "kanban webhook list " + args[0]}
		}
		return err
	}
}

func (a *app) webhookShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show BOARD ID",
		Short:   "Show how far a webhook is, and how its last attempt went",
		Example: "  kanban webhook show WEB 1",
		Args:    args(cobra.ExactArgs(2)),
		RunE: a.onWebhook(func(ctx context.Context, c *client.Client, board commands.Ref, id int64, _ []string) error {
			w, err := c.Webhook(ctx, board, id)
			if err != nil {
				return err
			}
			return a.printWebhook(&w)
		}),
	}
}
