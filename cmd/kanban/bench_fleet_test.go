package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/ops/demo"
)

// BenchmarkFleet is 20 agents that finish 500 tickets through the API, each from
// claim-next over a comment, the criteria and a heartbeat to done, durably. The
// system that this one replaces does 27 tickets a second. The budget of commands
// that stops a runaway is out of the way.
func BenchmarkFleet(b *testing.B) {
	const agents, tickets = 20, 500
	var took time.Duration
	var p99 time.Duration
	done := 0
	for b.Loop() {
		b.StopTimer()
		c := newChild(b, b.TempDir())
		c.env = []string{"AGENT_COMMANDS_PER_MINUTE=0"}
		c.start()
		token, err := os.ReadFile(filepath.Join(c.dir, "setup-token"))
		if err != nil {
			b.Fatal(err)
		}
		w, err := demo.Prepare(b.Context(), demo.Config{
			URL: c.url(), SetupToken: strings.TrimSpace(string(token)), Seed: 1, Agents: agents, Tickets: tickets,
		})
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		s, err := demo.Fleet{World: w}.Run(b.Context())
		b.StopTimer()
		if err != nil || s.Tickets != tickets {
			b.Fatalf("%d of %d tickets are done: %v", s.Tickets, tickets, err)
		}
		took, done, p99 = took+s.Took, done+s.Tickets, max(p99, s.P99)
		b.Logf("%d calls, p50 %s, p99 %s; by kind %v; refused %v", s.Calls, s.P50, s.P99, s.Slowest, s.Refusals)
		w.Close()
		if err := c.stop(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(done)/took.Seconds(), "tickets/s")
	b.ReportMetric(float64(p99.Microseconds())/1000, "p99-ms")
}
