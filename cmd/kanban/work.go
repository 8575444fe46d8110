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

// maxServerWait is the longest that the server waits for a ticket in one call.
const maxServerWait = 60 * time.Second

func (a *app) nextCommand() *cobra.Command {
	var q client.NextQuery
	var board string
	var columns []string
	cmd := &cobra.Command{
		Use:   "next",
		Short: "Claim the best ticket that is ready: the most urgent, then the order of the board",
		Long: `Claim the best ticket that is ready: the highest priority, then the order of the
board, then the oldest; never one that waits for another. It prints what there is
to do and until when the claim lasts: kanban heartbeat extends it, kanban done and
kanban release end it. The fence of the claim is remembered, so that these need
not be told; workers that share one token give it with --fence.

Exit code 4: nothing is ready (with --wait, nothing became ready in that time).`,
		Example: `  kanban next
  kanban next --board WEB --label backend --lease 30m
  kanban next --wait 10m --json || echo "no work: $?"`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Wait < 0 || q.Lease < 0 {
				return usagef("--wait and --lease are durations from 0, such as 60s")
			}
			ctx := cmd.Context()
			c, err := a.connectToWork()
			if err != nil {
				return err
			}
			if board == "" {
				if board, err = onlyBoard(ctx, c.Client); err != nil {
					return err
				}
			}
			q.Board = commands.Ref(board)
			for _, name := range columns {
				q.Columns = append(q.Columns, commands.Ref(name))
			}
			got, err := c.next(ctx, q)
			if err != nil {
				return err
			}
			if got.Ticket == nil {
				return a.nothingReady(ctx, c.Client, q.Board, got)
			}
			c.remember(ctx, got.Ticket, got.Lease)
			return a.printClaimed(&got)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&board, "board", "b", "", "board, by key or id (default: the only one you see)")
	flags.StringSliceVarP(&columns, "column", "c", nil, "only from this column; may be given several times")
	flags.StringSliceVarP(&q.Labels, "label", "l", nil, "only with this label; several must all be there")
	flags.DurationVar(&q.Lease, "lease", 0, "how long the claim lasts without a heartbeat, 30s to 24h (default 15m)")
	flags.DurationVar(&q.Wait, "wait", 0, "wait so long for a ticket to become ready")
	return cmd
}

// next asks again for as long as the caller wants to wait: one call waits at
// most a minute.
func (c *caller) next(ctx context.Context, q client.NextQuery) (client.Claimed, error) {
	end := c.app.now().Add(q.Wait)
	for {
		q.Wait = max(0, min(end.Sub(c.app.now()), maxServerWait))
		got, err := c.ClaimNext(ctx, q)
		if err != nil || got.Ticket != nil || !c.app.now().Before(end) {
			return got, err
		}
	}
}

// nothingReady says what the caller could wait for.
func (a *app) nothingReady(ctx context.Context, c *client.Client, board commands.Ref, got client.Claimed) error {
	if a.json {
		if err := a.printJSON(got); err != nil {
			return err
		}
	}
	detail := got.Detail
	if detail == "" {
		detail = "Nothing is ready on this board."
	}
	var lines []string
	if ready, err := c.Ready(ctx, board, 5); err == nil { // else the detail must do
		lines = append(waiting("waits for", ready.Blocked, ready.BlockedTotal),
			waiting("is stuck: it waits for", ready.DeadBlocked, ready.DeadBlockedTotal)...)
	}
	return &events.Error{Code: events.CodeNothingReady, Message: strings.Join(append([]string{clean(detail)}, lines...), "\n  ")}
}

// waiting is a line for each blocked ticket and one for those left out.
func waiting(verb string, list []readmodel.BlockedTicket, total int64) []string {
	var lines []string
	for _, t := range list {
		lines = append(lines, fmt.Sprintf("%s %s %s", t.Key, verb, blockers(t.By)))
	}
	if more := total - int64(len(list)); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines
}

// blockers names them, with what is wrong with those that will not be done.
func blockers(list []readmodel.Blocker) string {
	names := make([]string, len(list))
	for i, b := range list {
		names[i] = b.Key
		if b.State != "open" {
			names[i] += " (" + strings.ReplaceAll(b.State, "_", "-") + ")"
		}
	}
	return strings.Join(names, ", ")
}

