package commands

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/agent-kanban/agent-kanban/events"
)

// TestLargeGraphs draws 5,000 tickets and 10,000 dependencies at random, moves
// some tickets to done, and compares with a brute-force look at everything: a
// dependency is refused if and only if it closes a cycle, and the ready tickets
// are those that wait for nothing.
func TestLargeGraphs(t *testing.T) {
	t.Parallel()
	const tickets, edges = 5000, 10_000
	for seed := range uint64(1) {
		rnd := rand.New(rand.NewPCG(seed, 5000))
		s := given(t)
		for id := int64(1); id <= tickets; id++ {
			s.fact(pam, free(id, 1, "a0"))
		}
		waits := map[int64][]int64{}
		reaches := func(from, to int64) bool {
			seen, stack := map[int64]bool{from: true}, []int64{from}
			for len(stack) > 0 {
				at := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				if at == to {
					return true
				}
				for _, next := range waits[at] {
					if !seen[next] {
						seen[next] = true
						stack = append(stack, next)
					}
				}
			}
			return false
		}
		refusals, done := 0, map[int64]bool{}
		for range edges {
			a, b := 1+rnd.Int64N(tickets), 1+rnd.Int64N(tickets)
			want := events.Code("")
			if reaches(b, a) {
				want = events.CodeCycle
				refusals++
			}
			_, err := s.when(by(pam), AddDependency{Ticket: RefID(a), DependsOn: RefID(b)})
			if got := events.CodeOf(err); got != want {
				t.Fatalf("seed %d: %d waits for %d: got %q (%v), want %q", seed, a, b, got, err, want)
			}
			if want == "" && !slices.Contains(waits[a], b) {
				waits[a] = append(waits[a], b)
			}
			if rnd.IntN(20) == 0 {
				id := 1 + rnd.Int64N(tickets)
				column := Ref("Done")
				if done[id] {
					column = "To do"
				}
				if _, err := s.when(by(pam), MoveTicket{Ticket: RefID(id), Column: column}); err != nil {
					t.Fatal(err)
				}
				done[id] = !done[id]
			}
		}
		if refusals == 0 {
			t.Errorf("seed %d: no cycle was drawn", seed)
		}
		want := map[int64]bool{}
		for id := int64(1); id <= tickets; id++ {
			if !done[id] && !slices.ContainsFunc(waits[id], func(on int64) bool { return !done[on] }) {
				want[id] = true
			}
		}
		ready := s.w.state.boards[1].work.ready
		for _, k := range ready {
			if !want[k.ID] {
				t.Errorf("seed %d: %s is ready, but waits or is done", seed, k.Key)
			}
		}
		if len(ready) != len(want) {
			t.Errorf("seed %d: %d are ready, want %d", seed, len(ready), len(want))
		}
		t.Logf("seed %d: %d refused, %d ready", seed, refusals, len(ready))
	}
}
