package readmodel

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sort"

	"github.com/uptrace/bun"

	"github.com/agent-kanban/agent-kanban/events"
)

// finish collects what came to be done, and throughput.
func (w *flowing) finish(out *Flow) {
	out.Throughput = make([]FlowThroughput, len(w.ends))
	for i := range w.ends {
		out.Throughput[i].At = w.starts(i)
	}
	var cycle, lead []float64
	for i, t := range w.tickets {
		if w.within(t.created) {
			out.Throughput[w.bucket(t.created)].Created++
		}
		c := w.courses[i]
		if c.done == nil || !w.within(*c.done) {
			continue
		}
		out.Throughput[w.bucket(*c.done)].Done++
		k := finished{figured: t, course: c}
		for i := range t.claims {
			if !t.claims[i].at.After(*c.done) {
				k.claim = &t.claims[i]
			}
		}
		w.done = append(w.done, k)
		if s, ok := c.lead(t); ok {
			lead = append(lead, s)
		}
		if s, ok := c.cycle(); ok {
			cycle = append(cycle, s)
		}
	}
	quantiles := func(d Durations) FlowQuantiles { return FlowQuantiles{P50: d.Median, P85: d.P85, P95: d.P95} }
	out.Percentiles = FlowPercentiles{Cycle: quantiles(describe(cycle)), Lead: quantiles(describe(lead))}
	slices.SortFunc(w.done, func(a, b finished) int {
		return cmp.Or(b.done.Compare(*a.done), cmp.Compare(b.id, a.id))
	})
	out.ScatterTotal, out.Scatter = int64(len(w.done)), []FlowDone{}
	for _, k := range w.done[:min(len(w.done), flowLimit)] {
		d := FlowDone{TicketID: k.id, Key: k.key, DoneAt: *k.done}
		d.Lead, _ = k.lead(k.figured)
		if s, ok := k.cycle(); ok {
			d.Cycle = &s
		}
		if k.claim != nil {
			d.By = k.claim.name
		}
		out.Scatter = append(out.Scatter, d)
	}
}

// age lists what is in work now.
func (w *flowing) age(out *Flow) {
	ended := map[int64][]float64{}
	for _, t := range w.tickets {
		for i := range t.stays {
			if s := &t.stays[i]; s.left != nil && inWork(w.kinds[s.column]) {
				ended[s.column] = append(ended[s.column], s.left.Sub(s.entered).Seconds())
			}
		}
	}
	for _, list := range ended {
		slices.Sort(list)
	}
	out.Aging = []FlowAging{}
	for i, t := range w.tickets {
		if t.archived || !inWork(w.kinds[t.column]) {
			continue
		}
		a := FlowAging{TicketID: t.id, Key: t.key, ColumnID: t.column, Assignee: t.assignee, Age: w.asOf.Sub(t.entered).Seconds(), Blocked: t.blocked}
		if begun := w.courses[i].begun; begun != nil {
			s := w.asOf.Sub(*begun).Seconds()
			a.WorkAge = &s
		}
		if list := ended[t.column]; len(list) > 0 {
			rank := 100 * float64(sort.Search(len(list), func(i int) bool { return list[i] > a.Age })) / float64(len(list))
			a.Rank = &rank
		}
		out.Aging = append(out.Aging, a)
	}
	slices.SortFunc(out.Aging, func(a, b FlowAging) int {
		return cmp.Or(cmp.Compare(b.Age, a.Age), cmp.Compare(a.TicketID, b.TicketID))
	})
	out.AgingTotal = int64(len(out.Aging))
	out.Aging = out.Aging[:min(len(out.Aging), agingLimit)]
}

func (w *flowing) agent(user int64, name string) *FlowAgent {
	a := w.agents[user]
	if a == nil {
		a = &FlowAgent{UserID: user}
		w.agents[user] = a
	}
	if name != "" {
		a.Name = name
	}
	return a
}

// work counts what became of claims in the range.
func (w *flowing) work() {
	cycles := map[int64][]float64{}
	for n, t := range w.tickets {
		for i := range t.claims {
			k := &t.claims[i]
			if w.within(k.at) {
				w.agent(k.user, k.name).Claimed++
			}
			if k.ended == nil || !w.within(*k.ended) {
				continue
			}
			switch k.outcome {
			case "completed":
				w.agent(k.user, k.name).Done++
			case "expired":
				w.agent(k.user, k.name).LeasesLost++
			}
		}
		for _, position := range w.courses[n].rework {
			i, found := slices.BinarySearchFunc(t.stays, position, func(s stay, p int64) int { return cmp.Compare(s.position, p) })
			if last := lastBefore(t.claims, position); found && last != nil && w.within(begun(t.stays, i)) {
				w.agent(last.user, last.name).Rework++
			}
		}
	}
	for _, k := range w.done {
		if s, ok := k.cycle(); ok && k.claim != nil {
			w.agent(k.claim.user, k.claim.name)
			cycles[k.claim.user] = append(cycles[k.claim.user], s)
		}
	}
	for user, list := range cycles {
		w.agents[user].MedianCycle = describe(list).Median
	}
}

