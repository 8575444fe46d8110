package readmodel

import (
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// FlowQuery says what of a board's past BoardFlow shows.
type FlowQuery struct {
	// From and To bound the range. A zero To is now, and so is one that is yet to
	// come. A zero From is the midnight (UTC) thirty days before the day of To;
	// one before the board was made is cut to when it was.
	From, To time.Time
	// Bucket is "hour", "day" or "week" (from Monday), in UTC. "" takes the finest
	// that makes at most 200 of them, else weeks.
	Bucket string
	// Items is how many tickets the forecast is for; nil = those that are open.
	Items *int64
	// By is a day (UTC) for which the forecast tells how many will be done; the zero
	// time = none. It is at most a year after now.
	By time.Time
	// Seed makes the forecast repeatable: the same history, items and seed give
	// the same figures.
	Seed uint64
}

// Flow is how work flowed over a board, as the log tells it from the board's
// first day on.
//
// A ticket is in a column from when it came until it left. While it is archived
// it is in none, and a deleted one is in none from its deletion on; before that it
// counts, in Cumulative and WIP. All else is about tickets that are still there,
// archived or not: a deleted one was neither created nor done. A ticket is done
// once, when it last came into a column of kind done, and not at all while it is
// elsewhere. The kind of a column is what it is now, also for the past.
//
// Buckets end at the hour, midnight or Monday; the first begins at From and the
// last ends at To. An event at the instant where one ends belongs to the next.
// Cumulative, WIP and Throughput have an entry for each bucket, in order.
type Flow struct {
	Position     int64            `json:"position"`
	AsOf         time.Time        `json:"as_of"`
	BoardID      int64            `json:"board_id"`
	From         time.Time        `json:"from"`
	To           time.Time        `json:"to"`
	Bucket       string           `json:"bucket" enum:"hour,day,week"`
	Columns      []FlowColumn     `json:"columns" doc:"In the order of the board; behind them those that were removed since and had tickets at the end of a bucket"`
	Cumulative   []FlowCounts     `json:"cumulative"`
	WIP          []FlowWIP        `json:"wip"`
	Throughput   []FlowThroughput `json:"throughput"`
	Scatter      []FlowDone       `json:"scatter" doc:"What came to be done in the range, newest first, at most 2,000"`
	ScatterTotal int64            `json:"scatter_total"`
	Percentiles  FlowPercentiles  `json:"percentiles" doc:"Of all that came to be done in the range"`
	Aging        []FlowAging      `json:"aging" doc:"Tickets in work now, longest in their column first, at most 500"`
	AgingTotal   int64            `json:"aging_total"`
	Agents       []FlowAgent      `json:"agents" doc:"Who claimed, finished, lost or cost something in the range, most done first"`
	Forecast     FlowForecast     `json:"forecast"`
}

// FlowColumn is a column that tickets are or were in.
type FlowColumn struct {
	ID      int64             `json:"id"`
	Name    string            `json:"name"`
	Kind    events.ColumnKind `json:"kind"`
	Removed bool              `json:"removed"`
}

// FlowCounts is how many tickets were in each column.
type FlowCounts struct {
	At     time.Time `json:"at" doc:"The end of the bucket"`
	Counts []int64   `json:"counts" doc:"In the order of columns"`
}

// FlowWIP is how many tickets were in columns of kind active, blocked or review.
type FlowWIP struct {
	At  time.Time `json:"at" doc:"The end of the bucket"`
	WIP int64     `json:"wip"`
}

// FlowThroughput is what came to be done, and what was created, in a bucket.
type FlowThroughput struct {
	At      time.Time `json:"at" doc:"The start of the bucket"`
	Done    int64     `json:"done"`
	Created int64     `json:"created"`
}

// FlowDone is a ticket that came to be done.
type FlowDone struct {
	TicketID int64     `json:"ticket_id"`
	Key      string    `json:"key"`
	Title    string    `json:"title"`
	DoneAt   time.Time `json:"done_at"`
	Cycle    *float64  `json:"cycle_seconds" doc:"From the first work on it; null where none is known of"`
	Lead     float64   `json:"lead_seconds" doc:"From its creation"`
	By       string    `json:"by" doc:"Who claimed it last before that; where nobody did, who moved it there"`
}

// FlowQuantiles are percentiles of durations, null where there are none. They
// interpolate as those of Durations do.
type FlowQuantiles struct {
	P50 *float64 `json:"p50"`
	P85 *float64 `json:"p85"`
	P95 *float64 `json:"p95"`
}

// FlowPercentiles are of cycle and lead time, in seconds.
type FlowPercentiles struct {
	Cycle FlowQuantiles `json:"cycle"`
	Lead  FlowQuantiles `json:"lead"`
}

// FlowAging is a ticket in work: in a column of kind active, blocked or review,
// and not archived.
type FlowAging struct {
	TicketID int64    `json:"ticket_id"`
	Key      string   `json:"key"`
	Title    string   `json:"title"`
	ColumnID int64    `json:"column_id"`
	Assignee *string  `json:"assignee"`
	Holder   *string  `json:"holder" doc:"Who has claimed it; null = nobody"`
	Age      float64  `json:"age_seconds" doc:"Since it came into its column"`
	WorkAge  *float64 `json:"work_age_seconds" doc:"Since the first work on it; null where none is known of"`
	Blocked  bool     `json:"blocked" doc:"Waiting for other tickets"`
	Rank     *float64 `json:"percentile" doc:"How many of a hundred stays that ended in its column were no longer than its age; null where none ended"`
}

// FlowAgent is what somebody did in the range.
type FlowAgent struct {
	UserID       int64            `json:"user_id"`
	Name         string           `json:"name"`
	Kind         events.ActorKind `json:"kind" doc:"Empty where the account is not known"`
	Claimed      int64            `json:"claimed"`
	Done         int64            `json:"done" doc:"Claims that ended with the ticket complete"`
	Rework       int64            `json:"rework" doc:"Times that a ticket came back from review or done after this one had it last"`
	LeasesLost   int64            `json:"leases_lost"`
	InputTokens  int64            `json:"input_tokens"`
	OutputTokens int64            `json:"output_tokens"`
	CostMicros   int64            `json:"cost_micros" doc:"Millionths of a US dollar, of deleted tickets too"`
	MedianCycle  *float64         `json:"median_cycle_seconds" doc:"Of the tickets of scatter that this one claimed last"`
}

// FlowForecast says when some tickets will be done and how many will be in some
// days, if the future is like the days of the range that are over.
//
// It is a Monte Carlo simulation of throughput: each of Draws futures is made of
// days that are drawn, with replacement, from the whole UTC days in the range, and
// what was done on those. The method, and the 50, 85 and 95 % that it is read at,
// are from D. Vacanti, Actionable Agile Metrics for Predictability (2015), part
// four, and T. Magennis, Forecasting and Simulating Software Development Projects
// (2011). The first day that is drawn is the one after AsOf's.
type FlowForecast struct {
	Seed       uint64       `json:"seed"`
	Draws      int          `json:"draws"`
	SampleDays int64        `json:"samples_days" doc:"Whole days in the range that are over"`
	DoneDays   int64        `json:"done_days" doc:"Those of them on which something was done"`
	PerDay     float64      `json:"per_day" doc:"Mean of what was done on a day of the sample"`
	Items      int64        `json:"items"`
	When       *FlowWhen    `json:"when" doc:"null where reason says why"`
	HowMany    *FlowHowMany `json:"how_many" doc:"null where reason says why"`
	By         *FlowBy      `json:"by" doc:"How many by the day that was asked for; null where none was"`
	Reason     string       `json:"reason,omitempty" doc:"Why there is no forecast"`
}

// FlowWhen are dates by which all items are done, in that share of the futures;
// null where that is more than ten years ahead.
type FlowWhen struct {
	P50 *string `json:"p50" format:"date"`
	P85 *string `json:"p85" format:"date"`
	P95 *string `json:"p95" format:"date"`
}

// FlowHowMany is how many tickets will be done in so many days.
type FlowHowMany struct {
	Days7  FlowAtLeast `json:"7"`
	Days14 FlowAtLeast `json:"14"`
	Days30 FlowAtLeast `json:"30"`
}

// FlowBy is how many tickets will be done by the end of a day.
type FlowBy struct {
	Date string `json:"date" format:"date"`
	Days int    `json:"days" doc:"From the day of as_of"`
	FlowAtLeast
}

// FlowAtLeast is how many are done at least in that share of the futures, so that
// P95 is the smallest.
type FlowAtLeast struct {
	P50 int64 `json:"p50"`
	P85 int64 `json:"p85"`
	P95 int64 `json:"p95"`
}