// printClaimed shows what there is to do and how long the claim lasts.
func (a *app) printClaimed(got *client.Claimed) error {
	if a.json {
		return a.printJSON(got)
	}
	t, l := got.Ticket, got.Lease
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  [%s]\n", t.Key, clean(t.Title), clean(t.CurrentColumn))
	field := func(name, value string) { fmt.Fprintf(&b, "  %-9s %s\n", name, value) }
	field("fence", fmt.Sprint(l.Fence))
	field("expires", fmt.Sprintf("%s (%s)", l.ExpiresAt.Local().Format(time.DateTime), a.ago(l.ExpiresAt)))
	field("priority", string(t.Priority))
	if len(t.Labels) > 0 {
		field("labels", clean(strings.Join(t.Labels, ", ")))
	}
	if t.DueAt != nil {
		field("due", fmt.Sprintf("%s (%s)", t.DueAt.Format(time.DateOnly), a.ago(*t.DueAt)))
	}
	writeTask(&b, t)
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

func (a *app) claimCommand() *cobra.Command {
	var lease time.Duration
	cmd := &cobra.Command{
		Use:   "claim TICKET",
		Short: "Claim one ticket; kanban next picks the best one",
		Long:  `Claim one ticket until the lease ends. Exit code 5: somebody else holds it.`,
		Example: `  kanban claim WEB-12
  kanban claim WEB-12 --lease 2h --json`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connectToWork()
			if err != nil {
				return err
			}
			got, err := c.Claim(cmd.Context(), commands.Ref(args[0]), lease)
			if err != nil {
				return err
			}
			c.remember(cmd.Context(), got.Ticket, got.Lease)
			return a.printClaimed(&got)
		},
	}
	cmd.Flags().DurationVar(&lease, "lease", 0, "how long the claim lasts without a heartbeat, 30s to 24h (default 15m)")
	return cmd
}

// fenceFlag adds --fence to a command about a claimed ticket.
func fenceFlag(cmd *cobra.Command, fence *int64) {
	cmd.Flags().Int64Var(fence, "fence", 0, "the claim that this is about (default: the one made from here, if any)")
}

// withFence carries out a command about a claimed ticket, with the fence that is
// given or remembered. A claim that turns out to have ended is forgotten.
func (c *caller) withFence(ctx context.Context, ticket commands.Ref, given int64, do func(fence int64) error) error {
	fence, err := c.fence(ticket, given)
	if err != nil {
		return err
	}
	err = do(fence)
	if events.CodeOf(err) == events.CodeStaleClaim {
		c.forget(ctx, ticket)
	}
	return err
}

// endClaim carries out what ends a claim, forgets it and shows the ticket.
func (c *caller) endClaim(ctx context.Context, a *app, ticket commands.Ref, given int64, do func(fence int64) (readmodel.Ticket, error)) error {
	return c.withFence(ctx, ticket, given, func(fence int64) error {
		t, err := do(fence)
		if err != nil {
			return err
		}
		c.forget(ctx, ticket)
		return a.printTicket(&t)
	})
}

func (a *app) heartbeatCommand() *cobra.Command {
	var fence int64
	var lease time.Duration
	cmd := &cobra.Command{
		Use:   "heartbeat TICKET",
		Short: "Extend the claim of a ticket: say that you still work on it",
		Long: `Extend the claim of a ticket. Send one about every third of the lease. Exit code
5: the claim has ended; stop working on the ticket.`,
		Example: `  kanban heartbeat WEB-12
  kanban heartbeat WEB-12 --lease 1h
  kanban heartbeat WEB-12 --fence 120 || kill %1`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, ticket := cmd.Context(), commands.Ref(args[0])
			c, err := a.connectToWork()
			if err != nil {
				return err
			}
			return c.withFence(ctx, ticket, fence, func(fence int64) error {
				got, err := c.Heartbeat(ctx, ticket, fence, lease)
				if err != nil {
					return err
				}
				c.remember(ctx, got.Ticket, got.Lease)
				if a.json {
					return a.printJSON(got)
				}
				_, err = fmt.Fprintf(a.stdout, "%s  yours until %s (%s)\n", got.Ticket.Key,
					got.Lease.ExpiresAt.Local().Format(time.DateTime), a.ago(got.Lease.ExpiresAt))
				return err
			})
		},
	}
	fenceFlag(cmd, &fence)
	cmd.Flags().DurationVar(&lease, "lease", 0, "how long from now (default: as it was claimed for)")
	return cmd
}

