package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/http/client"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

func (a *app) boardStats() *cobra.Command {
	var performance bool
	cmd := &cobra.Command{
		Use:   "stats BOARD",
		Short: "Show a board in figures: time in each column, totals, throughput",
		Long: `Show a board in figures. For each column: how many tickets are in it and for how
long (NOW), and how long those stayed that left it (the rest). With --performance:
lead and cycle time, and what became of everybody's claims. Lead time is from the
creation of a ticket, cycle time from the first work on it, to when it was done.`,
		Example: "  kanban board stats WEB\n  kanban board stats WEB --performance\n  kanban board stats WEB --json | jq .throughput",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			if performance {
				p, err := c.BoardPerformance(cmd.Context(), commands.Ref(args[0]))
				if err != nil {
					return err
				}
				return a.printPerformance(&p)
			}
			s, err := c.BoardStatistics(cmd.Context(), commands.Ref(args[0]))
			if err != nil {
				return err
			}
			return a.printStatistics(&s)
		},
	}
	cmd.Flags().BoolVar(&performance, "performance", false, "lead and cycle time, rework, and each agent instead")
	return cmd
}

func (a *app) printStatistics(s *readmodel.BoardStatistics) error {
	if a.json {
		return a.printJSON(s)
	}
	var rows [][]string
	for i := range s.Columns {
		c := &s.Columns[i]
		rows = append(rows, append([]string{c.Name, number(c.Tickets), lasting(c.Now.Median)}, spreadCells(&c.Finished)...))
	}
	if err := table(a.stdout, "COLUMN TICKETS NOW LEFT MEAN MEDIAN DEVIATION P95", rows); err != nil {
		return err
	}
	t, p := &s.Totals, s.Totals.ByPriority
	_, err := fmt.Fprintf(a.stdout, "\n%d tickets: %d open, %d done, %d blocked, %d claimed; %d archived\npriority: %d urgent, %d high, %d medium, %d low\ndone: %d in 7 days, %d in 30; created: %d in 7 days, %d in 30\n",
		t.Tickets, t.Open, t.Done, t.Blocked, t.Claimed, t.Archived, p["urgent"], p["high"], p["medium"], p["low"],
		s.Throughput.Done7, s.Throughput.Done30, s.Throughput.Created7, s.Throughput.Created30)
	return err
}

func (a *app) printPerformance(p *readmodel.BoardPerformance) error {
	if a.json {
		return a.printJSON(p)
	}
	rows := [][]string{
		append([]string{"lead time"}, spreadCells(&p.LeadTime)...),
		append([]string{"cycle time"}, spreadCells(&p.CycleTime)...),
	}
	if err := table(a.stdout, "TIME TICKETS MEAN MEDIAN DEVIATION P95", rows); err != nil || len(p.Agents) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(a.stdout); err != nil {
		return err
	}
	rows = nil
	for i := range p.Agents {
		g := &p.Agents[i]
		rows = append(rows, []string{
			g.Name, number(g.Claimed), number(g.Done), number(g.Rework), number(g.LeasesLost),
			lasting(g.ClaimToDone.Median), lasting(g.ClaimToDone.P95),
		})
	}
	return table(a.stdout, "WHO CLAIMED DONE REWORK LOST MEDIAN P95", rows)
}

