package metrics

import (
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agent-kanban/agent-kanban/commands"
	"github.com/agent-kanban/agent-kanban/events"
	"github.com/agent-kanban/agent-kanban/events/sqlstore"
)

// BenchmarkCommands measures durable commands per second with metrics on, and as
// a share of the same without: both take turns, and the medians are compared,
// so that neither has the better disk.
func BenchmarkCommands(b *testing.B) {
	m, err := New(Config{}, Sources{})
	if err != nil {
		b.Fatal(err)
	}
	off := benchSequencer(b, sqlstore.Options{}, commands.Observer{})
	on := benchSequencer(b, sqlstore.Options{Appended: m.Append}, commands.Observer{Done: m.Command})
	const turn = 512
	var with, without []time.Duration
	for b.Loop() {
		without = append(without, benchTurn(b, off, turn))
		with = append(with, benchTurn(b, on, turn), benchTurn(b, on, turn))
		without = append(without, benchTurn(b, off, turn))
	}
	mine, base := median(with), median(without)
	b.ReportMetric(turn/mine.Seconds(), "commands/s")
	b.ReportMetric(100*base.Seconds()/mine.Seconds(), "%_of_without")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func benchSequencer(b *testing.B, o sqlstore.Options, observer commands.Observer) *commands.Sequencer {
	b.Helper()
	o.Path, o.Create = filepath.Join(b.TempDir(), "bench.db"), true
	db, err := sqlstore.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	seq, err := commands.New(commands.Config{Store: db, Observer: observer})
	if err != nil {
		b.Fatal(err)
	}
	seq.Start()
	b.Cleanup(func() {
		seq.Stop()
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	if _, err := seq.Do(b.Context(), benchMeta, commands.CreateBoard{Name: "Web", Key: "WEB"}); err != nil {
		b.Fatal(err)
	}
	return seq
}

var benchMeta = commands.Meta{Actor: events.SystemActor, Trusted: true}

// benchTurn sends so many commands from 16 callers and returns how long it took.
func benchTurn(b *testing.B, seq *commands.Sequencer, count int64) time.Duration {
	b.Helper()
	var n atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range 16 {
		wg.Go(func() {
			for n.Add(1) <= count {
				if _, err := seq.Do(b.Context(), benchMeta, commands.CreateTicket{Board: "WEB", Title: "A ticket of usual length"}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// BenchmarkScrape is what a scrape costs.
func BenchmarkScrape(b *testing.B) {
	m, err := New(Config{}, Sources{Head: func() int64 { return 1 }})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := m.registry.Gather(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCount is what one command, one transaction and one request cost here.
func BenchmarkCount(b *testing.B) {
	m, err := New(Config{}, Sources{})
	if err != nil {
		b.Fatal(err)
	}
	for name, count := range map[string]func(){
		"command":     func() { m.Command("create_ticket", nil, time.Millisecond) },
		"transaction": func() { m.Append(3, time.Millisecond, time.Millisecond) },
		"request":     func() { m.Request("/api/tickets/:id", "GET", 200, time.Millisecond, true) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				count()
			}
		})
	}
}
