package readmodel

import (
	"math"
	"slices"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Durations describes a set of durations, in seconds. Everything but Count is
// null where there are none. Median and percentiles interpolate linearly between
// the closest ranks (Hyndman and Fan, definition 7); the deviation is that of the
// whole population.
type Durations struct {
	Count     int64    `json:"count"`
	Mean      *float64 `json:"mean_seconds"`
	Median    *float64 `json:"median_seconds"`
	Deviation *float64 `json:"deviation_seconds"`
	P85       *float64 `json:"p85_seconds"`
	P95       *float64 `json:"p95_seconds"`
}

// describe sorts seconds.
func describe(seconds []float64) Durations {
	n := len(seconds)
	if n == 0 {
		return Durations{}
	}
	slices.Sort(seconds)
	sum := 0.0
	for _, s := range seconds {
		sum += s
	}
	mean := sum / float64(n)
	squares := 0.0
	for _, s := range seconds {
		squares += (s - mean) * (s - mean)
	}
	deviation := math.Sqrt(squares / float64(n))
	quantile := func(p float64) *float64 {
		place := p * float64(n-1)
		low := int(place)
		high := min(low+1, n-1)
		v := seconds[low] + (place-float64(low))*(seconds[high]-seconds[low])
		return &v
	}
	return Durations{Count: int64(n), Mean: &mean, Median: quantile(.5), Deviation: &deviation, P85: quantile(.85), P95: quantile(.95)}
}

// ColumnStatistics is how long tickets stay in a column.
type ColumnStatistics struct {
	ID       int64             `json:"id"`
	Name     string            `json:"name"`
	Kind     events.ColumnKind `json:"kind"`
	WIPLimit *int              `json:"wip_limit"`
	Tickets  int64             `json:"tickets" doc:"In it now, archived ones left out"`
	Now      Durations         `json:"now" doc:"How long the tickets that are in it now have been"`
	Finished Durations         `json:"finished" doc:"How long tickets were in it that left, each stay on its own"`
}

// AssigneeCount is how many tickets somebody has; nobody's have a null.
type AssigneeCount struct {
	Assignee *string `json:"assignee"`
	Tickets  int64   `json:"tickets"`
}

// Totals counts tickets that are not archived, and those that are.
type Totals struct {
	Tickets    int64                     `json:"tickets"`
	Open       int64                     `json:"open" doc:"Not in a column of kind done"`
	Done       int64                     `json:"done"`
	Blocked    int64                     `json:"blocked" doc:"Waiting for others"`
	Claimed    int64                     `json:"claimed"`
	Archived   int64                     `json:"archived"`
	ByPriority map[events.Priority]int64 `json:"by_priority"`
	ByAssignee []AssigneeCount           `json:"by_assignee" doc:"Most first"`
}

// Throughput is what began and what was finished lately, archived or not.
type Throughput struct {
	Created7  int64 `json:"created_7_days"`
	Created30 int64 `json:"created_30_days"`
	Done7     int64 `json:"done_7_days"`
	Done30    int64 `json:"done_30_days"`
}

// BoardStatistics is a board in figures.
type BoardStatistics struct {
	Position   int64              `json:"position"`
	AsOf       time.Time          `json:"as_of"`
	BoardID    int64              `json:"board_id"`
	Columns    []ColumnStatistics `json:"columns"`
	Totals     Totals             `json:"totals"`
	Throughput Throughput         `json:"throughput"`
}

// AgentPerformance is what became of somebody's claims on a board.
type AgentPerformance struct {
	UserID      int64     `json:"user_id"`
	Name        string    `json:"name"`
	Claimed     int64     `json:"claimed"`
	Done        int64     `json:"done" doc:"Claims that ended with the ticket complete"`
	LeasesLost  int64     `json:"leases_lost"`
	Rework      int64     `json:"rework" doc:"Times that a ticket came back from review or done after this one had it last"`
	ClaimToDone Durations `json:"claim_to_done"`
}

// BoardPerformance is how fast work flows over a board. Lead time is from the
// creation of a ticket, cycle time from its first stay in an active column or its
// first claim, whichever came first, to when it last came to be done.
type BoardPerformance struct {
	Position  int64              `json:"position"`
	AsOf      time.Time          `json:"as_of"`
	BoardID   int64              `json:"board_id"`
	LeadTime  Durations          `json:"lead_time"`
	CycleTime Durations          `json:"cycle_time"`
	Rework    int64              `json:"rework" doc:"Moves from review or done back to backlog, active or blocked"`
	Agents    []AgentPerformance `json:"agents" doc:"Most done first"`
}

// ColumnTime is how long one ticket was in a column, all stays together.
type ColumnTime struct {
	ID      int64             `json:"id"`
	Name    string            `json:"name"`
	Kind    events.ColumnKind `json:"kind"`
	Stays   int64             `json:"stays"`
	Seconds float64           `json:"seconds"`
}

// TicketStatistics is a ticket in figures.
type TicketStatistics struct {
	Position   int64        `json:"position"`
	AsOf       time.Time    `json:"as_of"`
	TicketID   int64        `json:"ticket_id"`
	Key        string       `json:"key"`
	BoardID    int64        `json:"board_id"`
	Columns    []ColumnTime `json:"columns" doc:"In the order of the board"`
	ColumnID   int64        `json:"column_id" doc:"Where it is"`
	AgeSeconds float64      `json:"age_seconds" doc:"Since it came there"`
	Finished   Durations    `json:"finished" doc:"How long others, and it before, were in that column"`
	// ZScore is (age - mean) / deviation.
	ZScore       *float64   `json:"z_score" doc:"How many deviations its age is above the mean; null where that cannot be told"`
	Moves        int64      `json:"moves"`
	Rework       int64      `json:"rework"`
	DoneAt       *time.Time `json:"done_at"`
	LeadSeconds  *float64   `json:"lead_seconds"`
	CycleSeconds *float64   `json:"cycle_seconds"`
}