func (a *app) boardFlow() *cobra.Command {
	var q client.FlowQuery
	cmd := &cobra.Command{
		Use:   "flow BOARD",
		Short: "Show how work flowed over a board, and when the rest may be done",
		Long: `Show how work flowed over a board: what was created and done in each hour, day or
week and how much was in work at its end, how long tickets took of which so many in
a hundred took no longer (P50, P85, P95), and a forecast: days of the range are
drawn at random, ten thousand times over. --json has all of it: how many tickets
were in each column, what was done by whom, what is in work and for how long.`,
		Example: `  kanban board flow WEB
  kanban board flow WEB --from 2026-01-01 --to 2026-03-31 --bucket week
  kanban board flow WEB --items 40 --json | jq .forecast.when`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			f, err := c.BoardFlow(cmd.Context(), commands.Ref(args[0]), q)
			if err != nil {
				return err
			}
			return a.printFlow(&f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&q.From, "from", "", "a day, or a time in RFC 3339 (default: thirty days before the end)")
	flags.StringVar(&q.To, "to", "", "a day, which is part of it, or a time in RFC 3339 (default: now)")
	flags.StringVar(&q.Bucket, "bucket", "day", "hour, day or week")
	flags.StringVar(&q.By, "by", "", "a day: how many will be done by its end, e.g. 2026-12-04")
	flags.StringVar(&q.Items, "items", "", "how many tickets the forecast is for (default: those that are open)")
	flags.StringVar(&q.Seed, "seed", "", "a number that makes another draw of the forecast, and the same one again")
	return cmd
}

func (a *app) printFlow(f *readmodel.Flow) error {
	if a.json {
		return a.printJSON(f)
	}
	layout := "2006-01-02"
	if f.Bucket == "hour" {
		layout = "2006-01-02 15:04"
	}
	var rows [][]string
	for i, p := range f.Throughput {
		rows = append(rows, []string{p.At.Format(layout), number(p.Created), number(p.Done), number(f.WIP[i].WIP)})
	}
	if err := table(a.stdout, strings.ToUpper(f.Bucket)+" CREATED DONE WIP", rows); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(a.stdout); err != nil {
		return err
	}
	quantiles := func(name string, q *readmodel.FlowQuantiles) []string {
		return []string{name, lasting(q.P50), lasting(q.P85), lasting(q.P95)}
	}
	rows = [][]string{quantiles("cycle time", &f.Percentiles.Cycle), quantiles("lead time", &f.Percentiles.Lead)}
	if n := &f.Forecast; n.Reason == "" {
		day := func(text *string) string {
			if text == nil {
				return "in over ten years"
			}
			return *text
		}
		rows = append(rows, []string{fmt.Sprintf("%d tickets done by", n.Items), day(n.When.P50), day(n.When.P85), day(n.When.P95)})
		for _, in := range []struct {
			days int
			n    readmodel.FlowAtLeast
		}{{7, n.HowMany.Days7}, {14, n.HowMany.Days14}, {30, n.HowMany.Days30}} {
			rows = append(rows, []string{fmt.Sprintf("in %d days at least", in.days), number(in.n.P50), number(in.n.P85), number(in.n.P95)})
		}
		if n.By != nil {
			rows = append(rows, []string{"by " + n.By.Date + " at least", number(n.By.P50), number(n.By.P85), number(n.By.P95)})
		}
	}
	if err := table(a.stdout, "WHAT P50 P85 P95", rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.stdout, "\n%d done since %s, %d in work\n", f.ScatterTotal, f.From.Format("2006-01-02 15:04"), f.AgingTotal)
	if err == nil && f.Forecast.Reason != "" {
		_, err = fmt.Fprintln(a.stdout, "no forecast: "+f.Forecast.Reason)
	}
	return err
}

func (a *app) ticketStats() *cobra.Command {
	return &cobra.Command{
		Use:   "stats TICKET",
		Short: "Show a ticket in figures: time in each column, and whether it is late in this one",
		Long: `Show how long a ticket was in each column, how often it moved and came back, and
how its age in the column where it is compares with the tickets that left that
column: a z-score of 2 or more is rare.`,
		Example: "  kanban ticket stats WEB-12\n  kanban ticket stats WEB-12 --json | jq .z_score",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			s, err := c.TicketStatistics(cmd.Context(), commands.Ref(args[0]))
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(s)
			}
			var rows [][]string
			here := ""
			for i := range s.Columns {
				column := &s.Columns[i]
				rows = append(rows, []string{column.Name, number(column.Stays), lasting(&column.Seconds)})
				if column.ID == s.ColumnID {
					here = column.Name
				}
			}
			if err := table(a.stdout, "COLUMN STAYS TIME", rows); err != nil {
				return err
			}
			late := "too few left this column to compare"
			if s.ZScore != nil {
				late = fmt.Sprintf("z-score %.1f against the %d stays that ended there", *s.ZScore, s.Finished.Count)
			}
			_, err = fmt.Fprintf(a.stdout, "\n%s: in %s for %s (%s)\n%d moves, %d of them back; lead time %s, cycle time %s\n",
				s.Key, clean(here), lasting(&s.AgeSeconds), late, s.Moves, s.Rework, lasting(s.LeadSeconds), lasting(s.CycleSeconds))
			return err
		},
	}
}

// lasting is seconds as people say them, "-" where there are none.
func lasting(seconds *float64) string {
	if seconds == nil {
		return "-"
	}
	return span(time.Duration(*seconds * float64(time.Second)))
}

// spreadCells are count, mean, median, deviation and p95.
func spreadCells(d *readmodel.Durations) []string {
	return []string{number(d.Count), lasting(d.Mean), lasting(d.Median), lasting(d.Deviation), lasting(d.P95)}
}
