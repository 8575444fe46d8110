package readmodel_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

var (
	ann = events.Actor{Kind: events.Human, ID: 1, Name: "ann"}
	bot = events.Actor{Kind: events.Agent, ID: 2, Name: "bot"}
)

// flowColumns: what was called Old is removed later.
var flowColumns = []events.Column{
	{ID: 1, Name: "To Do", Kind: events.Backlog},
	{ID: 2, Name: "Doing", Kind: events.Active},
	{ID: 3, Name: "Review", Kind: events.Review},
	{ID: 4, Name: "Done", Kind: events.Done},
	{ID: 5, Name: "Older", Kind: events.Blocked},
}

func move(ticket, from, to int64) fact {
	return fact{1, ticket, events.TicketMoved{
		FromColumnID: from, FromColumn: flowColumns[from-1].Name, ColumnID: to, Column: flowColumns[to-1].Name, Rank: "b",
	}}
}

// march is a time in March 2026, whose second is a Monday.
func march(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, time.UTC) }

// week is what happened on a board from Monday to Friday.
func week() []dated {
	user := func(id int64, name string, kind events.ActorKind) dated {
		return dated{march(1, 0), ann, fact{0, 0, events.UserRegistered{UserID: id, Name: name, DisplayName: name, Kind: kind}}}
	}
	claimed := events.TicketClaimed{LeaseSeconds: 60, ExpiresAt: march(9, 0)}
	return []dated{
		user(1, "ann", events.Human), user(2, "bot", events.Agent),
		{march(2, 9), ann, fact{1, 0, events.BoardCreated{Key: "B1", Name: "Board", Visibility: events.Private, Columns: flowColumns}}},
		{march(2, 10), ann, ticket(1, 1, 1, nil)},
		{march(2, 10), ann, ticket(1, 2, 2, nil)},
		{march(2, 11), ann, ticket(1, 3, 3, nil)},
		{march(2, 12), ann, ticket(1, 4, 4, nil)},
		{march(2, 12), ann, ticket(1, 5, 5, nil)},
		{march(2, 14), bot, fact{1, 1, claimed}},
		{march(2, 14), bot, move(1, 1, 2)}, // 1 is begun by bot
		{march(3, 0), ann, move(4, 1, 5)},  // at midnight: Tuesday's
		{march(3, 10), bot, fact{1, 1, events.TicketReleased{Fence: 9, Holder: "bot", HolderID: 2, Reason: events.Completed}}},
		{march(3, 10), bot, move(1, 2, 4)}, // 1 is done after 20 h of work
		{march(3, 12), ann, move(2, 1, 2)},
		{march(3, 13), ann, fact{1, 0, events.ColumnUpdated{Column: events.Column{ID: 5, Name: "Old", Kind: events.Blocked}, Was: "Older"}}},
		{march(3, 16), bot, fact{1, 3, claimed}},
		{march(3, 17), bot, fact{1, 3, events.UsageRecorded{InputTokens: 100, OutputTokens: 20, CostMicros: 3}}},
		{march(4, 7), ann, move(4, 5, 1)},
		{march(4, 7), ann, fact{1, 0, events.ColumnRemoved{ColumnID: 5, Name: "Old"}}},
		{march(4, 8), ann, move(2, 2, 4)},                      // 2 is done after 20 h of work, nobody had claimed it
		{march(4, 9), ann, fact{1, 4, events.TicketDeleted{}}}, // 4 was in the picture until here
		{march(4, 10), events.SystemActor, fact{1, 3, events.LeaseExpired{Fence: 16, Holder: "bot", HolderID: 2}}},
		{march(4, 11), ann, move(1, 4, 2)},                                                               // 1 comes back: it counts where it is done next
		{march(4, 12), ann, fact{1, 5, events.TicketArchived{}}},                                         // 5 is out of the picture
		{march(5, 9), ann, move(1, 2, 4)},                                                                // 1 is done, 67 h after the first work
		{march(5, 10), ann, fact{1, 5, events.TicketRestored{ColumnID: 3, Column: "Review", Rank: "c"}}}, // 5 is back, elsewhere
		{march(5, 12), ann, move(3, 1, 2)},
	}
}

