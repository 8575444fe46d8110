package projections

import (
	"context"
	"database/sql"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/readmodel"
)

// BenchmarkApply projects tickets that were just created, 64 per transaction,
// and as its baseline inserts the same rows with nothing around.
func BenchmarkApply(b *testing.B) {
	const batch = 64
	b.Run("projector", func(b *testing.B) {
		db := open(b)
		r := prepared(b, config(db))
		s := newScript()
		s.add(b, 1, 0, defaultBoard())
		deliver(b, r, s.log)
		var spent time.Duration
		for b.Loop() {
			s.log = s.log[:0]
			for range batch {
				id := s.head.Position
				s.add(b, 1, id, ticketCreated(id))
			}
			start := time.Now()
			deliver(b, r, s.log)
			spent += time.Since(start)
		}
		b.ReportMetric(float64(b.N*batch)/spent.Seconds(), "events/s")
	})
	b.Run("moves", func(b *testing.B) {
		db := open(b)
		r := prepared(b, config(db))
		s := newScript()
		s.add(b, 1, 0, defaultBoard())
		for n := range int64(500) {
			s.add(b, 1, n+1, ticketCreated(n+1))
		}
		deliver(b, r, s.log)
		var spent time.Duration
		for b.Loop() {
			s.log = s.log[:0]
			for range batch {
				s.add(b, 1, s.head.Position%500+1, events.TicketMoved{FromColumnID: 1, FromColumn: "Not Started", ColumnID: 2, Column: "In Progress", Rank: "b"})
			}
			start := time.Now()
			deliver(b, r, s.log)
			spent += time.Since(start)
		}
		b.ReportMetric(float64(b.N*batch)/spent.Seconds(), "events/s")
	})
	b.Run("raw", func(b *testing.B) {
		db := open(b)
		ticket, err := db.Writer().PrepareContext(b.Context(), `INSERT INTO tickets (id, board_id, number, key, title, description,
			acceptance_criteria, priority, labels, assignee, column_id, current_column, rank, due_at, archived, version, created_by, created_at,
			updated_at, column_entered_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`)
		if err != nil {
			b.Fatal(err)
		}
		defer ticket.Close()
		line, err := db.Writer().PrepareContext(b.Context(), `INSERT INTO ticket_history VALUES (?,?,?,?,?,?,?,?,?,1)`)
		if err != nil {
			b.Fatal(err)
		}
		defer line.Close()
		at, id := readmodel.FormatTime(epoch), int64(0)
		start := time.Now()
		for b.Loop() {
			err := db.UpdateRelaxed(b.Context(), func(ctx context.Context, tx *sql.Tx) error {
				ticket, line := tx.StmtContext(ctx, ticket), tx.StmtContext(ctx, line)
				for range batch {
					id++
					f := ticketCreated(id)
					if _, err := ticket.ExecContext(ctx, id, 1, f.Number, f.Key, f.Title, f.Description, "", "medium", "[]", nil, 1, f.Column,
						f.Rank, nil, 0, id, "ann", at, at, at); err != nil {
						return err
					}
					if _, err := line.ExecContext(ctx, id*16, id, 1, "status", nil, "created", "ann", "human", at); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N*batch)/time.Since(start).Seconds(), "events/s")
	})
}

// BenchmarkRebuild folds a log of 200,000 events into rows: two creations, two
// moves, a comment, again and again.
func BenchmarkRebuild(b *testing.B) {
	const total = 200_000
	db := open(b)
	s := newScript()
	s.add(b, 1, 0, defaultBoard())
	for n := int64(1); s.head.Position < total; n++ {
		if len(s.log) > 10_000 {
			s.store(b, db)
		}
		s.add(b, 1, n, ticketCreated(n))
		if n%2 == 0 {
			s.add(b, 1, n-1, events.TicketMoved{FromColumnID: 1, FromColumn: "Not Started", ColumnID: 2, Column: "In Progress", Rank: "b"})
			s.add(b, 1, n, events.TicketMoved{FromColumnID: 1, FromColumn: "Not Started", ColumnID: 3, Column: "Done", Rank: "b"})
			s.add(b, 1, n, events.CommentAdded{CommentID: n, Text: "Looks good to me."})
		}
	}
	s.store(b, db)
	s.log = nil
	runtime.GC()
	var last Progress
	var peak uint64
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var err error
		last, err = Rebuild(b.Context(), RebuildConfig{
			DB: db.Writer(), Update: db.UpdateRelaxed, Log: db,
			Progress: func(Progress) {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			},
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(last.Position)/b.Elapsed().Seconds(), "events/s")
	// On a machine with other work this is the figure that holds.
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(spent)/1e3/float64(b.N)/float64(last.Position), "cpu-µs/event")
	b.ReportMetric(float64(peak)/1e6, "MB-heap")
	b.ReportMetric(float64(after.Maxrss)/1e3, "MB-rss")
}
