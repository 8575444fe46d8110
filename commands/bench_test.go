package commands_test

import (
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
)

// BenchmarkSequencer measures accepted commands per second, durable
// (synchronous=FULL), and as a share of raw prepared inserts of the same rows,
// 64 to a transaction, in the same run.
func BenchmarkSequencer(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run("callers="+strconv.Itoa(callers), func(b *testing.B) {
			w := setup(b)
			var n atomic.Int64
			b.ResetTimer()
			start := time.Now()
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for n.Add(1) <= int64(b.N) {
						if _, err := w.seq.Do(b.Context(), ada, commands.CreateTicket{Board: "WEB", Title: "A ticket of usual length", Description: "What is to be done"}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			rate := float64(b.N) / time.Since(start).Seconds()
			b.StopTimer()
			b.ReportMetric(rate, "commands/s")
			if b.N >= 1000 {
				b.ReportMetric(100*rate/rawInserts(b, w.log(b)[3:]), "%_of_raw_inserts")
			}
		})
	}
}

// rawInserts appends the same rows with the same statements and no more: 64 to a
// transaction, prepared, durable. It returns rows per second.
func rawInserts(b *testing.B, log []events.Envelope) float64 {
	b.Helper()
	store := open(b, filepath.Join(b.TempDir(), "raw.db"))
	var head events.Head
	for i := range log {
		sealed, err := events.Seal(head, log[i], mustPayload(b, &log[i]))
		if err != nil {
			b.Fatal(err)
		}
		sealed.Version = int64(i + 1)
		log[i], head = sealed, sealed.Head()
	}
	runtime.GC()
	start := time.Now()
	for i := 0; i < len(log); i += 64 {
		batch := log[i:min(i+64, len(log))]
		tx, err := store.Begin(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := tx.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		for j := range batch {
			e := &batch[j]
			if err := tx.Record(b.Context(), events.CommandRecord{
				ID: e.CommandID, Actor: "human:1", First: e.Position, Last: e.Position,
				Stream: e.Stream, Version: e.Version, RecordedAt: e.RecordedAt,
			}); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(len(log)) / time.Since(start).Seconds()
}

func mustPayload(b *testing.B, e *events.Envelope) events.Event {
	b.Helper()
	p, err := e.Payload()
	if err != nil {
		b.Fatal(err)
	}
	return p
}