func p[T any](v T) *T { return &v }

func TestFlowOfAWeek(t *testing.T) {
	t.Parallel()
	q := project(t, week())
	got, err := q.BoardFlow(t.Context(), 1, readmodel.FlowQuery{Bucket: "day", Seed: 7}, march(6, 12))
	if err != nil {
		t.Fatal(err)
	}
	hours := func(n float64) float64 { return n * 3600 }
	want := readmodel.Flow{
		Position: int64(len(week())), AsOf: march(6, 12), BoardID: 1, From: march(2, 9), To: march(6, 12), Bucket: "day",
		Columns: []readmodel.FlowColumn{
			{ID: 1, Name: "To Do", Kind: events.Backlog},
			{ID: 2, Name: "Doing", Kind: events.Active},
			{ID: 3, Name: "Review", Kind: events.Review},
			{ID: 4, Name: "Done", Kind: events.Done},
			{ID: 5, Name: "Old", Kind: events.Blocked, Removed: true},
		},
		Cumulative: []readmodel.FlowCounts{
			{At: march(3, 0), Counts: []int64{4, 1, 0, 0, 0}},  // 2 3 4 5 | 1
			{At: march(4, 0), Counts: []int64{2, 1, 0, 1, 1}},  // 3 5 | 2 | | 1 | 4
			{At: march(5, 0), Counts: []int64{1, 1, 0, 1, 0}},  // 3 | 1 | | 2
			{At: march(6, 0), Counts: []int64{0, 1, 1, 2, 0}},  // | 3 | 5 | 1 2
			{At: march(6, 12), Counts: []int64{0, 1, 1, 2, 0}}, // the same
		},
		WIP: []readmodel.FlowWIP{{At: march(3, 0), WIP: 1}, {At: march(4, 0), WIP: 2}, {At: march(5, 0), WIP: 1}, {At: march(6, 0), WIP: 2}, {At: march(6, 12), WIP: 2}},
		Throughput: []readmodel.FlowThroughput{
			{At: march(2, 9), Created: 4}, {At: march(3, 0)}, {At: march(4, 0), Done: 1}, {At: march(5, 0), Done: 1}, {At: march(6, 0)},
		},
		Scatter: []readmodel.FlowDone{
			{TicketID: 1, Key: "B1-1", Title: "Ticket 1", DoneAt: march(5, 9), Cycle: p(hours(67)), Lead: hours(71), By: "bot"},
			{TicketID: 2, Key: "B1-2", Title: "Ticket 2", DoneAt: march(4, 8), Cycle: p(hours(20)), Lead: hours(46), By: "ann"},
		},
		ScatterTotal: 2,
		Percentiles: readmodel.FlowPercentiles{
			Cycle: readmodel.FlowQuantiles{P50: p(hours(43.5)), P85: p(hours(20 + .85*47)), P95: p(hours(20 + .95*47))},
			Lead:  readmodel.FlowQuantiles{P50: p(hours(58.5)), P85: p(hours(46 + .85*25)), P95: p(hours(46 + .95*25))},
		},
		Aging: []readmodel.FlowAging{ // stays in Doing took 20, 20 and 22 hours; none in Review ended
			{TicketID: 5, Key: "B1-5", Title: "Ticket 5", ColumnID: 3, Age: hours(26)},
			{TicketID: 3, Key: "B1-3", Title: "Ticket 3", ColumnID: 2, Age: hours(24), WorkAge: p(hours(68)), Rank: p(100.0)},
		},
		AgingTotal: 2,
		Agents: []readmodel.FlowAgent{{
			UserID: 2, Name: "bot", Kind: events.Agent, Claimed: 2, Done: 1, Rework: 1, LeasesLost: 1,
			InputTokens: 100, OutputTokens: 20, CostMicros: 3, MedianCycle: p(hours(67)),
		}},
		Forecast: readmodel.FlowForecast{
			Seed: 7, Draws: 10_000, SampleDays: 3, DoneDays: 2, PerDay: 2.0 / 3, Items: 2,
			Reason: "Too little history: something was done on 2 of the 3 whole days in the range; a forecast needs 5 such days. Take a longer range.",
		},
	}
	if diff := gocmp.Diff(want, got, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A part of it, with what was there before: the reply tells Tuesday alone, by
	// the hour.
	got, err = q.BoardFlow(t.Context(), 1, readmodel.FlowQuery{From: march(3, 0), To: march(4, 0)}, march(6, 12))
	if err != nil {
		t.Fatal(err)
	}
	if got.Bucket != "hour" || len(got.WIP) != 24 || got.WIP[0].WIP != 2 || got.WIP[9].WIP != 2 || got.WIP[10].WIP != 1 || got.WIP[12].WIP != 2 {
		t.Errorf("Tuesday: bucket %s, wip %v", got.Bucket, got.WIP)
	}
	if c := got.Cumulative[0]; !c.At.Equal(march(3, 1)) || fmt.Sprint(c.Counts) != "[3 1 0 0 1]" {
		t.Errorf("Tuesday begins with %v", c)
	}
	if got.ScatterTotal != 0 || len(got.Agents) != 1 || got.Agents[0].Claimed != 1 || got.Agents[0].Done != 1 || got.Agents[0].Rework != 0 {
		t.Errorf("Tuesday: %d done, agents %+v", got.ScatterTotal, got.Agents)
	}
	// A removed column that held nothing in the range is left out.
	if got, err = q.BoardFlow(t.Context(), 1, readmodel.FlowQuery{From: march(4, 8)}, march(6, 12)); err != nil || len(got.Columns) != 4 {
		t.Errorf("since Wednesday: columns %v, %v", got.Columns, err)
	}
}

func TestFlowThatCannotBe(t *testing.T) {
	t.Parallel()
	q := project(t, week())
	now := march(6, 12)
	for name, c := range map[string]struct {
		query readmodel.FlowQuery
		field string
	}{
		"backwards":     {readmodel.FlowQuery{From: march(4, 0), To: march(3, 0)}, "from"},
		"empty":         {readmodel.FlowQuery{From: march(4, 0), To: march(4, 0)}, "from"},
		"to come":       {readmodel.FlowQuery{From: march(7, 0)}, "from"},
		"before it all": {readmodel.FlowQuery{To: march(1, 0)}, "to"},
		"bucket":        {readmodel.FlowQuery{Bucket: "month"}, "bucket"},
		"items":         {readmodel.FlowQuery{Items: p[int64](-1)}, "items"},
		"many items":    {readmodel.FlowQuery{Items: p[int64](100_001)}, "items"},
		"by today":      {readmodel.FlowQuery{By: march(6, 0)}, "by"},
		"by some day":   {readmodel.FlowQuery{By: march(6, 0).AddDate(2, 0, 0)}, "by"},
	} {
		_, err := q.BoardFlow(t.Context(), 1, c.query, now)
		var e *events.Error
		if events.CodeOf(err) != events.CodeInvalid || !errors.As(err, &e) || e.Fields[c.field] == "" {
			t.Errorf("%s: got %v, want the field %q to be refused", name, err, c.field)
		}
	}
	// Too many points, five months later.
	later := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	if _, err := q.BoardFlow(t.Context(), 1, readmodel.FlowQuery{From: march(1, 0), Bucket: "hour"}, later); events.CodeOf(err) != events.CodeInvalid {
		t.Errorf("hours of five months: got %v", err)
	}
	got, err := q.BoardFlow(t.Context(), 1, readmodel.FlowQuery{From: march(1, 0)}, later)
	if err != nil || got.Bucket != "day" || len(got.Cumulative) != 152 {
		t.Errorf("five months: bucket %q, %d points, %v", got.Bucket, len(got.Cumulative), err)
	}
	got, err = q.BoardFlow(t.Context(), 1, readmodel.FlowQuery{From: march(1, 0)}, later.AddDate(1, 0, 0))
	if err != nil || got.Bucket != "week" || got.Cumulative[0].At != march(9, 0) {
		t.Errorf("seventeen months: bucket %q, first ends %v, %v", got.Bucket, got.Cumulative[0].At, err)
	}
	got, err = q.BoardFlow(t.Context(), 1, readmodel.FlowQuery{}, later)
	if want := time.Date(2026, 7, 2, 0, 0, 0, 0, time.UTC); err != nil || got.From != want || got.Bucket != "day" || len(got.WIP) != 30 {
		t.Errorf("by default: from %v, bucket %q, %d points, %v", got.From, got.Bucket, len(got.WIP), err)
	}
	if _, err := q.BoardFlow(t.Context(), 2, readmodel.FlowQuery{}, now); events.CodeOf(err) != events.CodeNotFound {
		t.Errorf("no board: got %v", err)
	}
}

// done makes n tickets that are created and done on a day.
func done(list []dated, day time.Time, n int) []dated {
	for range n {
		id := int64(len(list))
		list = append(list, dated{day.Add(time.Hour), ann, ticket(1, id, id, nil)}, dated{day.Add(2 * time.Hour), ann, move(id, 1, 4)})
	}
	return list
}

// TestForecast: where the draws leave no choice, the figures are known; where they
// leave one, the seed makes it.
func TestForecast(t *testing.T) {
	t.Parallel()
	begin := []dated{{march(1, 23), ann, fact{1, 0, events.BoardCreated{Key: "B1", Name: "Board", Visibility: events.Private, Columns: flowColumns}}}}
	same, mixed := begin, begin
	for day := 2; day < 12; day++ {
		same = done(same, march(day, 0), 2)
		mixed = done(mixed, march(day, 0), day%4)
	}
	same = append(same, dated{march(12, 0), ann, ticket(1, 999, 999, nil)})
	flow := func(q *readmodel.Queries, items *int64, seed uint64) readmodel.FlowForecast {
		t.Helper()
		f, err := q.BoardFlow(t.Context(), 1, readmodel.FlowQuery{Items: items, Seed: seed}, march(12, 6))
		if err != nil {
			t.Fatal(err)
		}
		return f.Forecast
	}
	q := project(t, same)
	when := func(day string) *readmodel.FlowWhen { return &readmodel.FlowWhen{P50: &day, P85: &day, P95: &day} }
	all := func(n int64) readmodel.FlowAtLeast { return readmodel.FlowAtLeast{P50: n, P85: n, P95: n} }
	want := readmodel.FlowForecast{
		Seed: 3, Draws: 10_000, SampleDays: 10, DoneDays: 10, PerDay: 2, Items: 7, When: when("2026-03-16"), // four days of two
		HowMany: &readmodel.FlowHowMany{Days7: all(14), Days14: all(28), Days30: all(60)},
	}
	if diff := gocmp.Diff(want, flow(q, p[int64](7), 3)); diff != "" {
		t.Errorf("two a day (-want +got):\n%s", diff)
	}
	if got := flow(q, nil, 3); got.Items != 1 || *got.When.P95 != "2026-03-13" {
		t.Errorf("what is open: %+v", got)
	}
	by, err := q.BoardFlow(t.Context(), 1, readmodel.FlowQuery{Items: p[int64](7), Seed: 3, By: march(20, 0)}, march(12, 6))
	want.By = &readmodel.FlowBy{Date: "2026-03-20", Days: 8, FlowAtLeast: all(16)}
	if diff := gocmp.Diff(want, by.Forecast); err != nil || diff != "" {
		t.Errorf("by a day: %v (-want +got):\n%s", err, diff)
	}
	if got := flow(q, p[int64](0), 3); *got.When.P95 != "2026-03-12" {
		t.Errorf("nothing: %+v", got)
	}
	if got := flow(q, p[int64](100_000), 3); got.When.P50 != nil || got.When.P95 != nil || got.Reason != "" {
		t.Errorf("more than ten years: %+v", got)
	}
	// 1.7 a day in the mean: thirty take about eighteen days.
	q = project(t, mixed)
	first, again, other := flow(q, p[int64](30), 1), flow(q, p[int64](30), 1), flow(q, p[int64](30), 2)
	if diff := gocmp.Diff(first, again); diff != "" {
		t.Errorf("the same seed again (-first +second):\n%s", diff)
	}
	for _, f := range []readmodel.FlowForecast{first, other} {
		w, d := f.When, f.HowMany.Days14
		if f.PerDay != 1.7 || f.DoneDays != 8 || *w.P50 < "2026-03-29" || *w.P50 > "2026-03-31" || *w.P85 <= *w.P50 || *w.P95 <= *w.P85 ||
			d.P50 < 23 || d.P50 > 25 || d.P85 >= d.P50 || d.P95 >= d.P85 {
			t.Errorf("forecast is %+v, when %v %v %v, in 14 days %+v", f, *w.P50, *w.P85, *w.P95, d)
		}
	}
}

// BenchmarkFlow tells the flow of a board of 5,000 tickets and 100,000 events, of
// thirty days and of all of them.
func BenchmarkFlow(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 1))
	list := []dated{{march(1, 0), ann, fact{1, 0, events.BoardCreated{Key: "B1", Name: "Board", Visibility: events.Private, Columns: flowColumns}}}}
	at, column := march(1, 0), map[int64]int64{}
	for id := int64(1); len(list) < 100_000; {
		at = at.Add(2 * time.Minute)
		add := func(ticket int64, e events.Event) { list = append(list, dated{at, bot, fact{1, ticket, e}}) }
		if id <= 5000 && len(list) >= int(id-1)*19 {
			list = append(list, dated{at, ann, ticket(1, id, id, func(f *events.TicketCreated) { f.Description = strings.Repeat("words ", 40) })})
			column[id], id = 1, id+1
			continue
		}
		k := 1 + r.Int64N(id-1)
		switch r.IntN(4) {
		case 0:
			to := 1 + r.Int64N(4)
			list = append(list, dated{at, ann, move(k, column[k], to)})
			column[k] = to
		case 1:
			add(k, events.TicketClaimed{LeaseSeconds: 60, ExpiresAt: at.Add(time.Hour)})
			add(k, events.UsageRecorded{InputTokens: 1000, OutputTokens: 100, CostMicros: 5})
			add(k, events.TicketReleased{Fence: 1, Holder: "bot", HolderID: 2, Reason: events.Completed})
		case 2:
			add(k, events.CommentAdded{CommentID: int64(len(list)), Text: strings.Repeat("words ", 20)})
		default:
			if r.IntN(20) == 0 {
				add(k, events.TicketArchived{})
				add(k, events.TicketRestored{ColumnID: column[k], Column: flowColumns[column[k]-1].Name, Rank: "b"})
			} else {
				add(k, events.TicketUpdated{Description: p(strings.Repeat("other ", 40))})
			}
		}
	}
	q := project(b, list)
	for name, query := range map[string]readmodel.FlowQuery{"thirty days": {}, "all": {From: march(1, 0)}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f, err := q.BoardFlow(b.Context(), 1, query, at)
				if err != nil || f.ScatterTotal == 0 || f.AgingTotal == 0 {
					b.Fatal(f.ScatterTotal, f.AgingTotal, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms")
		})
	}
	// The baseline: what the same board's statistics take, which read the same rows.
	b.Run("statistics", func(b *testing.B) {
		for b.Loop() {
			if _, err := q.BoardStatistics(b.Context(), 1, at); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Microseconds())/1000/float64(b.N), "ms")
	})
}