// predict draws from the whole days of the range.
func (w *flowing) predict(out *Flow, query *FlowQuery) {
	first := w.from.Add(flowDay - 1).Truncate(flowDay)
	days := max(0, int64(w.to.Truncate(flowDay).Sub(first)/flowDay))
	sample := make([]int64, days)
	for _, k := range w.done {
		if at := k.done.Sub(first); at >= 0 && int64(at/flowDay) < days {
			sample[at/flowDay]++
		}
	}
	items := int64(0)
	if query.Items != nil {
		items = *query.Items
	} else {
		for _, t := range w.tickets {
			if !t.archived && w.kinds[t.column] != events.Done {
				items++
			}
		}
	}
	out.Forecast = forecast(sample, items, w.by(query), query.Seed, w.asOf)
}

// by is in how many days the day is that the forecast is asked for, 0 = none is.
func (w *flowing) by(query *FlowQuery) int {
	if query.By.IsZero() {
		return 0
	}
	return int(query.By.UTC().Truncate(flowDay).Sub(w.asOf.Truncate(flowDay)) / flowDay)
}

// details reads titles and names of what the reply shows.
func (w *flowing) details(ctx context.Context, tx bun.Tx, out *Flow) error {
	var shown, moves []int64
	scatter, aging, moved := map[int64]*FlowDone{}, map[int64]*FlowAging{}, map[int64]*FlowDone{}
	for i := range out.Scatter {
		d := &out.Scatter[i]
		shown, scatter[d.TicketID] = append(shown, d.TicketID), d
		if k := &w.done[i]; k.claim == nil {
			moves, moved[k.by] = append(moves, k.by), d
		}
	}
	for i := range out.Aging {
		shown, aging[out.Aging[i].TicketID] = append(shown, out.Aging[i].TicketID), &out.Aging[i]
	}
	err := eachRow(ctx, tx, flowTitles, idList(shown), func(scan func(...any) error) error {
		var id int64
		var title string
		var holder *string
		if err := scan(&id, &title, &holder); err != nil {
			return err
		}
		if d := scatter[id]; d != nil {
			d.Title = title
		}
		if a := aging[id]; a != nil {
			a.Title, a.Holder = title, holder
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = eachRow(ctx, tx, flowActors, idList(moves), func(scan func(...any) error) error {
		var position int64
		var name string
		if err := scan(&position, &name); err != nil {
			return err
		}
		moved[position].By = name
		return nil
	})
	if err != nil {
		return err
	}
	return w.people(ctx, tx, out)
}

func (w *flowing) people(ctx context.Context, tx bun.Tx, out *Flow) error {
	rows, err := tx.Tx.QueryContext(ctx, flowUsage, w.board, FormatTime(w.from), FormatTime(w.until))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var user, in, gave, cost int64
		if err := rows.Scan(&user, &in, &gave, &cost); err != nil {
			return err
		}
		a := w.agent(user, "")
		a.InputTokens, a.OutputTokens, a.CostMicros = in, gave, cost
	}
	if err := rows.Err(); err != nil {
		return err
	}
	err = eachRow(ctx, tx, flowUsers, idList(slices.Collect(maps.Keys(w.agents))), func(scan func(...any) error) error {
		var id int64
		var name, kind string
		if err := scan(&id, &name, &kind); err != nil {
			return err
		}
		w.agent(id, name).Kind = events.ActorKind(kind)
		return nil
	})
	out.Agents = []FlowAgent{}
	for _, a := range w.agents {
		out.Agents = append(out.Agents, *a)
	}
	slices.SortFunc(out.Agents, func(a, b FlowAgent) int {
		return cmp.Or(cmp.Compare(b.Done, a.Done), cmp.Compare(a.UserID, b.UserID))
	})
	return err
}

// idList is ids as json_each reads them.
func idList(ids []int64) string {
	text, err := json.Marshal(append([]int64{}, ids...))
	if err != nil {
		return "[]" // numbers always encode
	}
	return string(text)
}
