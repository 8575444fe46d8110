package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// onTicket runs what changes a ticket, with the fence of the claim that was made
// from here, and shows the ticket after it.
func (a *app) onTicket(ctx context.Context, ticket commands.Ref, given int64, change func(c *caller, fence int64) (readmodel.Ticket, error)) error {
	c, err := a.connectToWork()
	if err != nil {
		return err
	}
	return c.withFence(ctx, ticket, given, func(fence int64) error {
		t, err := change(c, fence)
		if err != nil {
			return err
		}
		return a.printTicket(&t)
	})
}

func itemNumber(arg string) (int64, error) {
	item, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || item < 1 {
		return 0, usagef("item %q: want its number, as kanban ticket checklist TICKET shows it", arg)
	}
	return item, nil
}

func (a *app) ticketCheck() *cobra.Command {
	var in commands.CheckItem
	var undo bool
	cmd := &cobra.Command{
		Use:     "check TICKET ITEM",
		Short:   "Mark an acceptance criterion as done, by its number",
		Example: "  kanban ticket check WEB-12 1\n  kanban ticket check WEB-12 1 --undo",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in.Ticket, in.Done = commands.Ref(args[0]), !undo
			if in.Item, err = itemNumber(args[1]); err != nil {
				return err
			}
			return a.onTicket(cmd.Context(), in.Ticket, in.Fence, func(c *caller, fence int64) (readmodel.Ticket, error) {
				in.Fence = fence
				return c.CheckItem(cmd.Context(), in)
			})
		},
	}
	fenceFlag(cmd, &in.Fence)
	cmd.Flags().BoolVar(&undo, "undo", false, "mark it as not done")
	return cmd
}

func (a *app) ticketChecklist() *cobra.Command {
	var add []string
	var remove []int64
	var set string
	var fence int64
	cmd := &cobra.Command{
		Use:   "checklist TICKET",
		Short: "Show the acceptance criteria of a ticket, or change them",
		Long: `Show the acceptance criteria of a ticket, or change them: --add appends, --remove
takes out, --set - makes the list what standard input says, one criterion a line
(those that stay keep their mark). Only a pm may take out or reword.`,
		Example: `  kanban ticket checklist WEB-12
  kanban ticket checklist WEB-12 --add "works offline" --add "has a test"
  kanban ticket checklist WEB-12 --remove 2
  kanban ticket checklist WEB-12 --set - < criteria.txt`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, ref := cmd.Context(), commands.Ref(args[0])
			if set != "" && (set != "-" || len(add)+len(remove) > 0) {
				return usagef("--set takes - (standard input) and stands alone")
			}
			c, err := a.connectToWork()
			if err != nil {
				return err
			}
			t, err := c.Ticket(ctx, ref)
			if err != nil {
				return err
			}
			if set != "" || len(add)+len(remove) > 0 {
				seen := t.Version // what is checked meanwhile must not get lost
				items, err := a.wantedItems(&t, set, add, remove)
				if err != nil {
					return err
				}
				err = c.withFence(ctx, ref, fence, func(fence int64) error {
					t, err = c.SetChecklist(ctx, commands.SetChecklist{Ticket: ref, Fence: fence, Items: items}, &seen)
					return err
				})
				if err != nil {
					return err
				}
			}
			if a.json {
				return a.printJSON(t.Checklist)
			}
			rows := make([][]string, len(t.Checklist))
			for i, item := range t.Checklist {
				rows[i] = []string{strconv.FormatInt(item.ID, 10), mark(item.Done), item.Text}
			}
			return table(a.stdout, "ITEM DONE CRITERION", rows)
		},
	}
	fenceFlag(cmd, &fence)
	flags := cmd.Flags()
	flags.StringArrayVar(&add, "add", nil, "append a criterion; may be given several times")
	flags.Int64SliceVar(&remove, "remove", nil, "take out the criterion with this number (pm only)")
	flags.StringVar(&set, "set", "", "- makes the list what standard input says, one criterion a line")
	return cmd
}