func (a *app) releaseCommand() *cobra.Command {
	var in commands.ReleaseTicket
	cmd := &cobra.Command{
		Use:   "release TICKET",
		Short: "Give a claim back without the work done; a pm takes it from its holder",
		Example: `  kanban release WEB-12 --note "needs access to the staging server"
  ./why.sh | kanban release WEB-12 --note -`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			ctx := cmd.Context()
			in.Ticket = commands.Ref(args[0])
			if in.Note, err = a.text(in.Note); err != nil {
				return err
			}
			c, err := a.connectToWork()
			if err != nil {
				return err
			}
			return c.endClaim(ctx, a, in.Ticket, in.Fence, func(fence int64) (readmodel.Ticket, error) {
				in.Fence = fence
				return c.Release(ctx, in)
			})
		},
	}
	fenceFlag(cmd, &in.Fence)
	cmd.Flags().StringVarP(&in.Note, "note", "n", "", "why, for whoever takes it next; - reads it from standard input")
	return cmd
}

func (a *app) doneCommand() *cobra.Command {
	var in commands.CompleteTicket
	var column string
	var evidence []string
	cmd := &cobra.Command{
		Use:   "done TICKET",
		Short: "Say that the work on a ticket is done, with what shows it",
		Long: `Say that the work is done: the evidence is added, the ticket moves to the first
column of kind done, and the claim ends. Where that column wants an approval that
is not there, the ticket goes to the first review column and the approval is
asked for. What the column's policy misses is named, and nothing is changed.`,
		Example: `  kanban done WEB-12
  kanban done WEB-12 --evidence commit=4f2a91c --evidence link=https://ci.example/7
  go test ./... 2>&1 | kanban done WEB-12 --evidence test_output=- --note "all green"`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			ctx := cmd.Context()
			in.Ticket, in.Column = commands.Ref(args[0]), commands.Ref(column)
			if in.Evidence, err = a.evidence(evidence); err != nil {
				return err
			}
			if in.Note, err = a.text(in.Note); err != nil {
				return err
			}
			c, err := a.connectToWork()
			if err != nil {
				return err
			}
			return c.endClaim(ctx, a, in.Ticket, in.Fence, func(fence int64) (readmodel.Ticket, error) {
				in.Fence = fence
				return c.Complete(ctx, in)
			})
		},
	}
	fenceFlag(cmd, &in.Fence)
	flags := cmd.Flags()
	flags.StringVarP(&column, "column", "c", "", "to this column instead, by name or id")
	flags.StringArrayVarP(&evidence, "evidence", "e", nil, "KIND=TEXT with KIND link, commit, test_output or note; - as TEXT reads standard input; may be given several times")
	flags.StringVarP(&in.Note, "note", "n", "", "what to know about it; - reads it from standard input")
	return cmd
}

// evidence reads KIND=TEXT.
func (a *app) evidence(list []string) ([]commands.EvidenceSpec, error) {
	var specs []commands.EvidenceSpec
	for _, given := range list {
		kind, text, ok := strings.Cut(given, "=")
		if !ok {
			return nil, usagef("evidence %q: want KIND=TEXT, such as commit=4f2a91c", cut(clean(given), 40))
		}
		spec, err := a.evidenceOf(kind, text)
		if err != nil {
			return nil, err
		}
		specs = append(specs, spec)
	}
	return specs, nil
}

func (a *app) evidenceOf(kind, text string) (commands.EvidenceSpec, error) {
	spec := commands.EvidenceSpec{Kind: events.EvidenceKind(kind)}
	switch spec.Kind {
	case events.Link, events.Commit, events.TestOutput, events.Note:
	default:
		return spec, usagef("evidence of kind %q: want link, commit, test_output or note", kind)
	}
	var err error
	spec.Text, err = a.text(text)
	return spec, err
}
