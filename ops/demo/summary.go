package demo

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
)

// Summary is what came of a run.
type Summary struct {
	Tickets  int              `json:"tickets"`       // that are done
	Open     int              `json:"open"`          // that are not
	Events   int              `json:"events"`        // since the tickets were made
	ByType   map[string]int   `json:"by_type"`       // of events
	DoneBy   map[string]int   `json:"done_by"`       // finished claims, by agent
	Refusals map[string]int   `json:"refusals"`      // by code
	Calls    int              `json:"calls"`         // through the API
	P50      time.Duration    `json:"p50_ns"`        // of a call
	P99      time.Duration    `json:"p99_ns"`        //
	Took     time.Duration    `json:"took_ns"`       // by the wall clock
	Slowest  map[string]Timed `json:"slowest_calls"` // by kind of call
}

// Timed is one kind of call.
type Timed struct {
	Calls int           `json:"calls"`
	P99   time.Duration `json:"p99_ns"`
}

// PerSecond is how many tickets were done in a second.
func (s *Summary) PerSecond() float64 {
	if s.Took <= 0 {
		return 0
	}
	return float64(s.Tickets) / s.Took.Seconds()
}

// WriteText writes the summary for people.
func (s *Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d tickets done in %s (%.1f/s), %d open\n", s.Tickets, s.Took.Round(time.Millisecond), s.PerSecond(), s.Open)
	fmt.Fprintf(&b, "%d events: %d claims, %d given back, %d leases lost, %d approved, %d rejected\n", s.Events,
		s.ByType[string(events.TypeTicketClaimed)], s.ByType[givenBack], s.ByType[string(events.TypeLeaseExpired)],
		s.ByType[string(events.TypeTicketApproved)], s.ByType[string(events.TypeTicketRejected)])
	fmt.Fprintf(&b, "%d calls, p50 %s, p99 %s\n", s.Calls, s.P50.Round(10*time.Microsecond), s.P99.Round(10*time.Microsecond))
	counts := func(title string, m map[string]int) {
		if len(m) == 0 {
			return
		}
		keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
		for i, k := range keys {
			keys[i] = fmt.Sprintf("%s %d", k, m[k])
		}
		fmt.Fprintf(&b, "%s: %s\n", title, strings.Join(keys, ", "))
	}
	counts("finished by", s.DoneBy)
	counts("refused", s.Refusals)
	_, err := io.WriteString(w, b.String())
	return err
}

// givenBack counts claims that ended without the work done, besides the types.
const givenBack = "given_back"

// meter measures calls. It is safe for concurrent use.
type meter struct {
	mu       sync.Mutex
	took     map[string][]time.Duration
	refusals map[string]int
}

func newMeter() *meter {
	return &meter{took: map[string][]time.Duration{}, refusals: map[string]int{}}
}

// call runs one call to the API. A refusal counts, and is the caller's to judge.
func (m *meter) call(kind string, do func() error) error {
	start := time.Now()
	err := do()
	took := time.Since(start)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.took[kind] = append(m.took[kind], took)
	if err != nil {
		m.refusals[string(events.CodeOf(err))]++
	}
	return err
}

// into adds what was measured to a summary.
func (m *meter) into(s *Summary) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []time.Duration
	s.Slowest = map[string]Timed{}
	for kind, took := range m.took {
		slices.Sort(took)
		all = append(all, took...)
		s.Slowest[kind] = Timed{len(took), at(took, 0.99)}
	}
	slices.Sort(all)
	s.Calls, s.P50, s.P99 = len(all), at(all, 0.50), at(all, 0.99)
	s.Refusals = maps.Clone(m.refusals)
}

// at is a quantile of a sorted list.
func at(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
