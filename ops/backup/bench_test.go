package backup_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/ops/backup"
)

// BenchmarkWriters prints how long a command takes, about 500 a second, while
// nothing else happens and while backups are taken one after the other.
func BenchmarkWriters(b *testing.B) {
	for name, busy := range map[string]bool{"alone": false, "beside backups": true} {
		b.Run(name, func(b *testing.B) {
			db := open(b)
			w := newWriter(b, db)
			board := w.board("WEB")
			w.tickets(board, 2000)
			ctx, cancel := context.WithCancel(b.Context())
			taken, done := 0, make(chan struct{})
			out := b.TempDir()
			go func() {
				defer close(done)
				for busy && ctx.Err() == nil {
					if _, err := backup.Create(ctx, backup.Options{Database: db.Path(), Out: out}); err == nil {
						taken++
					}
				}
			}()
			var took []time.Duration
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			for b.Loop() {
				<-tick.C
				began := time.Now()
				w.do(commands.CreateTicket{Board: board, Title: "ticket"})
				took = append(took, time.Since(began))
			}
			cancel()
			<-done
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(taken), "backups")
		})
	}
}
