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

func (a *app) webhookUpdate() *cobra.Command {
	var url string
	var types []string
	var all, on, off, rotate bool
	cmd := &cobra.Command{
		Use:   "update BOARD ID",
		Short: "Change address or types, switch on or off, or make a new secret",
		Example: `  kanban webhook update WEB 1 --type ticket_moved,ticket_created
  kanban webhook update WEB 1 --on               # goes on where it was switched off
  kanban webhook update WEB 1 --rotate-secret    # the old one signs too for a day`,
		Args: args(cobra.ExactArgs(2)),
	}
	cmd.RunE = a.onWebhook(func(ctx context.Context, c *client.Client, board commands.Ref, id int64, _ []string) error {
		in := client.WebhookChange{RotateSecret: rotate}
		if url != "" {
			address, err := a.text(url)
			if err != nil {
				return err
			}
			in.URL = strings.TrimSpace(address)
		}
		if len(types) > 0 || all {
			list, err := wantedTypes(types)
			if err != nil {
				return err
			}
			in.Types = &list
		}
		if on || off {
			in.Active = &on
		}
		if in == (client.WebhookChange{}) {
			return usagef("nothing to change: give --url, --type, --all-types, --on, --off or --rotate-secret")
		}
		w, err := c.UpdateWebhook(ctx, board, id, in)
		if err != nil {
			return err
		}
		if w.Secret != "" {
			return a.printSecret(&w)
		}
		return a.printWebhook(&w)
	})
	flags := cmd.Flags()
	flags.StringVar(&url, "url", "", `send to this address from now on; "-" reads it from standard input`)
	flags.StringSliceVar(&types, "type", nil, "only events of this type; may be given several times")
	flags.BoolVar(&all, "all-types", false, "events of all types")
	flags.BoolVar(&on, "on", false, "switch it on, or try again at once")
	flags.BoolVar(&off, "off", false, "switch it off")
	flags.BoolVar(&rotate, "rotate-secret", false, "make a new secret and print it")
	cmd.MarkFlagsMutuallyExclusive("on", "off")
	cmd.MarkFlagsMutuallyExclusive("type", "all-types")
	return cmd
}

func (a *app) webhookTest() *cobra.Command {
	return &cobra.Command{
		Use:     "test BOARD ID",
		Short:   "Send a message of type webhook_test now; fails where it does not arrive",
		Example: "  kanban webhook test WEB 1",
		Args:    args(cobra.ExactArgs(2)),
		RunE: a.onWebhook(func(ctx context.Context, c *client.Client, board commands.Ref, id int64, _ []string) error {
			t, err := c.TestWebhook(ctx, board, id)
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(t)
			} else if t.OK {
				_, err = fmt.Fprintf(a.stdout, "ok: the receiver answered %d after %d ms\n", t.Status, t.TookMS)
			}
			if err == nil && !t.OK {
				err = &hinted{fmt.Errorf("webhook %d: %s", id, clean(t.Error)), fmt.Sprintf("kanban webhook update %s %d --url, if the address is wrong", board, id)}
			}
			return err
		}),
	}
}

func (a *app) webhookDeliveries() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:     "deliveries BOARD ID",
		Short:   "List the dead letters: events that were given up",
		Example: "  kanban webhook deliveries WEB 1\n  kanban webhook deliveries WEB 1 --json",
		Args:    args(cobra.ExactArgs(2)),
	}
	cmd.RunE = a.onWebhook(func(ctx context.Context, c *client.Client, board commands.Ref, id int64, _ []string) error {
		page, err := pages(ctx, limit, func(ctx context.Context, p client.Paging) (client.Page[client.DeadLetter], error) {
			return c.DeadLetters(ctx, board, id, p)
		})
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(page)
		}
		rows := make([][]string, len(page.Items))
		for i, l := range page.Items {
			state := a.ago(l.FailedAt)
			if l.Queued {
				state = "queued"
			}
			rows[i] = []string{number(l.ID), number(l.Position), string(l.Type), strconv.Itoa(l.Attempts), state, cut(clean(l.Error), 80)}
		}
		return table(a.stdout, "ID POSITION TYPE ATTEMPTS FAILED ERROR", rows)
	})
	cmd.Flags().IntVar(&limit, "limit", 0, "at most so many (0 = all)")
	return cmd
}

func (a *app) webhookReplay() *cobra.Command {
	var all bool
	var from int64
	cmd := &cobra.Command{
		Use:   "replay BOARD ID [DELIVERY]",
		Short: "Send dead letters again, or everything from a position on",
		Example: `  kanban webhook replay WEB 1 7                    # one, by its id in kanban webhook deliveries
  kanban webhook replay WEB 1 --all
  kanban webhook replay WEB 1 --from-position 120  # what arrived before is sent again too`,
		Args: args(cobra.RangeArgs(2, 3)),
	}
	cmd.RunE = a.onWebhook(func(ctx context.Context, c *client.Client, board commands.Ref, id int64, more []string) error {
		var in client.Replay
		given := len(more)
		if all {
			given++
		}
		if cmd.Flags().Changed("from-position") {
			in.FromPosition = &from
			given++
		}
		if given != 1 {
			return usagef("say what to send again: a DELIVERY, --all or --from-position")
		}
		if len(more) == 1 {
			delivery, err := strconv.ParseInt(more[0], 10, 64)
			if err != nil || delivery < 1 {
				return usagef("delivery %q: want its number, as kanban webhook deliveries shows it", more[0])
			}
			in.Delivery = delivery
		}
		w, err := c.ReplayWebhook(ctx, board, id, in)
		if err != nil {
			return err
		}
		return a.printWebhook(&w)
	})
	cmd.Flags().BoolVar(&all, "all", false, "all dead letters, in their order")
	cmd.Flags().Int64Var(&from, "from-position", 0, "everything from this position on, 1 = from the beginning")
	return cmd
}

func (a *app) webhookDelete() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "delete BOARD ID",
		Short:   "Stop sending, and forget the dead letters",
		Example: "  kanban webhook delete WEB 1 --yes",
		Args:    args(cobra.ExactArgs(2)),
	}
	cmd.RunE = a.onWebhook(func(ctx context.Context, c *client.Client, board commands.Ref, id int64, _ []string) error {
		if err := a.confirm(yes, fmt.Sprintf("Delete webhook %d of %s and its dead letters?", id, board)); err != nil {
			return err
		}
		if err := c.RemoveWebhook(ctx, board, id); err != nil {
			return err
		}
		a.note("deleted webhook %d", id)
		return nil
	})
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}