func mark(done bool) string {
	if done {
		return "yes"
	}
	return "-"
}

// wantedItems is the list as it is to be.
func (a *app) wantedItems(t *readmodel.Ticket, set string, add []string, remove []int64) ([]commands.ChecklistItemSpec, error) {
	var items []commands.ChecklistItemSpec
	if set != "" {
		text, err := a.text(set)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line == "" {
				continue
			}
			spec := commands.ChecklistItemSpec{Text: line}
			for _, have := range t.Checklist {
				if have.Text == line {
					spec.Done = have.Done
				}
			}
			items = append(items, spec)
		}
		return items, nil
	}
	for _, have := range t.Checklist {
		if at := slices.Index(remove, have.ID); at >= 0 {
			remove = slices.Delete(slices.Clone(remove), at, at+1)
			continue
		}
		items = append(items, commands.ChecklistItemSpec{ID: have.ID, Text: have.Text, Done: have.Done})
	}
	if len(remove) > 0 {
		return nil, usagef("%s has no acceptance criterion %d", t.Key, remove[0])
	}
	for _, text := range add {
		items = append(items, commands.ChecklistItemSpec{Text: text})
	}
	return items, nil
}

func (a *app) ticketEvidence() *cobra.Command {
	var fence, remove int64
	cmd := &cobra.Command{
		Use:   "evidence TICKET [KIND=TEXT]",
		Short: "Show what there is for the work on a ticket, or add to it",
		Long: `Show the evidence for the work on a ticket, or add to it. KIND is link, commit,
test_output or note; - as TEXT reads it from standard input. Who added a piece, or
a pm, can take it back by its id (--remove).`,
		Example: `  kanban ticket evidence WEB-12
  kanban ticket evidence WEB-12 commit=4f2a91c
  go test ./... 2>&1 | kanban ticket evidence WEB-12 test_output=-
  kanban ticket evidence WEB-12 --remove 2`,
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, ref := cmd.Context(), commands.Ref(args[0])
			specs, err := a.evidence(args[1:])
			if err != nil {
				return err
			}
			if remove != 0 && len(specs) > 0 {
				return usagef("add evidence or remove it, not both")
			}
			if remove != 0 {
				return a.onTicket(ctx, ref, fence, func(c *caller, fence int64) (readmodel.Ticket, error) {
					return c.RemoveEvidence(ctx, commands.RemoveEvidence{Ticket: ref, Fence: fence, Evidence: remove})
				})
			}
			if len(specs) > 0 {
				return a.onTicket(ctx, ref, fence, func(c *caller, fence int64) (readmodel.Ticket, error) {
					return c.AddEvidence(ctx, commands.AddEvidence{Ticket: ref, Fence: fence, EvidenceSpec: specs[0]})
				})
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			t, err := c.Ticket(ctx, ref)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(t.Evidence)
			}
			rows := make([][]string, len(t.Evidence))
			for i, e := range t.Evidence {
				rows[i] = []string{strconv.FormatInt(e.ID, 10), string(e.Kind), cut(clean(e.Text), 80), e.By, a.ago(e.At)}
			}
			return table(a.stdout, "ID KIND TEXT BY ADDED", rows)
		},
	}
	cmd.Flags().Int64Var(&remove, "remove", 0, "take back the piece of evidence with this id")
	fenceFlag(cmd, &fence)
	return cmd
}

func (a *app) ticketDepend() *cobra.Command {
	var on []string
	var remove bool
	cmd := &cobra.Command{
		Use:   "depend TICKET",
		Short: "Show what a ticket waits for, or make it wait for another (--on)",
		Long: `Show what a ticket waits for, or make it wait for another one of its board. Until
that one is done the ticket cannot be claimed. Tickets that would wait for each
other are refused, with the way round.`,
		Example: `  kanban ticket depend WEB-12
  kanban ticket depend WEB-12 --on WEB-7 --on WEB-8
  kanban ticket depend WEB-12 --on WEB-7 --remove`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, ref := cmd.Context(), commands.Ref(args[0])
			if remove && len(on) == 0 {
				return usagef("say which dependency to remove: --on TICKET --remove")
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			change, t := c.AddDependency, readmodel.Ticket{}
			if remove {
				change = c.RemoveDependency
			}
			for _, other := range on {
				if t, err = change(ctx, ref, commands.Ref(other)); err != nil {
					return err
				}
			}
			if len(on) == 0 {
				if t, err = c.Ticket(ctx, ref); err != nil {
					return err
				}
			}
			if a.json {
				return a.printJSON(t)
			}
			state := "nothing that is not done"
			if t.Blocked {
				state = "blocked"
			}
			_, err = fmt.Fprintf(a.stdout, "%s  waits for: %s (%s)\n", t.Key, orDash(strings.Join(t.DependsOn, ", ")), state)
			return err
		},
	}
	cmd.Flags().StringSliceVar(&on, "on", nil, "the ticket to wait for; may be given several times")
	cmd.Flags().BoolVar(&remove, "remove", false, "wait for it no longer")
	return cmd
}

func (a *app) ticketRequestApproval() *cobra.Command {
	var in commands.RequestApproval
	cmd := &cobra.Command{
		Use:     "request-approval TICKET",
		Short:   "Ask the pm of the board to approve a ticket as it is",
		Example: "  kanban ticket request-approval WEB-12 --note \"the third criterion is new\"",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in.Ticket = commands.Ref(args[0])
			if in.Note, err = a.text(in.Note); err != nil {
				return err
			}
			return a.onTicket(cmd.Context(), in.Ticket, in.Fence, func(c *caller, fence int64) (readmodel.Ticket, error) {
				in.Fence = fence
				return c.RequestApproval(cmd.Context(), in)
			})
		},
	}
	fenceFlag(cmd, &in.Fence)
	cmd.Flags().StringVarP(&in.Note, "note", "n", "", "what to look at; - reads it from standard input")
	return cmd
}

func (a *app) ticketApprove() *cobra.Command {
	var in commands.ApproveTicket
	cmd := &cobra.Command{
		Use:   "approve TICKET",
		Short: "Approve a ticket as it is now (a pm who did not work on it)",
		Long: `Approve a ticket as it is now, or as it was at --version: then the approval is
refused if somebody has changed the ticket since you looked. A later change of the
ticket voids the approval.`,
		Example: "  kanban ticket approve WEB-12\n  kanban ticket approve WEB-12 --version 31 --note \"looks good\"",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in.Ticket = commands.Ref(args[0])
			if in.Note, err = a.text(in.Note); err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			t, err := c.Approve(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.printTicket(&t)
		},
	}
	cmd.Flags().Int64Var(&in.Version, "version", 0, "only if the ticket still has this version")
	cmd.Flags().StringVarP(&in.Note, "note", "n", "", "what to say about it; - reads it from standard input")
	return cmd
}

func (a *app) ticketReject() *cobra.Command {
	var in commands.RejectTicket
	var column string
	cmd := &cobra.Command{
		Use:     "reject TICKET",
		Short:   "Refuse to approve a ticket, and say why (pm only)",
		Example: "  kanban ticket reject WEB-12 --note \"the second criterion fails\" --column \"Not Started\"",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			in.Ticket, in.Column = commands.Ref(args[0]), commands.Ref(column)
			if in.Note, err = a.text(in.Note); err != nil {
				return err
			}
			c, err := a.connect()
			if err != nil {
				return err
			}
			t, err := c.Reject(cmd.Context(), in)
			if err != nil {
				return err
			}
			return a.printTicket(&t)
		},
	}
	flags := cmd.Flags()
	flags.Int64Var(&in.Version, "version", 0, "only if the ticket still has this version")
	flags.StringVarP(&in.Note, "note", "n", "", "why; - reads it from standard input")
	flags.StringVarP(&column, "column", "c", "", "move it to this column, by name or id")
	return cmd
}
